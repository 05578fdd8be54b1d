"""What anyone may send to a node's three ports: nothing hangs, nothing grows, nobody else notices."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
import trio
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import SIGNED_PREFIX

from tests.integration.processes import Process, client, lay_out, node
from tests.node.people import Author
from tests.waiting import until

pytestmark = pytest.mark.cluster

MIB = 1 << 20
FREE: dict[str, Any] = {"gate__account_burst": 1_000_000, "gate__address_burst": 1_000_000}


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A node that ends well after all that was done to it."""
    with node(lay_out(tmp_path / "town", **FREE).config_file("eu-1")) as running:
        yield running
        assert running.end() == 0
        assert "Traceback" not in running.log, running.log


def place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


async def throw(address: str, data: bytes) -> None:
    """Connect, send, and read until the node hangs up or has nothing to say."""
    stream = await trio.open_tcp_stream(*place(address))
    async with stream:
        try:
            await stream.send_all(data)
            with trio.move_on_after(0.05):
                while await stream.receive_some(65536):
                    pass
        except trio.BrokenResourceError:
            pass


async def throw_all(address: str, missiles: list[bytes]) -> None:
    """Twenty at a time."""
    limiter = trio.CapacityLimiter(20)

    async def one(data: bytes) -> None:
        async with limiter:
            await throw(address, data)

    async with trio.open_nursery() as nursery:
        for data in missiles:
            nursery.start_soon(one, data)


@asynccontextmanager
async def unharmed(process: Process, growth_bytes: int) -> AsyncIterator[None]:
    """During the block others are served; after it no connection is left and memory has hardly grown."""
    async with client(process.address) as asker, trio.open_nursery() as nursery:
        sessions = (await asker.call("cluster.status"))["node"]["sessions"]
        await asker.put_one(Author(1).post("before"))
        before = process.memory_bytes()
        peak = before

        async def be_served() -> None:
            nonlocal peak
            while True:
                with trio.fail_after(5):
                    await asker.call("ping")
                peak = max(peak, process.memory_bytes())

        nursery.start_soon(be_served)
        yield
        nursery.cancel_scope.cancel()
    async with client(process.address) as asker:

        async def alone() -> bool:
            return bool((await asker.call("cluster.status"))["node"]["sessions"] == sessions)

        await until(alone, what="every other connection to be gone", within_s=20)
        assert (await asker.put_one(Author(1).post("after")))["status"] == "stored"
    assert peak - before < growth_bytes, f"{(peak - before) / MIB:.0f} MiB more"


def rubbish(source: random.Random) -> list[bytes]:
    """Random bytes, damaged and truncated requests, nesting without end, lengths that lie."""
    hello = msgpack.packb([0, 1, "hello", [{"versions": [1, 1], "client": "x", "features": []}]])
    whole = hello + msgpack.packb([0, 2, "cluster.status", [{}]])
    missiles = [source.randbytes(source.randrange(1, 65536)) for _ in range(60)]
    for _ in range(100):
        damaged = bytearray(whole)
        for _ in range(source.randrange(1, 4)):
            damaged[source.randrange(len(damaged))] = source.randrange(256)
        missiles.append(bytes(damaged) * source.randrange(1, 20))
    missiles += [whole[: source.randrange(len(whole))] for _ in range(20)]
    for opener in (b"\x91", b"\x81\xa1x", b"\xdd\x00\x00\x0f\xff", b"\x94\x00"):
        missiles += [opener * 50_000, hello + opener * 50_000]
    for liar in (
        b"\xc6\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\x7f\xff\xff\xff",
    ):
        missiles += [liar, hello + b"\x94\x00\x01\xa4ping\x91\x81\xa1x" + liar + bytes(100_000)]
    missiles += [bytes(3 * MIB), b"\xff" * (3 * MIB), b"GET / HTTP/1.1\r\n\r\n" * 100]
    return missiles


@pytest.mark.parametrize("port", ["address", "peers"])
async def test_rubbish_on_a_stream(process: Process, port: str) -> None:
    async with unharmed(process, 48 * MIB):
        await throw_all(process.ready[port], rubbish(random.Random(port)))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Process, Process]]:
    """Two nodes of one cluster, which end well."""
    cluster = lay_out(tmp_path / "town", nodes=2, **FREE)
    with ExitStack() as stack:
        one = stack.enter_context(node(cluster.config_file("eu-1")))
        other = stack.enter_context(node(cluster.config_file("us-1"), "--seed", one.ready["peers"]))
        yield one, other
        assert (one.end(), other.end()) == (0, 0)


