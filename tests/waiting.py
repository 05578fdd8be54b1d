"""Waiting for a condition, with a deadline: the only place where a test lets real time pass."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeVar, overload

import trio

T = TypeVar("T")

POLL_S = 0.01


class NeverHappened(AssertionError):
    """The deadline passed; the message says what was waited for."""


@overload
async def until(condition: Callable[[], Awaitable[T]], *, what: str, within_s: float = 10.0) -> T: ...


@overload
async def until(condition: Callable[[], T], *, what: str, within_s: float = 10.0) -> T: ...


async def until(condition: Callable[[], Any], *, what: str, within_s: float = 10.0) -> Any:
    """Poll `condition` until it is true and return its value.

    Args:
        condition: a plain or async function without arguments.
        what: what is waited for, as it should stand in the failure.
        within_s: the deadline in seconds of trio's clock (virtual under a `MockClock`).

    Raises:
        NeverHappened: it was not true in time.
    """
    deadline = trio.current_time() + within_s
    while True:
        outcome = condition()
        value = await outcome if isawaitable(outcome) else outcome
        if value:
            return value
        if trio.current_time() >= deadline:
            raise NeverHappened(f"{what}: not within {within_s} s (last: {value!r})")
        await trio.sleep(POLL_S)


def until_blocking(condition: Callable[[], T], *, what: str, within_s: float = 10.0) -> T:
    """`until` for tests without trio.

    Raises:
        NeverHappened: it was not true in time.
    """
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise NeverHappened(f"{what}: not within {within_s} s (last: {value!r})")
        time.sleep(POLL_S)
