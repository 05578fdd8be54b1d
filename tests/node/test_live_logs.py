"""Behind live streams: proofs of repair, times of the log, and a replica that is asked for changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from folkmoot.node.live.log_service import LogService
from folkmoot.node.live.messages import ChangesAsked, ChangesTold
from folkmoot.node.live.moments import Moments
from folkmoot.node.live.proofs import Proofs
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, STALE_TOPOLOGY, ErrorKind, WireError
from folkmoot.protocol.feed.places import LogPlace
from folkmoot.protocol.key import kind_prefix, lane_of, prefix_end
from folkmoot.protocol.limits import FOLLOW_CLOCKS_S, FOLLOW_MOMENTS, FOLLOW_PASSES, FOLLOW_WAIT_S
from folkmoot.protocol.ring.ranges import OPEN, RangeDescriptor, RangeMap, Slot
from folkmoot.storage.boots import begin_boot
from folkmoot.storage.transaction import Admission

from tests.node.alone import Commits, Ranges, disks_first
from tests.node.people import Author

HERE, THERE, THIRD = (bytes((number,)) * 16 for number in (1, 2, 3))
ANN = Author(1)
SECOND_US = 1_000_000
START = kind_prefix(ANN.account, "post")
CLOCKS_US = int(FOLLOW_CLOCKS_S * SECOND_US)


class Wall:
    """A wall clock that goes with trio's, a million seconds ahead."""

    def now_us(self) -> int:
        return int((1_000_000 + trio.current_time()) * SECOND_US)


class Stopped:
    """A wall clock that stands where it is put."""

    def __init__(self) -> None:
        self.us = 0

    def now_us(self) -> int:
        return self.us


def test_a_pass_proves_what_was_here_when_it_began_once_clocks_cannot_disagree() -> None:
    wall, log = Stopped(), [7]
    proofs = Proofs(lambda: log[0], wall)
    begun = proofs.begin()
    log[0] = 20
    wall.us = 100 * SECOND_US
    proofs.equal(THERE, [3, 4], begun)
    late = 100 * SECOND_US + CLOCKS_US
    assert proofs.proven(THERE, 3, late) == 7
    assert proofs.proven(THERE, 3, late - 1) is None, "it may not have ended yet by the other clock"
    assert proofs.proven(THERE, 5, late) is None
    assert proofs.proven(THIRD, 3, late) is None


def test_the_latest_pass_that_ended_in_time_counts_and_only_so_many_are_kept() -> None:
    wall, log = Stopped(), [0]
    proofs = Proofs(lambda: log[0], wall)
    for number in range(FOLLOW_PASSES + 10):
        log[0], wall.us = number, number * SECOND_US
        proofs.equal(THERE, [1] if number % 2 else [1, 2], proofs.begin())
    latest = FOLLOW_PASSES + 9
    assert proofs.proven(THERE, 1, latest * SECOND_US + CLOCKS_US) == latest
    assert proofs.proven(THERE, 2, latest * SECOND_US + CLOCKS_US) == latest - 1
    assert proofs.proven(THERE, 1, 50 * SECOND_US + CLOCKS_US) == 50
    assert proofs.proven(THERE, 1, 9 * SECOND_US + CLOCKS_US) is None
    proofs.equal(THERE, [], 0)
    assert proofs.proven(THERE, 1, latest * SECOND_US + CLOCKS_US) == latest


@asynccontextmanager
async def replica(nodes: tuple[bytes, ...] = (HERE,)) -> AsyncIterator[Replica]:
    async with disks_first() as (disks, _):
        yield Replica(Commits(HERE, disks), Ranges(nodes))


class Replica:
    """One that is asked for changes."""

    def __init__(self, commits: Commits, ranges: Ranges) -> None:
        self.commits = commits
        self.ranges = ranges
        self.wall = Wall()
        self.moments = Moments(commits, self.wall)
        self.proofs = Proofs(lambda: commits.store.sequence, self.wall)
        self.counts = True
        self.service = LogService(
            HERE,
            commits,
            self,  # type: ignore[arg-type]  # all that is asked of a holder is `current().ranges`
            self.moments,
            self.proofs,
            self.wall,
            frozenset,
            lambda: self.counts,
        )

    def current(self) -> Ranges:
        return self.ranges

    async def write(self, count: int) -> None:
        posts = [ANN.post() for _ in range(count)]
        await self.commits.run(
            lambda transaction: [transaction.put_record(each) for each in posts], Admission.CLIENT_PUT
        )

    async def begin_boot(self, number: int) -> None:
        await self.commits.run(lambda transaction: begin_boot(transaction, number), Admission.ESSENTIAL)

    async def ask(self, place: LogPlace | None = None, **more: Any) -> ChangesTold:
        asked = ChangesAsked([(0, 1)], START, prefix_end(START), 100)
        encoded = None if place is None else place.encode()
        return await self.service.answer(msgspec.structs.replace(asked, place=encoded, **more))


def sequences(told: ChangesTold) -> list[int]:
    return [sequence for sequence, _ in told.rows]


async def test_now_is_where_the_log_ends(autojump_clock: trio.testing.MockClock) -> None:
    async with replica() as one:
        await one.write(3)
        told = await one.ask()
        assert (told.how, told.rows, told.more, told.head) == ("begun", [], False, 3)
        place = LogPlace.decode(told.place)
        assert (place.node, place.log, place.sequence) == (HERE, one.commits.store.log_id, 3)
        await one.write(2)
        after = await one.ask(place)
        assert (after.how, sequences(after)) == ("exact", [4, 5])


