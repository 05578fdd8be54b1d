"""Links: what a conversation over a stream promises, on memory streams and a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.protocol import codec, limits
from folkmoot.protocol.client.link import Link, OnRequests
from folkmoot.protocol.client.link_terms import Ended, LinkBroken, LinkSettings, Reply
from folkmoot.protocol.connection import Connection, LocalProtocolError, Notification, Request, Response
from folkmoot.protocol.errors import BUSY, SHUTTING_DOWN, TIMEOUT, TOO_LARGE, UNKNOWN_METHOD, WireError

PIPELINED = 1000
BUSY_BYTES = 200


def echo(link: Link, requests: list[Request]) -> None:
    for request in requests:
        link.respond(request.msgid, request.params)


def silence(link: Link, requests: list[Request]) -> None:
    """Takes requests and answers none."""


@asynccontextmanager
async def linked(
    serve: OnRequests | None = echo, settings: LinkSettings | None = None
) -> AsyncIterator[tuple[Link, Link]]:
    """Two running links back to back: the one that asks, the one that serves."""
    here, there = trio.testing.memory_stream_pair()
    asker, server = Link(here), Link(there, on_requests=serve, settings=settings)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(asker.run)
        nursery.start_soon(server.run)
        yield asker, server
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def raw(
    serve: OnRequests | None = echo, settings: LinkSettings | None = None
) -> AsyncIterator[tuple[trio.abc.Stream, Link]]:
    """A bare stream whose other end is a running link."""
    here, there = trio.testing.memory_stream_pair()
    server = Link(there, on_requests=serve, settings=settings)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        yield here, server
        nursery.cancel_scope.cancel()


async def read_events(stream: trio.abc.Stream, asked: Connection | None = None) -> list[Any]:
    """Everything a bare stream yields until its end, as events."""
    connection = asked or Connection()
    events: list[Any] = []
    while data := await stream.receive_some(65536):
        events += connection.receive(data)
    return events


async def test_calls_answer_and_errors_travel() -> None:
    def refuse(link: Link, requests: list[Request]) -> None:
        for request in requests:
            link.refuse(request.msgid, WireError(UNKNOWN_METHOD, request.method, details={"a": 1}))

    async with linked() as (asker, _):
        assert await asker.call("echo", {"x": b"\xff"}) == {"x": b"\xff"}
    async with linked(refuse) as (asker, _):
        with pytest.raises(WireError) as caught:
            await asker.call("nothing", {})
        assert (caught.value.kind, caught.value.details) == (UNKNOWN_METHOD, {"a": 1})
    async with linked(None) as (asker, _):
        with pytest.raises(WireError, match="answers nothing"):
            await asker.call("nothing", {})


async def test_pipelining_both_ways_takes_few_flushes() -> None:
    async with linked() as (left, right):
        left.on_requests = echo
        answers: dict[str, list[int]] = {"left": [], "right": []}

        async def ask(link: Link, name: str) -> None:
            def keep(reply: Reply) -> None:
                assert isinstance(reply, Response)
                answers[name].append(reply.result["n"])

            for n in range(PIPELINED):
                await link.wait_room()
                link.submit("echo", {"n": n}, keep)
            while len(answers[name]) < PIPELINED:
                await trio.testing.wait_all_tasks_blocked()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, left, "left")
            nursery.start_soon(ask, right, "right")
        assert answers == {"left": list(range(PIPELINED)), "right": list(range(PIPELINED))}
        for link in (left, right):
            figures = link.statistics()
            assert figures.flushes < PIPELINED / 20
            assert figures.waiting == figures.unanswered == figures.buffered_bytes == 0


async def test_concurrent_calls_wait_for_room_and_all_return() -> None:
    async with linked() as (asker, _):
        results = []

        async def one(n: int) -> None:
            results.append((await asker.call("echo", {"n": n}))["n"])

        async with trio.open_nursery() as nursery:
            for n in range(PIPELINED):
                nursery.start_soon(one, n)
        assert sorted(results) == list(range(PIPELINED))


async def test_more_than_the_window_is_our_mistake_and_their_busy() -> None:
    settings = LinkSettings(inflight=3)
    async with linked(silence, settings) as (asker, server):
        replies: list[Reply] = []
        for _ in range(5):
            asker.submit("m", {}, replies.append)
        await trio.testing.wait_all_tasks_blocked()
        assert [reply.error["name"] for reply in replies if isinstance(reply, Response) and reply.error] == [
            "busy",
            "busy",
        ]
        assert server.statistics().unanswered == 3
        for _ in range(3):
            server.submit("m", {}, replies.append)
        with pytest.raises(LocalProtocolError):
            server.submit("m", {}, replies.append)


async def test_every_waiting_call_raises_when_the_stream_ends() -> None:
    async with linked(silence) as (asker, server):
        ends: list[Reply] = []
        broken: list[str] = []

        async def ask() -> None:
            with pytest.raises(LinkBroken) as caught:
                await asker.call("m", {})
            broken.append(str(caught.value))

        asker.submit("m", {}, ends.append)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            server.close()
        assert isinstance(ends[0], Ended)
        assert broken == [ends[0].reason] * 2
        with pytest.raises(LinkBroken):
            await asker.call("m", {})
        with pytest.raises(LinkBroken):
            asker.submit("m", {}, ends.append)
        asker.notify("m", {})  # lost, like any notification to nobody


async def test_a_call_without_an_answer_times_out_and_forgets(autojump_clock: trio.abc.Clock) -> None:
    held: list[Request] = []
    async with linked(lambda _, requests: held.extend(requests)) as (asker, server):
        with pytest.raises(WireError) as caught:
            await asker.call("m", {}, timeout_s=2.0)
        assert caught.value.kind == TIMEOUT
        assert asker.statistics().waiting == 0
        server.respond(held[0].msgid, {})
        server.on_requests = echo
        assert await asker.call("echo", {"x": 1}) == {"x": 1}


async def test_a_violation_is_answered_with_what_came_before_it_and_goodbye(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with raw() as (stream, server):
        asked = Connection()
        msgid, request = asked.request("echo", {"x": 1})
        await stream.send_all(request + b"\xc1" + asked.request("echo", {"x": 2})[1])
        answer, goodbye = await read_events(stream, asked)
        assert answer == Response(msgid, None, {"x": 1})
        assert (goodbye.method, goodbye.params["name"]) == ("goodbye", "bad_request")
        assert server.ended is not None and "broke the protocol" in server.ended.reason


async def test_leaving_says_why(autojump_clock: trio.abc.Clock) -> None:
    async with linked(silence) as (asker, server), trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(LinkBroken) as caught:
                await asker.call("m", {})
            assert caught.value.goodbye is not None
            assert caught.value.goodbye.kind == SHUTTING_DOWN

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        server.leave(WireError(SHUTTING_DOWN, "the node stops"))


async def test_what_is_in_work_is_answered_before_the_goodbye(autojump_clock: trio.abc.Clock) -> None:
    """Answers in time are given, what comes meanwhile is refused, and the goodbye follows the last answer."""
    held: list[Request] = []
    async with raw(lambda _, requests: held.extend(requests)) as (stream, server):
        asked = Connection()
        await stream.send_all(asked.request("put", {"n": 1})[1] + asked.request("put", {"n": 2})[1])
        await trio.testing.wait_all_tasks_blocked()
        server.leave(WireError(SHUTTING_DOWN, "the node stops"))
        await stream.send_all(asked.request("put", {"n": 3})[1])
        await trio.testing.wait_all_tasks_blocked()
        for request in held:
            assert server.ended is None, "not before the last answer"
            await trio.sleep(limits.LEAVE_TIMEOUT_S / 3)
            server.respond(request.msgid, "stored")
        refused, first, second, goodbye = await read_events(stream, asked)
        assert (refused.msgid, refused.error["name"]) == (2, "shutting_down")
        assert [first, second] == [Response(0, None, "stored"), Response(1, None, "stored")]
        assert (goodbye.method, goodbye.params["name"]) == ("goodbye", "shutting_down")
        assert len(held) == 2


async def test_what_is_in_work_for_too_long_does_not_keep_a_link(autojump_clock: trio.abc.Clock) -> None:
    settings = LinkSettings(leave_s=3.0)
    async with raw(silence, settings) as (stream, server):
        await stream.send_all(Connection().request("put", {})[1])
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        for _ in range(2):
            server.leave(WireError(SHUTTING_DOWN, "the node stops"))
        (goodbye,) = await read_events(stream)
        assert goodbye.params["name"] == "shutting_down"
        assert 3.0 <= trio.current_time() - began <= 3.0 + settings.close_s


@pytest.mark.parametrize("farewell", [True, False])
async def test_an_end_without_a_goodbye_is_told_apart(farewell: bool) -> None:
    """It is how the death of a peer shows: the kernel closes what a killed process leaves, in good order."""
    async with raw(silence) as (stream, server):
        if farewell:
            await stream.send_all(Connection().goodbye(WireError(SHUTTING_DOWN, "the node stops")))
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert server.ended is not None
        assert (server.ended.goodbye is not None) is farewell


@pytest.mark.parametrize(
    ("sent", "within_s"),
    [
        (b"", 3.0),
        (b"\x94\x00", 3.0),
        (codec.pack([2, "m", [{}]]), 60.0),
        (codec.pack([2, "m", [{}]]) + b"\x94\x00", 20.0),
    ],
    ids=["silence at once", "half a first message", "silence later", "half a later message"],
)
async def test_silence_ends_a_link(sent: bytes, within_s: float, autojump_clock: trio.abc.Clock) -> None:
    settings = LinkSettings(first_message_s=3.0, message_s=20.0, idle_s=60.0)
    began = trio.current_time()
    async with raw(settings=settings) as (stream, _):
        if sent:
            await stream.send_all(sent)
        (goodbye,) = await read_events(stream)
        assert goodbye.params["name"] == "timeout"
        assert within_s <= trio.current_time() - began <= within_s + 1


async def test_a_message_that_trickles_in_is_cut_off(autojump_clock: trio.abc.Clock) -> None:
    async with raw(settings=LinkSettings(message_s=20.0, idle_s=60.0)) as (stream, server):
        await stream.send_all(codec.pack([2, "m", [{}]]))
        trickle = codec.pack([0, 1, "echo", [{"x": b"x" * 100}]])
        for byte in trickle:
            if server.ended is not None:
                break
            await stream.send_all(bytes([byte]))
            await trio.sleep(1.0)
        assert 20 <= trio.current_time() <= 23


async def test_a_reader_too_slow_is_cut_off(autojump_clock: trio.abc.Clock) -> None:
    here, there = trio.testing.lockstep_stream_pair()
    server = Link(there, on_requests=echo, settings=LinkSettings(send_s=5.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await here.send_all(Connection().request("echo", {"x": 1})[1])
    assert server.ended is not None and "too slowly" in server.ended.reason
    assert trio.current_time() < 7


async def test_answers_nobody_reads_turn_busy_then_cut_the_link() -> None:
    here, there = trio.testing.lockstep_stream_pair()
    result = bytes(limits.MESSAGE_BYTES // 2)

    def large(link: Link, requests: list[Request]) -> None:
        for request in requests:
            link.respond(request.msgid, result)

    server = Link(there, on_requests=large)
    asked = Connection(outstanding_max=10**6)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        for _ in range(200):
            await here.send_all(asked.request("m", {})[1])
        assert server.statistics().buffered_bytes > limits.OUTPUT_BYTES * 0.9
        assert server.statistics().buffered_bytes <= limits.OUTPUT_BYTES + 200 * BUSY_BYTES
        with suppress(trio.BrokenResourceError):
            while server.ended is None:
                await here.send_all(asked.request("m", {})[1] * 2000)
        assert server.statistics().buffered_bytes < 2 * limits.OUTPUT_BYTES + limits.MESSAGE_BYTES


async def test_an_answer_over_the_limit_becomes_an_error() -> None:
    def huge(link: Link, requests: list[Request]) -> None:
        link.respond(requests[0].msgid, bytes(limits.MESSAGE_BYTES))

    async with linked(huge) as (asker, _):
        with pytest.raises(WireError) as caught:
            await asker.call("m", {})
        assert caught.value.kind == TOO_LARGE


async def test_requests_of_one_read_come_in_one_batch_and_half_close_still_gets_answers() -> None:
    batches: list[int] = []

    def count(link: Link, requests: list[Request]) -> None:
        batches.append(len(requests))
        echo(link, requests)

    async with raw(count) as (stream, _):
        asked = Connection()
        await stream.send_all(b"".join(asked.request("echo", {"n": n})[1] for n in range(100)))
        assert isinstance(stream, trio.StapledStream)
        await stream.send_eof()
        assert [event.result["n"] for event in await read_events(stream, asked)] == list(range(100))
        assert batches == [100]


async def test_notifications_are_delivered() -> None:
    heard: list[Notification] = []
    async with linked() as (asker, server):
        server.on_notification = lambda _, notification: heard.append(notification)
        asker.notify("feed.credit", {"n": 1})
        await trio.testing.wait_all_tasks_blocked()
        assert heard == [Notification("feed.credit", {"n": 1})]


async def test_what_a_callback_raises_ends_the_link_and_is_seen() -> None:
    def bug(link: Link, requests: list[Request]) -> None:
        raise ZeroDivisionError

    here, there = trio.testing.memory_stream_pair()
    server = Link(there, on_requests=bug)
    await here.send_all(Connection().request("m", {})[1])
    with pytest.RaisesGroup(ZeroDivisionError):
        await server.run()
    assert await here.receive_some(10) == b""


async def test_busy_says_when_to_retry() -> None:
    async with linked(silence, LinkSettings(inflight=1)) as (asker, _):
        asker.submit("m", {}, lambda _: None)
        with pytest.raises(WireError) as caught:
            await asker.call("m", {})
        assert caught.value.kind == BUSY
        assert caught.value.retry_after_ms
