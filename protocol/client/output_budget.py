"""What is held for those who do not read: one bound on the unread output of many links.

Each link bounds what it holds itself, but a thousand links may each be just within their bound. Their sum is
bounded here, by a threshold that moves: a link may hold an eighth of what is still free. One that is alone
may so pipeline as much as it likes, many greedy ones get little each, and some room is always left for the
next. When that is too little for a link that holds little itself, those who read slowest are cut, so that
somebody who never reads cannot keep the room from the others. Slowness is the age of the oldest byte that is
unread, which no trickle of reading makes younger.

Short messages, such as acknowledgements and refusals, may always be held. Should even they use up the
budget, the slowest link is cut however fast it is: the bound holds whatever happens.

Source: A. K. Choudhury and E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet switches",
IEEE/ACM Transactions on Networking 6(2), 1998, for the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import trio
from folkmoot.protocol import limits

_OF_FREE: Final = 1 / 8


class OutputBudget:
    """Bytes that links together may hold unread.

    Args:
        total_bytes: how many.
        fair_bytes: what any link may hold at the expense of slower ones.
    """

    def __init__(self, total_bytes: float = math.inf, fair_bytes: float = math.inf) -> None:
        self._total_bytes = total_bytes
        self._fair_bytes = fair_bytes
        self._shares: dict[OutputShare, None] = {}
        self.held_bytes = 0

    def share(self, most_bytes: int, on_cut: Callable[[], None]) -> OutputShare:
        """One link's part in the budget.

        Args:
            most_bytes: what the link may hold however much is free.
            on_cut: called when the link has to end, its share being closed already; must not wait.
        """
        share = OutputShare(self, most_bytes, on_cut)
        self._shares[share] = None
        return share

    @property
    def threshold_bytes(self) -> float:
        """What a link may hold now."""
        return (self._total_bytes - self.held_bytes) * _OF_FREE

    def has_room(self, link_bytes: int) -> bool:
        """Whether one link may hold `link_bytes` in all; a modest one has those cut who are slow for long."""
        if self.threshold_bytes < link_bytes <= self._fair_bytes:
            self._cut_slowest(self._total_bytes - link_bytes / _OF_FREE, limits.OUTPUT_PATIENCE_S)
        return link_bytes <= self.threshold_bytes

    def change(self, size: int) -> None:
        """`size` bytes more are held, or fewer."""
        self.held_bytes += size
        if self.held_bytes > self._total_bytes:
            self._cut_slowest(self._total_bytes, 0.0)

    def forget(self, share: OutputShare) -> None:
        """A link has ended."""
        self._shares.pop(share, None)

    def _cut_slowest(self, target_bytes: float, patience_s: float) -> None:
        """Cut links until no more than `target_bytes` are held, or nobody is behind for `patience_s`."""
        now = trio.current_time()
        while self.held_bytes > target_bytes:
            slowest = max(self._shares, key=lambda share: share.behind_s(now), default=None)
            if slowest is None or slowest.behind_s(now) < patience_s:
                return
            slowest.cut()


class OutputShare:
    """What one link holds unread.

    Args:
        budget: what it is a part of.
        most_bytes: what this link may hold however much is free.
        on_cut: ends the link.
    """

    def __init__(self, budget: OutputBudget, most_bytes: int, on_cut: Callable[[], None]) -> None:
        self._budget = budget
        self._most_bytes = most_bytes
        self._on_cut = on_cut
        self._closed = False
        self._mark_s = 0.0  # when the mark was set: at the end of what was held then
        self._mark_bytes = 0  # held before the mark, and unread still
        self.held_bytes = 0

    def has_room(self, size: int) -> bool:
        """Whether an answer of `size` bytes may be held."""
        link_bytes = self.held_bytes + size
        if link_bytes > self._most_bytes:
            return False
        return size <= limits.OUTPUT_SHORT_BYTES or self._budget.has_room(link_bytes)

    @property
    def is_full(self) -> bool:
        """Whether the link holds so much that there is no point in asking for more."""
        if not self.held_bytes:
            return False
        return self.held_bytes >= self._most_bytes or self.held_bytes > self._budget.threshold_bytes

    def take(self, size: int) -> None:
        """Hold `size` bytes more."""
        if self._closed:
            return
        self.held_bytes += size
        if not self._mark_bytes:
            self._mark()
        self._budget.change(size)

    def give_back(self, size: int) -> None:
        """`size` bytes were sent."""
        if self._closed:
            return
        self.held_bytes -= size
        self._mark_bytes -= size
        if self._mark_bytes <= 0:
            self._mark()
        self._budget.change(-size)

    def behind_s(self, now: float) -> float:
        """For how long at least the oldest unread byte has been waiting; -1 when all is read."""
        return now - self._mark_s if self._mark_bytes else -1.0

    def cut(self) -> None:
        """Make room for others."""
        self.close()
        self._on_cut()

    def close(self) -> None:
        """Nothing is held any more."""
        if not self._closed:
            self._closed = True
            self._budget.change(-self.held_bytes)
            self._budget.forget(self)
            self.held_bytes = self._mark_bytes = 0

    def _mark(self) -> None:
        self._mark_bytes = self.held_bytes
        if self._mark_bytes:  # when all is read there is no need of a time
            self._mark_s = trio.current_time()
