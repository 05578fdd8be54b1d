"""Weighing: how much the cells of a stretch of the key space come to, and where half of it is.

A stretch is read in steps, each a short transaction of its own, so that nothing waits for it; what changes
meanwhile is weighed as it is when it is read, which is near enough. Of what was read, a bounded number of
*marks* is kept: between two accounts, how much came before. When there are too many, every other one goes.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

from folkmoot.protocol.key import PLACE_PREFIX_BYTES
from folkmoot.protocol.limits import STORE_STEP_ROWS
from folkmoot.storage.interface import Engine, Table

MARKS_MAX: Final = 1_024


class Weight(NamedTuple):
    """What a stretch comes to.

    Args:
        cells: how many.
        size: bytes of their keys and rows.
        middle: the bound between two accounts that is nearest to half of that; None when there is only one
            account, or none.
    """

    cells: int
    size: int
    middle: bytes | None


class Weighing:
    """One stretch, stepped to its end.

    Args:
        engine: holds the cells.
        start, end: the stretch; an empty `end` is the end of the key space.
    """

    def __init__(self, engine: Engine, start: bytes, end: bytes) -> None:
        self._engine = engine
        self._at = start
        self._end = end
        self._account: bytes | None = None
        self._cells = self._size = 0
        self._grain = 0
        self._marks: list[tuple[bytes, int]] = []

    def step(self) -> bool:
        """Read the next cells, at most `STORE_STEP_ROWS`; whether there may be more."""
        with self._engine.begin() as transaction:
            rows = islice(transaction.scan(Table.CELLS, self._at, self._end), STORE_STEP_ROWS)
            sizes = [(key, len(key) + len(row)) for key, row in rows]
        for key, size in sizes:
            self._meet(key[:PLACE_PREFIX_BYTES])
            self._size += size
        self._cells += len(sizes)
        if len(sizes) < STORE_STEP_ROWS:
            return False
        self._at = sizes[-1][0] + b"\0"
        return True

    def weight(self) -> Weight:
        """What was read so far comes to."""
        half = self._size / 2
        nearest = min(self._marks, key=lambda mark: abs(mark[1] - half), default=None)
        return Weight(self._cells, self._size, None if nearest is None else nearest[0])

    def _meet(self, account: bytes) -> None:
        """A cell of an account comes next."""
        if account == self._account:
            return
        if self._account is not None and (not self._marks or self._size - self._marks[-1][1] >= self._grain):
            self._marks.append((account, self._size))
            if len(self._marks) > MARKS_MAX:
                del self._marks[1::2]
                self._grain = max(1, 2 * self._grain, self._size // MARKS_MAX)
        self._account = account
