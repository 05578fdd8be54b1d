"""Disks that go back or are damaged, and nodes that run twice.

`olddisk` makes a copy of a node's disk, or takes the one made when it last booted; in the end it cuts the
node's power, puts the copy in the place of the disk and boots it. `clone` boots a second process on a copy,
elsewhere: it must end by itself, or, when nobody could tell that the first one runs, that one must. `flip`
damages a few cells (see `bit_flips`). Only one disk is lost at a time: two may take what a quorum
acknowledged with them, and no protocol brings that back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from folkmoot.node.simulation.bit_flips import BitFlips, damaged_cells
from folkmoot.node.simulation.files import SimulatedFiles
from folkmoot.node.simulation.ownership import seats_are_whole
from folkmoot.node.simulation.schedule import FLIP
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.node.standing.records import read_own
from folkmoot.protocol.standing import State
from folkmoot.storage.memory_engine import MemoryEngine

OLD_SEAT: Final = "older than what its seat has promised"


Copy = tuple[MemoryEngine, SimulatedFiles]
"""Of a disk: its store and its media."""


@dataclass(slots=True)
class _Suffered:
    """What a node suffers: it runs twice, or a copy of its disk will be put back."""

    clone: SimulatedNode | None
    copy: Copy | None


class DiskFaults:
    """See the module.

    Args:
        world: to be broken.
        flips: who damages cells; None when nothing is damaged.
    """

    def __init__(self, world: World, flips: BitFlips | None) -> None:
        self._world = world
        self._flips = flips
        self._suffered: dict[str, _Suffered] = {}

    def begin(self, fault: str, node: SimulatedNode, *, live: bool) -> None:
        """Make the copy or the damage, unless the node is down or another disk is not whole yet.

        Args:
            fault: one of `schedule.DISK_FAULTS`.
            node: whose disk.
            live: whether the copy is of now; else of the latest boot.
        """
        if not self._may_lose(node):
            return
        if fault == FLIP:
            if self._flips is not None:
                self._flips.flip(node)
            return
        disk = node.disk
        now, then = (disk.engine, disk.files), (disk.at_boot, disk.files_at_boot)
        store, files = now if live else then
        copy = store.copy(), files.copy()
        if fault == "olddisk":
            self._suffered[node.name] = _Suffered(None, copy)
        else:
            self._lose_disks()
            self._suffered[node.name] = _Suffered(self._world.clone(node, *copy), None)

    async def end(self, node: SimulatedNode) -> None:
        """Put the copy back, end the second process, or have the damage met."""
        suffered = self._suffered.pop(node.name, None)
        if suffered is None:
            if self._flips is not None:
                await self._flips.look(node)
            return
        if suffered.clone is not None and suffered.clone.up:
            self._world.crash(suffered.clone)
        if suffered.copy is not None and self._may_lose(node):
            self._lose_disks()
            self._world.crash(node)
            await node.ended.wait()
            node.disk.put_back(*suffered.copy)
        await bring_up(self._world, node)

    def may_give_up(self, node: SimulatedNode) -> bool:
        """Whether the cluster can do without a node and its disk for good."""
        return not self._suffered and self._may_lose(node)

    def _lose_disks(self) -> None:
        self._world.disks_lost = True
        self._world.expected_errors.add(OLD_SEAT)

    def _may_lose(self, node: SimulatedNode) -> bool:
        """Whether the disk may be lost: the node runs, and nothing is lacking anywhere."""
        return node.clients is not None and is_whole(self._world)


def is_whole(world: World) -> bool:
    """Whether every node has its disk, every range more than one copy, and every seat its store."""
    nodes = {node.node_id for node in world.nodes}
    return (
        all(_has_its_disk(node) for node in world.nodes)
        and all(len(owner.slots) > 1 and nodes.issuperset(owner.nodes()) for owner in world.ranges.ranges)
        and seats_are_whole({node.node_id: node.disk.engine for node in world.nodes})
    )


def _has_its_disk(node: SimulatedNode) -> bool:
    if node.disk.commits is None:
        return False
    own = read_own(node.disk.commits.store)
    return own is not None and own.state is State.WHOLE and not damaged_cells(node.disk.engine)


async def bring_up(world: World, node: SimulatedNode) -> None:
    """Start a node that is down, unless it is gone for good."""
    if not node.up and not node.lost:
        await world.restart(node)
