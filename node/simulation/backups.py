"""Backups of simulated nodes, made by the production code beside nodes that run and fall.

Each takes a while, in which its node writes on, and may lose its power or its disk; then it goes on where it
was, as the same command does for an operator. What was finished is read again at once and held to what the
node had when it was begun, to what clients had been told by then, and to the digest of its own moment; and
nothing stands in it that was deleted by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import trio
from folkmoot.node.simulation.bit_flips import whole_cells
from folkmoot.node.simulation.checkers.verdict import Inquiry, Verdict
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.schedule import BACKUP
from folkmoot.node.simulation.steps import Rest, Steps
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.key import lane_of
from folkmoot.storage.backup.check import check
from folkmoot.storage.backup.create import create
from folkmoot.storage.backup.errors import BackupForeign, BackupOutrun
from folkmoot.storage.backup.manifest import Backup, chain_of, load, superseded
from folkmoot.storage.backup.parts import is_deletion, read_part
from folkmoot.storage.errors import StoreClosed, StoreCorrupt
from folkmoot.storage.store import Store

PAUSE_S: Final = (0.0, 0.1)
RETRY_S: Final = 1.0
INCREMENTAL: Final = 0.5
PART_BYTES: Final = 16 * 1024


@dataclass(slots=True)
class _Stopped:
    """A wall clock that is set by hand."""

    now_us: int


class Backups:
    """See the module.

    Args:
        world: whose nodes are backed up.
        history: what clients were told.
        folder: where backups go, a folder for each node.

    Attributes:
        verdict: of those that were made.
    """

    def __init__(self, world: World, history: History, folder: Path) -> None:
        self._world = world
        self._history = history
        self._folder = folder
        self._random = world.random("backups")
        self._latest: dict[str, Backup] = {}
        self._inquiry = Inquiry("backup")
        self._under_way: set[str] = set()
        self._made = self._resumed = 0

    def verdict(self) -> Verdict:
        """What was found in them; a run may be too short for any to be finished."""
        facts = {"made": self._made, "resumed": self._resumed}
        return Verdict("backup", self._inquiry.compared, tuple(self._inquiry.complaints), facts)

    async def take(self, node: SimulatedNode, until_s: float) -> None:
        """Back a node up; left unfinished when it takes until the virtual time `until_s`.

        Nothing is done while another backup of it is under way: the command would say so and end.
        """
        if node.name in self._under_way:
            return
        self._under_way.add(node.name)
        try:
            with self._world.coverage.operation(BACKUP), trio.move_on_at(until_s):
                await self._take(node)
        finally:
            self._under_way.remove(node.name)

    async def _take(self, node: SimulatedNode) -> None:
        before, held = self._world.ranges, whole_cells(node.disk.engine)
        told = self._told_by(node)
        made = await self._make(node)
        self._made += 1
        self._latest[node.name] = made
        self._world.trace.note(f"backup {node.name}", bytes.fromhex(made.manifest.id))
        now = self._world.ranges
        stayed = {
            key: cell
            for key, cell in held.items()
            if before.lookup(key) == now.lookup(key) and node.node_id in now.lookup(key).nodes()
        }
        try:
            self._judge(node, made, stayed, told)
        except FolkmootError as error:
            self._inquiry.complain(f"the backup {made.folder.name} cannot be restored: {error}")

    async def _make(self, node: SimulatedNode) -> Backup:
        """Make it, going on whenever the store was taken away or was found damaged."""
        base = self._latest.get(node.name) if self._random.random() < INCREMENTAL else None
        while True:
            try:
                # Only the event loop knows the time, so a backup is as old as where it rested last.
                wall = _Stopped(node.wall.now_us())
                work = partial(self._create, node, base, wall)
                return await Steps(work, partial(self._pause_s, node, wall)).run()
            except (StoreClosed, StoreCorrupt, BackupOutrun):
                self._resumed += 1
            except BackupForeign:  # the disk was set back
                base = None
            await trio.sleep(RETRY_S)

    def _create(self, node: SimulatedNode, base: Backup | None, wall: _Stopped, rest: Rest) -> Backup:
        return create(
            Store(node.disk.engine, owner=None),
            self._folder / node.name,
            base=base,
            now_us=lambda: wall.now_us,
            progress=lambda done, total: rest(),
            wait=lambda seconds: rest(),
            free=lambda folder: None,
            part_bytes=PART_BYTES,
        )

    def _pause_s(self, node: SimulatedNode, wall: _Stopped) -> float:
        wall.now_us = node.wall.now_us()
        return self._random.uniform(*PAUSE_S)

    def _told_by(self, node: SimulatedNode) -> dict[tuple[bytes, bytes], int]:
        """(key, device) → the newest stamp acknowledged by all replicas, of which the node is one."""
        newest: dict[tuple[bytes, bytes], int] = {}
        if self._world.disks_lost:
            return newest
        for ack in self._history.acks:
            key, device = ack.record.key, ack.record.device
            if ack.level == "all" and node in self._world.replicas_of(key):
                newest[key, device] = max(newest.get((key, device), 0), ack.record.stamp)
        return newest

    def _judge(
        self,
        node: SimulatedNode,
        made: Backup,
        held: Mapping[bytes, bytes],
        told: Mapping[tuple[bytes, bytes], int],
    ) -> None:
        """Read a backup again, and hold it to what was there when it was begun and to its own digest.

        Raises:
            BackupError: nobody could restore it.
        """
        inquiry = self._inquiry
        cells = cells_of(made)
        for key, before in held.items():
            if inquiry.fails(key in cells and _is_as_new(cells[key], before)):
                inquiry.complain(
                    f"the backup {made.folder.name} has not what {node.name} held at {key.hex()}"
                )
        for (key, device), stamp in told.items():
            if key in held:
                clock = Cell.decode(cells[key]).clock if key in cells else {}
                if inquiry.fails(clocks.covers(clock, device, stamp)):
                    inquiry.complain(f"the backup {made.folder.name} lacks stamp {stamp} of {key.hex()}")
        for part in made.manifest.parts:
            for key, cell in read_part(made.folder, part):
                gone = key in cells and is_deletion(cells[key])
                if gone and inquiry.fails(is_deletion(cell)):
                    inquiry.complain(f"the backup {made.folder.name} holds what was deleted at {key.hex()}")
        check(chain_of(load(made.folder)))


def cells_of(made: Backup) -> dict[bytes, bytes]:
    """What a restore from a backup would put together: key → cell.

    Raises:
        BackupError: it is not what was written.
    """
    cells: dict[bytes, bytes] = {}
    chain = chain_of(load(made.folder))
    for backup, lanes in zip(chain, superseded(chain), strict=True):
        for part in backup.manifest.parts:
            for key, cell in read_part(backup.folder, part):
                if lane_of(key) in lanes and not Cell.decode(cell).deleted:
                    continue
                known = cells.get(key, cell)
                cells[key] = cell if known == cell else join(Cell.decode(known), Cell.decode(cell)).encode()
    return cells


def _is_as_new(cell: bytes, before: bytes) -> bool:
    """Whether a cell is an earlier one or what became of it, and what was deleted is."""
    if cell == before:
        return True
    now, then = Cell.decode(cell), Cell.decode(before)
    return clocks.dominates(now.clock, then.clock) and now.deleted >= then.deleted
