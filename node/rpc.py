"""How a node answers: links whose requests are served, in batches or by a task each.

A *batch server* is any `OnRequests` callable: it gets every request of one read in one synchronous call and
answers with `link.respond` at once or whenever its batch is committed. The hot paths are of this kind, for
no task is started. `TaskServer` is the other kind, for methods that wait for something of their own: a task
a request, no more of them than the link allows in flight, each with a deadline. It leaves to a batch server
what that one takes.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import trio
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.protocol import limits
from folkmoot.protocol.client.link import Link, OnNotification
from folkmoot.protocol.client.link_terms import LinkBroken, LinkSettings
from folkmoot.protocol.connection import Params, Request
from folkmoot.protocol.errors import INTERNAL, LEVEL_UNREACHABLE, TIMEOUT, WireError
from folkmoot.storage.errors import StorageError

logger = logging.getLogger(__name__)


class Packed(NamedTuple):
    """A result that is MessagePack already."""

    data: bytes


Handler = Callable[[Link, str, Params], Awaitable[Any]]

TakeBatch = Callable[[Link, list[Request]], list[Request]]
"""Takes those requests of one read that it will answer itself, and returns the others."""


class TaskServer:
    """Serves each request of a link by a task of its own.

    Args:
        nursery: where the tasks run; who opened it decides when they are cancelled.
        handler: returns the result, or a `Packed` one; raises `WireError` to refuse. Anything else it
            raises is a bug, logged here and answered `internal`.
        take_batch: is offered all requests first.
        timeout_s: how long one request may take.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        handler: Handler,
        *,
        take_batch: TakeBatch | None = None,
        timeout_s: float = limits.REQUEST_TIMEOUT_S,
    ) -> None:
        self._nursery = nursery
        self._handler = handler
        self._take_batch = take_batch
        self._timeout_s = timeout_s

    def __call__(self, link: Link, requests: list[Request]) -> None:
        if self._take_batch is not None:
            requests = self._take_batch(link, requests)
        for request in requests:
            self._nursery.start_soon(self.answer, link, request)

    async def answer(self, link: Link, request: Request) -> None:
        """Run the handler for one request and answer with what it returns or raises."""
        try:
            with trio.fail_after(self._timeout_s):
                result = await self._handler(link, request.method, request.params)
        except trio.TooSlowError:
            link.refuse(request.msgid, WireError(TIMEOUT, f"{request.method} took over {self._timeout_s} s"))
        except Exception as error:
            link.refuse(request.msgid, wire_error(error, request.method))
        else:
            if isinstance(result, Packed):
                link.respond_packed(request.msgid, result.data)
            else:
                link.respond(request.msgid, result)


def wire_error(error: Exception, method: str) -> WireError:
    """What to answer when serving `method` raised `error`.

    It goes to clients, so it says nothing of this machine or of others; the log does, and has a bug of ours
    with its traceback.
    """
    if isinstance(error, WireError):
        return error
    if isinstance(error, StorageError):
        logger.warning("%s failed: %s", method, error)
        return error.to_wire_error()
    if isinstance(error, LinkBroken | PeerUnreachable):
        logger.debug("%s failed: %s", method, error)
        return WireError(LEVEL_UNREACHABLE, f"a node that {method} needs went away before it answered")
    logger.error("%s failed", method, exc_info=error)
    return WireError(INTERNAL, f"{method} failed inside this node; its operator finds the reason in its log")


async def run_link(
    stream: trio.abc.Stream,
    handler: Handler,
    *,
    take_batch: TakeBatch | None = None,
    on_notification: OnNotification | None = None,
    settings: LinkSettings | None = None,
    task_status: trio.TaskStatus[Link] = trio.TASK_STATUS_IGNORED,
) -> Link:
    """Carry a link whose requests `handler` answers, until it ends; requests then in work are cancelled.

    Args:
        stream: connected, its handshakes done.
        handler, take_batch: see `TaskServer`.
        on_notification: see `Link`.
        settings: see `Link`.
        task_status: told the link as soon as it can be used, so that `nursery.start` returns it.

    Returns:
        The ended link, which knows why.
    """
    async with trio.open_nursery() as nursery:
        link = Link(
            stream,
            on_requests=TaskServer(nursery, handler, take_batch=take_batch),
            on_notification=on_notification,
            settings=settings,
        )
        task_status.started(link)
        await link.run()
        nursery.cancel_scope.cancel()
    return link
