"""Block aggregates: what lets two replicas compare a slice of the key space without reading it.

The key space is cut into 4,096 blocks (see docs/decisions/0006). Of each block the store keeps how many
cells it has and the sum, modulo 2^256, of SHA-256(key ‖ cell). A sum can be kept up to date by adding and
subtracting, adds up over neighbouring slices, and tells any two sets of cells apart unless somebody can find
a collision in sums of SHA-256; authors choose their bytes, which is why the sum is as wide as the hash.

Source: A. Meyer, "Range-Based Set Reconciliation" (2023); M. Bellare and D. Micciancio, "A New Paradigm for
Collision-Free Hashing: Incrementality at Reduced Cost" (1997), for sums of hashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from folkmoot.protocol.key import block_of, block_start
from folkmoot.protocol.limits import BLOCKS, STORE_SCAN_ROWS
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.rows import SUM_MASK, block_key, cell_hash, pack_block, row_cell, unpack_block


class Fingerprint(NamedTuple):
    """How many cells a slice has and the sum of their hashes mod 2^256."""

    cells: int
    total: int


class BlockSums:
    """All aggregates, as the last commit left them; kept by whoever writes, so that no row is read to
    change one."""

    __slots__ = ("_counts", "_totals")

    def __init__(self, transaction: Transaction) -> None:
        self._counts = [0] * BLOCKS
        self._totals = [0] * BLOCKS
        for key, row in transaction.scan(Table.BLOCKS):
            block = int.from_bytes(key, "big")
            self._counts[block], self._totals[block] = unpack_block(row)

    def write(self, transaction: Transaction, changes: dict[int, list[int]]) -> None:
        """Write the changed aggregates: block → [cells added, change of the sum]."""
        for block in sorted(changes):
            added, change = changes[block]
            row = pack_block(self._counts[block] + added, (self._totals[block] + change) & SUM_MASK)
            transaction.put(Table.BLOCKS, block_key(block), row)

    def committed(self, changes: dict[int, list[int]]) -> None:
        """Take over what `write` wrote, once it is durable."""
        for block, (added, change) in changes.items():
            self._counts[block] += added
            self._totals[block] = (self._totals[block] + change) & SUM_MASK


def fingerprint(engine: Engine, start: bytes, stop: bytes) -> Fingerprint:
    """The fingerprint of the cells with start ≤ key < stop (an empty `stop` is the end).

    Whole blocks are looked up; at the edges cells are read, in transactions of bounded length, so that while
    somebody writes the result may mix moments: good for finding differences, not for proving equality.
    """
    first = _first_whole_block(start)
    last = BLOCKS if not stop else block_of(stop.ljust(2, b"\0"))
    if first >= last:
        return _scan(engine, start, stop)
    cells, total = _scan(engine, start, block_start(first))
    if last < BLOCKS:
        tail = _scan(engine, block_start(last), stop)
        cells, total = cells + tail.cells, total + tail.total
    with engine.begin() as transaction:
        end = block_key(last) if last < BLOCKS else b""
        for _, row in transaction.scan(Table.BLOCKS, block_key(first), end):
            block_cells, block_total = unpack_block(row)
            cells += block_cells
            total += block_total
    return Fingerprint(cells, total & SUM_MASK)


def hashes(transaction: Transaction, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and hashes of the cells with start ≤ key < stop.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    for key, row in transaction.scan(Table.CELLS, start, stop):
        yield key, cell_hash(key, row_cell(key, row))


def _scan(engine: Engine, start: bytes, stop: bytes) -> Fingerprint:
    cells = total = 0
    while True:
        scanned = 0
        with engine.begin() as transaction:
            for key, digest in hashes(transaction, start, stop):
                total += int.from_bytes(digest, "big")
                scanned += 1
                if scanned == STORE_SCAN_ROWS:
                    start = key + b"\0"
                    break
        cells += scanned
        if scanned < STORE_SCAN_ROWS:
            return Fingerprint(cells, total & SUM_MASK)


def _first_whole_block(start: bytes) -> int:
    """The least block that begins at or after `start`."""
    block = block_of(start.ljust(2, b"\0"))
    return block if block_start(block).ljust(len(start), b"\0") == start.ljust(2, b"\0") else block + 1
