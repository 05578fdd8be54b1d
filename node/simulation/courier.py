"""The courier carries everything that is on its way: one task, one heap of what is due when.

Deliveries are plain calls that must not wait. Those due at one moment are made in the order they were sent,
so that nothing depends on the scheduler's choice between tasks that sleep until the same instant.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count

import trio

Delivery = Callable[[], None]


class Courier:
    """See the module. `run` must be running for anything to arrive."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Delivery]] = []
        self._order = count()
        self._nap = trio.CancelScope()

    def send(self, at: float, deliver: Delivery) -> None:
        """Call `deliver` at the virtual time `at` (seconds), or soon if that has passed."""
        heapq.heappush(self._due, (at, next(self._order), deliver))
        if at < self._nap.deadline:
            self._nap.deadline = at

    async def run(self) -> None:
        """Deliver, for ever."""
        while True:
            deadline = self._due[0][0] if self._due else math.inf
            with trio.CancelScope(deadline=deadline) as self._nap:
                await trio.sleep_forever()
            now = trio.current_time()
            while self._due and self._due[0][0] <= now:
                heapq.heappop(self._due)[2]()
