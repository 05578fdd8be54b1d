"""The scrub: is anything left of what an account deleted, in any byte of a replica's files?

Asking the store would prove little: it never shows what it deleted. So its files are searched as bytes, with
no regard to what LMDB makes of them. A record's payload begins with its author and its body and ends with
its item and kind, in this order, so that what is left of one can be told by either end:

- a *whole* record of a post that is deleted here, other than the deletion itself;
- an *end*, whose beginning was overwritten;
- a *piece*: the beginning of some post of the account, the rest of which was overwritten. Nobody can tell of
  which post it was, nor whether that one is deleted;
- a *leftover*: a whole record of a post of the account that this store knows nothing of any more, because its
  range has moved to other nodes. Whether it was deleted there, those must say.

What has lost both its ends can be told only by who knows a text to look for. But a compaction writes rows
alone, so of what was deleted before the last one nothing can be left, whatever a search may miss: such a
deletion is *proven*, unless cells of the account's lane have been erased since because their range moved
away: what left with them was perhaps deleted elsewhere. A store that knows of no deletion proves nothing: it
may not have heard of it yet, or no longer have the range. Whatever is found is looked up afterwards, because
a node may run meanwhile.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import ITEM_AT, cell_key, held_key, kind_prefix, lane_of, prefix_end
from folkmoot.protocol.limits import MIB, POST_ITEM_BYTES, RECORD_BYTES, SIGNATURE_BYTES, STORE_SCAN_ROWS
from folkmoot.protocol.record import Record
from folkmoot.storage.compaction import compacted_at
from folkmoot.storage.directory import os_failure
from folkmoot.storage.heads import erased_sequence
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.rows import row_cell, row_sequence
from folkmoot.storage.search.errors import IndexDamaged
from folkmoot.storage.search.files import Indexes

OnBytes = Callable[[int, int], None]

REMAINS_MAX: Final = 1_000
_STEP_BYTES: Final = 16 * MIB

_AUTHOR: Final = b"\xa6author\xc4\x22"
_BODY: Final = b"\xa4body"
_BODY_AT: Final = len(_AUTHOR) + 34
_DELETION: Final = _BODY + b"\x81\xa7deleted\xc3"
_END: Final = re.compile(rb"\xa4item\xc4\x10(.{16})\xa4kind\xa4post", re.DOTALL)
_END_BYTES: Final = 7 + 16 + 10
# The first key of a post's body, after the header of the map; of a deletion nothing is to be erased.
_POST_BODY: Final = re.compile(
    rb"[\x81-\x8f](\xa4lang|\xa5media|\xa5quote|\xa8reply_to|\xa4root|\xa4tags|\xa4text|\xa7warning)"
)


class Remain(NamedTuple):
    """Something that must not be there: in which file, at which byte, of which post (hex), and what."""

    file: str
    offset: int
    item: str
    what: str


@dataclass(frozen=True, slots=True)
class ScrubReport:
    """What a scrub saw.

    Args:
        deleted: posts of the account that are deleted here.
        proven: of those, how many were deleted before the last compaction.
        live: posts of the account that are not deleted here; nothing is said of those.
        moved: whether cells of the account's lane were erased since the last compaction.
        alive: whether the one post that was asked about is here and not deleted; None when none was.
        files, searched_bytes: what was searched.
        free_bytes: of these, in pages that hold no rows.
        remains: what must not be there, at most `REMAINS_MAX`.
        remains_left_off: how many more there were.
        pieces: beginnings of posts of the account, deleted ones or not.
        leftovers: whole records of posts of the account of which this store knows nothing.
        unsettled: whether a search index may still have words of what was taken out of it.
        media: how many files of the account's media lie here that nothing known here refers to.
    """

    deleted: int
    proven: int
    live: int
    moved: bool
    alive: bool | None
    files: tuple[str, ...]
    searched_bytes: int
    free_bytes: int
    remains: tuple[Remain, ...]
    remains_left_off: int
    pieces: int
    leftovers: int
    unsettled: bool = False
    media: int = 0

    @property
    def verdict(self) -> str:
        """`remains`, `alive` (nothing was deleted that should be), `unknown` (no deletion is known here),
        `searched` or `proven`."""
        if self.remains:
            return "remains"
        if self.alive:
            return "alive"
        if not self.deleted:
            return "unknown"
        sure = self.proven == self.deleted and not (self.moved or self.leftovers or self.unsettled)
        return "proven" if sure else "searched"

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "verdict": self.verdict,
            **asdict(self),
            "remains": [remain._asdict() for remain in self.remains],
        }


def scrub(
    engine: Engine,
    files: Sequence[Path],
    account: bytes,
    item: bytes | None = None,
    texts: Sequence[bytes] = (),
    *,
    indexes: Indexes | None = None,
    unshown: Sequence[Path] = (),
    progress: OnBytes = lambda done, total: None,
) -> ScrubReport:
    """Search files for what an account deleted.

    Args:
        engine: of the replica's store; says what is deleted.
        files: to be searched: the store's own, and others that may hold copies.
        account: 34 bytes.
        item: of one post (16 bytes); all that are deleted otherwise.
        texts: to be looked for besides, wherever no record of another post says them.
        indexes: the search indexes of the replica, which are asked what they have of what is deleted.
        unshown: files of the account's media to which nothing in the store refers (any more).
        progress: called now and then with bytes searched and bytes in all.

    Raises:
        StoreCorrupt: a cell of the account is damaged.
        StoreUnusable, StoreReadOnly: a file cannot be read.
    """
    known = _known(engine, account, item)
    search = _Search(engine, account, known.deleted, texts)
    searched = search.files(files, progress)
    unsettled = indexes is not None and search.indexes(indexes)
    search.media(unshown)
    usage = engine.usage()
    return ScrubReport(
        deleted=len(known.deleted),
        proven=known.proven,
        live=known.live,
        moved=known.moved,
        alive=None if item is None else known.live > 0,
        files=tuple(map(str, files)),
        searched_bytes=searched,
        free_bytes=max(0, usage.file_bytes - usage.live_bytes),
        remains=tuple(search.remains),
        remains_left_off=search.remains_left_off,
        pieces=search.pieces,
        leftovers=search.leftovers,
        unsettled=unsettled,
        media=len(unshown),
    )


class _Known(NamedTuple):
    """What a store knows of an account's posts, or of one of them: the items of those that are deleted, how
    many of these were so before the last compaction, how many are not deleted, and whether any left since."""

    deleted: set[bytes]
    proven: int
    live: int
    moved: bool


def _known(engine: Engine, account: bytes, item: bytes | None) -> _Known:
    start = kind_prefix(account, "post") if item is None else cell_key(account, "post", item)
    stop = prefix_end(start)
    lane = lane_of(start)
    deleted: set[bytes] = set()
    proven = live = 0
    while True:
        with engine.begin() as transaction:
            compacted = compacted_at(transaction)
            moved = erased_sequence(transaction, lane) > (compacted or 0)
            rows = list(islice(transaction.scan(Table.CELLS, start, stop), STORE_SCAN_ROWS))
        for key, row in rows:
            if Cell.decode(row_cell(key, row)).deleted:
                deleted.add(key[ITEM_AT:])
                proven += compacted is not None and row_sequence(row) <= compacted
            else:
                live += 1
        if len(rows) < STORE_SCAN_ROWS:
            return _Known(deleted, proven, live, moved)
        start = rows[-1][0] + b"\0"


class _Search:
    """One search through files.

    Attributes:
        remains, remains_left_off, pieces, leftovers: see `ScrubReport`.
    """

    def __init__(self, engine: Engine, account: bytes, deleted: set[bytes], texts: Sequence[bytes]) -> None:
        self._engine = engine
        self._account = account
        self._begin = _AUTHOR + account + _BODY
        self._deleted = deleted
        self._texts = [text for text in texts if text]
        self.remains: list[Remain] = []
        self.remains_left_off = 0
        self.pieces = 0
        self.leftovers = 0

    def files(self, files: Sequence[Path], progress: OnBytes) -> int:
        """Search some files, and say how far that has got; how many bytes they have."""
        sizes = [_size(file) for file in files]
        total, done = sum(sizes), 0
        for file, size in zip(files, sizes, strict=True):
            for searched in self._file(file, size):
                progress(done + searched, total)
            done += size
        return total

    def _file(self, file: Path, size: int) -> Iterator[int]:
        """Search a file, and say how far that has got."""
        if not size:
            return
        try:
            with file.open("rb") as opened, mmap.mmap(opened.fileno(), size, access=mmap.ACCESS_READ) as data:
                for start in range(0, size, _STEP_BYTES):
                    stop = min(start + _STEP_BYTES, size)
                    self._slice(str(file), data, start, stop)
                    yield stop
        except OSError as error:
            raise os_failure(file, error) from error

    def indexes(self, indexes: Indexes) -> bool:
        """Look for the words of what is deleted in search indexes; whether some may be there unseen."""
        unsettled = False
        keys = [cell_key(self._account, "post", item) for item in sorted(self._deleted)]
        for generation in indexes.generations():
            try:
                index = indexes.open(generation)
                try:
                    for key in index.held(keys):
                        self._remain(index.name, 0, key[ITEM_AT:].hex(), "words in the search index")
                    unsettled |= index.erased > 0
                finally:
                    index.close()
            except IndexDamaged:
                unsettled = True
        return unsettled

    def media(self, unshown: Sequence[Path]) -> None:
        """A store that knows what was deleted knows what is shown, and everything else must be gone."""
        for file in unshown if self._deleted else ():
            self._remain(str(file), 0, "", "a medium that nothing shows")

    def _slice(self, file: str, data: mmap.mmap, start: int, stop: int) -> None:
        """Look at everything that begins from `start` to before `stop`."""
        for at in _found(data, self._begin, start, stop):
            self._beginning(file, data, at)
        for match in _END.finditer(data, start, min(len(data), stop + _END_BYTES - 1)):
            self._end(file, data, match.start(), match[1])
        for text in self._texts:
            for at in _found(data, text, start, stop):
                around = _record_around(data, at)
                if around is None or self._must_go(around) or self._is_leftover(around):
                    self._remain(file, at, "" if around is None else around.item.hex(), "a text looked for")

    def _beginning(self, file: str, data: mmap.mmap, at: int) -> None:
        record = _record_from(data, at)
        if record is not None:
            if self._must_go(record):
                self._remain(file, at - 1, record.item.hex(), "a whole record")
            else:
                self.leftovers += self._is_leftover(record)
        elif _POST_BODY.match(data, at + _BODY_AT + len(_BODY)):
            self.pieces += 1

    def _end(self, file: str, data: mmap.mmap, at: int, item: bytes) -> None:
        if item not in self._deleted or data[max(0, at - len(_DELETION)) : at] == _DELETION:
            return
        if _record_around(data, at) is None:
            self._remain(file, at, item.hex(), "the end of a record")

    def _must_go(self, record: Record) -> bool:
        return (
            record.kind == "post"
            and record.author == self._account
            and record.item in self._deleted
            and not record.deleted
        )

    def _is_leftover(self, record: Record) -> bool:
        if record.kind != "post" or record.author != self._account or record.deleted:
            return False
        with self._engine.begin() as transaction:
            return all(
                transaction.get(Table.CELLS, key) is None for key in (record.key, held_key(record.key))
            )

    def _remain(self, file: str, offset: int, item: str, what: str) -> None:
        if len(self.remains) < REMAINS_MAX:
            self.remains.append(Remain(file, offset, item, what))
        else:
            self.remains_left_off += 1


def _found(data: mmap.mmap, wanted: bytes, start: int, stop: int) -> Iterator[int]:
    """Where `wanted` begins from `start` to before `stop`."""
    end = min(len(data), stop + len(wanted) - 1)
    at = data.find(wanted, start, end)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1, end)


def _record_from(data: mmap.mmap, at: int) -> Record | None:
    """The whole record whose author's name stands at `at`, if there is one."""
    start = at - 1  # the header of the payload's map, with that of the payload before it
    for head, length in ((2, data[start - 1 : start]), (3, data[start - 2 : start])):
        if start < head or data[start - head] != (0xC4 if head == 2 else 0xC5):
            continue
        payload = data[start : start + int.from_bytes(length, "big")]
        if len(payload) <= RECORD_BYTES:
            with suppress(WireError):
                return Record(payload, bytes(SIGNATURE_BYTES))
    return None


def _record_around(data: mmap.mmap, at: int) -> Record | None:
    """The whole record, whoever's, in which `at` lies."""
    first = max(0, at - RECORD_BYTES)
    begin = data.rfind(_AUTHOR, first, at)
    while begin >= 0:
        if data[begin + _BODY_AT : begin + _BODY_AT + len(_BODY)] == _BODY:
            record = _record_from(data, begin)
            if record is not None and begin - 1 + len(record.payload) > at:
                return record
        begin = data.rfind(_AUTHOR, first, begin)
    return None


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise os_failure(file, error) from error


assert POST_ITEM_BYTES == 16, "what is searched for has the length of an item in it"