async def test_who_waits_is_answered_when_something_changes_or_in_the_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with replica() as one:
        place = LogPlace.decode((await one.ask()).place)
        began = trio.current_time()
        told = await one.ask(place, wait_ms=int(FOLLOW_WAIT_S * 1000))
        assert told.rows == [] and trio.current_time() - began == pytest.approx(FOLLOW_WAIT_S)
        answers: list[ChangesTold] = []

        async def wait() -> None:
            answers.append(await one.ask(place, wait_ms=int(FOLLOW_WAIT_S * 1000)))

        async with trio.open_nursery() as nursery:
            began = trio.current_time()
            nursery.start_soon(wait)
            await trio.sleep(1.0)
            await one.write(1)
        assert sequences(answers[0]) == [1]
        assert trio.current_time() - began < 2.0


async def test_another_log_is_gone_on_from_what_was_proven(autojump_clock: trio.testing.MockClock) -> None:
    async with replica((HERE, THERE)) as one:
        await one.write(4)
        begun = one.proofs.begin()
        await one.write(2)
        one.proofs.equal(THERE, [0], begun)
        await trio.sleep(FOLLOW_CLOCKS_S)
        place = LogPlace(THERE, b"another-log-of16", 9, 1000, one.wall.now_us())
        told = await one.ask(place)
        assert (told.how, sequences(told)) == ("proven", [5, 6])
        assert (await one.ask(place._replace(node=THIRD))).how == "lost"


async def test_what_cannot_be_proven_goes_on_from_about_that_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with replica((HERE, THERE)) as one:
        await one.begin_boot(1)
        await one.write(4)
        await trio.sleep(10)
        before_us = one.wall.now_us()
        await trio.sleep(10)
        await one.write(2)
        place = LogPlace(THERE, b"another-log-of16", 9, 1000, before_us)
        told = await one.ask(place)
        assert (told.how, sequences(told)) == ("lost", [6, 7])
        told = await one.ask(place._replace(time_us=0))
        assert (told.how, len(told.rows)) == ("proven", 6), "all there is has nothing missing"
        since = await one.ask(since_us=before_us)
        assert (since.how, sequences(since)) == ("begun", [6, 7])


async def test_a_place_in_the_middle_promises_only_what_came_before_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Else another replica would leave out what was in this log already and not told."""
    async with replica() as one:
        await one.write(2)
        await trio.sleep(5)
        middle_us = one.wall.now_us()
        await trio.sleep(5)
        await one.write(3)
        await trio.sleep(5)
        told = await one.ask(since_us=0, most=3)
        place = LogPlace.decode(told.place)
        assert (told.more, place.sequence) == (True, 3)
        assert 0 < place.time_us <= middle_us
        last = await one.ask(place)
        assert LogPlace.decode(last.place).time_us == one.wall.now_us()


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"ranges": [(0, 2)]}, STALE_TOPOLOGY),
        ({"ranges": [(7, 1)]}, STALE_TOPOLOGY),
        ({"place": bytes(60)}, None),
    ],
)
async def test_epochs_are_checked(
    change: dict[str, Any], kind: ErrorKind | None, autojump_clock: trio.testing.MockClock
) -> None:
    async with replica() as one:
        asked = msgspec.structs.replace(ChangesAsked([(0, 1)], START, prefix_end(START), 100), **change)
        if kind is None:
            assert (await one.service.answer(asked)).how == "proven"
            return
        with pytest.raises(WireError) as caught:
            await one.service.answer(asked)
        assert caught.value.kind is kind


async def test_a_slice_beyond_the_range_and_a_copy_that_does_not_count(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with replica() as one:
        slots = (Slot("eu", (HERE,)),)
        cut = bytes([(lane_of(START) + 1) << 2])
        one.ranges.map = RangeMap(
            (RangeDescriptor(0, 1, OPEN, cut, slots), RangeDescriptor(1, 1, cut, OPEN, slots))
        )
        with pytest.raises(WireError, match="not one of range 0") as caught:
            await one.ask(end=b"")
        assert caught.value.kind is BAD_REQUEST
        with pytest.raises(WireError, match="not one of range 1"):
            await one.ask(ranges=[(1, 1)])
        one.counts = False
        with pytest.raises(WireError) as caught:
            await one.ask()
        assert caught.value.kind is BUSY


async def test_who_waits_while_the_range_moves_away_is_told_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with replica() as one:
        place = LogPlace.decode((await one.ask()).place)
        caught: list[WireError] = []

        async def wait() -> None:
            with pytest.raises(WireError) as error:
                await one.ask(place, wait_ms=int(FOLLOW_WAIT_S * 1000))
            caught.append(error.value)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(1.0)
            one.ranges.advance()
            await one.write(1)
        assert caught[0].kind is STALE_TOPOLOGY


async def test_times_are_noted_and_their_number_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    async with replica() as one:
        times = []
        for _ in range(FOLLOW_MOMENTS + 100):
            times.append((one.wall.now_us(), one.commits.store.sequence))
            await one.write(1)
            await trio.sleep(1.5)
        assert len(one.moments._times) <= FOLLOW_MOMENTS
        for time_us, sequence in times:
            assert one.moments.sequence_at(time_us) <= sequence, "nothing after that time is left out"
            assert one.moments.time_of(sequence) <= one.wall.now_us()
        assert one.moments.sequence_at(times[-1][0]) >= times[-3][1]
        assert one.moments.sequence_at(0) == 0


async def test_boots_are_times_too(autojump_clock: trio.testing.MockClock) -> None:
    async with replica() as one:
        await one.begin_boot(500_000)
        await one.write(3)
        await one.begin_boot(900_000)
        await one.write(3)
        moments = Moments(one.commits, one.wall)
        assert moments.sequence_at(499_999_999) == 0
        assert moments.sequence_at(899_999_999) == 0
        assert moments.sequence_at(900_000_000) == 4
