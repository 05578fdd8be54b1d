"""Group commits on virtual time, and what a crash at each point of one leaves behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing
from folkmoot.node.simulation.disk import CommitPoint, SimulatedCommits, SimulatedDisk
from folkmoot.node.simulation.trace import Trace
from folkmoot.node.simulation.witness import Witness
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.storage.errors import DiskFull, StoreClosed
from folkmoot.storage.store import Owner
from folkmoot.storage.transaction import Admission, WriteTransaction

OWNER = Owner(b"n" * 16, "simulated")


class Bench:
    """One disk, and what became of each write."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.disk = SimulatedDisk("n1", Random(1), Trace(), Witness(), nursery, self.crash)
        self.acknowledged: list[str] = []
        self.scopes: list[trio.CancelScope] = []

    def open(self) -> SimulatedCommits:
        return self.disk.open(Path("n1"), OWNER)

    def crash(self) -> None:
        self.disk.crash()
        for scope in self.scopes:
            scope.cancel()

    async def write(self, commits: SimulatedCommits, name: str) -> None:
        def job(transaction: WriteTransaction) -> None:
            transaction.meta_put(name, b"kept")

        with trio.CancelScope() as scope:
            self.scopes.append(scope)
            await commits.run(job, Admission.ESSENTIAL)
            self.acknowledged.append(name)

    def kept(self) -> list[str]:
        """The names found by the next boot."""
        store = self.open().store
        return [name for name in ("one", "two", "three") if store.meta_get(name) == b"kept"]


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    async with trio.open_nursery() as nursery:
        yield Bench(nursery)
        nursery.cancel_scope.cancel()


async def test_what_waits_becomes_one_group(autojump_clock: trio.testing.MockClock) -> None:
    async with bench() as one:
        commits = one.open()
        async with trio.open_nursery() as nursery:
            for name in ("one", "two", "three"):
                nursery.start_soon(one.write, commits, name)
        assert sorted(one.acknowledged) == ["one", "three", "two"]
        assert one.disk.trace.counts["commit"] <= 2


@pytest.mark.parametrize(
    ("point", "kept"),
    [(CommitPoint.BEFORE_COMMIT, []), (CommitPoint.BEFORE_ACKNOWLEDGEMENT, ["one"])],
)
async def test_a_crash_in_a_group_commit(
    autojump_clock: trio.testing.MockClock, point: CommitPoint, kept: list[str]
) -> None:
    """Before the commit the group is gone whole; after it, it is kept and nobody was told."""
    async with bench() as one:
        commits = one.open()
        one.disk.crash_point = point
        await one.write(commits, "one")
        assert one.acknowledged == []
        assert one.kept() == kept


async def test_a_closed_store_has_committed_what_waited(autojump_clock: trio.testing.MockClock) -> None:
    async with bench() as one:
        commits = one.open()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.write, commits, "one")
            await trio.testing.wait_all_tasks_blocked()
            await commits.aclose()
        with pytest.raises(StoreClosed):
            await commits.run(lambda transaction: None, Admission.ESSENTIAL)
        assert one.acknowledged == ["one"]
        assert one.kept() == ["one"]


async def test_a_cancelled_writer_still_hears_of_its_commit(autojump_clock: trio.testing.MockClock) -> None:
    async with bench() as one:
        commits = one.open()
        with trio.CancelScope() as scope:
            scope.cancel()
            await commits.run(lambda transaction: transaction.meta_put("one", b"kept"), Admission.ESSENTIAL)
        await commits.aclose()
        assert one.kept() == ["one"]


async def test_the_queue_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    async with bench() as one:
        commits = one.open()
        one.disk.slowdown = 1000.0
        refused = 0

        async def write() -> None:
            nonlocal refused
            try:
                await commits.run(lambda transaction: None, Admission.CLIENT_PUT)
            except WireError as error:
                assert error.kind is BUSY
                refused += 1

        async with trio.open_nursery() as nursery:
            for _ in range(limits.STORE_QUEUE_JOBS + limits.STORE_GROUP_JOBS + 50):
                nursery.start_soon(write)
        assert refused >= 50
        assert one.disk.peak_waiting == limits.STORE_QUEUE_JOBS


async def outcomes(commits: SimulatedCommits, count: int, *, urgent: bool = False) -> Counter[str]:
    """How so many writes end, each of which would leave a name behind."""
    ended: Counter[str] = Counter()

    async def write(number: int) -> None:
        try:
            await commits.run(
                lambda transaction: transaction.meta_put(str(number), b"kept"),
                Admission.CLIENT_PUT,
                urgent=urgent,
            )
        except WireError as error:
            ended[error.kind.name] += 1
        except DiskFull:
            ended["full"] += 1
        else:
            ended["kept"] += 1

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(write, number)
    return ended


async def test_a_disk_that_refuses_a_share_keeps_nothing_of_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bench() as one:
        commits = one.open()
        one.disk.refused_share = 0.5
        ended = await outcomes(commits, 400)
        assert 150 < ended["busy"] + ended["full"] < 250
        assert ended["busy"] > ended["full"] > 20
        kept = [number for number in range(400) if commits.store.meta_get(str(number)) == b"kept"]
        assert len(kept) == ended["kept"] == 400 - ended["busy"] - ended["full"]


async def test_only_while_it_refuses_and_nothing_urgent(autojump_clock: trio.testing.MockClock) -> None:
    async with bench() as one:
        commits = one.open()
        assert await outcomes(commits, 50) == {"kept": 50}
        one.disk.refused_share = 1.0
        assert (await outcomes(commits, 50))["kept"] == 0
        assert await outcomes(commits, 50, urgent=True) == {"kept": 50}
        one.disk.refused_share = 0.0
        assert await outcomes(commits, 50) == {"kept": 50}


async def test_a_job_without_room_spoils_no_other_of_its_group(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Refused jobs are tried like any other, and what shares their group is kept."""
    async with bench() as one:
        commits = one.open()
        one.disk.refused_share = 0.9
        ended = await outcomes(commits, 300)
        assert ended["kept"] > 10 and ended["full"] > 50
        assert one.disk.trace.counts["commit"] < ended["kept"], "they did share groups"
