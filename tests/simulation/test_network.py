"""The in-memory network behaves as a network does: healthy, broken, and with a host gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
import trio.testing
from folkmoot.node.simulation.links import Conditions, Delay
from folkmoot.node.simulation.network import HostNetwork, Listener, SimulatedNetwork
from folkmoot.node.simulation.streams import WINDOW_BYTES
from folkmoot.node.simulation.trace import Trace
from folkmoot.node.transport.errors import (
    AddressInUse,
    ConnectionRefused,
    HandshakeFailed,
    TransportError,
    WrongNode,
)
from folkmoot.node.transport.interface import Accepted, Address
from folkmoot.protocol import limits

ALICE, BOB = "127.0.1.1", "127.0.1.2"
ALICE_ID, BOB_ID = b"a" * 16, b"b" * 16
DELAY = Delay(0.01, 0.01)
CUT = Conditions(cut=True)


class Pair:
    """Two hosts; Bob listens for peers and hands what he accepts to `accepted`."""

    def __init__(self, nursery: trio.Nursery, seed: int = 1) -> None:
        self.network = SimulatedNetwork(Random(seed), Trace(), lambda source, target: DELAY)
        self.alice = self.network.boot(ALICE, ALICE_ID)
        self.bob = self.network.boot(BOB, BOB_ID)
        self.nursery = nursery
        self.send_accepted, self.accepted = trio.open_memory_channel[Accepted](16)

    async def listen(self, port: int = 0) -> Listener:
        listener = await self.bob.listen_peers(Address(BOB, port))
        self.nursery.start_soon(listener.serve, self._keep)
        return listener

    async def connect(self) -> tuple[trio.abc.Stream, trio.abc.Stream]:
        listener = await self.listen()
        ours, found = await self.alice.dial_peer(listener.address, BOB_ID)
        assert found == BOB_ID
        return ours, (await self.accepted.receive()).stream

    def set(self, conditions: Conditions, *, both: bool = True) -> None:
        self.network.links.between(ALICE, BOB).set(conditions)
        if both:
            self.network.links.between(BOB, ALICE).set(conditions)

    async def _keep(self, accepted: Accepted) -> None:
        await self.send_accepted.send(accepted)
        await trio.sleep_forever()


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    async with trio.open_nursery() as nursery:
        yield Pair(nursery)
        nursery.cancel_scope.cancel()


async def receive_exactly(stream: trio.abc.Stream, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        received += await stream.receive_some()
    return bytes(received)


async def test_bytes_arrive_whole_and_in_order(autojump_clock: trio.testing.MockClock) -> None:
    async with pair() as two:
        ours, theirs = await two.connect()
        sent = bytes(range(256)) * 40
        for start in range(0, len(sent), 100):
            await ours.send_all(sent[start : start + 100])
        assert await receive_exactly(theirs, len(sent)) == sent
        await theirs.send_all(b"back")
        assert await receive_exactly(ours, 4) == b"back"


async def test_who_dials_is_known_to_peers_and_not_to_the_clients_port(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with pair() as two:
        peers = await two.listen()
        await two.alice.dial_peer(peers.address, None)
        assert (await two.accepted.receive()).node_id == ALICE_ID
        clients = await two.bob.listen_clients(Address(BOB, 0))
        two.nursery.start_soon(clients.serve, two._keep)
        await two.alice.dial_client(clients.address)
        accepted = await two.accepted.receive()
        assert accepted.node_id is None
        assert accepted.remote.host == ALICE


async def test_the_wrong_node_and_the_wrong_port(autojump_clock: trio.testing.MockClock) -> None:
    async with pair() as two:
        peers = await two.listen()
        with pytest.raises(WrongNode):
            await two.alice.dial_peer(peers.address, b"c" * 16)
        with pytest.raises(HandshakeFailed):
            await two.alice.dial_client(peers.address)
        clients = await two.bob.listen_clients(Address(BOB, 0))
        with pytest.raises(HandshakeFailed):
            await two.alice.dial_peer(clients.address, BOB_ID)
        with pytest.raises(AddressInUse):
            await two.bob.listen_peers(peers.address)
        with pytest.raises(TransportError):
            await two.bob.listen_peers(Address(ALICE, 0))


async def test_nobody_listens(autojump_clock: trio.testing.MockClock) -> None:
    async with pair() as two:
        listener = await two.listen()
        await listener.aclose()
        with pytest.raises(ConnectionRefused):
            await two.alice.dial_peer(listener.address, BOB_ID)
        two.network.crash(BOB)
        with pytest.raises(ConnectionRefused):
            await two.alice.dial_peer(listener.address, BOB_ID)


@pytest.mark.parametrize("both", [True, False])
async def test_dialling_over_a_cut_link_takes_until_the_deadline(
    autojump_clock: trio.testing.MockClock, both: bool
) -> None:
    async with pair() as two:
        listener = await two.listen()
        two.set(CUT, both=both)
        begun_s = trio.current_time()
        with pytest.raises(HandshakeFailed):
            await two.alice.dial_peer(listener.address, BOB_ID)
        assert trio.current_time() - begun_s == pytest.approx(limits.HANDSHAKE_TIMEOUT_S)


async def test_a_cut_holds_bytes_back_and_a_heal_lets_them_through(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with pair() as two:
        ours, theirs = await two.connect()
        two.set(CUT, both=False)
        await ours.send_all(b"one")
        await ours.send_all(b"two")
        await theirs.send_all(b"the other way is open")
        assert await receive_exactly(ours, 21)
        with trio.move_on_after(100) as waiting:
            await theirs.receive_some()
        assert waiting.cancelled_caught
        two.set(Conditions(), both=False)
        await ours.send_all(b"three")
        assert await receive_exactly(theirs, 11) == b"onetwothree"


async def test_a_reader_that_does_not_read_holds_up_its_writer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with pair() as two:
        ours, theirs = await two.connect()
        with trio.move_on_after(100) as sending:
            await ours.send_all(bytes(3 * WINDOW_BYTES))
        assert sending.cancelled_caught
        assert two.alice.peak_bytes() == WINDOW_BYTES
        assert len(await receive_exactly(theirs, WINDOW_BYTES)) == WINDOW_BYTES


async def test_closing_ends_the_other_side_after_what_was_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with pair() as two:
        ours, theirs = await two.connect()
        await ours.send_all(b"last words")
        await ours.aclose()
        assert await receive_exactly(theirs, 10) == b"last words"
        assert await theirs.receive_some() == b""
        with pytest.raises(trio.ClosedResourceError):
            await ours.receive_some()
        with pytest.raises(trio.ClosedResourceError):
            await ours.send_all(b"more")


async def sends_until_broken(stream: trio.abc.Stream) -> None:
    while True:
        await stream.send_all(b"anybody there?")
        await trio.lowlevel.checkpoint()


async def receives(stream: trio.abc.Stream) -> None:
    while await stream.receive_some():
        pass


@pytest.mark.parametrize("use", [sends_until_broken, receives])
async def test_a_crash_resets_the_streams_of_the_others(
    autojump_clock: trio.testing.MockClock, use: Callable[[trio.abc.Stream], Awaitable[None]]
) -> None:
    async with pair() as two:
        ours, _ = await two.connect()
        two.network.crash(BOB)
        with trio.fail_after(10), pytest.raises(trio.BrokenResourceError):
            await use(ours)


async def test_a_crash_behind_a_cut_is_noticed_when_it_heals(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with pair() as two:
        ours, _ = await two.connect()
        two.set(CUT)
        two.network.crash(BOB)
        with trio.move_on_after(100) as waiting:
            await ours.receive_some()
        assert waiting.cancelled_caught
        two.set(Conditions())
        with trio.fail_after(10), pytest.raises(trio.BrokenResourceError):
            await ours.receive_some()


async def test_a_dead_boot_has_no_effect_and_leaves_the_next_one_its_ports(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with pair() as two:
        listener = await two.listen(7001)
        datagrams = await two.bob.open_datagrams(Address(BOB, 7002))
        dead = two.bob
        two.network.crash(BOB)
        two.bob = two.network.boot(BOB, BOB_ID)
        again = await two.listen(7001)
        await two.bob.open_datagrams(Address(BOB, 7002))
        await listener.aclose()
        await datagrams.send(b"from the grave", Address(ALICE, 7002), None)
        with pytest.raises(TransportError):
            await dead.listen_peers(Address(BOB, 0))
        with pytest.raises(TransportError):
            await dead.dial_peer(again.address, None)
        await two.alice.dial_peer(again.address, BOB_ID)


async def dials(
    two: Pair, source: HostNetwork, address: Address, count: int = 200
) -> Counter[type[Exception]]:
    """What so many dials fail with."""
    failed: Counter[type[Exception]] = Counter()
    for _ in range(count):
        try:
            stream, _ = await source.dial_peer(address, None)
        except TransportError as error:
            failed[type(error)] += 1
        else:
            stream.close()
    return failed


@pytest.mark.parametrize("refusing", [ALICE, BOB])
async def test_a_share_of_the_dials_from_and_to_a_host_fails(
    autojump_clock: trio.testing.MockClock, refusing: str
) -> None:
    async with pair() as two:
        address = (await two.listen()).address
        assert await dials(two, two.alice, address) == {}
        two.network.refused_shares[refusing] = 0.5
        failed = await dials(two, two.alice, address)
        assert set(failed) == {TransportError, ConnectionRefused}
        assert 70 < failed.total() < 130 and min(failed.values()) > 20
        two.network.refused_shares[refusing] = 0.0
        assert await dials(two, two.alice, address) == {}


async def test_refused_dials_harm_nobody_else(autojump_clock: trio.testing.MockClock) -> None:
    """Other hosts dial each other, what is open stays open, and datagrams arrive."""
    async with pair() as two:
        ours, theirs = await two.connect()
        port = await two.bob.open_datagrams(Address(BOB, 7002))
        carol = two.network.boot("127.0.1.3", b"c" * 16)
        listener = await carol.listen_peers(Address(carol.host, 0))
        two.nursery.start_soon(listener.serve, two._keep)
        two.network.refused_shares[ALICE] = 1.0
        assert (await dials(two, two.alice, listener.address, 20)).total() == 20
        assert (await dials(two, two.bob, listener.address, 20)).total() == 0
        await ours.send_all(b"still here")
        assert await receive_exactly(theirs, 10) == b"still here"
        await (await two.alice.open_datagrams(Address(ALICE, 7002))).send(b"and here", port.address, BOB_ID)
        assert (await port.receive())[0] == b"and here"


async def arrivals(conditions: Conditions, count: int = 400) -> list[int]:
    """The numbers of the datagrams that arrive over a link in some condition, as they arrive."""
    arrived: list[int] = []

    async def take(host: HostNetwork) -> None:
        port = await host.open_datagrams(Address(BOB, 7002))
        while True:
            data, source = await port.receive()
            assert source == Address(ALICE, 7002)
            arrived.append(int(data))

    async with pair() as two:
        two.nursery.start_soon(take, two.bob)
        port = await two.alice.open_datagrams(Address(ALICE, 7002))
        two.set(conditions)
        for number in range(count):
            await port.send(b"%d" % number, Address(BOB, 7002), BOB_ID)
            await trio.sleep_until(trio.current_time() + 0.05)
        await trio.sleep_until(trio.current_time() + 10)
    return arrived


async def test_datagrams_over_a_healthy_link(autojump_clock: trio.testing.MockClock) -> None:
    assert await arrivals(Conditions()) == list(range(400))


async def test_datagrams_get_lost(autojump_clock: trio.testing.MockClock) -> None:
    arrived = await arrivals(Conditions(loss=0.3))
    assert arrived == sorted(set(arrived))
    assert 200 < len(arrived) < 350


async def test_datagrams_arrive_twice(autojump_clock: trio.testing.MockClock) -> None:
    arrived = await arrivals(Conditions(duplication=0.3))
    assert sorted(set(arrived)) == list(range(400))
    assert 450 < len(arrived) < 600


async def test_datagrams_overtake_each_other(autojump_clock: trio.testing.MockClock) -> None:
    arrived = await arrivals(Conditions(reordering=0.3))
    assert sorted(arrived) == list(range(400))
    assert arrived != sorted(arrived)


async def test_datagrams_do_not_cross_a_cut(autojump_clock: trio.testing.MockClock) -> None:
    assert await arrivals(CUT) == []


async def test_what_a_clogged_link_held_up_arrives_at_once_and_whole(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Datagrams with all their bytes, and streams in order; a cut loses the first and keeps the second."""
    arrived: list[tuple[bytes, float]] = []

    async def take(host: HostNetwork) -> None:
        port = await host.open_datagrams(Address(BOB, 7002))
        while True:
            data, _ = await port.receive()
            arrived.append((data, trio.current_time()))

    async with pair() as two:
        ours, theirs = await two.connect()
        two.nursery.start_soon(take, two.bob)
        port = await two.alice.open_datagrams(Address(ALICE, 7002))
        two.set(Conditions(clogged=True))
        for number in range(20):
            await port.send(b"%d" % number, Address(BOB, 7002), BOB_ID)
            await ours.send_all(b"%d," % number)
            await trio.sleep_until(trio.current_time() + 0.2)
        assert arrived == []
        cleared_s = trio.current_time()
        two.set(Conditions())
        expected = b"".join(b"%d," % number for number in range(20))
        assert await receive_exactly(theirs, len(expected)) == expected
        await trio.sleep_until(cleared_s + 1)
        assert sorted(int(data) for data, _ in arrived) == list(range(20))
        assert all(at_s - cleared_s < DELAY.least_s + DELAY.spread_s for _, at_s in arrived)


async def test_a_failing_handler_ends_its_connection_only(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(accepted: Accepted) -> None:
        raise RuntimeError("planted")

    async with pair() as two:
        listener = await two.bob.listen_peers(Address(BOB, 0))
        two.nursery.start_soon(listener.serve, fail)
        for _ in range(2):
            stream, _ = await two.alice.dial_peer(listener.address, BOB_ID)
            assert await stream.receive_some() == b""
    assert len([record for record in caplog.records if record.exc_info]) == 2
