"""The casebook: what waits for review and what was decided, found all over the cluster and read at a level.

Each page goes through the ranges from where the last one ended, one after another, for a bounded time; what
waits, which has an index, is asked for of many ranges at once. A range of which too few replicas answer is
left out and said to be missing. So a page may be empty and not the last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import trio
from folkmoot.node.contracts import EpochCheck, Reading
from folkmoot.node.slice_search import Around, SliceAsked, SliceSearch
from folkmoot.protocol import limits
from folkmoot.protocol.community.lapses import NONE, Lapses
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.key import HELD, ITEM_AT, KIND_AT, KIND_BYTE, held_key, place_prefix
from folkmoot.protocol.moderation.bounds import QUEUE_LOOK_S, QUEUE_RANGES
from folkmoot.protocol.moderation.decision import KIND as DECISION
from folkmoot.protocol.moderation.decision import MEDIA, Decision, Subject, parse_decision
from folkmoot.protocol.moderation.outcome import Outcome, outcome_of
from folkmoot.protocol.moderation.sampling import KIND as VOTE
from folkmoot.protocol.moderation.sampling import parse_sampling
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.token import Token
from folkmoot.storage import moderated, waiting
from folkmoot.storage.slices import Slice
from folkmoot.storage.store import Store

Said = Literal["decided", "held", "labelled", "sampled"]
"""What people decided; why something waits, or waited; the labels of the cluster's nodes."""

MODERATED: Final = "replica.moderated"
_HELD: Final = KIND_BYTE[HELD]
_DECISION: Final = KIND_BYTE[DECISION]
_FOUND: Final = {
    "waiting": _HELD,
    "held": _HELD,
    "labelled": KIND_BYTE["label"],
    "sampled": KIND_BYTE[VOTE],
}
_FRAME_BYTES: Final = 16  # around a payload and its signature


