"""A client whose trio loop runs in a thread of its own, for programs that have another loop, or none."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import trio
from folkmoot.protocol.client.client import Client, connect
from folkmoot.protocol.client.errors import ClientError

T = TypeVar("T")


class Background:
    """The thread, and the client in it; any number of threads may ask.

    Args:
        addresses: as in `connect`.
        options: its other arguments.

    Attributes:
        opened: done once the client is connected; fails as `connect` does. Cancelled, it is given up.
    """

    def __init__(self, addresses: str | Sequence[str], options: dict[str, Any]) -> None:
        self.opened: Future[Client] = Future()
        self._unanswered: set[Future[Any]] = {self.opened}
        self._client: Client | None = None
        self._nursery: trio.Nursery | None = None
        self._closing = False
        self._loop: trio.lowlevel.TrioToken | None = None
        self._scope = trio.CancelScope()
        self._thread = threading.Thread(
            target=self._run, args=(addresses, options), name="folkmoot-client", daemon=True
        )
        self.opened.add_done_callback(self._unanswered.discard)
        self.opened.add_done_callback(self._if_given_up)
        self._thread.start()

    @property
    def client(self) -> Client:
        """The client, for what needs no waiting.

        Raises:
            ClientError: it is closed.
        """
        if self._client is None or self._closing:
            raise _closed()
        return self._client

    def ask(self, what: Callable[[Client], Awaitable[T]]) -> Future[T]:
        """Have something asked; to cancel the future is to give it up.

        Args:
            what: called in the thread, with the client.

        Raises:
            ClientError: the client is closed.
        """
        client, loop = self.client, self._loop
        assert loop is not None, "it is known before there is a client"
        future: Future[T] = Future()
        self._unanswered.add(future)
        future.add_done_callback(self._unanswered.discard)
        try:
            loop.run_sync_soon(self._begin, partial(what, client), future)
        except trio.RunFinishedError:
            future.cancel()
            raise _closed() from None
        return future

    def close(self) -> None:
        """End the connection and the thread; what was asked and not answered fails with `ClientError`."""
        self._closing = True
        self._stop()
        self._thread.join()

    def _stop(self) -> None:
        if self._loop is not None:
            with suppress(trio.RunFinishedError):
                self._loop.run_sync_soon(self._scope.cancel)

    def _if_given_up(self, opened: Future[Client]) -> None:
        if opened.cancelled():
            self._closing = True
            self._stop()

    def _run(self, addresses: str | Sequence[str], options: dict[str, Any]) -> None:
        failure: Exception = _closed()
        try:
            trio.run(self._serve, addresses, options)
        except Exception as error:
            failure = error
        finally:
            self._client = None
            for future in list(self._unanswered):
                _fail(future, failure)

    async def _serve(self, addresses: str | Sequence[str], options: dict[str, Any]) -> None:
        self._loop = trio.lowlevel.current_trio_token()
        with self._scope:
            if self._closing:
                return
            async with connect(addresses, **options) as client, trio.open_nursery() as nursery:
                self._client, self._nursery = client, nursery
                _succeed(self.opened, client)
                try:
                    await trio.sleep_forever()
                finally:
                    self._nursery = None

    def _begin(self, ask: Callable[[], Awaitable[T]], future: Future[T]) -> None:
        if self._nursery is None:
            _fail(future, _closed())
        else:
            self._nursery.start_soon(self._answer, ask, future)

    @staticmethod
    async def _answer(ask: Callable[[], Awaitable[T]], future: Future[T]) -> None:
        loop = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as scope:

            def if_given_up(asked: Future[T]) -> None:
                if asked.cancelled():
                    with suppress(trio.RunFinishedError):
                        loop.run_sync_soon(scope.cancel)

            future.add_done_callback(if_given_up)
            try:
                _succeed(future, await ask())
            except Exception as error:
                _fail(future, error)


def _closed() -> ClientError:
    return ClientError("this client is closed")


def _succeed(future: Future[T], result: T) -> None:
    with suppress(InvalidStateError):  # given up meanwhile
        future.set_result(result)


def _fail(future: Future[Any], error: Exception) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)
