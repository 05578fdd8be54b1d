"""Erasing: a slice of the key space is removed, with everything that is derived from its cells.

A transaction removes a bounded number of cells, each together with its row of the log, its share of its
block's sum and of a post's counts, and the hints that point at it. So after each one the store is as if those
cells had never been there, whatever happens before the next.

A log names the cells that are there, and says nothing of those that are gone. So it is kept beside it at
which sequence cells of a lane were last erased; what somebody has made of the log before that, and keeps
current by it, is worked out anew (see `view` and `recount`).
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from folkmoot.protocol.key import lane_of
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.transaction import WriteTransaction


class Erased(NamedTuple):
    """What one transaction removed.

    Attributes:
        cells: how many.
        damaged: the keys of cells that are damaged, and stand where they stood; see `mending.drop`.
        resume: where to go on; None when nothing else is left.
    """

    cells: int
    damaged: list[bytes]
    resume: bytes | None


def erase(transaction: WriteTransaction, start: bytes, end: bytes, most: int) -> Erased:
    """Remove the first cells with start ≤ key < end (an empty `end` is the end), and all hints of them.

    Args:
        most: at most so many cells, and so many hints.

    Raises:
        StoreCorrupt: what would be changed with them is damaged; nothing may be committed.
    """
    found = list(islice(transaction.rows.scan(Table.CELLS, start, end), most))
    damaged = []
    for key, row in found:
        try:
            transaction.remove(key, row)
        except StoreCorrupt as error:
            if error.cell_key != key:
                raise
            damaged.append(key)
    for lane in sorted({lane_of(key) for key, _ in found}):
        transaction.erased(lane)
    resume = found[-1][0] + b"\0" if len(found) == most else None
    if not transaction.forget_hints(start, end if resume is None else resume, most):
        resume = start
    return Erased(len(found) - len(damaged), damaged, resume)
