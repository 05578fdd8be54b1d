"""Who owns what, as real nodes tell it, and whether all of them are done with changing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import trio
from folkmoot.cli.chaos.caller import Caller
from folkmoot.node.simulation.caller import UNANSWERED
from folkmoot.protocol.consensus.configuration import SIZES
from folkmoot.protocol.errors import WireError


@dataclass(frozen=True, slots=True)
class Owned:
    """A range as a node tells it.

    Args:
        id, epoch: the descriptor's.
        start: its first key.
        whole: the nodes (ids) that fill a slot alone, and so hold everything of it.
    """

    id: int
    epoch: int
    start: bytes
    whole: frozenset[bytes]

    @classmethod
    def from_wire(cls, told: dict[str, Any]) -> Owned:
        """One of those that `ring.ranges` tells."""
        alone = frozenset(slot["nodes"][0] for slot in told["slots"] if len(slot["nodes"]) == 1)
        return cls(told["id"], told["epoch"], told["start"], alone)


async def ranges_of(caller: Caller) -> list[Owned]:
    """All ranges in key order, as the node knows them that is asked.

    Args:
        caller: an operator.

    Raises:
        WireError, LinkBroken, NoNode: it did not answer.
    """
    found: list[Owned] = []
    while page := (await caller.call("ring.ranges", {"first": len(found)}))["ranges"]:
        found += [Owned.from_wire(told) for told in page]
    return found


def owner_of(ranges: Sequence[Owned], key: bytes) -> Owned:
    """The one of all ranges that a key lies in."""
    return max((owned for owned in ranges if owned.start <= key), key=lambda owned: owned.start)


async def unrest(callers: Sequence[Caller]) -> list[str]:
    """What is not done yet with ranges and seats, a sentence each; nothing once all nodes say the same.

    Args:
        callers: an operator at each of the nodes.
    """
    told: dict[str, list[Owned]] = {}
    reasons: list[str] = []

    async def ask(caller: Caller) -> None:
        try:
            reasons.extend(await _unrest_at(caller))
            told[caller.node] = await ranges_of(caller)
        except (WireError, *UNANSWERED) as error:
            reasons.append(f"{caller.node} does not answer: {error}")

    async with trio.open_nursery() as nursery:
        for caller in callers:
            nursery.start_soon(ask, caller)
    if not reasons and any(ranges != next(iter(told.values())) for ranges in told.values()):
        reasons.append("not all nodes know the same owners of all ranges")
    return sorted(reasons)


async def _unrest_at(caller: Caller) -> list[str]:
    """What a node knows to be unfinished."""
    plan = await caller.call("ring.plan", {})
    status = await caller.call("cluster.status", {})
    name, seats = caller.node, status["seats"]
    members = sum(node["roster"] == "member" for node in status["nodes"])
    found = [f"{name} says: {sentence}" for sentence in plan["plan"]["blocked"]]
    if plan["plan"]["count"]:
        found.append(f"{name} says that {plan['plan']['count']} changes of ranges are left")
    for node, progress in plan["progress"].items():
        if progress["running"] or progress["leftovers"]:
            ranges = ", ".join(progress["running"]) or f"leftovers of {progress['leftovers']}"
            found.append(f"{name} says that node {node} has still to do with ranges: {ranges}")
    if seats["changing"] or seats["count"] < max(size for size in SIZES if size <= max(1, members)):
        found.append(f"{name} says that {seats['count']} seats are there, and others are to come")
    return found
