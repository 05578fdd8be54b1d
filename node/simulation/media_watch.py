"""Media on the disks of nodes, held against the cells that refer to them.

What a node says that it keeps is on its disk, by its name too: no power cut takes it away. What it says that
it knows no reference to none of its cells refers to. And what it erases, of a range that it has a slot of,
neither its own cells refer to nor those on another disk that were there long before everybody was asked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import trio
from folkmoot.node.media.messages import KEEP, REFERS
from folkmoot.node.simulation.files import SimulatedFiles
from folkmoot.node.simulation.wiretap import Question
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.identity import MULTICODEC_ED25519
from folkmoot.protocol.key import HASH_BYTES, KIND_AT, PLACE_PREFIX_BYTES, place_prefix
from folkmoot.protocol.media.references import REFERRING, may_refer, references
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.media.layout import UNUSED, Area, account_of, folder_of
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.rows import row_cell

OVERHEARD: Final = frozenset({KEEP, REFERS})
LONG_S: Final = 60.0  # in which everybody was asked, whoever stood still meanwhile


class Referring(NamedTuple):
    """A cell that refers to media: to which, and since when it is on the disk."""

    hashes: frozenset[bytes]
    since_s: float


@dataclass(slots=True, eq=False)
class _Disk:
    """What is known of one disk."""

    node_id: bytes
    files: SimulatedFiles
    directory: Path
    cells: dict[bytes, Referring] = field(default_factory=dict)

    def referred(self, account: bytes) -> dict[bytes, float]:
        """The media of an account that its cells refer to, and since when."""
        prefix = place_prefix(account)
        found: dict[bytes, float] = {}
        for key, cell in self.cells.items():
            if key.startswith(prefix):
                for each in cell.hashes:
                    found[each] = min(cell.since_s, found.get(each, cell.since_s))
        return found


class MediaWatch:
    """See the module.

    Args:
        owns: whether a node has a slot of the range of a key, and knows it; see `EpochWatch.owns`.
        now: virtual seconds.

    Attributes:
        kept, asked, erased: how many answers and erasures were judged.
        complaints: what went wrong, a sentence each.
    """

    def __init__(
        self, owns: Callable[[bytes, bytes], bool], now: Callable[[], float] = trio.current_time
    ) -> None:
        self.kept = self.asked = self.erased = 0
        self.complaints: list[str] = []
        self._owns, self._now = owns, now
        self._disks: dict[str, _Disk] = {}

    def booted(
        self, name: str, node_id: bytes, engine: MemoryEngine, files: SimulatedFiles, directory: Path
    ) -> None:
        """A process of a node begins on what is on this disk; `directory` is its data directory."""
        before = self._disks.get(name)
        disk = self._disks[name] = _Disk(node_id, files, directory)
        with engine.begin() as transaction:
            for key, row in transaction.scan(Table.CELLS):
                if key[KIND_AT] in REFERRING and may_refer(key, row):
                    with suppress(StoreCorrupt):  # it says nothing before it is mended
                        self._note(disk, key, Cell.decode(row_cell(key, row)))
        if before is not None:  # what was there was there before
            disk.cells |= {key: before.cells[key] for key in disk.cells.keys() & before.cells.keys()}

    def wrote(self, name: str, key: bytes, cell: Cell) -> None:
        """A commit put a cell on a disk."""
        if key[KIND_AT] in REFERRING and (disk := self._disks.get(name)):
            self._note(disk, key, cell)

    def removed(self, name: str, key: bytes) -> None:
        """A cell is on a disk no more, or damaged."""
        if disk := self._disks.get(name):
            disk.cells.pop(key, None)

    def exchanged(self, name: str) -> None:
        """Another disk is in the place of one."""
        self._disks.pop(name, None)

    def unlinked(self, name: str, path: Path) -> None:
        """A process takes a file away."""
        disk = self._disks.get(name)
        account = account_of(path.parent.name)
        is_kept = path.parent.parent.parent.name == Area.KEPT.value and not path.name.endswith(UNUSED)
        if disk is None or account is None or not is_kept:
            return
        if not self._owns(disk.node_id, place_prefix(account)):
            return  # those who have the range now have it, or it would not be given away
        self.erased += 1
        digest, now_s = bytes.fromhex(path.name), self._now()
        for node_id in dict.fromkeys(each.node_id for each in self._disks.values()):
            since_s = self._since_s(node_id, account, digest)
            if since_s is not None and (node_id == disk.node_id or since_s < now_s - LONG_S):
                self.complaints.append(
                    f"{name} erased medium {path.name} at {now_s:.3f} s, to which a cell of node "
                    f"{node_id.hex()} refers since {since_s:.3f} s"
                )

    def _since_s(self, node_id: bytes, account: bytes, digest: bytes) -> float | None:
        """Since when a node refers to a medium, if it does on each of its disks, should it run twice."""
        times = [
            disk.referred(account).get(digest) for disk in self._disks.values() if disk.node_id == node_id
        ]
        known = [each for each in times if each is not None]
        return max(known) if len(known) == len(times) else None

    # What is said of them.

    def heard(self, question: Question) -> None:
        """One of `OVERHEARD` is asked."""
        if question.method == REFERS and (disk := self._disks.get(question.disk)):
            question.notes = disk.referred(question.params["account"])

    def answered(self, question: Question, told: Any) -> None:
        """The answer leaves, and is no error."""
        disk, params = self._disks.get(question.disk), question.params
        if disk is None:
            return
        if question.method == KEEP:
            self.kept += 1
            folder = folder_of(disk.directory / "media" / Area.KEPT.value, params["account"])
            if not disk.files.is_safe(folder / params["hash"].hex()):
                self.complaints.append(
                    f"{question.disk} said at {self._now():.3f} s that it keeps medium "
                    f"{params['hash'].hex()}, and a power cut may take it away"
                )
            return
        still = disk.referred(params["account"])
        for digest in params["hashes"]:
            self.asked += 1
            if digest in question.notes and digest in still and digest not in told["hashes"]:
                self.complaints.append(
                    f"{question.disk} said at {self._now():.3f} s that it knows of no reference to medium "
                    f"{digest.hex()}, to which a cell of its own refers since {still[digest]:.3f} s"
                )

    def _note(self, disk: _Disk, key: bytes, cell: Cell) -> None:
        hashes = frozenset(each.hash for record in cell.survivors for each in references(record))
        before = disk.cells.get(key)
        if not hashes:
            disk.cells.pop(key, None)
        elif before is None or before.hashes != hashes:
            disk.cells[key] = Referring(hashes, self._now())


def account_at(key: bytes) -> bytes:
    """The account (34 bytes) in whose place a cell lies."""
    return MULTICODEC_ED25519 + key[HASH_BYTES:PLACE_PREFIX_BYTES]
