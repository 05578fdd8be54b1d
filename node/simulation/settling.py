"""The end of moving: everything is decided that was to be, and what is to move has moved."""

from __future__ import annotations

from typing import Final

import trio
from folkmoot.node.simulation.faults import Hands
from folkmoot.node.simulation.ownership import seats_are_whole, topology_in
from folkmoot.node.simulation.world import World
from folkmoot.protocol.ring.plan import plan
from folkmoot.storage.interface import Table

REST_S_MAX: Final = 600.0
LOOK_S: Final = 0.5


async def decide(hands: Hands) -> None:
    """Have everything decided that operators began: who was sent away is back, and who was lost replaced."""
    with trio.move_on_after(REST_S_MAX):
        async with trio.open_nursery() as nursery:
            for hand in (hands.steward, hands.losses):
                if hand is not None:
                    nursery.start_soon(hand.settle)


async def come_to_rest(world: World, hands: Hands) -> None:
    """Wait until nothing moves any more; that it does not come to it is an error of the world's."""
    if hands.steward is None and hands.losses is None:
        return
    ends_s = trio.current_time() + REST_S_MAX
    while (unrest := _unrest(world, hands)) is not None:
        if trio.current_time() > ends_s:
            world.errors.append(f"{unrest}, {REST_S_MAX} s after everything was mended")
            return
        await trio.sleep(LOOK_S)


def _unrest(world: World, hands: Hands) -> str | None:
    """What is still to be decided or to move; None when nothing is."""
    for hand in (hands.steward, hands.losses):
        if hand is not None and not hand.has_settled():
            return f"what the {type(hand).__name__} began was not decided"
    known = [topology_in(node.disk.engine) for node in world.nodes]
    first = known[0]
    if first is None or any(each is None or each.summary != first.summary for each in known):
        return "nodes knew different topologies"
    if plan(first).changes:
        return "ranges had not come to rest"
    if not seats_are_whole({node.node_id: node.disk.engine for node in world.nodes}):
        return "seats had not come to rest"
    for node in world.nodes:
        with node.disk.engine.begin() as transaction:
            if any(
                node.node_id not in first.ranges.lookup(key).nodes()
                for key, _ in transaction.scan(Table.CELLS)
            ):
                return f"{node.name} had cells of others"
    return None
