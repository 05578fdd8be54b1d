"""Block aggregates: what lets two replicas compare a slice of the key space without reading it.

The key space is cut into 4,096 blocks (see docs/decisions/0006). Of each block the store keeps how many
cells it has and the sum, modulo 2^256, of their leaf hashes (`protocol.sync.fingerprint`). A sum can be kept
up to date by adding and subtracting, adds up over neighbouring slices, and tells any two sets of cells apart
unless somebody can find a collision in sums of SHA-256; authors choose their bytes, which is why the sum is
as wide as the hash.

Source: A. Meyer, "Range-Based Set Reconciliation" (2023); M. Bellare and D. Micciancio, "A New Paradigm for
Collision-Free Hashing: Incrementality at Reduced Cost" (1997), for sums of hashes.
"""

from __future__ import annotations

from folkmoot.protocol.limits import BLOCKS
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import SUM_MASK, block_key, block_row, row_block


class BlockSums:
    """All aggregates, as the last commit left them; kept by whoever writes, so that no row is read to
    change one.

    Raises:
        StoreCorrupt: a row is damaged.
    """

    __slots__ = ("_counts", "_totals")

    def __init__(self, transaction: Transaction) -> None:
        self._counts = [0] * BLOCKS
        self._totals = [0] * BLOCKS
        for key, row in transaction.scan(Table.BLOCKS):
            block = int.from_bytes(key, "big")
            self._counts[block], self._totals[block] = row_block(key, row)

    def write(self, transaction: Transaction, changes: dict[int, list[int]]) -> None:
        """Write the changed aggregates, block → [cells added, change of the sum]; empty ones have no row."""
        for block in sorted(changes):
            added, change = changes[block]
            key = block_key(block)
            count, total = self._counts[block] + added, (self._totals[block] + change) & SUM_MASK
            if count or total:
                transaction.put(Table.BLOCKS, key, block_row(key, count, total))
            else:
                transaction.delete(Table.BLOCKS, key)

    def correction(self, block: int, count: int, total: int) -> list[int]:
        """What `write` must be given for a block to come to this count and this sum."""
        return [count - self._counts[block], (total - self._totals[block]) & SUM_MASK]

    def committed(self, changes: dict[int, list[int]]) -> None:
        """Take over what `write` wrote, once it is durable."""
        for block, (added, change) in changes.items():
            self._counts[block] += added
            self._totals[block] = (self._totals[block] + change) & SUM_MASK
