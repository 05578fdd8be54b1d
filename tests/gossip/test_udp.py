"""Real datagrams on loopback, with and without planted faults."""

from __future__ import annotations

from random import Random

import pytest
import trio
from folkmoot.node.transport.errors import TransportError
from folkmoot.node.transport.faults import Fault, LinkFaults
from folkmoot.node.transport.interface import Address
from folkmoot.node.transport.udp import UdpDatagrams, open_udp
from folkmoot.protocol.limits import GOSSIP_DATAGRAM_BYTES

ANY = Address("127.0.0.1", 0)
NEAR, FAR = b"n" * 16, b"f" * 16
DELAY_MS = 150.0
NO_HOSTS = ("nodes..example", "a" * 64 + ".example", "a\0b")


async def receive(port: UdpDatagrams) -> tuple[bytes, Address]:
    with trio.fail_after(2.0):
        return await port.receive()


async def test_a_datagram_arrives_whole_with_its_source() -> None:
    one, other = await open_udp(ANY), await open_udp(ANY)
    assert one.address.port != 0
    data = bytes(range(256)) * 5 + bytes(GOSSIP_DATAGRAM_BYTES - 1280)
    await one.send(data, other.address, NEAR)
    assert await receive(other) == (data, one.address)
    await one.aclose()
    await other.aclose()


async def test_what_cannot_be_sent_is_lost_without_a_word() -> None:
    port = await open_udp(ANY)
    closed = await open_udp(ANY)
    await closed.aclose()
    for address in (
        closed.address,
        Address("255.255.255.255", 9),
        Address("::1", 9),
        Address("127.0.0.1", 0),
        *(Address(host, 9) for host in NO_HOSTS),
    ):
        await port.send(b"lost", address, None)
    await port.send(b"kept", port.address, None)
    assert (await receive(port))[0] == b"kept"
    await port.aclose()


async def test_a_taken_port_is_said_with_what_to_do() -> None:
    port = await open_udp(ANY)
    with pytest.raises(TransportError, match=rf"{port.address}.*listen\.datagrams"):
        await open_udp(port.address)
    with pytest.raises(TransportError, match="cannot bind"):
        await open_udp(Address("192.0.2.1", 0))
    await port.aclose()


async def test_a_late_datagram_to_what_is_no_host_is_lost_without_a_word() -> None:
    faults = LinkFaults(Random(1))
    faults.set(FAR, Fault(delay_ms=1.0))
    port = await open_udp(ANY, faults)
    for host in NO_HOSTS:
        await port.send(b"lost", Address(host, 9), FAR)
    await port.send(b"kept", port.address, FAR)
    assert (await receive(port))[0] == b"kept"
    await port.aclose()


@pytest.mark.parametrize("host", NO_HOSTS)
async def test_what_is_no_host_cannot_be_bound(host: str) -> None:
    with pytest.raises(TransportError, match="cannot bind"):
        await open_udp(Address(host, 0))


async def test_planted_losses_hit_only_the_link_they_lie_on() -> None:
    faults = LinkFaults(Random(1))
    faults.set(FAR, Fault(cut=True))
    one, other = await open_udp(ANY, faults), await open_udp(ANY)
    await one.send(b"to far", other.address, FAR)
    await one.send(b"to near", other.address, NEAR)
    await one.send(b"to a seed", other.address, None)
    assert [(await receive(other))[0] for _ in range(2)] == [b"to near", b"to a seed"]
    faults.clear()
    await one.send(b"healed", other.address, FAR)
    assert (await receive(other))[0] == b"healed"
    await one.aclose()
    await other.aclose()


async def test_a_planted_delay_holds_a_datagram_while_others_pass() -> None:
    faults = LinkFaults(Random(1))
    faults.set(FAR, Fault(delay_ms=DELAY_MS))
    one, other = await open_udp(ANY, faults), await open_udp(ANY)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.receive)
        began = trio.current_time()
        await one.send(b"late", other.address, FAR)
        await one.send(b"prompt", other.address, NEAR)
        assert (await receive(other))[0] == b"prompt"
        assert (await receive(other))[0] == b"late"
        assert trio.current_time() - began >= DELAY_MS / 1000
        nursery.cancel_scope.cancel()
    await one.aclose()
    await other.aclose()


async def test_held_datagrams_leave_in_the_order_of_their_delays() -> None:
    faults = LinkFaults(Random(1))
    one, other = await open_udp(ANY, faults), await open_udp(ANY)
    for delay_ms in (60.0, 20.0, 40.0):
        faults.set(FAR, Fault(delay_ms=delay_ms))
        await one.send(str(delay_ms).encode(), other.address, FAR)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.receive)
        assert [(await receive(other))[0] for _ in range(3)] == [b"20.0", b"40.0", b"60.0"]
        nursery.cancel_scope.cancel()
    await one.aclose()
    await other.aclose()


async def test_closing_wakes_the_receiver() -> None:
    port = await open_udp(ANY)
    with pytest.RaisesGroup(trio.ClosedResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(port.receive)
            await trio.testing.wait_all_tasks_blocked()
            await port.aclose()
