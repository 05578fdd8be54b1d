"""Those who connect and say nothing or nonsense, many from one address, and hosts that are none."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing
from folkmoot.node.actors.peer_links import PeerLinks
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.transport.errors import (
    ConnectionRefused,
    TooManyConnections,
    TransportError,
)
from folkmoot.node.transport.interface import Address
from folkmoot.node.transport.tcp import TcpNetwork
from folkmoot.protocol import limits
from folkmoot.protocol.connection import Connection, Notification

from tests.transport.sockets import (
    ANY_PORT,
    LEFT,
    RIGHT,
    Authority,
    dialled,
    exactly,
    plain,
    serving,
    until_ended,
)
from tests.waiting import until


@pytest.mark.parametrize("port", ["clients", "peers"])
async def test_silent_connections_by_the_hundred_shut_nobody_out(
    port: str,
    network: Callable[[bytes], TcpNetwork],
    town: Authority,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All from one address, the same from which the others come, who are served while the silent remain."""
    monkeypatch.setattr(limits, "CONNECTIONS_PER_LISTENER", 64)
    monkeypatch.setattr(limits, "HANDSHAKES_PER_LISTENER", 16)
    left, right = network(LEFT), network(RIGHT)
    listener = await (left.listen_clients if port == "clients" else left.listen_peers)(ANY_PORT)
    context = ssl.create_default_context(cafile=str(town.ca)) if left._tls is not None else None
    async with AsyncExitStack() as silent, serving(listener) as address:
        for _ in range(2 * limits.CONNECTIONS_PER_LISTENER):
            await silent.enter_async_context(dialled(address))
        for _ in range(3):
            if port == "peers":
                stream, found = await right.dial_peer(address, LEFT)
                assert found == LEFT
                await exactly(stream, RIGHT + b"!")
                await stream.aclose()
            else:
                async with dialled(address, context) as client:
                    await client.send_all(b"hello")
                    await exactly(client, b"anybody!hello")
        assert 0 < listener._admission._unproven.count <= limits.HANDSHAKES_PER_LISTENER // 2
        assert "silent while others came" in caplog.text
        assert len(caplog.records) < 20, "a flood of connections is no flood of the log"


@pytest.fixture
def room_for_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_PER_LISTENER", 4)


@pytest.mark.usefixtures("room_for_four")
async def test_one_address_has_half_of_the_clients_and_is_told_so() -> None:
    listener = await plain(LEFT).listen_clients(ANY_PORT)
    async with serving(listener) as address, dialled(address) as first:
        await first.send_all(b"1")
        await exactly(first, b"anybody!1")
        async with dialled(address) as second, dialled(address) as third:
            await second.send_all(b"2")
            await exactly(second, b"anybody!2")
            await third.send_all(b"3")
            with trio.fail_after(5):
                (goodbye,) = Connection().receive(await third.receive_some())
            assert isinstance(goodbye, Notification)
            assert (goodbye.method, goodbye.params["name"]) == ("goodbye", "busy")
            assert "127.0.0.1 has 2 connections" in goodbye.params["message"]
            await until_ended(third)

        await until(lambda: listener._admission._proven.count < 2, what="room for another connection")
        async with dialled(address) as again:
            await again.send_all(b"4")
            await exactly(again, b"anybody!4")


@pytest.mark.usefixtures("room_for_four")
async def test_a_peer_too_many_is_told_so(network: Callable[[bytes], TcpNetwork]) -> None:
    right = network(RIGHT)
    async with serving(await network(LEFT).listen_peers(ANY_PORT)) as address:
        held = [(await right.dial_peer(address, LEFT))[0] for _ in range(2)]
        with pytest.raises(TooManyConnections, match="has 2 connections here already"):
            await right.dial_peer(address, LEFT)
        for stream in held:
            await stream.aclose()


@pytest.mark.parametrize("port", ["clients", "peers"])
async def test_garbage_and_silence_end_and_the_port_lives_on(
    port: str, town: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_TIMEOUT_S", 0.1)
    left = town.network(LEFT)
    listener = await (left.listen_clients if port == "clients" else left.listen_peers)(ANY_PORT)
    async with serving(listener) as address:
        for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\x94\x00\x01", b""):
            async with dialled(address) as stream:
                if sent:
                    await stream.send_all(sent)
                await until_ended(stream)
        if port == "peers":
            monkeypatch.undo()
            stream, found = await town.network(RIGHT).dial_peer(address, LEFT)
            assert found == LEFT
            await stream.aclose()


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", b"\0\1\xc1", b"\0\1\x05", b"\0\1\x80", b"\0", b"\0\x09\x81"]
)
async def test_garbage_for_a_greeting(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_TIMEOUT_S", 0.1)
    async with serving(await plain(LEFT).listen_peers(ANY_PORT)) as address, dialled(address) as stream:
        await stream.send_all(sent)
        await until_ended(stream)


@pytest.mark.parametrize("host", ["nodes..example", "a" * 64 + ".example", "a\0b"])
async def test_what_is_no_host_is_an_error_of_the_transport(host: str) -> None:
    """Python's resolver answers such hosts with a `ValueError`, which nobody above expects."""
    network = plain(RIGHT)
    for attempt in (
        lambda: network.dial_peer(Address(host, 1), LEFT),
        lambda: network.listen_peers(Address(host, 1)),
        lambda: network.listen_clients(Address(host, 1)),
        lambda: network.open_datagrams(Address(host, 1)),
    ):
        with pytest.raises(TransportError) as caught:
            await attempt()
        assert not isinstance(caught.value, ConnectionRefused), "no evidence of anybody's death"


async def test_a_peer_that_advertises_what_is_no_host_is_merely_unreachable() -> None:
    class Gossip:
        """A directory of one neighbour, at a host that is none."""

        def __init__(self) -> None:
            self.asked = trio.Event()

        def neighbours(self, count: int) -> list[bytes]:
            return [LEFT]

        def address_of(self, node_id: bytes) -> Address:
            self.asked.set()
            return Address("nodes..example", 1)

        async def wait_changed(self, seen: int) -> int:
            await trio.sleep_forever()
            return seen

        def connection_reset(self, node_id: bytes) -> None:
            raise AssertionError

        connection_refused = stream_alive = connection_reset

    links, gossip = PeerLinks(plain(RIGHT)), Gossip()
    links.follow(gossip, gossip)
    async with trio.open_nursery() as nursery:
        await nursery.start(links.run)
        await gossip.asked.wait()
        with pytest.raises(PeerUnreachable):
            await links.call(LEFT, "ping", {}, 1.0)
        with pytest.raises(PeerUnreachable, match=r"nodes\.\.example"):
            await links.call_address(Address("nodes..example", 1), "ping", {}, 1.0)
        nursery.cancel_scope.cancel()


async def test_a_name_that_means_nothing() -> None:
    with pytest.raises(TransportError, match=r"nowhere\.invalid"):
        await plain(RIGHT).listen_peers(Address("nowhere.invalid", 1))
    with pytest.raises(TransportError, match=r"nowhere\.invalid"):
        await plain(RIGHT).dial_peer(Address("nowhere.invalid", 1), LEFT)
