"""A client whose link ends in a stand-in, whose answers are planned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
import trio.testing
from folkmoot.protocol.client import Client
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import PATIENT
from folkmoot.protocol.connection import Request

Answer = Callable[[Link, Request], None]


class _Session:
    def __init__(self, link: Link) -> None:
        self.link = link


class Connected:
    """A client as far as load uses one: an open link to the stand-in."""

    def __init__(self, link: Link) -> None:
        self._session = _Session(link)

    async def session(self) -> _Session:
        return self._session


@asynccontextmanager
async def answered_by(answer: Answer) -> AsyncIterator[Client]:
    """A client whose requests `answer` answers, now or later."""
    near, far = trio.testing.memory_stream_pair()

    def answer_each(server: Link, requests: list[Request]) -> None:
        for request in requests:
            answer(server, request)

    link = Link(near, settings=PATIENT)
    server = Link(far, on_requests=answer_each, settings=PATIENT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        nursery.start_soon(server.run)
        yield Connected(link)  # type: ignore[misc]  # all of a client that load uses
        nursery.cancel_scope.cancel()


def stored(server: Link, request: Request) -> None:
    """Store everything at once, and give empty pages."""
    records = request.params.get("records", ())
    achieved = {"level": "quorum", "acks": 2, "slots": 3}
    results = [{"id": bytes(32), "status": "stored", "achieved": achieved} for _ in records]
    server.respond(request.msgid, {"results": results, "items": [], "token": b"", "lag_ms": 7})
