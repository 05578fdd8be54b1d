"""How a link ends while requests are in work: what was asked in good order is answered first."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from folkmoot.protocol import limits
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import PATIENT, LinkSettings
from folkmoot.protocol.connection import Connection, Notification, Request, Response

from tests.connection.test_link import raw, read_events


class Held:
    """Serves by holding what is asked until the test answers."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, link: Link, requests: list[Request]) -> None:
        self.requests += requests


async def half_close(stream: trio.abc.Stream) -> None:
    assert isinstance(stream, trio.StapledStream)
    await stream.send_eof()


async def test_bad_bytes_behind_a_request_do_not_cost_it_its_answer(autojump_clock: trio.abc.Clock) -> None:
    held = Held()
    async with raw(held) as (stream, server):
        asked = Connection()
        await stream.send_all(asked.request("put", {"n": 1})[1] + b"\xc1" + asked.request("put", {"n": 2})[1])
        await trio.testing.wait_all_tasks_blocked()
        assert server.ended is not None and "broke the protocol" in server.ended.reason
        await stream.send_all(asked.request("put", {"n": 3})[1])
        await trio.sleep(limits.LEAVE_TIMEOUT_S / 2)
        [request] = held.requests
        server.respond(request.msgid, "stored")
        answer, goodbye = await read_events(stream, asked)
    assert answer == Response(0, None, "stored")
    assert isinstance(goodbye, Notification) and goodbye.params["name"] == "bad_request"
    assert len(held.requests) == 1, "nothing after the bad bytes is read"


async def test_bad_bytes_and_no_more_are_answered_and_told_goodbye(autojump_clock: trio.abc.Clock) -> None:
    held = Held()
    async with raw(held) as (stream, server):
        asked = Connection()
        await stream.send_all(asked.request("put", {"n": 1})[1] + b"\xc1")
        await half_close(stream)
        await trio.testing.wait_all_tasks_blocked()
        server.respond(held.requests[0].msgid, "stored")
        answer, goodbye = await read_events(stream, asked)
    assert answer == Response(0, None, "stored")
    assert goodbye.params["name"] == "bad_request"


async def test_bad_bytes_behind_a_request_that_takes_too_long(autojump_clock: trio.abc.Clock) -> None:
    async with raw(Held()) as (stream, _):
        began = trio.current_time()
        await stream.send_all(Connection().request("put", {})[1] + b"\xc1")
        [goodbye] = await read_events(stream)
        assert goodbye.params["name"] == "bad_request"
        assert trio.current_time() - began <= limits.LEAVE_TIMEOUT_S + limits.CLOSE_TIMEOUT_S


async def test_who_says_no_more_is_still_answered(autojump_clock: trio.abc.Clock) -> None:
    held = Held()
    async with raw(held) as (stream, server):
        asked = Connection()
        await stream.send_all(asked.request("put", {"n": 1})[1] + asked.request("put", {"n": 2})[1])
        await half_close(stream)
        await trio.testing.wait_all_tasks_blocked()
        for request in held.requests:
            await trio.sleep(limits.LEAVE_TIMEOUT_S / 3)
            server.respond(request.msgid, "stored")
        answered = trio.current_time()
        assert await read_events(stream, asked) == [Response(0, None, "stored"), Response(1, None, "stored")]
        assert trio.current_time() == answered, "the link ends with the last answer"


@pytest.mark.parametrize(
    ("settings", "within_s"), [(LinkSettings(half_closed_s=3.0), 3.0), (PATIENT, 0.0)], ids=["client", "peer"]
)
async def test_who_says_no_more_is_not_waited_for_long(
    settings: LinkSettings, within_s: float, autojump_clock: trio.abc.Clock
) -> None:
    """A peer not at all: its end is how its death shows, and others wait for that news."""
    async with raw(Held(), settings) as (stream, server):
        began = trio.current_time()
        await stream.send_all(Connection().request("put", {})[1])
        await half_close(stream)
        assert await read_events(stream) == []
        assert trio.current_time() - began == pytest.approx(within_s)
        assert server.ended is not None
