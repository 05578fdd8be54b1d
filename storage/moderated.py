"""Finding what moderation is about: what was decided, and why things wait, or waited.

No index lists it: it is found by going through the store from place to place, of each place only through what
can be it. So a search costs a look or two at every account there is, in steps of a bounded number of rows,
and what is written costs nothing more. What waits now is asked for every day, and has one (see `waiting`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

from folkmoot.protocol.crdt.cell import Cell, winner_frame
from folkmoot.protocol.key import (
    HELD,
    ITEM_AT,
    KIND_BYTE,
    held_key,
    prefix_end,
)
from folkmoot.protocol.limits import ACCOUNT_BYTES, KEYS_PER_GET, REACTIONS_STEP_ROWS
from folkmoot.protocol.moderation.bounds import DECISIONS_READ
from folkmoot.protocol.moderation.decision import KINDS_DECIDED
from folkmoot.protocol.moderation.sampling import KIND as VOTE
from folkmoot.protocol.moderation.sampling import drawn_at
from folkmoot.storage.decided import DECISION, decision_in
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.rows import row_cell
from folkmoot.storage.slices import Slice, walk
from folkmoot.storage.waiting import decided_about, may_wait

_HELD: Final = KIND_BYTE[HELD]
_LABEL: Final = KIND_BYTE["label"]
_VOTE: Final = KIND_BYTE[VOTE]
_KINDS_DECIDED: Final = frozenset(KIND_BYTE[kind] for kind in KINDS_DECIDED)
assert 2 * DECISIONS_READ <= KEYS_PER_GET, "what was decided about one thing is read at once"


def waits(engine: Engine, key: bytes) -> bool:
    """Whether a version of what has this key waits for a person to decide, as far as this store knows."""
    with engine.begin() as transaction:
        return may_wait(transaction, held_key(key))


def about(engine: Engine, key: bytes) -> list[bytes]:
    """The keys of what was decided about the subject whose own cell has a key, and of why it waits."""
    with engine.begin() as transaction:
        return decided_about(transaction, key)


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
