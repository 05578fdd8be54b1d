"""Mending: damaged and lost cells, and what is derived from cells, put right.

A damaged row says neither what its cell was nor for certain at which sequence it changed last. So when it is
taken out, its place in the log is looked for, and its block's sum and its post's counts are worked out again
from the cells that are whole. All that takes long is done before the write transaction begins (see
`recount`).

The log has a row for every cell. A cell that it names and that is not there was *lost*: a row that no
checksum fits is put in its place, and from then on it is a damaged cell like any other, which this node does
not answer for and replaces by what as many others hold as meet every quorum.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from folkmoot.protocol.key import block_of, lane_of
from folkmoot.protocol.limits import STORE_STEP_ROWS
from folkmoot.storage import rows, waiting
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.outcomes import JoinOutcome
from folkmoot.storage.recount import Recount, of_block, of_edges
from folkmoot.storage.rows import LIKE, REPOST, Counts, counts_key, log_key, log_key_of, row_cell
from folkmoot.storage.transaction import WriteTransaction
from folkmoot.storage.view import OnDamage, table_rows


class Gap(NamedTuple):
    """A row of the log, at `at`, whose cell at `key` is not there, or changed last at another sequence."""

    at: bytes
    key: bytes


class Surroundings:
    """Of a damaged cell, what has to be derived anew when it is replaced; to be stepped before that.

    Args:
        engine: holds the store.
        key: the cell's.
        on_damage: told of other damage that is met.
    """

    def __init__(self, engine: Engine, key: bytes, on_damage: OnDamage) -> None:
        self.key = key
        self.logged = list(_logged(engine, key))
        self.block = of_block(engine, block_of(key), on_damage)
        self.edges: list[Recount] = []
        if rows.is_counted(key):
            post = counts_key(key)
            self.edges = [of_edges(engine, post, kind, on_damage) for kind in (LIKE, REPOST)]
        self._steps = self._all_steps()

    def step(self) -> bool:
        """Read a bounded amount more; whether there may be more."""
        return next(self._steps, False)

    def catch_up(self) -> None:
        """See `Recount.catch_up`."""
        for recount in (self.block, *self.edges):
            recount.catch_up()

    def _all_steps(self) -> Iterator[bool]:
        for recount in (self.block, *self.edges):
            while recount.step():
                yield True
            yield True


def mend_cell(transaction: WriteTransaction, around: Surroundings, cell: bytes) -> JoinOutcome | None:
    """Join a cell where what stands may be damaged: that is taken out first, if it still is.

    Args:
        around: of the cell's key, stepped to the end.
        cell: the join of what other replicas hold, canonically encoded, its signatures verified.

    Returns:
        None when too much has changed meanwhile and nothing was done: let `around` catch up.

    Raises: as `join_cell`.
    """
    key = around.key
    try:
        return transaction.join_cell(key, cell)
    except StoreCorrupt as error:
        if error.cell_key != key:
            raise
    return transaction.replace(key, cell) if _take_out(transaction, around) else None


def drop_stray(transaction: WriteTransaction, around: Surroundings) -> bool | None:
    """Remove a damaged row that never was a cell at its key, as when the key itself is what was damaged.

    Returns:
        False when there is no such row: what the log names was a cell. None as `mend_cell`.
    """
    key = around.key
    if around.logged or not _is_damaged(transaction.rows, key):
        return False
    return _take_out(transaction, around) or None


def drop(transaction: WriteTransaction, around: Surroundings) -> bool | None:
    """Remove a damaged row whose cell is not to be had here any more.

    Returns:
        False when what stands there is whole, or nothing. None as `mend_cell`.
    """
    if not _is_damaged(transaction.rows, around.key):
        return False
    return _take_out(transaction, around) or None


def rebuild_block(transaction: WriteTransaction, block: int, recount: Recount) -> bool | None:
    """Work out the sum of a block (0–4095) anew; whether it was wrong, or None as `mend_cell`."""
    found = recount.settle(transaction.rows)
    return None if found is None else transaction.set_block(block, found)


def gaps(engine: Engine, lane: int, after_sequence: int) -> tuple[list[Gap], int | None]:
    """Look after the cells that the next rows of a lane's log name, at most `STORE_STEP_ROWS` of them.

    Args:
        lane: 0–63.
        after_sequence: 0 for the beginning.

    Returns:
        What is amiss, and after which sequence to go on; None at the end. Damaged rows are passed over.
    """
    found: list[Gap] = []
    with engine.begin() as transaction:
        start, stop = log_key(lane, after_sequence + 1), bytes((lane + 1,))
        log = list(islice(transaction.scan(Table.LOG, start, stop), STORE_STEP_ROWS))
        for at, row in log:
            with suppress(StoreCorrupt):
                key = rows.unseal(Table.LOG, at, row)
                cell = transaction.get(Table.CELLS, key)
                if cell is None or (log_key_of(key, rows.row_sequence(cell)) != at and _fits(key, cell)):
                    found.append(Gap(at, key))
    last = int.from_bytes(log[-1][0][1:], "big") if len(log) == STORE_STEP_ROWS else None
    return found, last if last is not None and last > after_sequence else None


def close_gap(transaction: WriteTransaction, gap: Gap) -> bool:
    """Have a lost cell count as damaged, and forget what the log says of a cell that has come back since.

    Returns:
        False when it is no gap any more.
    """
    raw = transaction.rows
    logged = raw.get(Table.LOG, gap.at)
    if logged is None or not _names(gap.at, logged, gap.key):
        return False
    row = raw.get(Table.CELLS, gap.key)
    if row is None:
        raw.put(Table.CELLS, gap.key, rows.lost_row(gap.key))
        return True
    if not _fits(gap.key, row) or log_key_of(gap.key, rows.row_sequence(row)) == gap.at:
        return False
    return raw.delete(Table.LOG, gap.at)


def _take_out(transaction: WriteTransaction, around: Surroundings) -> bool:
    """Remove a damaged row and what the log says of it; False when too much has changed to do so now."""
    raw, key = transaction.rows, around.key
    found = around.block.settle(raw)
    edges = [recount.settle(raw) for recount in around.edges]
    if found is None or None in edges:
        return False
    raw.delete(Table.CELLS, key)
    transaction.touched.cells += (key, *waiting.concerned(raw, key, None))
    for at in around.logged:
        raw.delete(Table.LOG, at)
    transaction.set_block(block_of(key), found)
    if edges:
        transaction.set_counts(counts_key(key), Counts(*(edge.count for edge in edges if edge is not None)))
    return True


def _logged(engine: Engine, key: bytes) -> Iterator[bytes]:
    """Where the log names a cell: mostly where its row says, else all of the lane's log is looked through."""
    lane = lane_of(key)
    with engine.begin() as transaction:
        row = transaction.get(Table.CELLS, key)
        if row is not None:
            at = log_key_of(key, rows.row_sequence(row))
            logged = transaction.get(Table.LOG, at)
            if logged is not None and _names(at, logged, key):
                yield at
                return
    for at, logged in table_rows(engine, Table.LOG, log_key(lane, 0), bytes((lane + 1,))):
        if _names(at, logged, key):
            yield at


def _names(at: bytes, row: bytes, key: bytes) -> bool:
    with suppress(StoreCorrupt):
        return rows.unseal(Table.LOG, at, row) == key
    return False


def _fits(key: bytes, row: bytes) -> bool:
    with suppress(StoreCorrupt):
        return bool(row_cell(key, row))
    return False


def _is_damaged(transaction: Transaction, key: bytes) -> bool:
    row = transaction.get(Table.CELLS, key)
    return row is not None and not _fits(key, row)
