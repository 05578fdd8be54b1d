"""Feeds as a client reads them: page after page until the last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from folkmoot.protocol.connection import Params

Call = Callable[[str, Params], Awaitable[dict[str, Any]]]


class Page(NamedTuple):
    """One page.

    Args:
        items: `{record, labels, counts}` each, newest first; of notifications with `notice`, too.
        cursor: where the next page begins; None after the last.
        unread: of notifications, how many are unread, at most 100; None but on the first page.
        read_until: up to when they were seen, microseconds since 1970; None on other pages.
    """

    items: list[dict[str, Any]]
    cursor: bytes | None
    unread: int | None = None
    read_until: int | None = None


class Pages:
    """An asynchronous iterator over the pages of a feed.

    Args:
        call: asks.
        method: of the feed.
        params: the first page's.
    """

    def __init__(self, call: Call, method: str, params: Params) -> None:
        self._call = call
        self._method = method
        self._params: Params | None = params

    def __aiter__(self) -> Pages:
        return self

    async def __anext__(self) -> Page:
        if self._params is None:
            raise StopAsyncIteration
        result = await self._call(self._method, self._params)
        cursor = result.get("cursor")
        self._params = None if cursor is None else self._params | {"cursor": cursor}
        return Page(result["items"], cursor, result.get("unread"), result.get("read_until"))
