"""The shortest way in and out of a socket is still a stream, with a stream's ends and errors."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from folkmoot.node.transport.interface import Accepted
from folkmoot.node.transport.plain import PlainStream
from folkmoot.protocol.client.outbox import Prompt

from tests.transport.sockets import ANY_PORT, LEFT, RIGHT, Authority, dialled, exactly, plain

LARGE = bytes(range(256)) * 16_384


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[PlainStream, trio.SocketStream]]:
    """One end as the node has it, and one as trio has it."""
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.setblocking(False)
    here = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    there = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
    async with PlainStream(here) as stream, there:
        yield stream, there


async def test_what_is_sent_at_once_and_what_waits_come_in_order() -> None:
    async with pair() as (stream, other), trio.open_nursery() as nursery:
        sent = stream.send_now(LARGE)
        assert 0 < sent < len(LARGE), "more than a socket holds"
        assert stream.send_now(LARGE) == 0
        nursery.start_soon(exactly, other, LARGE)
        await stream.send_all(LARGE[sent:])


async def test_it_waits_for_bytes_and_reads_to_the_end() -> None:
    async with pair() as (stream, other), trio.open_nursery() as nursery:
        nursery.start_soon(exactly, stream, LARGE)
        await trio.testing.wait_all_tasks_blocked()
        await other.send_all(LARGE)
        await other.send_eof()
        assert await stream.receive_some() == await stream.receive_some(1) == b""
        await stream.send_eof()
        assert await other.receive_some() == b""


async def test_bytes_are_not_lost_to_who_stops_waiting() -> None:
    async with pair() as (stream, other):
        with trio.move_on_after(0.01) as patience:
            await stream.receive_some()
        assert patience.cancelled_caught
        await other.send_all(b"still there")
        assert await stream.receive_some(5) + await stream.receive_some() == b"still there"


async def test_a_reset_and_a_close_are_told_apart() -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    other = await trio.open_tcp_stream(*listener.socket.getsockname()[:2])
    async with listener, PlainStream(await listener.accept()) as stream:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await other.aclose()
        with pytest.raises(trio.BrokenResourceError, match="connection broken"):
            await stream.receive_some()
        assert stream.send_now(b"x") == 0
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")


async def test_a_closed_one_says_so_to_who_waits_and_who_comes_later() -> None:
    async with pair() as (stream, _):
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await stream.receive_some()

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            await stream.aclose()
        assert stream.send_now(b"x") == 0
        for _ in range(2):
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()


@pytest.mark.parametrize("tls", [True, False])
async def test_clients_without_encryption_are_answered_at_once(tls: bool, town: Authority) -> None:
    listener = await (town.network(LEFT) if tls else plain(RIGHT)).listen_clients(ANY_PORT)
    prompt: list[bool] = []

    async def look(accepted: Accepted) -> None:
        prompt.append(isinstance(accepted.stream, Prompt))
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.serve, look)
        context = ssl.create_default_context(cafile=str(town.ca)) if tls else None
        async with dialled(listener.address, context) as stream:
            await stream.send_all(b"x")
            await trio.sleep_forever()
    await listener.aclose()
    assert prompt == [not tls]