class _Asked(SliceAsked):
    """`replica.moderated`: what waits, what was decided, held or labelled by nodes or drawn since a time, or
    what is known about the cell at `start`, or begins with it."""

    what: Literal["waiting", "decided", "held", "labelled", "sampled", "about", "under"]
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
        lapses: because of which decisions are passed over.
    """

    key: bytes
    own: Cell | None
    held: Cell | None
    decisions: Sequence[Entry]
    why: Sequence[Entry]
    lapses: Lapses = NONE

    @property
    def counted(self) -> list[Decision]:
        """The decisions that count."""
        return list(self.lapses.counted(each.decision for each in self.decisions))

    @property
    def outcome(self) -> Outcome:
        """What follows from the decisions."""
        return outcome_of(self.counted)

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
        services: the accounts of the cluster's nodes, which sign what their gates say.
        lapses: who lost which role, as far as this node knows.
    """

    def __init__(
        self,
        around: Around,
        store: Store,
        reading: Reading,
        services: Callable[[], Collection[bytes]],
        lapses: Callable[[], Lapses],
    ) -> None:
        self.lapses = lapses
        self._search = SliceSearch(
            *(around, MODERATED, _Asked, lambda asked: self._searched(store, asked)),
            lambda asked, key: key[KIND_AT] == _FOUND.get(asked.what, _DECISION),
            lambda asked: asked.what in ("about", "under"),
        )
        self._topology = around.topology
        self._services = services
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

    async def about_medium(self, account: bytes, digest: bytes, level: Level) -> Outcome:
        """What follows from the decisions about a medium. Raises as `case` does.

        Args:
            account: whose it is (34 bytes).
            digest: its hash.
            level: see there.
        """
        entries = await self.entries_about_medium(account, digest, level)
        return outcome_of(self.lapses().counted(each.decision for each in entries))

    async def entries_about_medium(self, account: bytes, digest: bytes, level: Level) -> list[Entry]:
        """The decisions about a medium, the oldest first; see `about_medium`."""
        start = place_prefix(account) + bytes((_DECISION,)) + Subject(MEDIA, digest).prefix
        found, _ = await self._search.find(level, start, what="under")
        keys = [key for key in found.keys if key.startswith(start)]
        cells = await self._cells(keys, level)
        return sorted((_entry(cell.winner) for cell in cells.values()), key=_mark)

    async def labels(self, key: bytes) -> list[list[bytes]]:
        """What the cluster's nodes labelled the post at a key as, as `[payload, signature]` each."""
        found = (await self._reading.labels([key])).get(key, [])
        services = self._services()
        return [frame for frame in found if Record.from_wire(frame).author in services]

    async def records(self, keys: Sequence[bytes], level: Level) -> dict[bytes, Record]:
        """What is shown of the cells at some keys, by the keys of those that are there."""
        return {key: cell.winner for key, cell in (await self._cells(keys, level)).items()}

    async def versions(self, posts: Sequence[tuple[bytes, bytes]], level: Level) -> list[Record | None]:
        """Versions of what lies at some keys, those that wait or waited for review among them, each by its
        key and its record's id; None for what is not there (any more).

        Raises:
            WireError: `level_unreachable`.
        """
        keys = [key for key, _ in posts]
        cells = await self._cells([*keys, *map(held_key, keys)], level)
        cases = (Case(key, cells.get(key), cells.get(held_key(key)), (), ()) for key in keys)
        return [case.versions().get(id_) for case, (_, id_) in zip(cases, posts, strict=True)]

    async def hiding(self, key: bytes, version: bytes) -> list[Record]:
        """The decisions that hide a version (a record id) of what has a key, as the nearest replica knows.

        Raises:
            WireError: `level_unreachable`.
        """
        found, _ = await self._search.find("one", key, what="about")
        decided = [each for each in found.beside if each[KIND_AT] == _DECISION]
        if not decided:
            return []
        entries = [_entry(cell.winner) for cell in (await self._cells(decided, "one")).values()]
        outcome = outcome_of(self.lapses().counted(each.decision for each in entries))
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

        ranges = 1 if place else QUEUE_RANGES
        page = await self._pages(
            start, level, take, lambda: len(cases) >= limit, place, what="waiting", ranges=ranges
        )
        return cases, page

    async def said(self, start: bytes, what: Said, since_us: int, level: Level) -> tuple[list[Record], Page]:
        """Statements made since a time, from a key on; and where the page ends.

        Args:
            start: the key.
            what: which statements.
            since_us: microseconds since 1970, by their stamps; of what was drawn, when it was.
            level: see there.
        """
        when = _drawn_us if what == "sampled" else _stamp
        records: list[Record] = []
        size = 0

        async def take(found: Slice) -> bytes | None:
            nonlocal size
            for key, cell in (await self._cells(found.keys, level)).items():
                if when(cell.winner) < since_us:
                    continue
                size += _size(cell.winner)
                if records and size > limits.PAGE_BYTES:
                    return key
                records.append(cell.winner)
            return None

        found_some = partial(bool, records)
        page = await self._pages(start, level, take, found_some, b"", what=what, since=since_us)
        return records, page

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
            asked: see `SliceSearch.find`.
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
                entry = _entry(cell.winner)
                subject = entry.decision.subject
                about = key[:KIND_AT] + bytes((KIND_BYTE[subject.kind],)) + subject.item
                entries.setdefault(about, ([], []))[key[KIND_AT] == _HELD].append(entry)
        cases = []
        for key in keys:
            decisions, why = (sorted(some, key=_mark) for some in entries.get(key, ([], [])))
            cells_of = cells.get(key), cells.get(held_key(key))
            cases.append(Case(key, *cells_of, decisions, why, self.lapses()))
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

    def _searched(self, store: Store, asked: _Asked) -> Slice:
        engine, start, stop, since = store.engine, asked.start, asked.stop, asked.since
        match asked.what:
            case "waiting":
                return waiting.page(engine, start, stop)
            case "decided":
                return moderated.decided_since(engine, start, stop, since)
            case "sampled":
                return moderated.sampled_since(engine, start, stop, since)
            case "held":
                return moderated.held_since(engine, start, stop, since)
            case "labelled":
                return moderated.labelled_since(engine, start, stop, since, self._services())
            case "under":
                return Slice(moderated.decided_under(engine, start), None)
            case "about":
                return Slice([], None, moderated.about(engine, start))


def passed_over(entries: Iterable[Entry], lapses: Lapses) -> list[bytes]:
    """The ids of the records whose decisions do not count, because those who decided had lost their roles."""
    return [each.record.id for each in entries if lapses.pass_over(each.decision)]


def _entry(record: Record) -> Entry:
    return Entry(parse_decision(record.item, record.body), record)


def _stamp(record: Record) -> int:
    return record.stamp


def _drawn_us(record: Record) -> int:
    """When what a vote is about was drawn; before all times, of one that is about something else."""
    said = parse_sampling(record.item, record.body)
    return -1 if said is None else said.drawn_us


def _size(*records: Record) -> int:
    return sum(len(each.payload) + limits.SIGNATURE_BYTES + _FRAME_BYTES for each in records)


def _mark(entry: Entry) -> bytes:
    return entry.decision.mark
