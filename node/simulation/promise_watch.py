"""What nodes acknowledged to other nodes, held against what is on their disks.

Cells that a node said to have joined, as one that counts, are on its disk at that moment, and still there at
every boot: nothing that happens to a process takes them away.

What is done to a disk may. From the boot on a disk that went back, or on one of two disks of a node that ran
twice, the node *owes* what its other disk had had and this one has not. It may say so, or ask others for it;
but when it first answers as one that counts, everything must be back that a quorum had acknowledged before.
Which that is clients know, so the judgement waits for the end (see `checkers.keeping`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import trio
from folkmoot.node.simulation.wiretap import Question
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.clock import Clock
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.rows import row_cell

JOIN: Final = "replica.join"
COUNTING: Final = frozenset(
    {JOIN, "replica.put", "replica.read", "replica.page", "replica.labels", "replica.profile"}
)
"""What only a node that counts does for others, but for a join, of which it says whether it counts."""


@dataclass(frozen=True, slots=True)
class Owed:
    """What one disk lacked, and what of it was back when its node first counted again.

    Args:
        disk: its name.
        since_s: when the node was booted on it, in virtual seconds.
        counted_s: when it first answered as one that counts.
        lacked: key → the clock that the other disk had had there.
        had: key → the clock that was there when the node counted.
    """

    disk: str
    since_s: float
    counted_s: float
    lacked: Mapping[bytes, Clock]
    had: Mapping[bytes, Clock]


@dataclass(slots=True, eq=False)
class _Disk:
    """What is known of one disk.

    Args:
        node_id: whose it is.
        engine: what a process begins with.
        cells: key → the row that was last committed, and the clock in it; of the commits since the first boot
            on it, or since it was exchanged.
        promised: key → the clock that was acknowledged.
        damaged: the keys of cells on it that were damaged.
        lacked: what the node owes; None once it has been judged.
        since_s: when the process began.
    """

    node_id: bytes
    engine: MemoryEngine
    cells: dict[bytes, tuple[bytes, Clock]] = field(default_factory=dict)
    promised: dict[bytes, Clock] = field(default_factory=dict)
    damaged: set[bytes] = field(default_factory=set)
    lacked: Mapping[bytes, Clock] | None = None
    since_s: float = 0.0

    def clock_at(self, key: bytes) -> Clock | None:
        """What it has at a key, by its own bytes; None when that is damaged."""
        with self.engine.begin() as transaction:
            row = transaction.get(Table.CELLS, key)
        if row is None:
            return {}
        known = self.cells.get(key)
        if known is not None and known[0] == row:
            return known[1]
        try:
            return Cell.decode(row_cell(key, row)).clock
        except StoreCorrupt:
            return None


class PromiseWatch:
    """See the module.

    Args:
        owns: whether a node has a slot of the range of a key, by the newest epoch that is on any disk.
        read: decodes the cell at a key.
        now: virtual seconds.

    Attributes:
        compared: how many acknowledged cells were looked for on a disk.
        boots: how often a disk was looked at because a process began on it.
        owed: see `Owed`.
        complaints: what went wrong, a sentence each.
    """

    def __init__(
        self,
        owns: Callable[[bytes, bytes], bool],
        read: Callable[[bytes, bytes], Cell],
        now: Callable[[], float] = trio.current_time,
    ) -> None:
        self.compared = self.boots = 0
        self.owed: list[Owed] = []
        self.complaints: list[str] = []
        self._owns, self._read, self._now = owns, read, now
        self._disks: dict[str, _Disk] = {}
        # Node id → key → the clock that a disk of the node had had which was taken from it.
        self._taken: dict[bytes, dict[bytes, Clock]] = {}

    # What is done to disks.

    def booted(self, name: str, node_id: bytes, engine: MemoryEngine) -> None:
        """A process of a node begins on what is on this disk."""
        self.boots += 1
        disk = self._disks.setdefault(name, _Disk(node_id, engine))
        disk.engine, disk.since_s = engine, self._now()
        for key, clock in disk.promised.items():
            self.compared += 1
            there = disk.clock_at(key)
            if there is not None and not clocks.dominates(there, clock):
                self.complaints.append(
                    f"{name} was booted at {disk.since_s:.3f} s and has not got what it acknowledged of "
                    f"{key.hex()}"
                )
        disk.lacked = self._lacked(disk)

    def wrote(self, name: str, key: bytes, row: bytes, cell: Cell) -> None:
        """A commit put a cell on a disk."""
        if disk := self._disks.get(name):
            disk.cells[key] = row, cell.clock
            disk.damaged.discard(key)

    def removed(self, name: str, key: bytes) -> None:
        """A commit took a cell from a disk; whether it may is for the witness to judge."""
        if disk := self._disks.get(name):
            disk.cells.pop(key, None)
            disk.promised.pop(key, None)

    def damaged(self, name: str, key: bytes) -> None:
        """A cell on a disk was damaged: no process is to blame for what it lacks."""
        if disk := self._disks.get(name):
            disk.damaged.add(key)
            disk.promised.pop(key, None)

    def exchanged(self, name: str) -> None:
        """Another disk is in the place of one."""
        if disk := self._disks.get(name):
            taken = self._taken.setdefault(disk.node_id, {})
            for key, (_, clock) in disk.cells.items():
                taken[key] = clocks.join(taken.get(key, {}), clock)
            disk.cells.clear()
            disk.promised.clear()
            disk.damaged.clear()

    # What is said of them.

    def answered(self, question: Question, joined: Any) -> None:
        """The answer to one of `COUNTING` leaves, and is no error; of a join what it says, else None."""
        disk = self._disks.get(question.disk)
        if disk is None or (joined is not None and not joined.get("counted", True)):
            return
        if disk.lacked:
            self._close(question.disk, disk, disk.lacked)
        if joined is not None:
            excepted = disk.damaged.union(joined["damaged"])
            for key, data in question.params["cells"]:
                if key not in excepted:
                    self._promise(question.disk, disk, key, self._read(key, data).clock)

    def _promise(self, name: str, disk: _Disk, key: bytes, clock: Clock) -> None:
        """A cell was acknowledged: it is there, unless the range went elsewhere meanwhile."""
        self.compared += 1
        known = disk.cells.get(key)
        there = disk.clock_at(key) if known is None else known[1]
        if there is not None and not clocks.dominates(there, clock):
            if self._owns(disk.node_id, key):
                self.complaints.append(f"{name} acknowledged {key.hex()} and has not got it on its disk")
            return
        before = disk.promised.get(key)
        disk.promised[key] = clock if before is None else clocks.join(before, clock)

    def _lacked(self, disk: _Disk) -> dict[bytes, Clock] | None:
        """What other disks of the same node had, and this one has not."""
        others = [each for each in self._disks.values() if each.node_id == disk.node_id and each is not disk]
        had = dict(self._taken.get(disk.node_id, {}))
        for other in others:
            for key, (_, clock) in other.cells.items():
                had[key] = clocks.join(had.get(key, {}), clock)
        lacked = {}
        for key, clock in had.items():
            there = disk.clock_at(key)
            if there is not None and not clocks.dominates(there, clock):
                lacked[key] = clock
        return lacked or None

    def _close(self, name: str, disk: _Disk, lacked: Mapping[bytes, Clock]) -> None:
        """The node counts: what is not back by now it will not have when a quorum needs it."""
        disk.lacked = None
        had: dict[bytes, Clock] = {}
        for key in lacked:
            there = disk.clock_at(key)
            if there is not None and self._owns(disk.node_id, key):
                had[key] = there
        self.owed.append(Owed(name, disk.since_s, self._now(), {key: lacked[key] for key in had}, had))
