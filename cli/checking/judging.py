"""What became of an acknowledged record, judged from the cells that replicas hold. Pure: it reads nothing.

A promise is kept when the record is there, or when something known supersedes it: a later record of its
device, a record that had seen it, or a deletion. Otherwise it is

- *lost*: no replica knows it;
- *resurrected*: it deleted a post, or switched something off, and a replica shows that again;
- *duplicated*: another record stands under its dot, in its cell or in another one.

Replicas whose bytes at one key differ have *diverged*, whatever they hold.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from folkmoot.cli.journal import Acknowledged
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.key import HELD, cell_key, parse_key
from folkmoot.protocol.record import Record


class Violation(enum.Enum):
    """How a promise was broken."""

    LOST = "lost"
    RESURRECTED = "resurrected"
    DIVERGED = "diverged"
    DUPLICATED = "duplicated"


class Fate(enum.Enum):
    """What one replica's cell says of one acknowledged record."""

    KEPT = "kept"
    ABSENT = "absent"
    RESURRECTED = "resurrected"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken promise.

    Args:
        violation: how.
        key: the cell's.
        sentence: what was found where.
    """

    violation: Violation
    key: bytes
    sentence: str


def fate_of(entry: Acknowledged, cell: Cell | None) -> Fate:
    """What `cell`, found where the record should be, says of it."""
    if cell is None:
        return Fate.ABSENT
    for record in cell.records():
        if record.id == entry.id:
            return Fate.KEPT
        if (record.device, record.stamp) == entry.dot:
            return Fate.REPLACED
    if cell.deleted or any(_supersedes(record, entry) for record in cell.records()):
        return Fate.KEPT
    if entry.gone and _visible(cell):
        return Fate.RESURRECTED
    return Fate.ABSENT


def _supersedes(record: Record, entry: Acknowledged) -> bool:
    if entry.kind == "post" and entry.gone:
        return False  # nothing stands above a deletion
    later = record.device == entry.device and record.stamp > entry.stamp
    return later or clocks.covers(record.seen, *entry.dot)


def _visible(cell: Cell) -> bool:
    return any(record.body.get("on", not record.deleted) for record in cell.survivors)


@dataclass(slots=True)
class Judgement:
    """What was found in one part of the key space; made anew when that part is read again.

    Args:
        findings: the broken promises.
        compared: acknowledged records that were judged.
        unreadable: what could not be compared: promises, or cells, or a range without either.
    """

    findings: list[Finding] = field(default_factory=list)
    compared: int = 0
    unreadable: int = 0

    def add(self, violation: Violation, key: bytes, sentence: str) -> None:
        """A broken promise at `key`."""
        self.findings.append(Finding(violation, key, f"{_name(key)}: {sentence}"))

    @property
    def diverged(self) -> bool:
        """Whether replicas differ anywhere in it."""
        return any(finding.violation is Violation.DIVERGED for finding in self.findings)


@dataclass(slots=True)
class Judge:
    """Judges one key after another, and remembers what only the whole tells.

    Args:
        promises: the acknowledged records by the key of the cell where they may be.
        devices: those that made them; others' stamps are not ours to judge.
    """

    promises: Mapping[bytes, Sequence[Acknowledged]]
    devices: AbstractSet[bytes]
    shown: dict[bytes, set[bytes]] = field(default_factory=dict)  # author → items that a feed must have
    _held: dict[bytes, tuple[bytes, bool]] = field(default_factory=dict)  # id → key, whether it was found
    _record_at: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)  # dot → id, key

    def judge(self, key: bytes, replicas: Mapping[str, bytes | None], into: Judgement) -> None:
        """Judge one key.

        Args:
            key: the cell's.
            replicas: each replica's name and the encoded cell it holds; None where it holds none.
            into: where the findings go.
        """
        distinct: dict[bytes | None, list[str]] = {}
        for name, data in replicas.items():
            distinct.setdefault(data, []).append(name)
        if len(distinct) > 1:
            groups = " / ".join(f"{', '.join(names)}: {_describe(data)}" for data, names in distinct.items())
            into.add(Violation.DIVERGED, key, f"replicas differ: {groups}")
        cells: list[Cell | None] = []
        for data in distinct:
            try:
                cells.append(None if data is None else Cell.decode(data))
            except WireError as error:
                into.unreadable += 1
                into.add(Violation.DIVERGED, key, f"{', '.join(distinct[data])}: no readable cell: {error}")
        for cell in cells:
            self._look_for_twins(key, cell, into)
        for entry in self.promises.get(key, ()):
            self._judge_entry(key, entry, [fate_of(entry, cell) for cell in cells], into)
        if parse_key(key).kind == "post" and key in self.promises:
            self._expect_in_feed(cells)

    def judge_held(self, into: Judgement) -> None:
        """Judge, at the end, the held records: each is either still held or released into its own cell."""
        for record_id, (key, found) in self._held.items():
            into.compared += 1
            if not found:
                into.add(Violation.LOST, key, f"held record {record_id.hex()[:16]} waits nowhere")

    def _judge_entry(self, key: bytes, entry: Acknowledged, fates: Sequence[Fate], into: Judgement) -> None:
        if entry.held:
            _, found = self._held.get(entry.id, (key, False))
            self._held[entry.id] = entry.key, found or Fate.KEPT in fates
            return
        into.compared += 1
        name = f"{entry.kind} {entry.id.hex()[:16]}"
        if Fate.REPLACED in fates:
            into.add(Violation.DUPLICATED, key, f"{name}: another record stands under its dot")
        elif Fate.RESURRECTED in fates:
            into.add(Violation.RESURRECTED, key, f"{name}: what it deleted or switched off is back")
        elif Fate.KEPT not in fates:
            into.add(Violation.LOST, key, f"{name}: acknowledged at {entry.level}, and no replica has it")

    def _look_for_twins(self, key: bytes, cell: Cell | None, into: Judgement) -> None:
        """A dot names one record at one key, everywhere."""
        if cell is None or parse_key(key).kind == HELD:
            return
        for record in cell.records():
            if record.device not in self.devices:
                continue
            dot = hashlib.sha256(record.device + record.stamp.to_bytes(8, "big")).digest()[:16]
            known = self._record_at.setdefault(dot, (record.id[:16], key))
            if known[0] != record.id[:16]:
                other = "in its cell" if known[1] == key else f"at {_name(known[1])}"
                sentence = f"{record.kind} {record.id.hex()[:16]}: a second record under its dot {other}"
                into.add(Violation.DUPLICATED, key, sentence)

    def _expect_in_feed(self, cells: Sequence[Cell | None]) -> None:
        known = [cell for cell in cells if cell is not None and not cell.deleted]
        if known and len(known) == len(cells):
            self.shown.setdefault(known[0].winner.author, set()).add(known[0].winner.item)

    def judge_feed(self, account: bytes, items: Sequence[bytes], into: Judgement) -> None:
        """Judge an author's feed, read to its end.

        Args:
            account: whose.
            items: of the posts in it, in its order.
            into: where the findings go.
        """
        seen: set[bytes] = set()
        for item in items:
            if item in seen:
                into.add(
                    Violation.DUPLICATED, cell_key(account, "post", item), "it is in its author's feed twice"
                )
            seen.add(item)
        for item in sorted(self.shown.get(account, set()) - seen):
            into.add(Violation.LOST, cell_key(account, "post", item), "it is not in its author's feed")


def _describe(data: bytes | None) -> str:
    return "nothing" if data is None else f"{len(data)} bytes {hashlib.sha256(data).hexdigest()[:12]}"


def _name(key: bytes) -> str:
    place, kind, item = parse_key(key)
    return f"{kind} {item.hex()[:32]} under {account_to_text(place)}"
