"""The steward: an operator who drains nodes, has them join again, and splits ranges, whatever else goes on.

What a draining node keeps has to move to others of its region; where there are none the cluster refuses, and
rightly. A range is split beside the cells of somebody; one that is moving just then is asked for again. What
is not answered is asked again as well: it does no harm to ask twice.
"""

from __future__ import annotations

from typing import Final

import trio
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.layout import OPERATOR
from folkmoot.node.simulation.ownership import topology_in
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, WireError
from folkmoot.protocol.key import HASH_BYTES, PLACE_PREFIX_BYTES
from folkmoot.protocol.ring.plan import plan
from folkmoot.storage.interface import Table

RETRY_S: Final = 1.0
JOIN_S: Final = 10.0
SPLITS: Final = 2  # an episode


class Steward:
    """See the module.

    Args:
        world: whose nodes are drained.
        nursery: where its links run.
    """

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self._world = world
        self._caller = Caller(world, "steward", world.random("steward"), nursery, OPERATOR)
        self._splitter = Caller(world, "splitter", world.random("splitter"), nursery, OPERATOR)
        self._random = world.random("bounds")
        self._drained: set[bytes] = set()

    async def drain(self, node: SimulatedNode, until_s: float) -> None:
        """Have a node drained; given up when it is not agreed upon by the virtual time `until_s`."""
        self._drained.add(node.node_id)
        with trio.move_on_at(until_s):
            await self._ask("drain", node)

    async def split(self, until_s: float) -> None:
        """Have some ranges split, one after the other, until the virtual time `until_s`."""
        with trio.move_on_at(until_s):
            for _ in range(SPLITS):
                with self._world.coverage.operation("split"):
                    await self._split()

    async def _split(self) -> None:
        """Split the range of some cell between its account and the one before, or anywhere close by."""
        node = self._random.choice(self._world.nodes)
        keys = _keys(node)
        if not keys:
            return
        bound = self._random.choice(keys)[: self._random.randint(HASH_BYTES // 4, PLACE_PREFIX_BYTES)]
        while True:
            owner = self._world.ranges.lookup(bound)
            if bound == owner.start:
                return
            try:
                await self._splitter.call("ring.split", {"range": owner.id, "at": bound})
                return
            except WireError as error:
                if error.kind is BAD_REQUEST:  # whoever was asked knows of fewer parts, or of more
                    self._splitter.leave()
            except UNANSWERED:
                pass
            await trio.sleep(RETRY_S)

    async def join(self, node: SimulatedNode) -> None:
        """Have a node given ranges again; given up when that is not agreed upon for a while."""
        with trio.move_on_after(JOIN_S):
            await self._ask("join", node)

    async def join_all(self) -> None:
        """Have every node that was ever drained given ranges again."""
        for node in self._world.nodes:
            if node.node_id in self._drained:
                await self._ask("join", node)

    def is_at_rest(self) -> bool:
        """Whether all nodes know one topology, nothing has to move in it, and nothing is left elsewhere."""
        known = [topology_in(node.disk.engine) for node in self._world.nodes]
        first = known[0]
        if first is None or plan(first).changes:
            return False
        return all(each is not None and each.summary == first.summary for each in known) and not any(
            node.node_id not in first.ranges.lookup(key).nodes()
            for node in self._world.nodes
            for key in _keys(node)
        )

    async def _ask(self, deed: str, node: SimulatedNode) -> bool:
        """Ask for `node.<deed>` until there is an answer; whether it was done."""
        with self._world.coverage.operation(deed):
            while True:
                try:
                    await self._caller.call(f"node.{deed}", {"node": node.node_id})
                    return True
                except WireError as error:
                    if error.kind is CONFLICT:
                        return False
                except UNANSWERED:
                    pass
                await trio.sleep(RETRY_S)


def _keys(node: SimulatedNode) -> list[bytes]:
    with node.disk.engine.begin() as transaction:
        return [key for key, _ in transaction.scan(Table.CELLS)]
