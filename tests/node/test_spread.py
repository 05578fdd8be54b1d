"""The spread: each share is settled by its own slots, as soon as it is decided and at the latest in time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing
from folkmoot.node.contracts import CellBatch, PutResult, Tally
from folkmoot.node.spread import Spread
from folkmoot.protocol import limits
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot

HERE, NEAR, FAR, OTHER = (bytes((number,)) * 16 for number in (1, 2, 3, 4))


def owner(range_id: int, *nodes: bytes) -> RangeDescriptor:
    return RangeDescriptor(range_id, 7, b"", b"", tuple(Slot("eu", (node,)) for node in nodes))


@dataclass
class Streams:
    """Replication that answers when the test says so.

    Attributes:
        offered: what was offered, by node.
        full: nodes whose window has no room at first.
        room: awaited before what found no room is taken after all.
    """

    offered: dict[bytes, list[tuple[CellBatch, Tally]]] = field(default_factory=dict)
    full: set[bytes] = field(default_factory=set)
    room: trio.Event = field(default_factory=trio.Event)

    def offer(self, node_id: bytes, batch: CellBatch, tally: Tally) -> list[CellBatch]:
        tally.expect(node_id)
        if node_id in self.full:
            return [batch]
        self.offered.setdefault(node_id, []).append((batch, tally))
        return []

    def send(self) -> None:
        """What was offered is there already."""

    async def offer_late(self, node_id: bytes, part: CellBatch, tally: Tally) -> None:
        await self.room.wait()
        self.offered.setdefault(node_id, []).append((part, tally))

    def answer(self, node_id: bytes, *, acknowledged: bool = True, damaged: tuple[bytes, ...] = ()) -> None:
        for _, tally in self.offered.pop(node_id):
            tally.settle(node_id, acknowledged=acknowledged, damaged=damaged)


class Town:
    """A spread under way, and what it has settled so far."""

    def __init__(self, level: Level, *owners: RangeDescriptor, absent: tuple[bytes, ...] = ()) -> None:
        self.streams = Streams()
        self.results: dict[int, PutResult] = {}
        self.spread = Spread(HERE, level, "eu", absent, self.streams, self.results.update)
        for number, each in enumerate(owners):
            key, cell = b"key %d" % number, b"cell %d" % number
            self.spread.add(number, key, cell, each, status="stored", changed=True)

    @asynccontextmanager
    async def carried(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.spread.carry)
            await trio.testing.wait_all_tasks_blocked()
            yield

    async def told(self) -> dict[int, str]:
        await trio.testing.wait_all_tasks_blocked()
        return {number: result.status for number, result in sorted(self.results.items())}


async def test_ranges_with_the_same_slots_share_a_message() -> None:
    town = Town("all", owner(1, HERE, NEAR), owner(2, HERE, NEAR), owner(3, HERE, FAR))
    async with town.carried():
        [(batch, _)] = town.streams.offered[NEAR]
        assert (batch.keys, batch.ranges) == ([b"key 0", b"key 1"], {1: 7, 2: 7})
        [(batch, _)] = town.streams.offered[FAR]
        assert (batch.keys, batch.cells, batch.ranges) == ([b"key 2"], [b"cell 2"], {3: 7})
        assert HERE not in town.streams.offered
        town.streams.answer(NEAR)
        town.streams.answer(FAR)


async def test_a_slow_slot_holds_up_only_those_who_need_it(autojump_clock: trio.testing.MockClock) -> None:
    town = Town("quorum", owner(1, HERE, NEAR), owner(2, HERE, FAR), owner(3, HERE, NEAR))
    began = trio.current_time()
    async with town.carried():
        town.streams.answer(NEAR)
        assert await town.told() == {0: "stored", 2: "stored"}
        assert trio.current_time() == began
    assert trio.current_time() - began == pytest.approx(limits.REQUEST_TIMEOUT_S / 2)
    assert await town.told() == {0: "stored", 1: "uncertain", 2: "stored"}
    error = town.results[1].error
    assert error is not None
    assert error["details"]["missing"] == [{"region": "eu", "nodes": [FAR.hex()]}]


async def test_one_needs_nobody_else() -> None:
    town = Town("one", owner(1, HERE, NEAR, FAR))
    async with town.carried():
        assert await town.told() == {0: "stored"}
        assert set(town.streams.offered) == {NEAR, FAR}, "they are given it all the same"


async def test_an_absent_slot_is_not_asked_and_counts_as_missing() -> None:
    town = Town("all", owner(1, HERE, NEAR, FAR), absent=(FAR,))
    async with town.carried():
        assert set(town.streams.offered) == {NEAR}
        assert await town.told() == {}, "who was asked is heard first"
        town.streams.answer(NEAR)
        assert await town.told() == {0: "uncertain"}
    coverage = town.results[0].coverage
    assert coverage is not None
    assert coverage.achieved == {"level": "each_quorum", "acks": 2, "slots": 3}


async def test_a_refusal_is_no_acknowledgement() -> None:
    town = Town("quorum", owner(1, HERE, NEAR, FAR))
    async with town.carried():
        town.streams.answer(NEAR, acknowledged=False)
        assert await town.told() == {}, "the other one may still make it a quorum"
        town.streams.answer(FAR)
        assert await town.told() == {0: "stored"}


async def test_only_what_is_damaged_there_misses_an_acknowledgement() -> None:
    owners = [owner(1, HERE, NEAR, FAR)] * 4
    town = Town("quorum", *owners)
    async with town.carried():
        town.streams.answer(NEAR, damaged=(b"key 1", b"key 3"))
        assert await town.told() == {0: "stored", 2: "stored"}, "these wait for nobody else"
        assert acks(town.results[0]) == {HERE, NEAR}
        town.streams.answer(FAR, damaged=(b"key 3",))
        assert await town.told() == {0: "stored", 1: "stored", 2: "stored", 3: "uncertain"}
    assert acks(town.results[1]) == {HERE, FAR}
    assert acks(town.results[3]) == {HERE}
    error = town.results[3].error
    assert error is not None
    assert error["details"]["missing"][0]["nodes"] == [NEAR.hex()]


async def test_two_records_of_a_damaged_cell_share_its_fate() -> None:
    town = Town("all")
    for number, key in enumerate([b"whole", b"broken", b"broken"]):
        town.spread.add(number, key, b"cell", owner(1, HERE, NEAR), status="stored", changed=True)
    async with town.carried():
        town.streams.answer(NEAR, damaged=(b"broken",))
        assert await town.told() == {0: "stored", 1: "uncertain", 2: "uncertain"}


async def test_damage_that_comes_to_light_after_the_decision_changes_nothing() -> None:
    town = Town("quorum", *[owner(1, HERE, NEAR, FAR)] * 2)
    async with town.carried():
        town.streams.answer(NEAR)
        town.streams.answer(FAR, damaged=(b"key 1",))
        assert await town.told() == {0: "stored", 1: "stored"}
    assert acks(town.results[0]) == acks(town.results[1]) == {HERE, NEAR}


async def test_a_batch_of_nothing_but_damage_is_told_whole() -> None:
    town = Town("all", owner(1, HERE, NEAR, FAR))
    async with town.carried():
        town.streams.answer(NEAR, damaged=(b"key 0",))
        assert await town.told() == {}
        town.streams.answer(FAR)
        assert await town.told() == {0: "uncertain"}
    assert acks(town.results[0]) == {HERE, FAR}


def acks(result: PutResult) -> frozenset[bytes]:
    """Who holds a record, by what its client is told."""
    assert result.coverage is not None
    return result.coverage.acks


async def test_what_found_no_room_is_offered_late() -> None:
    town = Town("quorum", owner(1, HERE, NEAR))
    town.streams.full.add(NEAR)
    async with town.carried():
        assert NEAR not in town.streams.offered
        town.streams.room.set()
        await trio.testing.wait_all_tasks_blocked()
        town.streams.answer(NEAR)
        assert await town.told() == {0: "stored"}


async def test_a_result_that_cannot_be_told_fails_the_pass_and_not_the_acknowledgement() -> None:
    def settle(results: Mapping[int, PutResult]) -> None:
        raise ZeroDivisionError

    streams = Streams()
    spread = Spread(HERE, "quorum", "eu", (), streams, settle)
    spread.add(0, b"key", b"cell", owner(1, HERE, NEAR), status="stored", changed=True)
    with pytest.RaisesGroup(ZeroDivisionError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(spread.carry)
            await trio.testing.wait_all_tasks_blocked()
            streams.answer(NEAR)


async def test_what_is_acknowledged_after_the_end_settles_nothing() -> None:
    town = Town("quorum", owner(1, HERE, NEAR))
    with trio.CancelScope() as scope:
        async with town.carried():
            scope.cancel()
    town.streams.answer(NEAR)
    assert town.results == {}


async def test_what_a_deletion_swallowed_is_refused_whatever_the_level() -> None:
    streams, results = Streams(), dict[int, PutResult]()
    spread = Spread(HERE, "one", "eu", (), streams, results.update)
    spread.add(5, b"key", b"cell", owner(1, HERE), status="absorbed", changed=False)
    await spread.carry()
    assert results[5].status == "refused"
    assert results[5].error is not None and results[5].error["name"] == "conflict"
