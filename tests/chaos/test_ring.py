"""A cluster that is not done with moving is found, whichever node knows it and whatever it is."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

import pytest
from folkmoot.cli.chaos.caller import Caller
from folkmoot.cli.chaos.ring import Owned, owner_of, ranges_of, unrest
from folkmoot.node.simulation.caller import NoNode

EU, US = b"e" * 16, b"u" * 16
PLAN: dict[str, Any] = {
    "plan": {"count": 0, "blocked": []},
    "progress": {EU.hex(): {"running": {}, "leftovers": 0}},
}
STATUS: dict[str, Any] = {
    "seats": {"changing": False, "count": 3},
    "nodes": [{"roster": "member"}] * 4,
}
WHOLE = {"id": 0, "epoch": 1, "start": b"", "slots": [{"nodes": [EU]}]}
HALF = {"id": 1, "epoch": 4, "start": b"k", "slots": [{"nodes": [US]}, {"nodes": [EU, US]}]}


class Told:
    """A connection to a node that tells this, or to one that does not answer."""

    def __init__(self, node: str, **told: Any) -> None:
        self.node = node
        self.answers = {"ring.plan": deepcopy(PLAN), "cluster.status": deepcopy(STATUS)} | told
        self.ranges = [WHOLE]
        self.away = False

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        if self.away:
            raise NoNode("nobody")
        if method == "ring.ranges":
            return {"ranges": self.ranges[params["first"] :]}
        return self.answers[method]


def callers(*told: Told) -> list[Caller]:
    return cast(list[Caller], list(told))


async def test_who_is_done_has_nothing_to_say() -> None:
    assert await unrest(callers(Told("eu-1"), Told("us-1"))) == []


@pytest.mark.parametrize(
    ("method", "path", "value", "said"),
    [
        ("ring.plan", ("plan", "count"), 3, "us-1 says that 3 changes of ranges are left"),
        ("ring.plan", ("plan", "blocked"), ["too few"], "us-1 says: too few"),
        ("ring.plan", ("progress", EU.hex(), "running"), {"7": {}}, "has still to do with ranges: 7"),
        ("ring.plan", ("progress", EU.hex(), "leftovers"), 2, "leftovers of 2"),
        ("cluster.status", ("seats", "changing"), True, "others are to come"),
        ("cluster.status", ("seats", "count"), 1, "1 seats are there, and others are to come"),
    ],
)
async def test_whatever_one_node_knows_to_be_unfinished_is_said(
    method: str, path: tuple[str, ...], value: Any, said: str
) -> None:
    told = Told("us-1")
    inner = told.answers[method]
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    [sentence] = await unrest(callers(Told("eu-1"), told))
    assert said in sentence and "us-1" in sentence


async def test_who_does_not_answer_or_knows_other_owners_is_not_done() -> None:
    away, behind = Told("us-1"), Told("us-1")
    away.away, behind.ranges = True, [{**WHOLE, "epoch": 2}]
    assert await unrest(callers(Told("eu-1"), away)) == ["us-1 does not answer: nobody"]
    assert await unrest(callers(Told("eu-1"), behind)) == ["not all nodes know the same owners of all ranges"]


async def test_a_range_is_whole_at_who_fills_a_slot_alone() -> None:
    told = Told("eu-1")
    told.ranges = [WHOLE, HALF]
    first, second = await ranges_of(callers(told)[0])
    assert first == Owned(0, 1, b"", frozenset({EU}))
    assert second.whole == {US}
    assert [owner_of([first, second], key) for key in (b"", b"j", b"k", b"z")] == [
        first,
        first,
        second,
        second,
    ]
