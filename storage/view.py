"""The store as reconciliation reads it: whole blocks from their sums, the rest from the cells.

Cells are read in transactions of bounded length, so that a long slice never holds a reader; while somebody
writes, an answer may therefore mix moments: good for finding differences, not for proving equality.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from folkmoot.protocol.limits import STORE_SCAN_ROWS
from folkmoot.protocol.sync.fingerprint import Fingerprint, leaf_hash
from folkmoot.protocol.sync.view import BlockView, Leaf
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.rows import block_key, row_block, row_cell


def block_view(engine: Engine) -> BlockView:
    """A view over the leaves of the store in `engine`."""

    def sums(first: int, last: int) -> Iterable[tuple[int, Fingerprint]]:
        with engine.begin() as transaction:
            return [
                (int.from_bytes(key, "big"), Fingerprint(*row_block(key, row)))
                for key, row in transaction.scan(Table.BLOCKS, block_key(first), block_key(last))
            ]

    def scan(start: bytes, end: bytes, limit: int | None) -> Iterator[Leaf]:
        return islice(leaves(engine, start, end), limit)

    return BlockView(sums, scan)


def leaves(engine: Engine, start: bytes, end: bytes) -> Iterator[Leaf]:
    """Keys and leaf hashes of the cells with start ≤ key < end (an empty `end` is the end), in order.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    while True:
        with engine.begin() as transaction:
            rows = list(islice(transaction.scan(Table.CELLS, start, end), STORE_SCAN_ROWS))
        for key, row in rows:
            yield key, leaf_hash(key, row_cell(key, row))
        if len(rows) < STORE_SCAN_ROWS:
            return
        start = rows[-1][0] + b"\0"
