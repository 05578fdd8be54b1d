"""The client for asyncio programs: the same calls, awaited in asyncio's loop.

trio carries the connection in a thread of its own, as for `BlockingClient`. A call that is cancelled, by a
timeout for example, is given up there, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

from folkmoot.protocol import limits
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.client.accounts import AccountInfo, HandleHolder, History
from folkmoot.protocol.client.background import Background
from folkmoot.protocol.client.client import Client
from folkmoot.protocol.client.errors import ClientError
from folkmoot.protocol.client.feeds import Page
from folkmoot.protocol.client.following import Event, Follow
from folkmoot.protocol.client.puts import Frame, PutResult
from folkmoot.protocol.identity import KeyPair

T = TypeVar("T")


class AsyncioClient:
    """A client to be used as `async with AsyncioClient(address, ca=…) as client`, in any asyncio loop.

    Args:
        addresses: as in `connect`, like every other option; entering connects, and raises what it does.
    """

    def __init__(self, addresses: str | Sequence[str], **options: Any) -> None:
        self._addresses = addresses
        self._options = options
        self._background: Background | None = None

    async def __aenter__(self) -> AsyncioClient:
        assert self._background is None, "a client is entered once"
        self._background = Background(self._addresses, self._options)
        try:
            await asyncio.wrap_future(self._background.opened)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """See `Client.call`."""
        return await self._ask(lambda client: client.call(method, params))

    async def put_records(self, records: Sequence[Frame], level: str = "quorum") -> list[PutResult]:
        """See `Client.put_records`."""
        return await self._ask(lambda client: client.put_records(records, level))

    async def get(
        self, keys: Sequence[tuple[bytes, str, bytes]], *, level: str = "one", history: bool = False
    ) -> list[dict[str, Any] | None]:
        """See `Client.get`."""
        return await self._ask(lambda client: client.get(keys, level=level, history=history))

    async def author_feed(
        self, account: bytes, *, limit: int = limits.PAGE_ITEMS_DEFAULT, level: str = "one"
    ) -> AsyncIterator[Page]:
        """See `Client.author_feed`."""
        pages = self._running().client.author_feed(account, limit=limit, level=level)
        while (page := await self._ask(lambda _: anext(pages, None))) is not None:
            yield page

    async def notifications(
        self, account: bytes, *, requests: bool = False, limit: int = limits.PAGE_ITEMS_DEFAULT
    ) -> AsyncIterator[Page]:
        """See `Client.notifications`."""
        pages = self._running().client.notifications(account, requests=requests, limit=limit)
        while (page := await self._ask(lambda _: anext(pages, None))) is not None:
            yield page

    async def follow(self, what: Mapping[str, Any], **options: Any) -> AsyncGenerator[Event, None]:
        """See `Client.follow`; ends when nobody asks for more."""

        async def begin(client: Client) -> Follow:
            return client.follow(what, **options)

        stream = await self._ask(begin)
        try:
            while True:
                yield await self._ask(lambda _: anext(stream))
        finally:
            with suppress(ClientError):  # closed meanwhile
                await self._ask(lambda _: stream.aclose())

    async def account(self, account: bytes, *, current: bool = False) -> AccountInfo:
        """See `Client.account`."""
        return await self._ask(lambda client: client.account(account, current=current))

    async def account_history(self, account: bytes, *, after: int = 0, current: bool = False) -> History:
        """See `Client.account_history`."""
        return await self._ask(lambda client: client.account_history(account, after=after, current=current))

    async def account_change(self, operation: Operation) -> AccountInfo:
        """See `Client.account_change`."""
        return await self._ask(lambda client: client.account_change(operation))

    async def handle(self, handle: str) -> HandleHolder:
        """See `Client.handle`."""
        return await self._ask(lambda client: client.handle(handle))

    async def status(self) -> dict[str, Any]:
        """See `Client.status`."""
        return await self._ask(lambda client: client.status())

    async def where(self, account: bytes) -> dict[str, Any]:
        """See `Client.where`."""
        return await self._ask(lambda client: client.where(account))

    async def auth(self, keypair: KeyPair, account: bytes | None = None) -> dict[str, Any]:
        """See `Client.auth`."""
        return await self._ask(lambda client: client.auth(keypair, account))

    async def close(self) -> None:
        """End the connection; calls made after it, or under way, raise `ClientError`."""
        await asyncio.shield(asyncio.to_thread(self._running().close))

    def _running(self) -> Background:
        assert self._background is not None, "a client is entered before it is used"
        return self._background

    async def _ask(self, what: Callable[[Client], Awaitable[T]]) -> T:
        return await asyncio.wrap_future(self._running().ask(what))
