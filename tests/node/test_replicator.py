"""The replicator's window and what becomes of cells that cannot be sent, on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.actors.replicator import CATCH_UPS_MOST, MESSAGES_IN_FLIGHT, OFFER_WAIT_S, Replicator
from folkmoot.node.contracts import CellBatch, PeerUnreachable
from folkmoot.protocol import limits
from folkmoot.protocol.client.link import OnReply
from folkmoot.protocol.client.link_terms import Ended, Reply
from folkmoot.protocol.connection import Response
from folkmoot.protocol.errors import BUSY, STALE_TOPOLOGY, WireError
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.storage.errors import DiskFull

from tests.node.doubles import Counting

PEER = bytes(16)
WHOLE = RangeDescriptor(0, 1, b"", b"", (Slot("eu", (PEER,)),))


class OneRange:
    """A topology of one range that never changes."""

    def where(self, key: bytes) -> RangeDescriptor:
        return WHOLE

    def region_of(self, node_id: bytes) -> str:
        return "eu"

    def __init__(self) -> None:
        self.refreshed = 0

    async def refresh(self, node_id: bytes) -> None:
        self.refreshed += 1


class HeldPeer:
    """A peer that answers when it is let, or is not there at all.

    Attributes:
        stale_times: how many calls it refuses first, because it knows a newer epoch each time.
    """

    def __init__(self, *, absent: bool = False, damaged: Sequence[bytes] = ()) -> None:
        self.answering = trio.Event()
        self.stale_times = 0
        self._absent = absent
        self._damaged = list(damaged)

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        if self._absent:
            raise PeerUnreachable("nobody there")
        await self.answering.wait()
        if self.stale_times:
            self.stale_times -= 1
            raise WireError(STALE_TOPOLOGY, "newer again")
        return {"changed": len(params["cells"]), "damaged": self._damaged}

    def submit(
        self, node_id: bytes, method: str, params: Mapping[str, Any], on_reply: OnReply
    ) -> Callable[[], None] | None:
        """There is no link yet."""
        return None


class LinkedPeer(HeldPeer):
    """A peer to whom there is a link.

    Attributes:
        asked: what has to be answered, in order: the parameters, and who hears the answer.
        forgotten: how many answers nobody waits for any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Mapping[str, Any], OnReply]] = []
        self.forgotten = 0

    def submit(
        self, node_id: bytes, method: str, params: Mapping[str, Any], on_reply: OnReply
    ) -> Callable[[], None] | None:
        self.asked.append((params, on_reply))
        return self._forget

    def _forget(self) -> None:
        self.forgotten += 1


class Settled:
    """A tally that only counts."""

    def __init__(self, slots: tuple[Slot, ...] = WHOLE.slots) -> None:
        self.slots = slots
        self.acknowledged = self.failed = self.outdated = 0
        self.damaged: list[bytes] = []

    def expect(self, node_id: bytes) -> None:
        """Parts are counted as they settle."""

    def outdate(self, node_id: bytes) -> None:
        self.outdated += 1

    def settle(self, node_id: bytes, *, acknowledged: bool, damaged: Collection[bytes] = ()) -> None:
        self.damaged += damaged
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
    replicator = Replicator(HeldPeer(absent=True), OneRange(), Hints(error).leave, Counting())
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
    replicator = Replicator(peer, OneRange(), hints.leave, Counting())
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
    replicator = Replicator(HeldPeer(), OneRange(), hints.leave, Counting())
    async with trio.open_nursery() as nursery:
        await nursery.start(replicator.run)
        replicator.offer(PEER, batch(limits.REPLICATION_WINDOW_CELLS), tally)
        replicator.send()
        [part] = replicator.offer(PEER, batch(2), tally)
        await replicator.offer_late(PEER, part, tally)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert hints.keys == [b"key", b"key"]
    assert tally.failed == 1


async def never(node_id: bytes, keys: Sequence[bytes]) -> None:
    """A disk that hangs."""
    await trio.sleep_forever()


class Linked:
    """A replicator whose peer has a link, and what came of what was offered."""

    def __init__(self) -> None:
        self.peer, self.topology, self.tally, self.hints = LinkedPeer(), OneRange(), Settled(), Hints()
        self.replicator = Replicator(self.peer, self.topology, self.hints.leave, Counting())

    def offer(self, *sizes: int) -> None:
        for size in sizes:
            assert self.replicator.offer(PEER, batch(size), self.tally) == []
        self.replicator.send()


@asynccontextmanager
async def linked() -> AsyncIterator[Linked]:
    town = Linked()
    async with trio.open_nursery() as nursery:
        await nursery.start(town.replicator.run)
        yield town
        nursery.cancel_scope.cancel()


def answer(result: object = None, error: WireError | None = None) -> Response:
    return Response(1, None if error is None else error.to_wire(), result)


async def test_a_message_leaves_and_its_answer_counts_without_a_turn_of_the_loop() -> None:
    async with linked() as town:
        town.offer(1, 2)
        [(params, heard)] = town.peer.asked
        assert len(params["cells"]) == 3, "what is offered before one `send` shares a message"
        heard(answer({"changed": 3}))
        assert town.tally.acknowledged == 2
        assert town.replicator.statistics().queued == {PEER: 0}


