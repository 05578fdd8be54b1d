"""Real sockets on loopback: who may talk to whom, and what the others are told."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing
from folkmoot.node.actors.peer_links import PeerLinks
from folkmoot.node.certificates import create_ca, create_node
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.transport.errors import (
    AddressInUse,
    ConnectionRefused,
    HandshakeFailed,
    InsecureBind,
    TooManyConnections,
    TransportError,
    Untrusted,
    WrongCluster,
    WrongNode,
)
from folkmoot.node.transport.faults import Fault, LinkFaults
from folkmoot.node.transport.interface import Accepted, Address, Listener
from folkmoot.node.transport.tcp import TcpNetwork
from folkmoot.node.transport.tls import TlsFiles
from folkmoot.protocol import limits
from folkmoot.protocol.connection import Connection, Notification
from folkmoot.protocol.node_name import NodeName

from tests.waiting import until

ANY_PORT = Address("127.0.0.1", 0)
LEFT, RIGHT = bytes(15) + b"\1", bytes(15) + b"\2"


class Authority:
    """A CA in a directory, and networks of nodes it signed."""

    def __init__(self, directory: Path, cluster: str = "town") -> None:
        self.directory = directory
        self.cluster = cluster
        self.ca = create_ca(directory / "ca", cluster)

    def files(self, node_id: bytes, now: datetime | None = None) -> TlsFiles:
        directory = self.directory / node_id.hex()
        if not directory.exists():
            create_node(self.directory / "ca", directory, self.cluster, node_id.hex(), days=30, now=now)
        return TlsFiles(self.ca, directory / "node.crt", directory / "node.key")

    def network(self, node_id: bytes, now: datetime | None = None) -> TcpNetwork:
        return TcpNetwork(NodeName(self.cluster, node_id), self.files(node_id, now), LinkFaults(Random(0)))


@pytest.fixture
def town(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "town")


def plain(node_id: bytes, cluster: str = "town", faults: LinkFaults | None = None) -> TcpNetwork:
    return TcpNetwork(NodeName(cluster, node_id), None, faults or LinkFaults(Random(0)))


async def echo(accepted: Accepted) -> None:
    """Say who is there, then repeat what comes."""
    await accepted.stream.send_all((accepted.node_id or b"anybody") + b"!")
    while data := await accepted.stream.receive_some():
        await accepted.stream.send_all(data)


@asynccontextmanager
async def serving(listener: Listener) -> AsyncIterator[Address]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.serve, echo)
        try:
            yield listener.address
        finally:
            await listener.aclose()
            nursery.cancel_scope.cancel()


async def exactly(stream: trio.abc.Stream, data: bytes) -> None:
    received = b""
    while len(received) < len(data):
        received += await stream.receive_some(len(data) - len(received))
    assert received == data


@pytest.fixture(params=["tls", "off"])
def network(request: pytest.FixtureRequest, town: Authority) -> Callable[[bytes], TcpNetwork]:
    return town.network if request.param == "tls" else plain


async def test_peers_know_each_other(network: Callable[[bytes], TcpNetwork]) -> None:
    async with serving(await network(LEFT).listen_peers(ANY_PORT)) as address:
        for expected in (LEFT, None):
            stream, found = await network(RIGHT).dial_peer(address, expected)
            assert found == LEFT
            await exactly(stream, RIGHT + b"!")
            await stream.send_all(b"hello")
            await exactly(stream, b"hello")
            await stream.aclose()


async def test_another_node_at_the_address_is_an_error(network: Callable[[bytes], TcpNetwork]) -> None:
    async with serving(await network(LEFT).listen_peers(ANY_PORT)) as address:
        with pytest.raises(WrongNode, match=f"node {LEFT.hex()} is there"):
            await network(RIGHT).dial_peer(address, bytes(16))
        with pytest.raises(WrongNode, match="dialled itself"):
            await network(LEFT).dial_peer(address, None)


async def test_another_cluster_with_another_ca(
    town: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    village = Authority(tmp_path / "village", "village")
    async with serving(await town.network(LEFT).listen_peers(ANY_PORT)) as address:
        with pytest.raises(Untrusted, match="does not vouch for"):
            await village.network(RIGHT).dial_peer(address, LEFT)
        await heard(caplog, "did not accept this node's certificate")


async def test_a_dialler_whose_certificate_is_not_accepted_learns_it(
    town: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    impostor = Authority(tmp_path / "impostor", "town")
    files = impostor.files(RIGHT)
    network = TcpNetwork(
        NodeName("town", RIGHT), TlsFiles(town.ca, files.certificate, files.key), LinkFaults(Random(0))
    )
    async with serving(await town.network(LEFT).listen_peers(ANY_PORT)) as address:
        with pytest.raises(Untrusted, match="did not accept this node's certificate"):
            await network.dial_peer(address, LEFT)
        await heard(caplog, "does not vouch for")


async def test_another_cluster_is_named_on_both_sides(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(await plain(LEFT).listen_peers(ANY_PORT)) as address:
        sentence = "is of cluster 'village', this one of 'town'"
        with pytest.raises(WrongCluster, match=sentence):
            await plain(RIGHT, "village").dial_peer(address, None)
        await heard(caplog, sentence)


async def test_a_greeting_that_contradicts_the_certificate(
    town: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    liar = town.network(RIGHT)
    liar._name = NodeName("town", bytes(16))
    async with serving(await town.network(LEFT).listen_peers(ANY_PORT)) as address:
        with pytest.raises(Untrusted, match="greets with the certificate of"):
            await liar.dial_peer(address, LEFT)
        await heard(caplog, "greets with the certificate of")


async def test_plain_and_encrypted_peers_do_not_understand_each_other(town: Authority) -> None:
    async with serving(await town.network(LEFT).listen_peers(ANY_PORT)) as address:
        with pytest.raises(HandshakeFailed):
            await plain(RIGHT).dial_peer(address, LEFT)
    async with serving(await plain(LEFT).listen_peers(ANY_PORT)) as address:
        with pytest.raises(HandshakeFailed):
            await town.network(RIGHT).dial_peer(address, LEFT)


async def test_an_expired_certificate(town: Authority, caplog: pytest.LogCaptureFixture) -> None:
    old = town.network(RIGHT, datetime(2020, 1, 1, tzinfo=UTC))
    async with serving(await town.network(LEFT).listen_peers(ANY_PORT)) as address:
        with pytest.raises(Untrusted, match=r"did not accept.*certificate expired"):
            await old.dial_peer(address, LEFT)
        await heard(caplog, "certificate has expired")
    async with serving(await old.listen_peers(ANY_PORT)) as address:
        with pytest.raises(Untrusted, match=r"certificate has expired|certificate expired"):
            await town.network(LEFT).dial_peer(address, RIGHT)


async def test_clients_need_no_certificate_and_peers_do(
    town: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.create_default_context(cafile=str(town.ca))
    left = town.network(LEFT)
    async with (
        serving(await left.listen_clients(ANY_PORT)) as address,
        dialled(address, context) as stream,
    ):
        await exactly(stream, b"anybody!")
        assert isinstance(stream, trio.SSLStream)
        assert stream.version() == "TLSv1.3"
    async with serving(await left.listen_peers(ANY_PORT)) as address, dialled(address, context) as stream:
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        await heard(caplog, "peer did not return a certificate")


async def test_old_tls_is_refused(town: Authority) -> None:
    context = ssl.create_default_context(cafile=str(town.ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with (
        serving(await town.network(LEFT).listen_clients(ANY_PORT)) as address,
        dialled(address, context) as stream,
    ):
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()


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
        assert 0 < listener._admission.unproven_count <= limits.HANDSHAKES_PER_LISTENER // 2
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

        await until(lambda: listener._admission.proven_count < 2, what="room for another connection")
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


async def test_a_failing_handler_ends_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(accepted: Accepted) -> None:
        raise ZeroDivisionError

    listener = await plain(LEFT).listen_clients(ANY_PORT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.serve, fail)
        for _ in range(2):
            async with dialled(listener.address) as stream:
                await stream.send_all(b"x")
                await until_ended(stream)
        await listener.aclose()
    assert sum("failed" in record.message for record in caplog.records) == 2


async def test_nobody_listens() -> None:
    listener = await plain(LEFT).listen_peers(ANY_PORT)
    await listener.aclose()
    with pytest.raises(ConnectionRefused, match=f"nobody listens on {listener.address}"):
        await plain(RIGHT).dial_peer(listener.address, LEFT)


async def test_a_name_that_means_nothing() -> None:
    with pytest.raises(TransportError, match=r"nowhere\.invalid"):
        await plain(RIGHT).listen_peers(Address("nowhere.invalid", 1))
    with pytest.raises(TransportError, match=r"nowhere\.invalid"):
        await plain(RIGHT).dial_peer(Address("nowhere.invalid", 1), LEFT)


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


async def test_a_taken_port_is_named() -> None:
    listener = await plain(LEFT).listen_peers(ANY_PORT)
    with pytest.raises(AddressInUse, match=f"{listener.address} is taken"):
        await plain(RIGHT).listen_peers(listener.address)
    await listener.aclose()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
async def test_beyond_loopback_needs_certificates(host: str) -> None:
    for listen in (plain(LEFT).listen_peers, plain(LEFT).listen_clients):
        with pytest.raises(InsecureBind, match="folkmoot cert create-ca"):
            await listen(Address(host, 0))


async def test_an_address_of_another_machine(town: Authority) -> None:
    with pytest.raises(TransportError, match="cannot listen on 192"):
        await town.network(LEFT).listen_peers(Address("192.0.2.1", 0))


def test_the_certificate_of_another_node(town: Authority) -> None:
    with pytest.raises(TransportError, match="make its own"):
        TcpNetwork(NodeName("town", RIGHT), town.files(LEFT), LinkFaults(Random(0)))


def test_a_key_of_another_certificate(town: Authority) -> None:
    left, right = town.files(LEFT), town.files(RIGHT)
    with pytest.raises(TransportError, match=r"node\.key"):
        TcpNetwork(
            NodeName("town", LEFT),
            TlsFiles(left.ca, left.certificate, right.key),
            LinkFaults(Random(0)),
        )


async def test_a_cut_link_stalls_until_it_heals(network: Callable[[bytes], TcpNetwork]) -> None:
    right = network(RIGHT)
    async with serving(await network(LEFT).listen_peers(ANY_PORT)) as address:
        stream, _ = await right.dial_peer(address, LEFT)
        await exactly(stream, RIGHT + b"!")
        right._faults.set(LEFT, Fault(cut=True))
        sent = trio.Event()

        async def send() -> None:
            await stream.send_all(b"late")
            sent.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert not sent.is_set()
            right._faults.clear(LEFT)
            await exactly(stream, b"late")
        await stream.aclose()


@pytest.mark.parametrize("side", ["dialler", "listener"])
async def test_a_cut_link_cannot_be_dialled(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_TIMEOUT_S", 0.1)
    left, right = plain(LEFT), plain(RIGHT)
    async with serving(await left.listen_peers(ANY_PORT)) as address:
        if side == "dialler":
            right._faults.set(LEFT, Fault(cut=True))
        else:
            left._faults.set(RIGHT, Fault(cut=True))
        with pytest.raises(HandshakeFailed, match="no handshake with"):
            await right.dial_peer(address, LEFT)


@asynccontextmanager
async def dialled(address: Address, context: ssl.SSLContext | None = None) -> AsyncIterator[trio.abc.Stream]:
    """A stranger's connection, closed without ceremony."""
    raw = await trio.open_tcp_stream(*address)
    try:
        yield raw if context is None else trio.SSLStream(raw, context, server_hostname="node.folkmoot")
    finally:
        await trio.aclose_forcefully(raw)


async def until_ended(stream: trio.abc.Stream) -> None:
    """Read to the end, which may be a reset."""
    with trio.fail_after(5), suppress(trio.BrokenResourceError):
        while await stream.receive_some():
            pass


async def heard(caplog: pytest.LogCaptureFixture, sentence: str) -> None:
    """Wait until the listening side has logged `sentence`."""
    await until(lambda: sentence in caplog.text, what=f"{sentence!r} in the log")


async def test_datagrams_suffer_the_faults_of_the_same_links() -> None:
    faults = LinkFaults(Random(0))
    left, right = (
        await plain(LEFT, faults=faults).open_datagrams(ANY_PORT),
        await plain(RIGHT).open_datagrams(ANY_PORT),
    )
    faults.set(RIGHT, Fault(cut=True))
    await left.send(b"lost", right.address, RIGHT)
    faults.clear()
    await left.send(b"kept", right.address, RIGHT)
    with trio.fail_after(5):
        assert await right.receive() == (b"kept", left.address)
    await left.aclose()
    await right.aclose()
