"""Mending: what is derived from cells, derived anew where a cell was found damaged.

A damaged row says neither what its cell was nor at which sequence it changed last. So when it is taken out,
its place in the log is looked for, and its block's sum and its post's counts are worked out again from the
cells that are whole. Cells that are damaged themselves count as absent: another replica that has them will
differ, and be asked.
"""

from __future__ import annotations

from contextlib import suppress

from folkmoot.protocol.key import block_start, lane_of
from folkmoot.protocol.sync.fingerprint import leaf_hash
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import log_key, row_cell, unseal


def take_out(transaction: Transaction, key: bytes) -> None:
    """Remove the row of a cell, and whatever the log says of it."""
    transaction.delete(Table.CELLS, key)
    lane = lane_of(key)
    named = [
        at
        for at, row in transaction.scan(Table.LOG, log_key(lane, 0), bytes((lane + 1,)))
        if _names(at, row, key)
    ]
    for at in named:
        transaction.delete(Table.LOG, at)


def block_of_cells(transaction: Transaction, block: int) -> tuple[int, int]:
    """How many whole cells a block has, and the sum of their hashes."""
    count = total = 0
    for key, row in transaction.scan(Table.CELLS, block_start(block), block_start(block + 1)):
        with suppress(StoreCorrupt):
            total += int.from_bytes(leaf_hash(key, row_cell(key, row)), "big")
            count += 1
    return count, total


def _names(at: bytes, row: bytes, key: bytes) -> bool:
    with suppress(StoreCorrupt):
        return unseal(Table.LOG, at, row) == key
    return False
