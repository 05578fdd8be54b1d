"""Finding what moderation is about: what waits for review, and what was decided.

No index lists either: both are found by going through the store from place to place, of each place only
through what can be one. So a queue costs a look or two at every account there is, in steps of a bounded
number of rows, and what is written costs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

from folkmoot.protocol.crdt.cell import Cell, winner_frame
from folkmoot.protocol.key import (
    HELD,
    ITEM_AT,
    KIND_AT,
    KIND_BYTE,
    KIND_NAME,
    PLACE_PREFIX_BYTES,
    held_key,
    prefix_end,
)
from folkmoot.protocol.limits import ACCOUNT_BYTES, KEYS_PER_GET, REACTIONS_STEP_ROWS
from folkmoot.protocol.moderation.bounds import DECISIONS_READ, QUEUE_STEP
from folkmoot.protocol.moderation.decision import KINDS_DECIDED, Subject
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.protocol.moderation.sampling import KIND as VOTE
from folkmoot.protocol.moderation.sampling import drawn_at
from folkmoot.storage.decided import DECISION, decision_in, decisions_on, key_of
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.rows import row_cell
from folkmoot.storage.slices import Slice, walk

_HELD: Final = KIND_BYTE[HELD]
_LABEL: Final = KIND_BYTE["label"]
_VOTE: Final = KIND_BYTE[VOTE]
_KINDS_DECIDED: Final = frozenset(KIND_BYTE[kind] for kind in KINDS_DECIDED)
assert 2 * DECISIONS_READ <= KEYS_PER_GET, "what was decided about one thing is read at once"


def waiting(engine: Engine, start: bytes, stop: bytes) -> Slice:
    """What waits for review, as far as this store knows, and beside it what was decided about it.

    Args:
        engine: of the store.
        start, stop: where to look; an empty `stop` is the end.
    """
    keys: list[bytes] = []
    beside: list[bytes] = []
    with engine.begin() as transaction:
        for rows, looked in enumerate(walk(transaction, _HELD, start, stop), 1):
            with suppress(StoreCorrupt):
                if looked.key is not None and _waits(transaction, looked.key, looked.row):
                    keys.append(looked.key)
                    beside += _about(transaction, _without_held(looked.key))
            if rows >= REACTIONS_STEP_ROWS or len(keys) >= QUEUE_STEP:
                return Slice(keys, looked.next, beside)
    return Slice(keys, None, beside)


def waits(engine: Engine, key: bytes) -> bool:
    """Whether a version of what has this key waits for a person to decide, as far as this store knows."""
    held = held_key(key)
    with engine.begin() as transaction, suppress(StoreCorrupt):
        row = transaction.get(Table.CELLS, held)
        return row is not None and _waits(transaction, held, row)
    return True


def about(engine: Engine, key: bytes) -> list[bytes]:
    """The keys of what was decided about the subject whose own cell has a key, and of why it waits."""
    with engine.begin() as transaction:
        return _about(transaction, key)


def decided_under(engine: Engine, start: bytes) -> list[bytes]:
    """The keys of the decisions about one subject, the latest by their numbers.

    Args:
        engine: of the store.
        start: what their keys begin with.
    """
    with engine.begin() as transaction:
        return [key for key, _ in transaction.last(Table.CELLS, start, prefix_end(start), DECISIONS_READ)]


def decided_since(engine: Engine, start: bytes, stop: bytes, since_us: int) -> Slice:
    """Decisions whose number is no less (microseconds since 1970); those of policies are all found.

    Args:
        engine, start, stop: as for `waiting`.
        since_us: see there.
    """
    keys: list[bytes] = []
    with engine.begin() as transaction:
        for rows, looked in enumerate(walk(transaction, DECISION, start, stop), 1):
            if looked.key is not None:
                with suppress(StoreCorrupt):
                    decision = decision_in(winner_frame(row_cell(looked.key, looked.row)))
                    if decision.is_automatic or decision.number >= since_us:
                        keys.append(looked.key)
            if rows >= REACTIONS_STEP_ROWS or len(keys) >= KEYS_PER_GET:
                return Slice(keys, looked.next)
    return Slice(keys, None)


def sampled_since(engine: Engine, start: bytes, stop: bytes, since_us: int) -> Slice:
    """Votes that may be about what was drawn since a time (microseconds since 1970), draws and answers.

    Args:
        engine, start, stop: as for `waiting`.
        since_us: see there.
    """
    keys: list[bytes] = []
    with engine.begin() as transaction:
        for rows, looked in enumerate(walk(transaction, _VOTE, start, stop), 1):
            drawn_us = None if looked.key is None else drawn_at(looked.key[ITEM_AT:])
            if looked.key is not None and drawn_us is not None and drawn_us >= since_us:
                keys.append(looked.key)
            if rows >= REACTIONS_STEP_ROWS or len(keys) >= KEYS_PER_GET:
                return Slice(keys, looked.next)
    return Slice(keys, None)


def held_since(engine: Engine, start: bytes, stop: bytes, since_us: int) -> Slice:
    """Why versions wait, or waited, for review, as far as they are of a time or later.

    Args:
        engine, start, stop, since_us: as for `decided_since`; the time is that of the version.
    """
    return _dated(engine, _HELD, start, stop, since_us, lambda key: key[ITEM_AT] == DECISION)


def labelled_since(
    engine: Engine, start: bytes, stop: bytes, since_us: int, labellers: Collection[bytes]
) -> Slice:
    """The labels of some accounts (34 bytes) on versions of a time or later.

    Args:
        engine, start, stop, since_us: as for `held_since`.
        labellers: see there.
    """
    return _dated(engine, _LABEL, start, stop, since_us, lambda key: key[-ACCOUNT_BYTES:] in labellers)


def _dated(
    engine: Engine, kind: int, start: bytes, stop: bytes, since_us: int, wanted: Callable[[bytes], bool]
) -> Slice:
    keys: list[bytes] = []
    with engine.begin() as transaction:
        for rows, looked in enumerate(walk(transaction, kind, start, stop), 1):
            if looked.key is not None and wanted(looked.key):
                with suppress(StoreCorrupt):
                    if _stamp(looked.key, looked.row) >= since_us:
                        keys.append(looked.key)
            if rows >= REACTIONS_STEP_ROWS or len(keys) >= KEYS_PER_GET:
                return Slice(keys, looked.next)
    return Slice(keys, None)


def _stamp(key: bytes, row: bytes) -> int:
    return Cell.decode(row_cell(key, row)).winner.stamp


def _waits(transaction: Transaction, key: bytes, row: bytes) -> bool:
    if key[ITEM_AT] not in _KINDS_DECIDED:
        return False
    cell = Cell.decode(row_cell(key, row))
    own = _without_held(key)
    shown = transaction.get(Table.CELLS, own)
    if cell.taken_back or (shown is not None and Cell.decode(row_cell(own, shown)).covers(cell.winner)):
        return False
    found = decisions_on(transaction, key[:PLACE_PREFIX_BYTES], _subject(own))
    return outcome_of(each.decision for each in found).awaits(cell.winner.id)


def _about(transaction: Transaction, key: bytes) -> list[bytes]:
    place, keys = key[:PLACE_PREFIX_BYTES], []
    for held in (False, True):
        for each in decisions_on(transaction, place, _subject(key), held=held):
            own = key_of(place, each.decision)
            keys.append(held_key(own) if held else own)
    return keys


def _without_held(key: bytes) -> bytes:
    return key[:KIND_AT] + key[ITEM_AT:]


def _subject(key: bytes) -> Subject:
    return Subject(KIND_NAME[key[KIND_AT]], key[ITEM_AT:])
