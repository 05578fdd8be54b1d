"""The store as reconciliation reads it: whole blocks from their sums, heavy ones from the sums of their runs,
the rest from the cells.

Runs are kept in memory between questions and brought up to date from the change log, so that a cell of a
heavy block is hashed once, and later only when it or a near neighbour changes. Cells and log are read in
transactions of bounded length, so that a long slice never holds a reader; while somebody writes, an answer
may therefore mix moments: good for finding differences, not for proving equality. A view may be asked from
any thread; the first question about a part of a heavy block reads it whole, which is not for the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from folkmoot.protocol.key import block_start
from folkmoot.protocol.limits import (
    BLOCKS_PER_LANE,
    STORE_BLOCK_PLAIN_CELLS,
    STORE_RUNS_KEPT,
    STORE_SCAN_ROWS,
)
from folkmoot.protocol.sync.fingerprint import Fingerprint, Leaf, leaf_hash
from folkmoot.protocol.sync.runs import Runs
from folkmoot.protocol.sync.view import BlockView
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.heads import SEQUENCE, erased_sequence
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.rows import block_key, log_key, row_block, row_cell, unseal

OnDamage = Callable[[StoreCorrupt], None]

# Ranges in question are mostly small; a listing takes what a frame holds.
_FIRST_ROWS: Final = 128


def block_view(engine: Engine, heavy: HeavyBlocks, on_damage: OnDamage) -> BlockView:
    """A view over the leaves of the store in `engine`; of damaged cells `on_damage` is told."""

    def sums(first: int, last: int) -> Iterable[tuple[int, Fingerprint]]:
        with engine.begin() as transaction:
            return [
                (int.from_bytes(key, "big"), Fingerprint(*row_block(key, row)))
                for key, row in transaction.scan(Table.BLOCKS, block_key(first), block_key(last))
            ]

    def scan(start: bytes, end: bytes) -> Iterator[Leaf]:
        return leaves(engine, start, end, on_damage)

    return BlockView(sums, scan, heavy.runs)


class _Known(NamedTuple):
    """The runs of a block, which know of all changes up to a sequence, and perhaps of some after it."""

    sequence: int
    runs: Runs


class HeavyBlocks:
    """The runs of blocks with many cells, as many as are asked about and memory is allowed for.

    Two threads that ask about the same block at once may both read it; what either keeps is right.

    Args:
        engine: holds the cells.
        on_damage: told of damaged cells.
    """

    def __init__(self, engine: Engine, on_damage: OnDamage) -> None:
        self._engine = engine
        self._on_damage = on_damage
        self._lock = threading.Lock()
        # The one asked about last comes last.
        self._known: dict[int, _Known] = {}
        self._forgotten = 0

    def runs(self, block: int) -> Runs | None:
        """The runs of a block as it is now; None when it has so few cells that they are read instead.

        Raises:
            StoreCorrupt: what the store says of the block is damaged.
        """
        key, forgotten = block_key(block), self._forgotten
        with self._engine.begin() as transaction:
            row, last = transaction.get(Table.BLOCKS, key), transaction.get(Table.META, SEQUENCE)
            erased = erased_sequence(transaction, block // BLOCKS_PER_LANE)
        count = 0 if row is None else row_block(key, row)[0]
        if last is None or count <= STORE_BLOCK_PLAIN_CELLS:
            return None
        sequence = int.from_bytes(unseal(Table.META, SEQUENCE, last), "big")
        known = self._known.get(block)
        if known is not None and known.sequence < erased:
            known = None
        runs = known and self._renewed(block, known, sequence, count)
        if runs is None:
            runs = Runs.of(block_start(block), block_start(block + 1), self._scan)
        self._keep(block, _Known(sequence, runs), forgotten)
        return runs

    def forget(self, block: int) -> None:
        """Read a block anew when it is next asked about: its rows are not what its log made of them."""
        with self._lock:
            self._known.pop(block, None)
            self._forgotten += 1

    def _renewed(self, block: int, known: _Known, sequence: int, count: int) -> Runs | None:
        """What is known, brought up to date; None when reading the block anew is less work."""
        if known.sequence == sequence:
            return known.runs
        log = changes(self._engine, block // BLOCKS_PER_LANE, known.sequence)
        changed = known.runs.holding(islice(log, count))
        return known.runs.renewed(changed, self._scan) if next(log, None) is None else None

    def _keep(self, block: int, known: _Known, forgotten: int) -> None:
        with self._lock:
            if forgotten != self._forgotten:  # it may come from what was to be forgotten
                return
            self._known.pop(block, None)
            self._known[block] = known
            kept = sum(len(one.runs) for one in self._known.values())
            while kept > STORE_RUNS_KEPT and len(self._known) > 1:
                kept -= len(self._known.pop(next(iter(self._known))).runs)

    def _scan(self, start: bytes, end: bytes) -> Iterator[Leaf]:
        return leaves(self._engine, start, end, self._on_damage)


def leaves(engine: Engine, start: bytes, end: bytes, on_damage: OnDamage) -> Iterator[Leaf]:
    """Keys and leaf hashes of the cells with start ≤ key < end (an empty `end` is the end), in order.

    A damaged cell counts as absent, so that a replica which has it whole is asked for it.
    """
    for key, row in table_rows(engine, Table.CELLS, start, end):
        try:
            cell = row_cell(key, row)
        except StoreCorrupt as error:
            on_damage(error)
        else:
            yield key, leaf_hash(key, cell)


def changes(engine: Engine, lane: int, after_sequence: int) -> Iterator[bytes]:
    """The keys of the cells of a lane (0–63) that have changed after a sequence, each once.

    Raises:
        StoreCorrupt: the log is damaged.
    """
    for at, row in table_rows(engine, Table.LOG, log_key(lane, after_sequence + 1), bytes((lane + 1,))):
        yield unseal(Table.LOG, at, row)


def table_rows(engine: Engine, table: Table, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The rows with start ≤ key < end: the first few at once, and more at a time as more are taken."""
    most = _FIRST_ROWS
    while True:
        with engine.begin() as transaction:
            rows = list(islice(transaction.scan(table, start, end), most))
        yield from rows
        if len(rows) < most:
            return
        start = rows[-1][0] + b"\0"
        most = min(2 * most, STORE_SCAN_ROWS)
