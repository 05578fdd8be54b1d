"""The casebook: what waits for review and what was decided, found all over the cluster and read at a level.

Each page goes through the ranges from where the last one ended, one after another, for a bounded time; a
range of which too few replicas answer is left out and said to be missing. So a page may be empty and not the
last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import trio
from folkmoot.node.contracts import EpochCheck, Reading
from folkmoot.node.slice_search import Around, SliceAsked, SliceSearch
from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.key import HELD, ITEM_AT, KIND_AT, KIND_BYTE, held_key
from folkmoot.protocol.moderation.bounds import QUEUE_LOOK_S
from folkmoot.protocol.moderation.decision import KIND as DECISION
from folkmoot.protocol.moderation.decision import Decision, parse_decision
from folkmoot.protocol.moderation.outcome import Outcome, outcome_of
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.token import Token
from folkmoot.storage import moderated
from folkmoot.storage.slices import Slice
from folkmoot.storage.store import Store

MODERATED: Final = "replica.moderated"
_HELD: Final = KIND_BYTE[HELD]
_DECISION: Final = KIND_BYTE[DECISION]
_FRAME_BYTES: Final = 16  # around a payload and its signature


class _Asked(SliceAsked):
    """`replica.moderated`: what waits, what was decided since a time, or what is known about the cell at
    `start`."""

    what: Literal["waiting", "decided", "about"]
    since: int = 0


class Entry(NamedTuple):
    """A decision, as it is told.

    Args:
        decision: what it says.
        record: that says it.
    """

    decision: Decision
    record: Record


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known of one subject.

    Args:
        key: of its own cell.
        own: that cell; None when there is none.
        held: what waits, or waited, for review; None when nothing did.
        decisions: what was decided, the oldest first.
        why: why it waits, as the gates of nodes say.
    """

    key: bytes
    own: Cell | None
    held: Cell | None
    decisions: Sequence[Entry]
    why: Sequence[Entry]

    @property
    def outcome(self) -> Outcome:
        """What follows from the decisions."""
        return outcome_of(each.decision for each in self.decisions)

    @property
    def waiting(self) -> Record | None:
        """The version that waits for a person to decide; None when none does."""
        if self.held is None or self.held.taken_back:
            return None
        version = self.held.winner
        if self.own is not None and (self.own.taken_back or self.own.covers(version)):
            return None
        return version if self.outcome.awaits(version.id) else None

    def versions(self) -> dict[bytes, Record]:
        """The versions that are known, by their ids."""
        cells = (cell for cell in (self.own, self.held) if cell is not None)
        return {record.id: record for cell in cells for record in cell.records()}


@dataclass(slots=True)
class Page:
    """Some of what was looked for.

    Args:
        resume: where the next page begins; None on the last.
        missing: the numbers of ranges that could not be looked through.
    """

    resume: bytes | None
    missing: list[int] = field(default_factory=list)


