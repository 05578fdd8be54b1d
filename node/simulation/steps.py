"""Blocking work within a simulation: a thread that runs only while the event loop stands still for it.

A program that reads a node's store beside it takes a while, in which the node goes on. Here the work says
where time may pass; there it stops, virtual time passes, and it goes on. One of the two runs at any moment,
so everything remains a function of the seed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import trio

T = TypeVar("T")

Rest = Callable[[], None]
"""Called by the work, on its thread, where time may pass."""


class _Abandoned(BaseException):
    """Raised in the work when nobody waits for it any more."""


class Steps(Generic[T]):
    """See the module.

    Args:
        work: called once, on a thread of its own, with a way to rest.
        pause_s: draws how long each rest is, in virtual seconds.
    """

    def __init__(self, work: Callable[[Rest], T], pause_s: Callable[[], float]) -> None:
        self._work = work
        self._pause_s = pause_s
        self._goes_on = threading.Semaphore(0)
        self._rests = threading.Semaphore(0)
        self._abandoned = False
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    async def run(self) -> T:
        """Work until the end: what came of it, or what it raised. When cancelled, it ends where it rests."""
        self._thread.start()
        try:
            while self._step():  # noqa: ASYNC110 (the work is what is waited for)
                await trio.sleep_until(trio.current_time() + self._pause_s())
        finally:
            self._abandoned = True
            # Not by asking whether the thread lives: one that has ended its work may do so for a moment.
            while not self._has_ended() and self._step():
                pass
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _step(self) -> bool:
        """Let the work go on to where it rests next; False at its end."""
        self._goes_on.release()
        self._rests.acquire()
        return not self._has_ended()

    def _has_ended(self) -> bool:
        return bool(self._result) or self._error is not None

    def _rest(self) -> None:
        self._rests.release()
        self._goes_on.acquire()
        if self._abandoned:
            raise _Abandoned

    def _run(self) -> None:
        self._goes_on.acquire()
        try:
            self._result.append(self._work(self._rest))
        except BaseException as error:
            self._error = error
        finally:
            self._rests.release()
