"""Real sockets on loopback: who may talk to whom, and what the others are told."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing
from folkmoot.node.transport.errors import (
    AddressInUse,
    ConnectionRefused,
    HandshakeFailed,
    InsecureBind,
    TransportError,
    Untrusted,
    WrongCluster,
    WrongNode,
)
from folkmoot.node.transport.faults import Fault, LinkFaults
from folkmoot.node.transport.interface import Accepted, Address
from folkmoot.node.transport.tcp import TcpNetwork
from folkmoot.node.transport.tls import TlsFiles
from folkmoot.protocol import limits
from folkmoot.protocol.node_name import NodeName

from tests.transport.sockets import (
    ANY_PORT,
    LEFT,
    RIGHT,
    Authority,
    dialled,
    exactly,
    heard,
    plain,
    serving,
    until_ended,
)


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
