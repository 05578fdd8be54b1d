"""A nursery whose tasks' errors are raised as themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def plain_nursery() -> AsyncIterator[trio.Nursery]:
    """A nursery that ends with the first error of its tasks, and raises it without a group around it.

    Callers catch errors by their types; that several tasks did the work is nothing to them.
    """
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error; before all what is none, such as that the caller was cancelled."""
    errors = list(_errors(group))
    return next((error for error in errors if not isinstance(error, Exception)), errors[0])


def _errors(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        error
        for each in group.exceptions
        for error in (_errors(each) if isinstance(each, BaseExceptionGroup) else [each])
    ]
