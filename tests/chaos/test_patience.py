"""Nodes that are away for a while are waited for; one that stays away is named."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.cli.chaos.breaker import Breaker
from folkmoot.cli.chaos.caller import Doors
from folkmoot.cli.chaos.patience import NotBack, insist
from folkmoot.cli.chaos.plan import Episode
from folkmoot.cli.chaos.returns import Returns
from folkmoot.cli.chaos.scene import Scene
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.connection import ask
from folkmoot.cli.errors import Unreachable
from folkmoot.protocol.errors import FORBIDDEN, SHUTTING_DOWN, WireError

from tests.checking.local import Home

DESCRIBED: dict[str, Any] = {
    "name": "town",
    "nodes": [
        {"name": "eu-1", "address": "127.0.0.1:7000", "state": "running"},
        {"name": "us-1", "address": None, "state": "stopped"},
    ],
}
REFUSED = Unreachable("no node answered: 127.0.0.1:7000: connection refused")


async def look() -> dict[str, Any]:
    return DESCRIBED


class Change:
    """A change that meets these errors first, one a time."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "made"


@pytest.mark.parametrize("error", [REFUSED, WireError(SHUTTING_DOWN, "this node is about to end")])
async def test_a_node_that_is_away_for_a_while_is_asked_again(error: Exception) -> None:
    assert await insist(Change(error, error), look, 60.0) == "made"


async def test_one_that_stays_away_is_named_and_so_is_what_the_others_do() -> None:
    with pytest.raises(NotBack) as raised:
        await insist(Change(*[REFUSED] * 100), look, 0.1)
    assert "did not come back within 0.1 s" in str(raised.value)
    assert "eu-1 (127.0.0.1:7000) is running, us-1 (no address) is stopped" in str(raised.value)
    assert raised.value.hint == "folkmoot cluster logs --cluster town"


async def test_what_a_node_will_never_do_is_not_asked_again() -> None:
    change = Change(WireError(FORBIDDEN, "operators only"), REFUSED)
    with pytest.raises(WireError, match="operators only"):
        await insist(change, look, 60.0)
    assert change.errors == [REFUSED]


@pytest.mark.cluster
def test_a_node_frozen_behind_the_plans_back_ends_the_run_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Home(tmp_path).cluster(3) as cluster:
        described = cluster.ask("status")
        frozen = described["nodes"][0]
        os.kill(frozen["pid"], signal.SIGSTOP)
        try:
            cut = Episode(at_s=0, lasts_s=0, fault="partition", nodes=("eu-1",), others=("us-1", "ap-1"))
            with (
                pytest.RaisesGroup(
                    pytest.RaisesExc(NotBack, match=f"eu-1 .{frozen['address']}. is running"),
                    flatten_subgroups=True,
                ),
                monkeypatch.context() as impatient,
            ):
                impatient.setattr("folkmoot.cli.cluster.life.ask", partial(ask, patience_s=1.0))
                trio.run(play, cluster, described, cut)
        finally:
            os.kill(frozen["pid"], signal.SIGCONT)
        trio.run(play, cluster, described, cut)
        assert cluster.ask("status")["nodes"][0]["state"] == "running"


async def play(cluster: LocalCluster, described: dict[str, Any], episode: Episode) -> None:
    async with trio.open_nursery() as links:
        scene = Scene(1, 1.0, nodes={node["name"]: node["state"] for node in described["nodes"]})
        doors = Doors(described, scene)
        await Breaker(cluster, doors, scene, Returns(doors, scene, links), answers_s=1.0).run([episode])
        links.cancel_scope.cancel()
