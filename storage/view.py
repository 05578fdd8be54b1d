"""The store as reconciliation reads it: whole blocks from their sums, the rest from the cells."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from folkmoot.protocol.sync.fingerprint import Fingerprint
from folkmoot.protocol.sync.view import BlockView, Leaf
from folkmoot.storage import blocks, rows
from folkmoot.storage.interface import Table
from folkmoot.storage.store import Store


def block_view(store: Store) -> BlockView:
    """A view over the store's leaves; each question is a short read of its own."""

    def sums(first: int, last: int) -> Iterable[tuple[int, Fingerprint]]:
        stop = rows.block_key(last) if last < 2**16 else b""
        with store.engine.begin() as transaction:
            return [
                (int.from_bytes(key, "big"), Fingerprint(*rows.unpack_block(row)))
                for key, row in transaction.scan(Table.BLOCKS, rows.block_key(first), stop)
            ]

    def scan(start: bytes, end: bytes, limit: int | None) -> Iterable[Leaf]:
        with store.engine.begin() as transaction:
            return list(islice(blocks.hashes(transaction, start, end), limit))

    return BlockView(sums, scan)
