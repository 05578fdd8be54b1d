"""Following the store: what has changed in it becomes what the index holds.

An index is a function of the store's cells: of every post that stands, whatever range it is in, unless its
author's profile says that it does not want to be found. One step reads some changes of the log, in a
transaction of the store's, and then brings the index up to them, in one of its own; it may be repeated.

The log does not tell of cells that were erased because their range has moved away, so where that has
happened, posts of the index are looked for in the store. And who changes their mind about being found has all
their posts looked through, some at a time.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import (
    ITEM_AT,
    KIND_AT,
    KIND_BYTE,
    KIND_NAME,
    PLACE_PREFIX_BYTES,
    block_start,
    prefix_end,
)
from folkmoot.protocol.limits import BLOCKS_PER_LANE, FOLLOW_LOG_ROWS, LANES
from folkmoot.protocol.search.bounds import SEARCH_BATCH_CHANGES, SEARCH_ROWS_ERASED
from folkmoot.protocol.search.documents import SEARCHABLE, Document, document_of, is_indexed, is_searchable
from folkmoot.storage.boots import Moment, present_moment, went_through
from folkmoot.storage.changes import Change, changes
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.heads import erased_sequence
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import row_cell
from folkmoot.storage.search.index import IndexWriting, Position, SearchIndex, Waiting
from folkmoot.storage.store import Store

_POST: Final = KIND_BYTE["post"]
_PROFILE: Final = KIND_BYTE["profile"]
_WITHOUT: Final = frozenset(KIND_NAME) - {_POST, _PROFILE}


class Step(NamedTuple):
    """What one step did.

    Args:
        written: how many posts were put in or taken out.
        at_end: whether the index is now what the store was when the step began.
        left_out: whether something was not put in for want of room.
    """

    written: int
    at_end: bool
    left_out: bool


class _Look(NamedTuple):
    """What a step found in the store."""

    position: Position
    posts: dict[bytes, Document | None]
    hidden: dict[bytes, bool]
    lanes_erased: list[int]
    at_end: bool


def belongs(index: SearchIndex, store: Store) -> bool:
    """Whether what an index has read is part of how the store came to be what it is."""
    position = index.position
    if position is None:
        return True
    if position.log_id != store.log_id:
        return False
    with store.engine.begin() as transaction:
        return went_through(transaction, Moment(position.boot, position.sequence))


def has_news(index_position: Position | None, store: Store) -> bool:
    """Whether a step would find something; asked of memory, and sometimes too often."""
    after = 0 if index_position is None else index_position.sequence
    return any(store.lane_changed(lane, after) for lane in range(LANES))


def is_due(index: SearchIndex, store: Store) -> bool:
    """Whether a step has something to do: news, cells that were erased, posts that are looked through, or a
    boot that the index has not heard of."""
    position = index.position
    if position is None or has_news(position, store) or index.is_waiting():
        return True
    with store.engine.begin() as transaction:
        if present_moment(transaction).boot != position.boot:
            return True
        return any(erased_sequence(transaction, lane) > position.pruned for lane in range(LANES))


def step(index: SearchIndex, store: Store, *, room: bool) -> Step:
    """Bring an index some changes closer to what the store is.

    Args:
        room: whether there is room for more; else posts are only taken out, and looked through again later.

    Raises:
        DiskFull, IndexDamaged: the index is as it was.
        StoreCorrupt: what the log says of itself is damaged.
    """
    look = _look(index.position, store)

    def job(writing: IndexWriting) -> Step:
        left_out = False
        for place, hidden in look.hidden.items():
            writing.hide(place, hidden=hidden)
        for key, document in look.posts.items():
            left_out |= _put(writing, key, document, room=room)
        done = _prune(writing, store, look.lanes_erased)
        at_end = look.at_end and done
        if room:
            at_end &= _look_through(writing, store)
        pruned = look.position.pruned if done or index.position is None else index.position.pruned
        writing.advance(look.position._replace(pruned=pruned), complete=at_end and not left_out)
        return Step(writing.written, at_end, left_out)

    return index.write(job)


def _look(position: Position | None, store: Store) -> _Look:
    after = 0 if position is None else position.sequence
    # Asked in this order: of what is committed meanwhile, by another thread, not all lanes may be looked at.
    known = store.sequence
    lanes = [lane for lane in range(LANES) if store.lane_changed(lane, after)]
    with store.engine.begin() as transaction:
        present = present_moment(transaction)
        rows, reached = _changes(transaction, lanes, after, known)
        posts: dict[bytes, Document | None] = {}
        hidden: dict[bytes, bool] = {}
        for _, key in rows:
            if is_indexed(key):
                posts[key] = _document(transaction, key)
            elif key[KIND_AT] == _PROFILE and key[ITEM_AT:] == SEARCHABLE:
                hidden[key[:PLACE_PREFIX_BYTES]] = not is_searchable(_cell(transaction, key))
        pruned = 0 if position is None else position.pruned
        erased = [lane for lane in range(LANES) if erased_sequence(transaction, lane) > pruned]
    at = Position(store.log_id, present.boot, min(reached, known), present.sequence)
    return _Look(at, posts, hidden, erased if position is not None else [], reached >= known)


def _changes(transaction: Transaction, lanes: list[int], after: int, known: int) -> tuple[list[Change], int]:
    """The next changes of some lanes, and how far that goes; up to `known` no other lane has any."""
    if not lanes:
        return [], known
    looked_at = max(1, FOLLOW_LOG_ROWS // len(lanes))
    read = [changes(transaction, lane, after, looked_at, b"", b"", without=_WITHOUT) for lane in lanes]
    reached = min(one.reached for one in read)
    found = sorted(row for one in read for row in one.rows if row.sequence <= reached)
    if len(found) > SEARCH_BATCH_CHANGES:
        found = found[:SEARCH_BATCH_CHANGES]
        reached = found[-1].sequence
    return found, reached


def _cell(transaction: Transaction, key: bytes) -> Cell | None:
    """What stands at a key; None also where it is damaged: it is mended, and has changed then."""
    row = transaction.get(Table.CELLS, key)
    try:
        return None if row is None else Cell.decode(row_cell(key, row))
    except (StoreCorrupt, WireError):
        return None


def _document(transaction: Transaction, key: bytes) -> Document | None:
    cell = _cell(transaction, key)
    return None if cell is None else document_of(cell)


def _put(writing: IndexWriting, key: bytes, document: Document | None, *, room: bool) -> bool:
    """Have a post be found as it is now; whether it was left out for want of room."""
    place = key[:PLACE_PREFIX_BYTES]
    if document is not None and writing.is_hidden(place):
        document = None
    if document is None or room:
        writing.put(key, document)
        return False
    writing.put(key, None)
    writing.wait(Waiting(place, b""))
    return True


def _prune(writing: IndexWriting, store: Store, lanes: list[int]) -> bool:
    """Take out what the store has no more; whether that was all of it."""
    for lane in lanes:
        start, end = block_start(lane * BLOCKS_PER_LANE), block_start((lane + 1) * BLOCKS_PER_LANE)
        for place in writing.hidden_between(start, end):
            profile = place + bytes((_PROFILE,)) + SEARCHABLE
            if not store.holds(profile, profile + b"\0"):
                writing.hide(place, hidden=False)
        while keys := writing.posts_between(start, end):
            with store.engine.begin() as transaction:
                gone = [key for key in keys if transaction.get(Table.CELLS, key) is None]
            for key in gone:
                writing.put(key, None)
            if writing.written >= SEARCH_ROWS_ERASED:
                return False
            start = keys[-1] + b"\0"
    return True


def _look_through(writing: IndexWriting, store: Store) -> bool:
    """Look through the next posts of an account that has changed its mind; whether there are no more."""
    waiting = writing.waiting()
    if waiting is None:
        return True
    prefix = waiting.place + bytes((_POST,))
    start = waiting.after + b"\0" if waiting.after else prefix
    with store.engine.begin() as transaction:
        keys = transaction.scan(Table.CELLS, start, prefix_end(prefix))
        found = [key for _, (key, _) in zip(range(SEARCH_BATCH_CHANGES), keys, strict=False)]
        documents = {key: _document(transaction, key) for key in found if is_indexed(key)}
    for key, document in documents.items():
        _put(writing, key, document, room=True)
    if len(found) < SEARCH_BATCH_CHANGES:
        writing.looked_through(waiting.place)
        return writing.waiting() is None
    writing.wait(Waiting(waiting.place, found[-1]))
    return False
