"""The replicator's window and what becomes of cells that cannot be sent, on virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.actors.replicator import OFFER_WAIT_S, Replicator
from folkmoot.node.contracts import CellBatch, PeerUnreachable
from folkmoot.protocol import limits
from folkmoot.protocol.client.link import OnReply
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.storage.errors import DiskFull

PEER = bytes(16)
WHOLE = RangeDescriptor(0, 1, b"", b"", (Slot("eu", (PEER,)),))


class OneRange:
    """A topology of one range that never changes."""

    def where(self, key: bytes) -> RangeDescriptor:
        return WHOLE

    def region_of(self, node_id: bytes) -> str:
        return "eu"

    async def refresh(self, node_id: bytes) -> None:
        raise AssertionError("nothing was stale")


class HeldPeer:
    """A peer that answers when it is let, or is not there at all."""

    def __init__(self, *, absent: bool = False) -> None:
        self.answering = trio.Event()
        self._absent = absent

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        if self._absent:
            raise PeerUnreachable("nobody there")
        await self.answering.wait()
        return {"changed": len(params["cells"])}

    def submit(self, node_id: bytes, method: str, params: Mapping[str, Any], on_reply: OnReply) -> None:
        """There is no link yet."""


class Settled:
    """A tally that only counts."""

    def __init__(self) -> None:
        self.acknowledged = self.failed = 0

    def expect(self, node_id: bytes) -> None:
        """Parts are counted as they settle."""

    def settle(self, node_id: bytes, *, acknowledged: bool) -> None:
        if acknowledged:
            self.acknowledged += 1
        else:
            self.failed += 1


class Hints:
    """Where hints go; with an error, nowhere."""

    def __init__(self, error: Exception | None = None) -> None:
        self.keys: list[bytes] = []
        self._error = error

    async def leave(self, node_id: bytes, keys: Sequence[bytes]) -> None:
        if self._error is not None:
            raise self._error
        self.keys += keys


def batch(cells: int) -> CellBatch:
    return CellBatch({0: 1}, [b"key"] * cells, [b"cell"] * cells)


@pytest.mark.parametrize("error", [WireError(BUSY, "too many writes"), DiskFull("no room")], ids=repr)
async def test_hints_that_cannot_be_left_end_nothing(error: Exception) -> None:
    tally = Settled()
    replicator = Replicator(HeldPeer(absent=True), OneRange(), Hints(error).leave)
    async with trio.open_nursery() as nursery:
        await nursery.start(replicator.run)
        for _ in range(3):
            assert replicator.offer(PEER, batch(1), tally) == []
            replicator.send()
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert (tally.acknowledged, tally.failed) == (0, 3)
    assert replicator.statistics().unhinted == 3
    assert replicator.statistics().queued == {PEER: 0}


async def test_room_wakes_everyone_who_waits_for_it(autojump_clock: trio.testing.MockClock) -> None:
    peer, tally, hints = HeldPeer(), Settled(), Hints()
    replicator = Replicator(peer, OneRange(), hints.leave)
    async with trio.open_nursery() as nursery:
        await nursery.start(replicator.run)
        assert replicator.offer(PEER, batch(limits.REPLICATION_WINDOW_CELLS), tally) == []
        replicator.send()
        late = [part for _ in range(3) for part in replicator.offer(PEER, batch(1), tally)]
        assert len(late) == 3
        began = trio.current_time()
        async with trio.open_nursery() as waiting:
            for part in late:
                waiting.start_soon(replicator.offer_late, PEER, part, tally)
            await trio.testing.wait_all_tasks_blocked()
            peer.answering.set()
        assert trio.current_time() - began < OFFER_WAIT_S, "each was woken, and none ran into its deadline"
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert tally.failed == 0 and hints.keys == []


async def test_a_window_that_stays_full_turns_into_hints(autojump_clock: trio.testing.MockClock) -> None:
    tally, hints = Settled(), Hints()
    replicator = Replicator(HeldPeer(), OneRange(), hints.leave)
    async with trio.open_nursery() as nursery:
        await nursery.start(replicator.run)
        replicator.offer(PEER, batch(limits.REPLICATION_WINDOW_CELLS), tally)
        replicator.send()
        [part] = replicator.offer(PEER, batch(2), tally)
        await replicator.offer_late(PEER, part, tally)
        nursery.cancel_scope.cancel()
    assert hints.keys == [b"key", b"key"]
    assert tally.failed == 1
