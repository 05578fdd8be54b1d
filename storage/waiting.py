"""What waits for review: an index of it, so that a queue is read without looking at who has nothing in it.

A row stands at the key of each held cell whose version waits for a person to decide, as far as this store
knows. That follows from three things: the held cell, the cell that it waits for, and what was decided about
it. So whatever writes or removes one of these, in whatever way it came, has the row put or taken out in the
same transaction (`settle`). Rows stand in the order of keys, and those of a range together.

Where one of the three is damaged, or is said in a way that only later versions read, nobody knows: the row is
put then. Whoever reads a row asks the cells again,
so that one too many costs a look and changes no answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Final

from folkmoot.protocol.crdt.cell import winner_frame
from folkmoot.protocol.errors import WireError
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
from folkmoot.protocol.limits import REACTIONS_STEP_ROWS, STORE_STEP_ROWS
from folkmoot.protocol.moderation.bounds import QUEUE_STEP
from folkmoot.protocol.moderation.decision import KINDS_DECIDED, Subject
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.storage.decided import DECISION, all_decisions_on, decision_in, decisions_on, key_of
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.rows import decoded_cell, row_cell, seal
from folkmoot.storage.slices import Slice, walk

_HELD: Final = KIND_BYTE[HELD]
_KINDS_DECIDED: Final = frozenset(KIND_BYTE[kind] for kind in KINDS_DECIDED)


def changed(transaction: Transaction, keys: Iterable[bytes]) -> list[bytes]:
    """The held cells, by their keys, whose waiting may be another once some cells were written or removed;
    in order, so that rows are written in the same wherever the same is.

    Args:
        transaction: in which they were.
        keys: the cells'; of a removed decision, what `concerned` says of it has to be among them.
    """
    found: set[bytes] = set()
    for key in set(keys):
        if (kind := key[KIND_AT]) == _HELD:
            found.add(key)
        elif kind in _KINDS_DECIDED:
            found.add(held_key(key))
        elif kind == DECISION and (row := transaction.get(Table.CELLS, key)) is not None:
            with suppress(StoreCorrupt):
                found.update(concerned(transaction, key, row_cell(key, row)))
    return sorted(found)


def concerned(transaction: Transaction, key: bytes, cell: bytes | None) -> Collection[bytes]:
    """The held cells of which a decision says what becomes of them; none when the cell is no decision.

    Args:
        transaction: in which it is.
        key: the cell's.
        cell: as it is, or was; None when that cannot be read, and all are named that it may have been about.
    """
    if key[KIND_AT] != DECISION or key[ITEM_AT] not in _KINDS_DECIDED:
        return ()  # media wait nowhere
    held = key[:KIND_AT] + bytes((_HELD, key[ITEM_AT]))
    with suppress(WireError):
        if cell is not None:
            return (held + decision_in(winner_frame(cell)).subject.item,)
    rows = transaction.scan(Table.CELLS, held, prefix_end(held))
    return [each for each, _ in islice(rows, STORE_STEP_ROWS)]


def settle(transaction: Transaction, held: Iterable[bytes]) -> None:
    """Bring the index up to what some held cells, by their keys, come to now."""
    for key in held:
        if may_wait(transaction, key):
            transaction.put(Table.WAITING, key, seal(key, b""))
        else:
            transaction.delete(Table.WAITING, key)


def build(transaction: Transaction) -> None:
    """Make the index of a store that has none, by going through all that is held."""
    waiting = [looked.key for looked in walk(transaction, _HELD, b"", b"") if looked.key is not None]
    settle(transaction, waiting)


def may_wait(transaction: Transaction, held: bytes) -> bool:
    """Whether what a held cell has waits for a person to decide, or may, for all that can be read here."""
    with suppress(StoreCorrupt, WireError):
        return waits(transaction, held)
    return True


def waits(transaction: Transaction, held: bytes) -> bool:
    """Whether the version in the held cell at a key waits for a person to decide, as far as is known here.

    Raises:
        StoreCorrupt: that, or what it follows from, is damaged.
        WireError: a decision is of a sort that this version does not know.
    """
    row = transaction.get(Table.CELLS, held)
    if row is None or held[ITEM_AT] not in _KINDS_DECIDED:
        return False
    cell = decoded_cell(held, row_cell(held, row))
    own = without_held(held)
    shown = transaction.get(Table.CELLS, own)
    if cell.taken_back or (shown is not None and decoded_cell(own, row_cell(own, shown)).covers(cell.winner)):
        return False
    found = decisions_on(transaction, held[:PLACE_PREFIX_BYTES], subject_of(own))
    return outcome_of(each.decision for each in found).awaits(cell.winner.id)


def listed(transaction: Transaction, start: bytes = b"", stop: bytes = b"") -> Iterator[bytes]:
    """What the index has with start ≤ key < stop (an empty `stop` is the end), in order."""
    for key, _ in transaction.scan(Table.WAITING, start, stop):
        yield key


def page(engine: Engine, start: bytes, stop: bytes) -> Slice:
    """What waits for review, as far as this store knows, and beside it what was decided about it.

    Args:
        engine: of the store.
        start, stop: where to look; an empty `stop` is the end.
    """
    keys: list[bytes] = []
    beside: list[bytes] = []
    with engine.begin() as transaction:
        for rows, key in enumerate(listed(transaction, start, stop), 1):
            with suppress(StoreCorrupt, WireError):
                if waits(transaction, key):
                    keys.append(key)
                    beside += decided_about(transaction, without_held(key))
            if rows >= REACTIONS_STEP_ROWS or len(keys) >= QUEUE_STEP:
                return Slice(keys, key + b"\0", beside)
    return Slice(keys, None, beside)


def decided_about(transaction: Transaction, key: bytes) -> list[bytes]:
    """The keys of what was decided about the subject whose own cell has a key, and of why it waits.

    Raises:
        StoreCorrupt: a cell of these is damaged.
    """
    place, keys = key[:PLACE_PREFIX_BYTES], []
    for held in (False, True):
        for each in all_decisions_on(transaction, place, subject_of(key), held=held):
            own = key_of(place, each.decision)
            keys.append(held_key(own) if held else own)
    return keys


def without_held(key: bytes) -> bytes:
    """The key of the cell for which a held one waits."""
    return key[:KIND_AT] + key[ITEM_AT:]


def subject_of(key: bytes) -> Subject:
    """What decisions about the cell at a key are about."""
    return Subject(KIND_NAME[key[KIND_AT]], key[ITEM_AT:])
