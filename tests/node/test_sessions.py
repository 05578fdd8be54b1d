"""Sessions as they end: clients who leave in the middle of a put, and a node that does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from folkmoot.node.actors.session import Asker, Offer, Sessions
from folkmoot.node.contracts import PutRequest
from folkmoot.node.transport.interface import Accepted, Address
from folkmoot.protocol import limits
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import Ended, Reply
from folkmoot.protocol.connection import Params, Response
from folkmoot.protocol.errors import SHUTTING_DOWN

from tests.node.people import Author

PUT = {"records": [Author(1).post().to_wire()]}


class Intake:
    """Keeps requests until the test answers them."""

    def __init__(self) -> None:
        self.requests: list[PutRequest] = []

    def submit(self, request: PutRequest) -> None:
        self.requests.append(request)


class Town:
    """A node's sessions, and clients of theirs."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.intake = Intake()
        offer = Offer(_hello, {}, {}, self.intake, lambda: 0, lambda: None)
        self.sessions = Sessions(offer, lambda: bytes(32))
        self._nursery = nursery

    def connect(self) -> Link:
        here, there = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self.sessions.serve, Accepted(there, Address("192.0.2.1", 7), None))
        link = Link(here)
        self._nursery.start_soon(link.run)
        return link


def _hello(asker: Asker, params: Params) -> dict[str, int]:
    return {"version": 1}


@asynccontextmanager
async def opened() -> AsyncIterator[Town]:
    async with trio.open_nursery() as nursery:
        yield Town(nursery)
        nursery.cancel_scope.cancel()


async def put(link: Link) -> list[Reply]:
    """Send a put; its replies, as they come."""
    replies: list[Reply] = []
    await link.call("hello", {})
    link.submit("record.put", PUT, replies.append)
    await trio.testing.wait_all_tasks_blocked()
    return replies


@pytest.mark.parametrize("late", [False, True], ids=["while its end may still listen", "after that"])
async def test_a_put_of_a_client_who_is_gone_is_finished_and_answered_to_nobody(
    late: bool, autojump_clock: trio.testing.MockClock
) -> None:
    async with opened() as town:
        gone, stays = town.connect(), town.connect()
        await put(gone)
        replies = await put(stays)
        gone.close()
        await trio.testing.wait_all_tasks_blocked()
        if late:
            await trio.sleep(limits.REQUEST_TIMEOUT_S + 1)
        assert town.sessions.open_count == (1 if late else 2)
        lost, kept = town.intake.requests
        lost.answer({"results": [], "token": b""})
        kept.answer({"results": [], "token": b""})
        await trio.testing.wait_all_tasks_blocked()
        [reply] = replies
        assert isinstance(reply, Response) and reply.error is None
        assert town.sessions.open_count == 1


async def test_what_is_in_work_when_a_node_leaves_is_answered_before_its_goodbye() -> None:
    async with opened() as town:
        link = town.connect()
        replies = await put(link)
        town.sessions.say_goodbye()
        await trio.testing.wait_all_tasks_blocked()
        assert link.ended is None and not replies
        town.intake.requests[0].answer({"results": [], "token": b""})
        await town.sessions.wait_empty()
        await trio.testing.wait_all_tasks_blocked()
        assert isinstance(replies[0], Response)
        assert link.ended is not None and link.ended.goodbye is not None


async def test_what_takes_too_long_for_a_node_that_leaves_is_known_to_be_unknown(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with opened() as town:
        link = town.connect()
        replies = await put(link)
        began = trio.current_time()
        town.sessions.say_goodbye()
        await town.sessions.wait_empty()
        assert trio.current_time() - began <= limits.LEAVE_TIMEOUT_S + limits.CLOSE_TIMEOUT_S
        [ended] = replies
        assert isinstance(ended, Ended) and ended.goodbye is not None
        assert ended.goodbye.kind is SHUTTING_DOWN
        town.intake.requests[0].answer({"results": [], "token": b""})


async def test_who_was_shaking_hands_when_the_goodbye_was_said_hears_it_too() -> None:
    async with opened() as town:
        town.sessions.say_goodbye()
        late = town.connect()
        await trio.testing.wait_all_tasks_blocked()
        assert late.ended is not None and late.ended.goodbye is not None
        assert late.ended.goodbye.kind is SHUTTING_DOWN
        await town.sessions.wait_empty()
