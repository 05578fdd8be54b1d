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
        self._changed = trio.lowlevel.ParkingLot()
        self._passes = 0
        self._items = 0

    def submit(self, item: T) -> None:
        """Have `item` carried soon."""
        self._waiting.setdefault(self._origin(item), deque()).append(item)
        self._waiting_count += 1
        self._waiting_size += self._size(item)
        if self._waiting_count == 1 or self._waiting_size >= self._most:
            self._changed.unpark()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry until cancelled."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                while not self._waiting or self._under_way >= self._under_way_most:
                    await self._changed.park()
                with trio.move_on_after(self._moment_s):
                    while not self._latest_ended and self._waiting_size < self._most:
                        await self._changed.park()
                items = self._take()
                nursery.start_soon(self._one, items, self._passes)

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
        self._passes += 1
        self._items += len(items)
        self._under_way += 1
        self._latest_ended = False
        return items

    async def _one(self, items: list[T], number: int) -> None:
        try:
            await self._carry(items)
        finally:
            self._under_way -= 1
            self._latest_ended |= number == self._passes
            self._changed.unpark()
