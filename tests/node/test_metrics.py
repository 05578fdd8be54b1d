"""What a node measures of itself, and how it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.commands import metrics
from folkmoot.cli.commands.status import _cached
from folkmoot.cli.connection import Target
from folkmoot.cli.main import run
from folkmoot.node.metrics.exposition import CONTENT_TYPE, text_of
from folkmoot.node.metrics.registry import Histogram, Registry, counter, counters, gauge
from folkmoot.node.moderation.figures import OTHERS, Names
from folkmoot.protocol.errors import FORBIDDEN, UNAUTHENTICATED, WireError

from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.waiting import until


def samples(text: str) -> dict[str, float]:
    """The samples of OpenMetrics text, by their names with labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_figures_are_written_as_openmetrics() -> None:
    took = Histogram("took_seconds", "How long.", bounds=(0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        took.observe(value)
    registry = Registry()
    registry.add(
        lambda: [counter("changes", 'Says "how" much.', 5), gauge("lag_seconds", "Not known.", None)]
    )
    registry.add(lambda: [counters("cache_hits", "Hits.", "cache", {"posts": 2, "pages": 3}), took.family()])
    text = text_of(registry.collect())
    assert text.endswith("# EOF\n") and "# TYPE folkmoot_took_seconds histogram" in text
    assert samples(text) == {
        "folkmoot_changes_total": 5,
        'folkmoot_cache_hits_total{cache="posts"}': 2,
        'folkmoot_cache_hits_total{cache="pages"}': 3,
        'folkmoot_took_seconds_bucket{le="0.1"}': 2,
        'folkmoot_took_seconds_bucket{le="1.0"}': 3,
        'folkmoot_took_seconds_bucket{le="+Inf"}': 4,
        "folkmoot_took_seconds_count": 4,
        "folkmoot_took_seconds_sum": pytest.approx(7.65),
    }
    assert text == text_of(registry.collect()), "nothing in it depends on when it is asked"


def test_names_that_come_from_policies_are_told_apart_as_far_as_there_is_room() -> None:
    names = Names(2)
    names.add(["a", "b", "c", "a", "d"])
    assert names.counts == {"a": 2, "b": 1, OTHERS: 2}


async def told_by(town: Town, node: Node) -> dict[str, float]:
    """What a node tells an operator."""
    async with town.client(node) as operator:
        await operator.auth(OPERATOR)
        answer = await operator.call("cluster.metrics")
    assert answer["content_type"] == CONTENT_TYPE
    assert Author(1).account.hex() not in answer["text"]
    return samples(answer["text"])


async def test_each_node_tells_operators_its_own_figures(tmp_path: Path) -> None:
    ann = Author(1)
    async with founded(tmp_path, nodes=2) as town, town.client(town[0]) as client:
        await client.put(*(ann.post(str(number)) for number in range(5)), level="all")
        town[0].parts.community.signals.left_out += 3
        town[0].parts.moderation.drawing.left_out += 2
        for _ in range(3):
            await client.feed(ann.account, level="one")
        with pytest.raises(WireError) as refused:
            await client.call("cluster.metrics")
        assert refused.value.kind is UNAUTHENTICATED
        await client.auth(ann)
        with pytest.raises(WireError) as refused:
            await client.call("cluster.metrics")
        assert refused.value.kind is FORBIDDEN
        asked, other = [await told_by(town, node) for node in town.nodes]
        assert asked['folkmoot_cache_hits_total{cache="pages"}'] == 2
        assert other['folkmoot_cache_hits_total{cache="pages"}'] == 0
        assert asked['folkmoot_replica_cells_total{how="put"}'] == 5
        assert other['folkmoot_replica_cells_total{how="joined"}'] >= 5
        assert asked['folkmoot_gate_verdicts_total{action="accept"}'] == 5
        assert other['folkmoot_gate_verdicts_total{action="accept"}'] == 0
        assert asked["folkmoot_gate_signals_left_out_total"] == 3
        assert asked["folkmoot_gate_draws_left_out_total"] == 2
        assert asked["folkmoot_commit_seconds_count"] >= 1
        assert asked['folkmoot_members{state="alive"}'] == 2
        of_nodes = (await client.call("cluster.status"))["node"]["caches"]["pages"]
        assert of_nodes["hits"] == 2 and of_nodes["bytes"] <= of_nodes["bytes_max"]

        async def is_known() -> bool:  # once every log was read
            return "folkmoot_projection_lag_seconds" in await told_by(town, town[0])

        await until(is_known, what="a lag")


def test_the_command_prints_text_or_objects(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = text_of([counters("cache_hits", "Hits.", "cache", {"posts": 2})])

    def asked(target: Target, method: str, **more: Any) -> dict[str, Any]:
        assert method == "cluster.metrics"
        return {"content_type": CONTENT_TYPE, "text": text}

    monkeypatch.setattr(metrics, "ask", asked)
    where = ("metrics", "--node", "127.0.0.1:1", "--tls", "off")
    assert run(where) == 0
    assert capsys.readouterr().out == text
    assert run([*where, "--json"]) == 0
    assert '"labels":{"cache":"posts"}' in capsys.readouterr().out.replace(" ", "")


def test_the_status_names_the_caches_that_were_asked() -> None:
    caches = {"posts": {"hits": 3, "misses": 1}, "pages": {"hits": 0, "misses": 0}}
    assert _cached(caches) == ["caches of the node that answers: posts 75 % of 4"]
    assert _cached({}) == []
