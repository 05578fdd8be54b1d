"""The scrubber alone, over a real store on virtual time: its pace, and where it goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from folkmoot.node.actors.scrubber import Scrubber
from folkmoot.node.remembered import Remembered
from folkmoot.node.simulation.surroundings import InlineExecutor, SimulatedWallClock
from folkmoot.node.upkeep import Rest, Upkeep
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.key import block_of
from folkmoot.protocol.limits import BLOCKS, BLOCKS_PER_LANE, LANES
from folkmoot.storage.interface import Table
from folkmoot.storage.rows import block_key
from folkmoot.storage.transaction import Admission
from folkmoot.storage.verify import verify

from tests.node.alone import Commits, damage
from tests.node.sides import HERE
from tests.storage.making import person, post
from tests.waiting import until

HOURS = 24.0


class Watched(Upkeep):
    """Upkeep that tells which blocks it was asked about."""

    counted: list[int]

    async def recount_block(self, block: int, rest: Rest = trio.lowlevel.checkpoint) -> bool:
        self.counted.append(block)
        return await super().recount_block(block, rest)


class Scene:
    """One scrubber over a store, that may be ended and begun again."""

    def __init__(self, disks: trio.Nursery) -> None:
        self.commits = Commits(HERE, disks)
        self.remembered = Remembered(self.commits)
        self.upkeep = Watched(self.commits, InlineExecutor())
        self.upkeep.counted = []
        self.scrubber = self.made()

    def made(self, hours: float = HOURS) -> Scrubber:
        executor, wall = InlineExecutor(), SimulatedWallClock(0)
        return Scrubber(self.commits, self.upkeep, self.remembered, executor, wall, hours)

    async def run_for(self, seconds: float, scrubber: Scrubber | None = None) -> None:
        with trio.move_on_after(seconds):
            await (scrubber or self.scrubber).run()


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    async with trio.open_nursery() as disks:
        yield Scene(disks)
        disks.cancel_scope.cancel()


async def test_a_round_takes_the_hours_it_was_given(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as made:
        await made.run_for(HOURS * 3600 / 2)
        assert made.upkeep.counted == list(range(len(made.upkeep.counted)))
        assert len(made.upkeep.counted) == pytest.approx(BLOCKS / 2, rel=0.02)
        assert made.scrubber.statistics().ended_us == 0


async def test_after_a_restart_it_goes_on_with_its_lane(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as made:
        await made.run_for(HOURS * 3600 / 2)
        lane = made.remembered.scrubbed().lane
        assert lane == pytest.approx(LANES / 2, abs=1)
        made.upkeep.counted.clear()
        again = made.made()
        await made.run_for(HOURS * 3600 * 0.6, again)
        assert made.upkeep.counted[0] == lane * BLOCKS_PER_LANE
        assert again.statistics().ended_us > 0 and made.remembered.scrubbed().ended_us > 0


async def test_with_no_hours_it_never_runs(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as made:
        await made.run_for(1e6, made.made(hours=0.0))
        assert made.upkeep.counted == []


async def test_it_does_not_dawdle_while_more_is_damaged_than_is_remembered(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("folkmoot.storage.damage.STORE_DAMAGE_KEPT", 1)
    async with scene() as made:
        posts = [post(person(1), number) for number in range(3)]
        await made.commits.run(lambda tx: [tx.put_record(each) for each in posts], Admission.CLIENT_PUT)
        for each in posts:
            damage(made.commits.store, Table.CELLS, each.key)
        made.commits.store.damage.add(posts[0].key)
        made.commits.store.damage.add(posts[1].key)
        assert made.commits.store.damage.more
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.scrubber.run)
            await until(lambda: made.scrubber.statistics().ended_us > 0, what="a round", within_s=3600)
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began < 600


async def test_damaged_sums_are_worked_out_anew_and_a_busy_store_ends_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with scene() as made:
        posts = [post(person(number), 1) for number in range(1, 5)]
        await made.commits.run(lambda tx: [tx.put_record(each) for each in posts], Admission.CLIENT_PUT)
        damage(made.commits.store, Table.BLOCKS, block_key(block_of(posts[0].key)))
        made.commits.refusals.append(WireError(BUSY, "too many writes"))
        await made.run_for(2.2 * HOURS * 3600)
        assert made.scrubber.statistics().wrong_sums == 1
        assert verify(made.commits.store.engine).ok