async def test_rubbish_in_datagrams(pair: tuple[Process, Process]) -> None:
    """Two nodes keep holding each other alive through it."""
    source, target = random.Random(3), pair[0]
    async with client(target.address) as asker:

        async def both_alive() -> bool:
            states = [each["state"] for each in (await asker.call("cluster.status"))["nodes"]]
            return states == ["alive", "alive"]

        await until(both_alive, what="two to know each other")
        async with unharmed(target, 32 * MIB):
            with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thrower:
                for _ in range(5_000):
                    size = source.choice([0, 1, 40, 80, 200, 1_400, 9_000])
                    await thrower.sendto(source.randbytes(size), place(target.ready["datagrams"]))
        assert await both_alive()
        assert "refused datagram" in target.log


async def test_messages_that_never_end_hold_a_bounded_amount(process: Process) -> None:
    """Forty clients each send all but the last byte of the largest message, and wait."""
    almost = b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xc6\x00\x0f\xff\xe0" + bytes(MIB - 33)
    async with unharmed(process, 40 * 3 * MIB):
        streams = [await trio.open_tcp_stream(*place(process.address)) for _ in range(40)]
        for stream in streams:
            await stream.send_all(almost)
        async with client(process.address) as asker:
            await asker.call("ping")
        for stream in streams:
            await trio.aclose_forcefully(stream)


async def test_who_says_nothing_and_who_reads_nothing_is_cut_off(process: Process) -> None:
    """A connection without a hello, one stuck in a message, and one that asks for megabytes unread."""
    author = Author(1)
    async with client(process.address) as asker:
        for _ in range(2):
            body = {"text": "x", "pad": bytes(15_000)}
            records = [author.record("post", author.item(), body) for _ in range(50)]
            results, _ = await asker.put(*records)
            assert {result["status"] for result in results} == {"stored"}
    hello = msgpack.packb([0, 0, "hello", [{"versions": [1, 1], "client": "slow", "features": []}]])
    page = [
        msgpack.packb([0, n, "feed.author", [{"account": author.account, "limit": 200}]])
        for n in range(1, 201)
    ]
    async with unharmed(process, 64 * MIB):
        silent = await trio.open_tcp_stream(*place(process.address))
        stuck = await trio.open_tcp_stream(*place(process.address))
        greedy = await trio.open_tcp_stream(*place(process.address))
        await stuck.send_all(hello[:5])
        await greedy.send_all(hello + b"".join(page))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_hung_up, silent)
            nursery.start_soon(_until_hung_up, stuck)
            nursery.start_soon(_until_gone_unread, process, greedy)


async def _until_hung_up(stream: trio.SocketStream) -> None:
    with trio.fail_after(20):
        try:
            while await stream.receive_some(65536):
                pass
        except trio.BrokenResourceError:
            pass
    await trio.aclose_forcefully(stream)


async def _until_gone_unread(process: Process, stream: trio.SocketStream) -> None:
    """Wait for the node to give up, without ever reading a byte."""
    async with client(process.address) as asker:

        async def cut() -> bool:
            return bool((await asker.call("cluster.status"))["node"]["sessions"] <= 3)

        await until(cut, what="the slow reader to be cut off", within_s=25)
    await trio.aclose_forcefully(stream)


def hostile_payloads(device: KeyPair) -> dict[str, Callable[[], bytes]]:
    """Payloads a decoder might choke on, each within the size of a record."""
    good = Author(7).post().payload
    return {
        "nested lists": lambda: b"\x86\xa4body\x81\xa1x" + b"\x91" * 16_000,
        "nested maps": lambda: b"\x81\xa1x" * 5_000,
        "a list that lies": lambda: b"\x81\xa4body\xdd\xff\xff\xff\xff",
        "many small things": lambda: b"\x81\xa4body\xdc\x3e\x80" + b"\xc3" * 16_000,
        "cut off": lambda: good[:-1],
        "zeros": lambda: bytes(16_384),
        "too long": lambda: good + bytes(17_000),
        "bad text": lambda: good.replace(b"hello", b"\xff\xfe\xfd\xfc\xfb"),
    }


async def test_hostile_records_are_refused_one_by_one(process: Process) -> None:
    device = Author(7).device
    async with unharmed(process, 48 * MIB), client(process.address) as asker:
        for make in hostile_payloads(device).values():
            payload = make()
            frames = [[payload, device.sign(SIGNED_PREFIX + payload)]] * 30
            answer = await asker.call("record.put", records=[*frames, Author(7).post().to_wire()])
            assert [result["status"] for result in answer["results"]] == [*["refused"] * 30, "stored"]
        forged = [[Author(8).post("x" * 2_000).payload, bytes(64)] for _ in range(256)]
        answer = await asker.call("record.put", records=forged)
        assert {result["error"]["name"] for result in answer["results"]} == {"bad_signature"}
        wrong_keys: list[list[Any]] = [[[b"x" * 34, "post", b"y"]] * 256, [], [[]], [None] * 256]
        for keys in wrong_keys:
            with pytest.raises(WireError, match="bad_request"):
                await asker.call("record.get", keys=keys)
