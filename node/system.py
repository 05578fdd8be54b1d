"""The environment of a real node: this machine's clock, generator, sockets, disk and threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import trio

T = TypeVar("T")

VERIFY_THREADS = 2


class SystemWallClock:
    """The machine's clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1000


class ThreadExecutor:
    """Runs work on a few threads of its own, so that nothing else in the process can starve it."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(VERIFY_THREADS)

    async def run(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._limiter)