class Casebook:
    """See the module.

    Args:
        around: see `slice_search`.
        store: this node's.
        reading: reads cells at a level.
    """

    def __init__(self, around: Around, store: Store, reading: Reading) -> None:
        self._search = SliceSearch(
            *(around, MODERATED, _Asked, lambda asked: _searched(store, asked)),
            lambda asked, key: key[KIND_AT] == (_HELD if asked.what == "waiting" else _DECISION),
            lambda asked: asked.what == "about",
        )
        self._topology = around.topology
        self._reading = reading

    def peer_methods(self, epochs: EpochCheck) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name; see `SliceSearch`."""
        return self._search.peer_methods(epochs)

    async def case(self, key: bytes, level: Level) -> Case:
        """What is known of the subject whose own cell has a key.

        Raises:
            WireError: `level_unreachable`.
        """
        found, _ = await self._search.find(level, key, what="about")
        [case] = await self._read([key], found.beside, level)
        return case

    async def hiding(self, key: bytes, version: bytes) -> list[Record]:
        """The decisions that hide a version (a record id) of what has a key, as the nearest replica knows.

        Raises:
            WireError: `level_unreachable`.
        """
        found, _ = await self._search.find("one", key, what="about")
        decided = [each for each in found.beside if each[KIND_AT] == _DECISION]
        if not decided:
            return []
        entries = [_entry(cell) for cell in (await self._cells(decided, "one")).values()]
        outcome = outcome_of(each.decision for each in entries)
        applied = outcome.applied(version) if outcome.hides(version) else []
        return [each.record for each in entries if each.decision in applied]

    async def waiting(
        self, start: bytes, limit: int, level: Level, place: bytes = b""
    ) -> tuple[list[Case], Page]:
        """What waits for review, from a key on; and where the page ends.

        Args:
            start: the key.
            limit: at most so much.
            level: see there.
            place: what the keys of the account begin with of which alone it is (40 bytes); empty for all.
        """
        cases: list[Case] = []
        size = 0

        async def take(found: Slice) -> bytes | None:
            nonlocal size
            own = [key[:KIND_AT] + key[ITEM_AT:] for key in found.keys if key.startswith(place)]
            for case in await self._read(own, found.beside, level):
                if case.waiting is None:
                    continue
                size += _size(case.waiting, *(each.record for each in (*case.decisions, *case.why)))
                if len(cases) == limit or (cases and size > limits.PAGE_BYTES):
                    return held_key(case.key)
                cases.append(case)
            return None

        page = await self._pages(start, level, take, lambda: len(cases) >= limit, place, what="waiting")
        return cases, page

    async def decided(self, start: bytes, since_us: int, level: Level) -> tuple[list[Entry], Page]:
        """Decisions made since a time (microseconds since 1970), from a key on; and where the page ends."""
        entries: list[Entry] = []
        size = 0

        async def take(found: Slice) -> bytes | None:
            nonlocal size
            for key, cell in (await self._cells(found.keys, level)).items():
                if cell.winner.stamp < since_us:
                    continue
                size += _size(cell.winner)
                if entries and size > limits.PAGE_BYTES:
                    return key
                entries.append(_entry(cell))
            return None

        found_some = partial(bool, entries)
        page = await self._pages(start, level, take, found_some, b"", what="decided", since=since_us)
        return entries, page

    async def _pages(
        self,
        start: bytes,
        level: Level,
        take: Callable[[Slice], Awaitable[bytes | None]],
        full: Callable[[], bool],
        place: bytes,
        **asked: Any,
    ) -> Page:
        """Look through one slice after another, until there is enough or the time is up.

        Args:
            take: told what was found; gives where to go on when there is no room for all of it.
            full: whether there is enough.
            place: what keys begin with; those that go on otherwise are not looked for.
        """
        page = Page(resume=start)
        ends = trio.current_time() + QUEUE_LOOK_S
        while page.resume is not None and not full() and trio.current_time() < ends:
            try:
                found, owner = await self._search.find(level, page.resume, **asked)
                stopped = await take(found)
                following = stopped or found.resume or owner.end
            except WireError as error:
                if error.kind is not LEVEL_UNREACHABLE:
                    raise
                owner = self._topology.where(page.resume)
                page.missing.append(owner.id)
                following = owner.end
            page.resume = following if following and following.startswith(place) else None
        return page

    async def _read(self, keys: Sequence[bytes], beside: Sequence[bytes], level: Level) -> list[Case]:
        """The cases of subjects, by the keys of their own cells."""
        wanted = [*keys, *map(held_key, keys), *beside]
        cells = await self._cells(wanted, level)
        entries: dict[bytes, tuple[list[Entry], list[Entry]]] = {}
        for key in beside:
            if (cell := cells.get(key)) is not None and cell.winner.kind == DECISION:
                entry = _entry(cell)
                subject = entry.decision.subject
                about = key[:KIND_AT] + bytes((KIND_BYTE[subject.kind],)) + subject.item
                entries.setdefault(about, ([], []))[key[KIND_AT] == _HELD].append(entry)
        cases = []
        for key in keys:
            decisions, why = (sorted(some, key=_mark) for some in entries.get(key, ([], [])))
            cases.append(Case(key, cells.get(key), cells.get(held_key(key)), decisions, why))
        return cases

    async def _cells(self, keys: Sequence[bytes], level: Level) -> dict[bytes, Cell]:
        cells: dict[bytes, Cell] = {}
        for start in range(0, len(keys), limits.KEYS_PER_GET):
            some = keys[start : start + limits.KEYS_PER_GET]
            read = await self._reading.get(some, level, Token())
            cells |= {
                key: Cell.decode(data) for key, data in zip(some, read.cells, strict=True) if data is not None
            }
        return cells


def _entry(cell: Cell) -> Entry:
    return Entry(parse_decision(cell.winner.item, cell.winner.body), cell.winner)


def _size(*records: Record) -> int:
    return sum(len(each.payload) + limits.SIGNATURE_BYTES + _FRAME_BYTES for each in records)


def _mark(entry: Entry) -> bytes:
    return entry.decision.mark


def _searched(store: Store, asked: _Asked) -> Slice:
    match asked.what:
        case "waiting":
            return moderated.waiting(store.engine, asked.start, asked.stop)
        case "decided":
            return moderated.decided_since(store.engine, asked.start, asked.stop, asked.since)
        case "about":
            return Slice([], None, moderated.about(store.engine, asked.start))
