"""The evictor against owners over their own stores: what goes, and what must stay."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.actors.evictor import Evictor
from folkmoot.node.exchange import Exchange
from folkmoot.node.simulation.surroundings import InlineExecutor
from folkmoot.node.upkeep import Upkeep
from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.errors import BUSY, STALE_TOPOLOGY, WireError
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap, Slot
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.interface import Table
from folkmoot.storage.transaction import Admission
from folkmoot.storage.verify import verify

from tests.node.alone import damage, disks_first
from tests.node.sides import ACCOUNTS, HERE, OTHER, THERE, Pair, Side
from tests.storage.making import NOW_US, person, post
from tests.waiting import until

GONE = b"g" * 16
WITHIN_S = 300.0


def in_region(*nodes: bytes, region: str = "eu") -> tuple[Slot, ...]:
    return tuple(Slot(region, (node,)) for node in nodes)


class Leaving:
    """This node, which had a slot of range 0, two that own it now, and one that is never there."""

    def __init__(self, disks: trio.Nursery) -> None:
        self.two = Pair(disks)
        self.here, self.there, self.wire = self.two.here, self.two.there, self.two.wire
        self.other = Side(OTHER, self.two.topology, self.two.gossip, self.wire, disks)
        self.wire.methods[OTHER] = {
            "replica.join": self.other.answer_join,
            **self.other.repairer.methods(),
        }
        self.two.gossip.gone = {GONE}
        self.evictor = self.make_evictor()
        self.mine: dict[bytes, bytes] = {}

    def make_evictor(self) -> Evictor:
        """As a restart would."""
        store, executor = self.here.commits.store, InlineExecutor()
        exchange = Exchange(store.view, self.here.replica, self.wire, executor)
        upkeep = Upkeep(self.here.commits, executor)
        return Evictor(
            HERE, self.two.topology, self.here.commits, exchange, upkeep, self.two.gossip, executor
        )

    @property
    def owner(self) -> RangeDescriptor:
        owner = self.two.topology.map.get(0)
        assert owner is not None
        return owner

    def give(self, *slots: Slot) -> None:
        """Range 0 is in other hands, an epoch later."""
        now = self.owner
        given = RangeDescriptor(now.id, now.epoch + 1, now.start, now.end, slots)
        self.two.topology.map = self.two.topology.map.replace(given)

    def left(self) -> dict[bytes, bytes]:
        return self.here.cells_of(self.owner)

    def lacked_by(self, side: Side) -> set[bytes]:
        """Of what this node had, what a side does not have."""
        theirs = side.cells_of(self.owner)
        return {key for key, cell in self.mine.items() if key not in theirs or not _covers(theirs[key], cell)}

    async def until_erased(self) -> None:
        await until(lambda: not self.left(), what="everything to be erased", within_s=WITHIN_S)

    async def until_kept(self) -> str:
        """Why what is left is kept, once it was tried."""
        statistics = self.evictor.statistics()
        await until(lambda: statistics.reason != "", what="the evictor to try", within_s=WITHIN_S)
        return statistics.reason


def _covers(mine: bytes, theirs: bytes) -> bool:
    return join(Cell.decode(mine), Cell.decode(theirs)).encode() == mine


@asynccontextmanager
async def leaving(*slots: Slot, running: bool = True) -> AsyncIterator[Leaving]:
    """The range is given to these slots; the evictor is unsupervised, so that what ends it fails the test."""
    async with disks_first() as (disks, actors):
        made = Leaving(disks)
        await made.two.part()
        made.mine = made.left()
        assert len(made.mine) == 3
        if slots:
            made.give(*slots)
        if running:
            actors.start_soon(made.evictor.run)
        yield made


async def test_what_is_left_is_given_to_the_owners_and_erased(autojump_clock: trio.testing.MockClock) -> None:
    async with leaving(*in_region(THERE, OTHER, GONE)) as town:
        others = {key: cell for key, cell in town.here.cells().items() if not town.owner.covers(key)}
        await town.until_erased()
        assert town.lacked_by(town.there) == set() == town.lacked_by(town.other)
        assert town.here.cells() == others, "what it has slots of stays"
        statistics = town.evictor.statistics()
        await until(lambda: not statistics.waiting, what="it to be told", within_s=WITHIN_S)
        assert (statistics.erased, statistics.reason) == (3, "")
        assert statistics.pushed == 6, "to each of two, what it lacked or had otherwise"
        assert verify(town.here.commits.store.engine).ok


async def test_a_node_that_has_its_slots_asks_nobody(autojump_clock: trio.testing.MockClock) -> None:
    async with leaving() as town:
        await trio.sleep(WITHIN_S)
        assert town.wire.asked == [] and town.left() == town.mine


@pytest.mark.parametrize(
    ("slots", "gone"),
    [
        pytest.param(in_region(THERE, OTHER, GONE), {OTHER, GONE}, id="one of three"),
        pytest.param((*in_region(THERE), *in_region(OTHER, region="us")), {OTHER}, id="none of a region"),
        pytest.param((Slot("eu", (THERE, OTHER)),), {OTHER}, id="half of a slot that moves"),
        pytest.param(in_region(THERE, OTHER), {OTHER}, id="half of two"),
    ],
)
async def test_too_few_owners_have_it(
    autojump_clock: trio.testing.MockClock, slots: tuple[Slot, ...], gone: set[bytes]
) -> None:
    async with leaving(*slots, running=False) as town, trio.open_nursery() as nursery:
        town.two.gossip.gone = gone
        nursery.start_soon(town.evictor.run)
        assert f"node {OTHER.hex()[:8]} is away" in await town.until_kept()
        await trio.sleep(WITHIN_S)
        assert town.left() == town.mine
        assert town.evictor.statistics().waiting == [0]
        town.two.gossip.gone = {GONE}
        await town.until_erased()
        assert town.lacked_by(town.there) == set() == town.lacked_by(town.other)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("method", ["sync.step", "replica.join"])
async def test_an_owner_that_refuses_does_not_count(
    autojump_clock: trio.testing.MockClock, method: str
) -> None:
    async with leaving(*in_region(THERE, OTHER), running=False) as town, trio.open_nursery() as nursery:
        town.wire.errors[method].extend([WireError(STALE_TOPOLOGY, "behind")] * 2)
        nursery.start_soon(town.evictor.run)
        assert "stale_topology: behind" in await town.until_kept()
        assert town.left() == town.mine
        await town.until_erased()
        assert town.lacked_by(town.there) == set() == town.lacked_by(town.other)
        nursery.cancel_scope.cancel()


async def test_an_owner_whose_own_cell_is_damaged_does_not_count(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with leaving(*in_region(THERE, OTHER), running=False) as town, trio.open_nursery() as nursery:
        damage(town.there.commits.store, Table.CELLS, post(person(ACCOUNTS[0][2]), 1).key)
        nursery.start_soon(town.evictor.run)
        assert "1 cells are damaged there" in await town.until_kept()
        await trio.sleep(WITHIN_S)
        assert town.left() == town.mine
        nursery.cancel_scope.cancel()


async def test_a_write_that_was_under_way_is_given_too(autojump_clock: trio.testing.MockClock) -> None:
    """It was let in under the older epoch, and is committed when the newer one is in force already."""
    async with leaving(*in_region(THERE, OTHER), running=False) as town, trio.open_nursery() as nursery:
        late = post(person(ACCOUNTS[0][0]), 99)
        run = town.here.commits.run
        began: list[bool] = []

        async def slow(job: Callable[[Any], Any], *args: Any, **kwargs: Any) -> Any:
            if not began:
                began.append(True)
                await run(lambda transaction: transaction.put_record(late), Admission.CLIENT_PUT)
            return await run(job, *args, **kwargs)

        town.here.commits.run = slow  # type: ignore[method-assign]
        nursery.start_soon(town.evictor.run)
        await until(lambda: town.evictor.statistics().erased == 4, what="all to go", within_s=WITHIN_S)
        assert late.key in town.there.cells() and late.key in town.other.cells()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "slots",
    [
        pytest.param(in_region(THERE, HERE), id="a slot again"),
        pytest.param((Slot("eu", (THERE, HERE)), *in_region(OTHER)), id="to have a slot"),
        pytest.param((Slot("eu", (HERE, THERE)), *in_region(OTHER)), id="about to give it"),
    ],
)
async def test_a_range_that_is_this_nodes_again_is_left_alone(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, slots: tuple[Slot, ...]
) -> None:
    """It comes between two transactions."""
    monkeypatch.setattr(limits, "ERASE_CELLS", 1)
    async with leaving(*in_region(THERE, OTHER), running=False) as town, trio.open_nursery() as nursery:
        _after_erasing(town, 1, lambda: town.give(*slots))
        nursery.start_soon(town.evictor.run)
        assert "it has changed hands" in await town.until_kept()
        await trio.sleep(WITHIN_S)
        assert len(town.left()) == 2
        assert town.evictor.statistics().waiting == []
        assert verify(town.here.commits.store.engine).ok
        nursery.cancel_scope.cancel()


async def test_owners_that_came_meanwhile_are_given_it_too(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ERASE_CELLS", 1)
    async with leaving(*in_region(THERE), running=False) as town, trio.open_nursery() as nursery:
        _after_erasing(town, 1, lambda: town.give(*in_region(OTHER)))
        nursery.start_soon(town.evictor.run)
        await town.until_erased()
        assert town.lacked_by(town.there) == set()
        assert len(town.lacked_by(town.other)) == 1, "what went under the epoch before, its owner has"
        nursery.cancel_scope.cancel()


async def test_a_restart_goes_on(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ERASE_CELLS", 1)
    async with leaving(*in_region(THERE, OTHER), running=False) as town:
        with trio.CancelScope() as first:
            _after_erasing(town, 2, first.cancel)
            await town.evictor.run()
        assert len(town.left()) == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(town.make_evictor().run)
            await town.until_erased()
            nursery.cancel_scope.cancel()
        assert town.lacked_by(town.there) == set() == town.lacked_by(town.other)


async def test_what_is_damaged_goes_too_and_is_no_damage_any_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with leaving(*in_region(THERE, OTHER), running=False) as town, trio.open_nursery() as nursery:
        store, key = town.here.commits.store, post(person(ACCOUNTS[0][0]), 1).key
        elsewhere = post(person(ACCOUNTS[1][0]), 1).key
        for damaged in (key, elsewhere):
            damage(store, Table.CELLS, damaged)
            store.damage.add(damaged)
        nursery.start_soon(town.evictor.run)
        await until(
            lambda: not store.holds(town.owner.start, town.owner.end), what="all to go", within_s=WITHIN_S
        )
        await until(lambda: store.damage.keys == [elsewhere], what="its damage to go", within_s=WITHIN_S)
        assert key not in town.there.cells() and key not in town.other.cells()
        nursery.cancel_scope.cancel()


async def test_hints_go_with_the_cells(autojump_clock: trio.testing.MockClock) -> None:
    async with leaving(*in_region(THERE, OTHER), running=False) as town, trio.open_nursery() as nursery:
        kept = post(person(ACCOUNTS[1][0]), 1).key
        keys = [*town.mine, kept]
        await town.here.commits.run(
            lambda transaction: [transaction.hint(GONE, key, NOW_US) for key in keys], Admission.ESSENTIAL
        )
        nursery.start_soon(town.evictor.run)
        await town.until_erased()
        store = town.here.commits.store
        assert [hint.key for hint in store.hints_for(GONE, 10)] == [kept]
        assert verify(store.engine).ok
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("refusal", [DiskFull("full"), WireError(BUSY, "busy")])
async def test_a_store_that_refuses_for_a_while_is_tried_again_and_is_no_error(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture, refusal: Exception
) -> None:
    async with leaving(*in_region(THERE, OTHER), running=False) as town, trio.open_nursery() as nursery:
        town.here.commits.refusals.append(refusal)
        nursery.start_soon(town.evictor.run)
        await town.until_erased()
        nursery.cancel_scope.cancel()
    assert not [told for told in caplog.records if told.levelno >= logging.ERROR]


async def test_new_leftovers_are_found_when_ranges_change_hands(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with leaving() as town:
        await trio.sleep(WITHIN_S)
        town.give(*in_region(THERE, OTHER))
        await town.until_erased()
        assert isinstance(town.two.topology.map, RangeMap)


def _after_erasing(town: Leaving, cells: int, then: Callable[[], None]) -> None:
    """Do something as soon as so many cells are erased, before the next transaction is begun."""
    run = town.here.commits.run

    async def watched(job: Any, *args: Any, **kwargs: Any) -> Any:
        before = len(town.left())
        result = await run(job, *args, **kwargs)
        if before > len(town.left()) == len(town.mine) - cells:
            then()
        return result

    town.here.commits.run = watched  # type: ignore[method-assign]
