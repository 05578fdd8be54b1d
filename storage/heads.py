"""What the writer remembers of the last commit, so that no row is read to write the next."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.limits import BLOCKS_PER_LANE, LANES
from folkmoot.storage.blocks import BlockSums
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import unseal
from folkmoot.storage.shown import ShownCaches, Sizes

SEQUENCE: Final = b"sequence"


def erased_name(lane: int) -> bytes:
    """Under which name it is kept at which sequence cells of a lane (0–63) were last erased."""
    return b"erased-%d" % lane


def erased_sequence(transaction: Transaction, lane: int) -> int:
    """What is kept there; 0 for never. What was made of the log before that may name cells that are gone.

    Raises:
        StoreCorrupt: it is damaged.
    """
    name = erased_name(lane)
    row = transaction.get(Table.META, name)
    return 0 if row is None else int.from_bytes(unseal(Table.META, name, row), "big")


class Heads:
    """See the module.

    Attributes:
        blocks: the block aggregates.
        sequence: the greatest change sequence given out.
        lanes: of each lane the latest change to a cell; some later one, until a cell has changed since the
            store was opened.
        hints_dropped: hints that were not kept, since the store was opened.
        shown: what pages show, remembered until it changes.
    """

    __slots__ = ("blocks", "hints_dropped", "lanes", "sequence", "shown")

    def __init__(self, transaction: Transaction) -> None:
        self.blocks = BlockSums(transaction)
        self.sequence = last_sequence(transaction)
        self.lanes = [self.sequence] * LANES
        self.hints_dropped = 0
        self.shown = ShownCaches(Sizes())

    def committed(self, blocks: dict[int, list[int]], sequence: int) -> None:
        """These changes of blocks are durable, and all up to this sequence. Any thread may look meanwhile."""
        self.blocks.committed(blocks)
        for block in blocks:
            self.lanes[block // BLOCKS_PER_LANE] = sequence
        self.sequence = sequence  # last: who sees it sees the lanes as well


def last_sequence(transaction: Transaction) -> int:
    """The greatest change sequence given out, as a transaction sees it.

    Raises:
        StoreCorrupt: the row is damaged.
    """
    row = transaction.get(Table.META, SEQUENCE)
    return 0 if row is None else int.from_bytes(unseal(Table.META, SEQUENCE, row), "big")
