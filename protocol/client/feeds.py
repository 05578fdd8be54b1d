"""Feeds as a client reads them: page after page until the last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from folkmoot.protocol.connection import Params

Call = Callable[[str, Params], Awaitable[dict[str, Any]]]


class Page(NamedTuple):
    """One page.

    Args:
        items: `{record, labels, counts}` each, newest first.
        cursor: where the next page begins; None after the last.
    """

    items: list[dict[str, Any]]
    cursor: bytes | None


class AuthorFeed:
    """An asynchronous iterator over the pages of `feed.author`.

    Args:
        call: asks.
        params: the first page's.
    """

    def __init__(self, call: Call, params: Params) -> None:
        self._call = call
        self._params: Params | None = params

    def __aiter__(self) -> AuthorFeed:
        return self

    async def __anext__(self) -> Page:
        if self._params is None:
            raise StopAsyncIteration
        result = await self._call("feed.author", self._params)
        cursor = result.get("cursor")
        self._params = None if cursor is None else self._params | {"cursor": cursor}
        return Page(result["items"], cursor)
