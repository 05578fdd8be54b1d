"""What is derived from cells for feeds, as this node keeps it: entries of indexes, and how far that has come.

Everything here can be made anew from the cells (its rows are not replicated, not backed up, and no part of
what is compared between replicas), so a damaged row counts as absent and is written over. Each projection has
a *generation*, a number that its rows bear: while a new one is built, the old one is still read.

What a cell was last made into is kept as its *source*, so that what it is no longer made into can be taken
back: nobody else remembers which tag an edit has removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple
from zlib import crc32

from folkmoot.protocol import codec
from folkmoot.protocol.key import prefix_end
from folkmoot.protocol.limits import POST_ITEM_BYTES
from folkmoot.protocol.projections.entries import COUNTED, PUBLIC_BYTES, Entry, Index, Projection
from folkmoot.protocol.projections.notices import group_of
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import CRC_BYTES, SEQUENCE_BYTES, seal, unseal
from folkmoot.storage.transaction import WriteTransaction

HEAD_BYTES: Final = 2  # index and generation, before the group
GENERATIONS: Final = 256
TALLY_BYTES: Final = 8
MAIN: Final = 0  # the run of all projections together; a rebuilding one's is its number
WIDENING: Final = 255  # the run that reads everything once more for what has come to be kept

_TOLD_LIVE: Final = {
    Index.INBOX: Projection.HOME,
    Index.MERGED: Projection.HOME,
    Index.TAGGED: Projection.TAGS,
    Index.NOTICES: Projection.NOTIFICATIONS,
}
_PUT_LIVE: Final = frozenset({Index.INBOX, Index.TAGGED, Index.NOTICES})  # that they were put is told
_GENERATION: Final = b"g"
_CURSOR: Final = b"c"
_COVERED: Final = b"b"
_WANTED: Final = b"w"


class Generation(NamedTuple):
    """Which rows of a projection are read, and which are being built beside them.

    Args:
        live: 0–255.
        building: the same, or None.
    """

    live: int = 0
    building: int | None = None

    @property
    def next(self) -> int:
        """The number of a new one."""
        return (max(self.live, self.live if self.building is None else self.building) + 1) % GENERATIONS


class Member(NamedTuple):
    """An entry without its index and group."""

    member: bytes
    value: bytes


def entry_key(index: Index, generation: int, group: bytes, member: bytes = b"") -> bytes:
    """Where an entry is kept; without a member, what those of a group begin with."""
    return bytes((index, generation)) + group + member


def tallied(key: bytes) -> bytes | None:
    """Where it is counted that there is an entry at a key; None when it is not counted."""
    if key[0] not in COUNTED:
        return None
    if key[0] == Index.NOTICES:
        return key[:HEAD_BYTES] + group_of(key[HEAD_BYTES:])
    return key[:-PUBLIC_BYTES] if key[0] == Index.FOLLOWERS else key[: -POST_ITEM_BYTES - PUBLIC_BYTES]


def value_at(transaction: Transaction, table: Table, key: bytes) -> bytes | None:
    """What is kept at a key; None also when it is damaged."""
    row = transaction.get(table, key)
    if row is None:
        return None
    try:
        return unseal(table, key, row)
    except StoreCorrupt:
        return None


def members(
    transaction: Transaction,
    index: Index,
    generation: int,
    group: bytes,
    *,
    after: bytes = b"",
    limit: int | None = None,
) -> list[Member]:
    """The first entries of a group, after a member; all of them without a limit."""
    prefix = entry_key(index, generation, group)
    start = prefix + after + b"\0" if after else prefix
    scan = iter(transaction.scan(Table.ENTRIES, start, prefix_end(prefix)))
    found: list[Member] = []
    while limit is None or len(found) < limit:
        rows = list(islice(scan, None if limit is None else limit - len(found)))
        if not rows:
            break
        found += _members(rows, len(prefix))
    return found


def newest(
    transaction: Transaction,
    index: Index,
    generation: int,
    group: bytes,
    *,
    before: bytes | None = None,
    limit: int,
) -> list[Member]:
    """The last entries of a group, last first, before a member."""
    prefix = entry_key(index, generation, group)
    stop = prefix_end(prefix) if before is None else prefix + before
    found: list[Member] = []
    while len(found) < limit:
        rows = transaction.last(Table.ENTRIES, prefix, stop, wanted := limit - len(found))
        found += _members(rows, len(prefix))
        if len(rows) < wanted:
            break
        stop = rows[-1][0]  # some may have been damaged
    return found


def _members(rows: Sequence[tuple[bytes, bytes]], head: int) -> Iterator[Member]:
    if not crc32(b"".join(chain.from_iterable(rows))):  # all are whole: see `rows`
        yield from [Member(key[head:], row[:-CRC_BYTES]) for key, row in rows]
        return
    for key, row in rows:
        try:
            yield Member(key[head:], unseal(Table.ENTRIES, key, row))
        except StoreCorrupt:
            continue


def has(transaction: Transaction, index: Index, generation: int, group: bytes, member: bytes) -> bool:
    """Whether there is such an entry."""
    return value_at(transaction, Table.ENTRIES, entry_key(index, generation, group, member)) is not None


def tally(transaction: Transaction, index: Index, generation: int, group: bytes) -> int:
    """How many entries a group of a counted index has."""
    value = value_at(transaction, Table.TALLIES, entry_key(index, generation, group))
    return 0 if value is None else int.from_bytes(value, "big")


def generation_of(transaction: Transaction, projection: Projection) -> Generation:
    """Which generations a projection has."""
    value = value_at(transaction, Table.CURSORS, _GENERATION + bytes((projection,)))
    if value is None:
        return Generation()
    return Generation(value[0], value[1] if len(value) > 1 else None)


def cursors_at(transaction: Transaction, run: int, range_id: int, lane: int) -> dict[bytes, int]:
    """Up to which positions of logs, by their ids, a run has read one lane of a range."""
    prefix = _cursor_prefix(run, range_id, lane)
    found: dict[bytes, int] = {}
    for key, row in transaction.scan(Table.CURSORS, prefix, prefix_end(prefix)):
        try:
            found[key[len(prefix) :]] = int.from_bytes(unseal(Table.CURSORS, key, row), "big")
        except StoreCorrupt:
            continue
    return found


def covered(transaction: Transaction) -> bytes:
    """The blocks whose entries all are kept that what was read makes, one bit each; none if unknown."""
    return value_at(transaction, Table.CURSORS, _COVERED) or b""


def wanted(transaction: Transaction) -> bytes | None:
    """The blocks that everything is being read for once more, the covered ones among them; None if for
    nothing."""
    return value_at(transaction, Table.CURSORS, _WANTED)


class ProjectionBook:
    """What is derived, in one write transaction.

    Attributes:
        written: how many rows were written or taken out.
        asked: whether somebody's latest posts are to be put into a follower's inbox now.
        news: what is new in groups of indexes (one byte) that are told live, as far as it is read by now. Who
            waits for it is looked up once it is committed: somebody may have begun to meanwhile.

    Args:
        transaction: the group's; rows that are written are weighed by its admission.
    """

    __slots__ = ("_live", "_rows", "_transaction", "asked", "news", "written")

    def __init__(self, transaction: WriteTransaction) -> None:
        self.written = 0
        self.asked = False
        self.news: dict[bytes, list[Member]] = {}
        self._live: dict[Projection, int] = {}
        self._transaction = transaction
        self._rows = transaction.rows

    @property
    def rows(self) -> Transaction:
        """The engine's transaction, to read what is being written."""
        return self._rows

    def replace(self, projection: Projection, generation: int, source: bytes, entries: list[Entry]) -> None:
        """Have a cell be made into these entries and no others.

        Args:
            source: the cell's key.

        Raises:
            DiskFull: nothing was changed.
        """
        key = bytes((projection, generation)) + source
        known = self._source(key)
        if not entries and not known:
            return
        wanted = {(entry.into, entry.group + entry.member): entry for entry in entries}
        for index, rest, group_bytes in known:
            if (Index(index), rest) not in wanted:
                self.drop(Index(index), generation, rest[:group_bytes], rest[group_bytes:])
        for entry in entries:
            self.put(generation, entry)
        self.remember(projection, generation, source, entries)

    def remember(self, projection: Projection, generation: int, source: bytes, entries: list[Entry]) -> None:
        """Remember what a cell was made into.

        Raises:
            DiskFull: nothing was changed.
        """
        key = bytes((projection, generation)) + source
        if entries:
            made = [(entry.into, entry.group + entry.member, len(entry.group)) for entry in entries]
            self._put(Table.SOURCES, key, codec.pack(made))
        else:
            self._rows.delete(Table.SOURCES, key)

    def source(self, projection: Projection, generation: int, source: bytes) -> list[Entry]:
        """What a cell was last made into; without the values."""
        known = self._source(bytes((projection, generation)) + source)
        return [Entry(Index(index), rest[:size], rest[size:]) for index, rest, size in known]

    def _source(self, key: bytes) -> list[tuple[int, bytes, int]]:
        value = value_at(self._rows, Table.SOURCES, key)
        return [] if value is None else [tuple(entry) for entry in codec.unpack(value)]

    def put(self, generation: int, entry: Entry) -> None:
        """Keep an entry.

        Raises:
            DiskFull: nothing was changed.
        """
        key = entry_key(entry.into, generation, entry.group, entry.member)
        if entry.into in COUNTED and value_at(self._rows, Table.ENTRIES, key) is None:
            self._count(entry.into, generation, entry.group, 1)
        if entry.into in _PUT_LIVE and not self._rows.get(Table.ENTRIES, key):
            self.tell(entry.into, generation, entry.group, [Member(entry.member, entry.value)])
        self._put(Table.ENTRIES, key, entry.value)
        self._transaction.touched.entry(entry.into, entry.group, entry.member)
        self.asked |= entry.into is Index.BACKFILL

    def insert(self, index: Index, generation: int, group: bytes, entries: Sequence[Member]) -> None:
        """Keep some entries of one group, of an index that is not counted and whose entries never change: so
        what is there already is right, unless it is damaged. Best in the order of their members.

        Raises:
            DiskFull: nothing was changed.
        """
        assert index not in COUNTED, "each of those is looked up"
        head = entry_key(index, generation, group)
        rows = [(key := head + member, seal(key, value)) for member, value in entries]
        self._transaction.make_room(sum(len(key) + len(row) for key, row in rows))
        new = []
        for entry, (key, row) in zip(entries, rows, strict=True):
            if self._rows.insert(Table.ENTRIES, key, row):
                new.append(entry)
            elif self._rows.get(Table.ENTRIES, key) != row:
                self._rows.put(Table.ENTRIES, key, row)
            else:
                continue
            self._transaction.touched.entry(index, group, entry.member)
        self.written += len(rows)
        if new and index in _PUT_LIVE:
            self.tell(index, generation, group, new)

    def tell(self, index: Index, generation: int, group: bytes, new: Sequence[Member]) -> None:
        """Some is new in a group, for those who wait for it, if this generation is the one they see."""
        projection = _TOLD_LIVE[index]
        if projection not in self._live:
            self._live[projection] = generation_of(self._rows, projection).live
        if generation == self._live[projection]:
            self.news.setdefault(bytes((index,)) + group, []).extend(new)

    def drop(self, index: Index, generation: int, group: bytes, member: bytes) -> bool:
        """Forget an entry; whether there was one."""
        there = self._rows.delete(Table.ENTRIES, entry_key(index, generation, group, member))
        self.written += there
        if there:
            self._transaction.touched.entry(index, group, member)
            if index in COUNTED:
                self._count(index, generation, group, -1)
        return there

    def _count(self, index: Index, generation: int, group: bytes, change: int) -> None:
        key = entry_key(index, generation, group)
        count = tally(self._rows, index, generation, group) + change
        if count > 0:
            self._put(Table.TALLIES, key, count.to_bytes(TALLY_BYTES, "big"))
        else:
            self._rows.delete(Table.TALLIES, key)

    def _put(self, table: Table, key: bytes, value: bytes) -> None:
        row = seal(key, value)
        self._transaction.make_room(len(key) + len(row))
        self._rows.put(table, key, row)
        self.written += 1

    def set_cursor(
        self, run: int, range_id: int, lane: int, log_id: bytes, position: int, *, alone: bool = False
    ) -> None:
        """Remember how far a run has read one lane of a range in a log; if `alone`, and in no other one."""
        prefix = _cursor_prefix(run, range_id, lane)
        if alone:
            self._forget_cursors(prefix)
        self._put(Table.CURSORS, prefix + log_id, position.to_bytes(SEQUENCE_BYTES, "big"))

    def set_generation(self, projection: Projection, generation: Generation) -> None:
        """Have these generations of a projection be known, and no others."""
        value = bytes(number for number in generation if number is not None)
        self._put(Table.CURSORS, _GENERATION + bytes((projection,)), value)

    def begin_anew(self, blocks: bytes) -> None:
        """Keep what belongs to these blocks: everything is read from the start, whatever was read before."""
        self.forget_cursors(MAIN)
        self.cover(blocks)

    def widen(self, blocks: bytes) -> None:
        """Begin to read everything for more blocks, beside what is read on for those that are covered."""
        self.forget_cursors(WIDENING)
        self._put(Table.CURSORS, _WANTED, blocks)

    def widened(self, blocks: bytes) -> None:
        """Everything has been read for these blocks, as far as that run has come."""
        self.go_back_to(WIDENING)
        self.cover(blocks)

    def cover(self, blocks: bytes) -> None:
        """Everything has been read for these blocks."""
        self._put(Table.CURSORS, _COVERED, blocks)
        self._rows.delete(Table.CURSORS, _WANTED)
        self.forget_cursors(WIDENING)

    def go_back_to(self, run: int) -> None:
        """Have the main run go on where another one has come to, in each log. It may have read more, in logs
        that it does not follow now; that was not made into what the other has made."""
        main = _CURSOR + bytes((MAIN,))
        for key, row in list(self._rows.scan(Table.CURSORS, main, prefix_end(main))):
            other = value_at(self._rows, Table.CURSORS, _CURSOR + bytes((run,)) + key[len(main) :]) or b""
            if not other:
                self._rows.delete(Table.CURSORS, key)
            elif other < row[:SEQUENCE_BYTES]:
                self._put(Table.CURSORS, key, other)

    def forget_cursors(self, run: int) -> None:
        """Have a run begin at the beginning."""
        self._forget_cursors(_CURSOR + bytes((run,)))

    def _forget_cursors(self, prefix: bytes) -> None:
        for key in [key for key, _ in self._rows.scan(Table.CURSORS, prefix, prefix_end(prefix))]:
            self._rows.delete(Table.CURSORS, key)


def _cursor_prefix(run: int, range_id: int, lane: int) -> bytes:
    return _CURSOR + bytes((run,)) + range_id.to_bytes(4, "big") + bytes((lane,))
