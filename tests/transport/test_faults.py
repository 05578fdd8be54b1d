"""What a fault does to a link, on a virtual clock."""

from __future__ import annotations

from random import Random

import pytest
import trio
import trio.testing
from folkmoot.node.transport.faults import Fault, FaultyStream, LinkFaults
from folkmoot.protocol.client.outbox import Prompt

PEER, OTHER = bytes(16), bytes(15) + b"\1"


def linked(faults: LinkFaults) -> tuple[trio.abc.Stream, trio.abc.Stream]:
    here, there = trio.testing.memory_stream_pair()
    return FaultyStream(here, faults, PEER), there


async def test_a_slow_link_delays_and_paces(autojump_clock: trio.abc.Clock) -> None:
    faults = LinkFaults(Random(0))
    stream, far = linked(faults)
    for fault, seconds in [
        (Fault(delay_ms=300), 0.3),
        (Fault(rate_bytes_s=100), 2.0),
        (Fault(delay_ms=300, rate_bytes_s=100), 2.3),
        (Fault(), 0.0),
    ]:
        faults.set(PEER, fault)
        began = trio.current_time()
        await stream.send_all(bytes(200))
        assert trio.current_time() - began == pytest.approx(seconds)
        assert await far.receive_some() == bytes(200)


class Promptly(FaultyStream):
    """A stream without faults that can send without waiting."""

    def __init__(self) -> None:
        super().__init__(trio.testing.memory_stream_pair()[0], LinkFaults(Random(0)), PEER)
        self.at_once: list[bytes] = []

    def send_now(self, data: bytes) -> int:
        self.at_once.append(data)
        return len(data)


async def test_nothing_leaves_at_once_on_a_link_with_a_fault() -> None:
    faults = LinkFaults(Random(0))
    inner = Promptly()
    stream = FaultyStream(inner, faults, PEER)
    assert stream.send_now(b"at once") == len(b"at once")
    faults.set(OTHER, Fault(cut=True))
    assert stream.send_now(b"too") == len(b"too")
    faults.set(PEER, Fault(delay_ms=1))
    assert stream.send_now(b"late") == 0
    faults.clear(PEER)
    assert stream.send_now(b"again") == len(b"again")
    assert inner.at_once == [b"at once", b"too", b"again"]


async def test_a_link_that_cannot_send_at_once_waits() -> None:
    stream, _ = linked(LinkFaults(Random(0)))
    assert isinstance(stream, Prompt)
    assert stream.send_now(b"anything") == 0


async def test_a_cut_is_of_one_link_and_lasts_until_it_is_healed(autojump_clock: trio.abc.Clock) -> None:
    faults = LinkFaults(Random(0))
    stream, far = linked(faults)
    faults.set(PEER, Fault(cut=True))
    faults.set(OTHER, Fault(cut=True))
    with trio.move_on_after(3600) as waited:
        await stream.send_all(b"lost with its sender's patience")
    assert waited.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, b"late")
        await trio.testing.wait_all_tasks_blocked()
        faults.clear(OTHER)
        faults.change(PEER, delay_ms=50)
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        faults.change(PEER, cut=False)
    assert await far.receive_some() == b"late"
    await stream.aclose()
    assert await far.receive_some() == b""


async def test_datagrams_are_lost_and_delayed_by_chance() -> None:
    faults = LinkFaults(Random(0))
    faults.set(PEER, Fault(cut=True))
    assert faults.loses(PEER)
    assert not faults.loses(OTHER) and not faults.loses(None)
    faults.set(PEER, Fault(loss=0.25, delay_ms=100, jitter_ms=50))
    assert 900 < sum(faults.loses(PEER) for _ in range(4000)) < 1100
    delays = [faults.delay_s(PEER) for _ in range(1000)]
    assert 0.1 <= min(delays) < 0.11 and 0.14 < max(delays) <= 0.15
    assert faults.delay_s(OTHER) == faults.delay_s(None) == 0.0


def test_what_is_set_can_be_told_and_cleared() -> None:
    faults = LinkFaults(Random(0))
    faults.set(PEER, Fault(loss=0.5))
    faults.change(OTHER, cut=True)
    assert {peer: fault["cut"] for peer, fault in faults.describe().items()} == {
        PEER.hex(): False,
        OTHER.hex(): True,
    }
    faults.change(OTHER, cut=False)
    assert OTHER not in faults
    faults.clear()
    assert faults.describe() == {}


@pytest.mark.parametrize("wrong", [{"loss": 1.5}, {"loss": -0.1}, {"delay_ms": -1.0}, {"rate_bytes_s": -1.0}])
def test_what_is_no_fault(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not a fault"):
        LinkFaults(Random(0)).change(PEER, **wrong)
