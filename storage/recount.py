"""Recounting: what the cells of a stretch of the key space come to, read anew while others write.

What is kept of cells (block sums, counts) is kept by adding and subtracting, and never shows that a row was
lost behind the store's back. To read a whole block in one transaction would show it, but a giant account's
takes seconds. So a stretch is read in *pieces*, each in a short transaction of its own, and then *settled*
in one more: the lane's log names what has changed since the first piece was begun, and only pieces in which
something has are read again there. No transaction, and least of all the one writer's, does more than a
bounded amount of work.

A cell that is damaged counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.flag import is_on
from folkmoot.protocol.key import PLACE_PREFIX_BYTES, block_start, lane_of, prefix_end
from folkmoot.protocol.limits import STORE_SETTLE_ROWS, STORE_STEP_ROWS
from folkmoot.protocol.sync.fingerprint import LEAF_BYTES, Fingerprint, leaf_hash
from folkmoot.protocol.sync.runs import Runs
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.heads import SEQUENCE, erased_sequence
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.rows import block_key, log_key, row_block, row_cell, unseal
from folkmoot.storage.view import OnDamage, changes

Rows = Iterable[tuple[bytes, bytes]]
Value = Callable[[bytes, bytes], bytes | None]
"""What the cell at a key adds to the sum (32 bytes), or None when it is not counted."""

_ONE: Final = bytes(LEAF_BYTES)  # of what is only counted


class Recount:
    """One stretch, which lies within a lane; stepped to its end before it is settled, on one thread.

    Args:
        engine: holds the cells.
        start, end: the stretch; an empty `end` is the end of the key space.
        value: see `Value`; raises `StoreCorrupt` for what is damaged.
        on_damage: told of that.
    """

    def __init__(self, engine: Engine, start: bytes, end: bytes, value: Value, on_damage: OnDamage) -> None:
        self._engine = engine
        self._end = end
        self._value = value
        self._on_damage = on_damage
        self._lane = lane_of(start)
        self._sequence = _sequence_of(engine)
        self._at = start
        self._pieces: list[tuple[bytes, Fingerprint]] = []

    def step(self) -> bool:
        """Read the next piece, at most `STORE_STEP_ROWS` rows; whether there may be more."""
        rows, after = _piece(self._engine, self._at, self._end)
        self._pieces.append((self._at, self._sum(rows)))
        self._at = after or self._at
        return after is not None

    def catch_up(self) -> None:
        """Read again the pieces in which something has changed since they were read.

        Raises:
            StoreCorrupt: the log is damaged.
        """
        sequence = _sequence_of(self._engine)
        with self._engine.begin() as transaction:
            erased = erased_sequence(transaction, self._lane)
        runs = Runs(self._pieces, self._end)
        changed = (
            range(len(runs))
            if erased > self._sequence
            else runs.holding(changes(self._engine, self._lane, self._sequence))
        )
        pieces, self._pieces = self._pieces, []
        for number, piece in enumerate(pieces):
            if number not in changed:
                self._pieces.append(piece)
                continue
            at: bytes | None = piece[0]
            while at is not None:
                rows, after = _piece(self._engine, at, runs.bound(number + 1))
                self._pieces.append((at, self._sum(rows)))
                at = after
        self._sequence = sequence

    def settle(self, transaction: Transaction) -> Fingerprint | None:
        """What the stretch comes to in the state that `transaction` sees.

        Returns:
            None when more has changed meanwhile than may be read in one transaction, or something was
            erased: `catch_up` first.

        Raises:
            StoreCorrupt: the log is damaged.
        """
        if erased_sequence(transaction, self._lane) > self._sequence:
            return None
        start, stop = log_key(self._lane, self._sequence + 1), bytes((self._lane + 1,))
        log = list(islice(transaction.scan(Table.LOG, start, stop), STORE_SETTLE_ROWS + 1))
        room = STORE_SETTLE_ROWS - len(log)
        runs = Runs(self._pieces, self._end)
        total = runs.total(range(len(runs)))
        for number in runs.holding(unseal(Table.LOG, at, row) for at, row in log):
            scan = transaction.scan(Table.CELLS, runs.bound(number), runs.bound(number + 1))
            rows = list(islice(scan, max(0, room) + 1))
            room -= len(rows)
            if room < 0:
                return None
            total = total.without(runs.total(range(number, number + 1))).combine(self._sum(rows))
        return total if room >= 0 else None

    def _sum(self, rows: Rows) -> Fingerprint:
        return Fingerprint.of(self._values(rows))

    def _values(self, rows: Rows) -> Iterable[bytes]:
        for key, row in rows:
            try:
                value = self._value(key, row)
            except StoreCorrupt as error:
                self._on_damage(error)
            else:
                if value is not None:
                    yield value


def of_block(engine: Engine, block: int, on_damage: OnDamage) -> Recount:
    """Of the cells of a block (0–4095), for its sum."""
    return Recount(engine, block_start(block), block_start(block + 1), _leaf, on_damage)


def of_edges(engine: Engine, post: bytes, kind: int, on_damage: OnDamage) -> Recount:
    """Of the likes or reposts of a post that are switched on, for their number.

    Args:
        post: its counts key (see `rows.counts_key`).
        kind: `rows.LIKE` or `rows.REPOST`.
    """
    prefix = post[:PLACE_PREFIX_BYTES] + bytes((kind,)) + post[PLACE_PREFIX_BYTES:]
    return Recount(engine, prefix, prefix_end(prefix), _edge, on_damage)


def is_wrong(engine: Engine, block: int, recount: Recount) -> bool | None:
    """Whether what is kept of a block is not what its cells come to; None as `Recount.settle`.

    Raises:
        StoreCorrupt: the log is damaged.
    """
    key = block_key(block)
    with engine.begin() as transaction:
        found = recount.settle(transaction)
        if found is None:
            return None
        row = transaction.get(Table.BLOCKS, key)
    try:
        kept = (0, 0) if row is None else row_block(key, row)
    except StoreCorrupt:
        return True
    return kept != (found.count, found.total)


def _leaf(key: bytes, row: bytes) -> bytes:
    return leaf_hash(key, row_cell(key, row))


def _edge(key: bytes, row: bytes) -> bytes | None:
    return _ONE if is_on(Cell.decode(row_cell(key, row))) else None


def _piece(engine: Engine, start: bytes, end: bytes) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
    """The first rows of a stretch, and where to go on; None at its end.

    Where keys do not ascend, because a page is damaged, it ends early: nothing is read for ever.
    """
    with engine.begin() as transaction:
        rows = list(islice(transaction.scan(Table.CELLS, start, end), STORE_STEP_ROWS))
    if len(rows) < STORE_STEP_ROWS:
        return rows, None
    after = rows[-1][0] + b"\0"
    return rows, after if after > start and (not end or after < end) else None


def _sequence_of(engine: Engine) -> int:
    with engine.begin() as transaction:
        row = transaction.get(Table.META, SEQUENCE)
    return 0 if row is None else int.from_bytes(unseal(Table.META, SEQUENCE, row), "big")
