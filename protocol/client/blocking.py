"""The client for programs without an event loop: the same calls, each waiting for its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
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


class BlockingClient:
    """A client whose event loop runs in a thread of its own; any number of threads may call.

    Args:
        addresses: as in `connect`, like every other option.

    Raises:
        ClientError: as `connect` does.
    """

    def __init__(self, addresses: str | Sequence[str], **options: Any) -> None:
        self._background = Background(addresses, options)
        self._background.opened.result()

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """See `Client.call`."""
        return self._wait(lambda client: client.call(method, params))

    def put_records(self, records: Sequence[Frame], level: str = "quorum") -> list[PutResult]:
        """See `Client.put_records`."""
        return self._wait(lambda client: client.put_records(records, level))

    def get(
        self, keys: Sequence[tuple[bytes, str, bytes]], *, level: str = "one", history: bool = False
    ) -> list[dict[str, Any] | None]:
        """See `Client.get`."""
        return self._wait(lambda client: client.get(keys, level=level, history=history))

    def author_feed(
        self, account: bytes, *, limit: int = limits.PAGE_ITEMS_DEFAULT, level: str = "one"
    ) -> Iterator[Page]:
        """See `Client.author_feed`."""
        pages = self._background.client.author_feed(account, limit=limit, level=level)
        while (page := self._wait(lambda _: anext(pages, None))) is not None:
            yield page

    def notifications(
        self, account: bytes, *, requests: bool = False, limit: int = limits.PAGE_ITEMS_DEFAULT
    ) -> Iterator[Page]:
        """See `Client.notifications`."""
        pages = self._background.client.notifications(account, requests=requests, limit=limit)
        while (page := self._wait(lambda _: anext(pages, None))) is not None:
            yield page

    def follow(self, what: Mapping[str, Any], **options: Any) -> Generator[Event, None, None]:
        """See `Client.follow`; ends when nobody asks for more."""

        async def begin(client: Client) -> Follow:
            return client.follow(what, **options)

        stream = self._wait(begin)
        try:
            while True:
                yield self._wait(lambda _: anext(stream))
        finally:
            with suppress(ClientError):  # closed meanwhile
                self._wait(lambda _: stream.aclose())

    def account(self, account: bytes, *, current: bool = False) -> AccountInfo:
        """See `Client.account`."""
        return self._wait(lambda client: client.account(account, current=current))

    def account_history(self, account: bytes, *, after: int = 0, current: bool = False) -> History:
        """See `Client.account_history`."""
        return self._wait(lambda client: client.account_history(account, after=after, current=current))

    def account_change(self, operation: Operation) -> AccountInfo:
        """See `Client.account_change`."""
        return self._wait(lambda client: client.account_change(operation))

    def handle(self, handle: str) -> HandleHolder:
        """See `Client.handle`."""
        return self._wait(lambda client: client.handle(handle))

    def status(self) -> dict[str, Any]:
        """See `Client.status`."""
        return self._wait(lambda client: client.status())

    def where(self, account: bytes) -> dict[str, Any]:
        """See `Client.where`."""
        return self._wait(lambda client: client.where(account))

    def auth(self, keypair: KeyPair, account: bytes | None = None) -> dict[str, Any]:
        """See `Client.auth`."""
        return self._wait(lambda client: client.auth(keypair, account))

    def close(self) -> None:
        """End the connection and the thread; calls made after it raise `ClientError`."""
        self._background.close()

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        return self._background.ask(ask).result()
