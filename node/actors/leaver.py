"""The leaver takes nodes off the roster that were to leave it and have left.

A node has left once no range names it, nothing is left in its store that is others', and it holds no seat. It
takes itself off; when it is gone before it came to that, the first member that is alive does. Every range's
register is read before, so that nothing that was still being decided can name it afterwards: a range that is
given to a node which is not on the roster would be refused by everybody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

import trio
from folkmoot.node.movement.contracts import Holder, Liveness, RosterRegisters
from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.ring.driving import first_alive
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.ring.roster import Roster
from folkmoot.protocol.ring.roster_changes import without_node
from folkmoot.protocol.ring.topology import Topology

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
RETRY_S: Final = 5.0


class Leaver:
    """See the module.

    Args:
        node_id: this node's.
        topology, registers, liveness: see `movement.contracts`.
        is_clean: whether this node's store holds nothing that is others', by these ranges.
        holds_seat: whether a node (16 bytes) holds a seat.
    """

    def __init__(
        self,
        node_id: bytes,
        topology: Holder,
        registers: RosterRegisters,
        liveness: Liveness,
        is_clean: Callable[[RangeMap], bool],
        holds_seat: Callable[[bytes], bool],
    ) -> None:
        self._node_id = node_id
        self._topology = topology
        self._registers = registers
        self._liveness = liveness
        self._is_clean = is_clean
        self._holds_seat = holds_seat

    async def run(self) -> None:
        """Look for who has left, for ever."""
        while True:
            topology = self._topology.current()
            leaving = [node for node in topology.roster.nodes if node.standing == "leaving"]
            pause_s = LOOK_S
            for node in leaving:
                if not self._has_left(topology, node.node_id):
                    continue
                try:
                    await self._take_off(node.node_id)
                except FolkmootError as error:
                    log.info("node %s stays on the roster for now: %s", node.name, error)
                    pause_s = RETRY_S
            if leaving or topology is not self._topology.current():
                await trio.sleep(pause_s)
            else:
                await self._topology.wait_changed()

    def _has_left(self, topology: Topology, node_id: bytes) -> bool:
        """Whether nothing keeps a node on the roster any more, and it is this node's to take it off."""
        if topology.ranges.of_node(node_id) or self._holds_seat(node_id):
            return False
        if node_id == self._node_id:
            return self._is_clean(topology.ranges)
        return (
            not self._liveness.alive(node_id) and first_alive(topology.roster, self._is_here) == self._node_id
        )

    async def _take_off(self, node_id: bytes) -> None:
        await self._registers.read_ranges()
        if self._topology.current().ranges.of_node(node_id):
            return
        node = self._topology.current().roster.get(node_id)
        decided = await self._registers.change_roster(partial(_without_leaver, node_id=node_id))
        if node is not None and node_id not in decided:
            log.info("node %s has left the cluster: it keeps no range any more and may be stopped", node.name)

    def _is_here(self, node_id: bytes) -> bool:
        return node_id == self._node_id or self._liveness.alive(node_id)


def _without_leaver(roster: Roster, node_id: bytes) -> Roster:
    """The roster without a node, if that is still to leave."""
    node = roster.get(node_id)
    return roster if node is None or node.standing != "leaving" else without_node(roster, node_id)
