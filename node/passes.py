"""Passes: what arrives one by one is carried together.

Whatever is done for a batch has a price of its own (an fsync, a message to each peer, some turns of the
loop) beside what each item costs, and under load that price decides. So things are carried in passes: one
that comes while nothing is under way goes at once, alone; while a pass is under way, what comes gathers until
that pass has ended or a moment has gone by, whichever is first. A pass that takes long so holds up nobody for
more than the moment, and there are never more passes a second than moments, however fast things come.

Source: P. Helland et al., "Group commit timers and high volume transaction systems" (1987).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

import trio

T = TypeVar("T")


class PassStatistics(NamedTuple):
    """What has been carried since the beginning.

    Args:
        passes: how many passes were begun.
        items: how many items they carried.
        under_way: passes that have not ended.
        waiting: items that no pass has taken yet.
    """

    passes: int
    items: int
    under_way: int
    waiting: int


class Passes(Generic[T]):
    """See the module. Who submits bounds what waits.

    Args:
        carry: carries the items of one pass; answers for them itself, and raises for bugs only.
        size: how much of a pass an item takes up.
        origin: whom an item is for: when there is more than a pass holds, origins take turns.
        most: a pass of this size is full, and goes without waiting for the moment to end.
        under_way_most: so many passes at once, however many are full.
        moment_s: how long what comes during a pass may wait for more, in seconds.
    """

    def __init__(
        self,
        carry: Callable[[list[T]], Awaitable[None]],
        size: Callable[[T], int],
        origin: Callable[[T], Hashable],
        *,
        most: int,
        under_way_most: int,
        moment_s: float,
    ) -> None:
        self._carry = carry
        self._size = size
        self._origin = origin
        self._most = most
        self._under_way_most = under_way_most
        self._moment_s = moment_s
        self._waiting: dict[Hashable, deque[T]] = {}  # whose turn is next comes first
        self._waiting_count = 0
        self._waiting_size = 0
        self._under_way = 0
        self._latest_ended = True
        self._starting = 0  # passes that take what waits in this turn of the loop
        self._due_s: float | None = None  # when what waits has waited for a moment
        self._due_set = trio.lowlevel.ParkingLot()
        self._nursery: trio.Nursery | None = None
        self._passes = 0
        self._items = 0

    def submit(self, item: T) -> None:
        """Have `item` carried soon."""
        self._waiting.setdefault(self._origin(item), deque()).append(item)
        self._waiting_count += 1
        self._waiting_size += self._size(item)
        self._start()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery, self._starting = nursery, 0
            task_status.started()
            self._start()
            try:
                await self._keep_time()
            finally:
                self._nursery = None  # it takes no more tasks, though more may still be submitted

    async def _keep_time(self) -> None:
        """Start a pass whenever what waits has waited for a moment."""
        while True:
            while self._due_s is None:
                await self._due_set.park()
            due_s = self._due_s
            await trio.sleep_until(due_s)
            if self._due_s == due_s:
                self._due_s = None
                self._start(overdue=True)

    def _start(self, *, overdue: bool = False) -> None:
        """Start a pass if there is reason to; else see that what waits does so for no more than a moment.

        A pass takes its items when its task begins, and so together with what else comes in this turn.
        """
        if self._nursery is None or not self._waiting:
            return
        if self._under_way + self._starting >= self._under_way_most:
            return
        idle = not self._starting and (self._latest_ended or not self._moment_s)
        if idle or overdue or self._waiting_size >= self._most * (self._starting + 1):
            self._starting += 1
            self._nursery.start_soon(self._one)
        elif self._due_s is None and not self._starting:
            self._due_s = trio.current_time() + self._moment_s
            self._due_set.unpark()

    def statistics(self) -> PassStatistics:
        """What has been carried so far."""
        return PassStatistics(self._passes, self._items, self._under_way, self._waiting_count)

    def _take(self) -> list[T]:
        """The items of the next pass: one of each origin in turn, until it is full."""
        items: list[T] = []
        size = 0
        while self._waiting and size < self._most:
            origin = next(iter(self._waiting))
            waiting = self._waiting.pop(origin)
            item = waiting.popleft()
            if waiting:
                self._waiting[origin] = waiting
            size += self._size(item)
            items.append(item)
        self._waiting_count -= len(items)
        self._waiting_size -= size
        if not self._waiting:
            self._due_s = None
        self._passes += 1
        self._items += len(items)
        self._under_way += 1
        self._latest_ended = False
        return items

    async def _one(self) -> None:
        self._starting -= 1
        if not self._waiting:
            return
        items = self._take()
        number = self._passes
        self._start()  # for what this one had no room for
        try:
            await self._carry(items)
        finally:
            self._under_way -= 1
            self._latest_ended |= number == self._passes
            self._start()