async def test_no_more_than_so_many_messages_are_under_way_and_the_next_follows_an_answer() -> None:
    async with linked() as town:
        for _ in range(MESSAGES_IN_FLIGHT + 3):
            town.offer(1)
        assert len(town.peer.asked) == MESSAGES_IN_FLIGHT
        town.peer.asked[0][1](answer({"changed": 1}))
        assert len(town.peer.asked) == MESSAGES_IN_FLIGHT + 1
        assert len(town.peer.asked[-1][0]["cells"]) == 3, "what waited goes together"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(answer(error=WireError(BUSY, "later")), id="refused"),
        pytest.param(answer({"changed": "many"}), id="nonsense"),
        pytest.param(Ended("the connection broke"), id="broken"),
    ],
)
async def test_what_a_link_does_not_acknowledge_becomes_hints(reply: Reply) -> None:
    async with linked() as town:
        town.offer(2)
        town.peer.asked[0][1](reply)
        await trio.testing.wait_all_tasks_blocked()
        assert (town.tally.acknowledged, town.tally.failed) == (0, 1)
        assert town.hints.keys == [b"key", b"key"]
        assert town.replicator.statistics().queued == {PEER: 0}


async def test_a_stale_epoch_is_caught_up_with_and_sent_again() -> None:
    async with linked() as town:
        town.offer(1)
        town.peer.asked[0][1](answer(error=WireError(STALE_TOPOLOGY, "newer here")))
        town.peer.answering.set()
        await trio.testing.wait_all_tasks_blocked()
        assert town.topology.refreshed == 1
        assert (town.tally.acknowledged, town.tally.failed) == (1, 0)


@pytest.mark.parametrize("times", [CATCH_UPS_MOST - 1, CATCH_UPS_MOST])
async def test_an_epoch_that_changes_again_and_again_is_never_taken_for_a_failure(times: int) -> None:
    """The next one may come before what was sent under the last arrives; then who put it puts it again."""
    async with linked() as town:
        town.peer.stale_times = times
        town.offer(1)
        town.peer.asked[0][1](answer(error=WireError(STALE_TOPOLOGY, "newer here")))
        town.peer.answering.set()
        await trio.testing.wait_all_tasks_blocked()
        outdated = times == CATCH_UPS_MOST
        assert (town.tally.acknowledged, town.tally.outdated) == (1 - outdated, outdated)
        assert town.tally.failed == 0 and town.hints.keys == []
        assert town.replicator.statistics().queued == {PEER: 0}


async def test_what_has_other_slots_under_the_newer_epoch_is_not_counted_for_the_old() -> None:
    """Its slot moves: a tally of the older epoch would take one node's word where two are needed."""
    moved = Settled((Slot("eu", (bytes(15) + b"\1",)),))
    async with linked() as town:
        town.replicator.offer(PEER, batch(2), moved)
        town.offer(1)
        town.peer.asked[0][1](answer(error=WireError(STALE_TOPOLOGY, "newer here")))
        town.peer.answering.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (moved.acknowledged, moved.failed, moved.outdated) == (0, 0, 1)
        assert (town.tally.acknowledged, town.tally.failed) == (1, 0)
        assert town.replicator.statistics().queued == {PEER: 0}


async def test_what_is_never_answered_becomes_hints_and_its_answer_is_not_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with linked() as town:
        town.offer(1)
        await trio.sleep(limits.REQUEST_TIMEOUT_S - 1)
        assert town.tally.failed == 0
        await trio.sleep(2)
        assert (town.tally.failed, town.peer.forgotten) == (1, 1)
        assert town.replicator.statistics().queued == {PEER: 0}


async def test_a_late_offer_that_is_cancelled_still_leaves_its_hints(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Whoever puts has given up waiting; what was expected of the peer is accounted for all the same."""
    async with linked() as town:
        town.offer(limits.REPLICATION_WINDOW_CELLS)
        [part] = town.replicator.offer(PEER, batch(2), town.tally)
        with trio.move_on_after(OFFER_WAIT_S / 2):
            await town.replicator.offer_late(PEER, part, town.tally)
        await trio.testing.wait_all_tasks_blocked()
        assert town.hints.keys == [b"key", b"key"]
        assert town.tally.failed == 1


async def test_nobody_waits_for_the_hints_of_a_late_offer(autojump_clock: trio.testing.MockClock) -> None:
    async with linked() as town:
        town.replicator._leave_hints = never
        town.offer(limits.REPLICATION_WINDOW_CELLS)
        [part] = town.replicator.offer(PEER, batch(2), town.tally)
        began = trio.current_time()
        await town.replicator.offer_late(PEER, part, town.tally)
        assert trio.current_time() - began == pytest.approx(OFFER_WAIT_S)


async def test_an_answer_after_the_end_harms_nobody() -> None:
    async with linked() as town:
        town.offer(1)
    town.peer.asked[0][1](Ended("this side stopped the link"))
    assert town.hints.keys == []


async def test_what_is_damaged_there_becomes_hints_and_nothing_else_does() -> None:
    peer, tally, other, hints = HeldPeer(damaged=[b"b"]), Settled(), Settled(), Hints()
    replicator = Replicator(peer, OneRange(), hints.leave, Counting())
    async with trio.open_nursery() as nursery:
        await nursery.start(replicator.run)
        replicator.offer(PEER, CellBatch({0: 1}, [b"a", b"b"], [b"cell"] * 2), tally)
        replicator.offer(PEER, CellBatch({0: 1}, [b"c"], [b"cell"]), other)
        replicator.send()
        peer.answering.set()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert (tally.acknowledged, tally.failed, tally.damaged) == (1, 0, [b"b"])
    assert (other.acknowledged, other.failed, other.damaged) == (1, 0, [])
    assert hints.keys == [b"b"]
    assert (replicator.statistics().sent, replicator.statistics().hinted) == (2, 1)
