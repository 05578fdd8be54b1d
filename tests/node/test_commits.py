"""The store as trio code writes to it: few rows where the loop runs, many on the writer's thread."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from folkmoot.node.commits import INLINE_ROWS, ThreadCommits
from folkmoot.storage.errors import CommitFailed, StoreClosed
from folkmoot.storage.memory_engine import MemoryEngine, MemoryTransaction
from folkmoot.storage.transaction import Admission, WriteTransaction

from tests.storage.making import damage_sums, open_store, person, post, reaction

DEADLINE_S = 30.0


@pytest.fixture
async def commits() -> AsyncIterator[ThreadCommits]:
    opened = ThreadCommits(open_store(MemoryEngine()))
    yield opened
    await opened.aclose()


async def thread_of(commits: ThreadCommits, **options: Any) -> int:
    """The thread that a job runs on."""
    return await commits.run(lambda tx: threading.get_ident(), Admission.CLIENT_PUT, **options)


async def test_few_rows_are_committed_where_the_loop_runs(commits: ThreadCommits) -> None:
    assert await thread_of(commits, rows=INLINE_ROWS) == threading.get_ident()


@pytest.mark.parametrize("options", [{"rows": INLINE_ROWS + 1}, {"urgent": True}])
async def test_the_rest_goes_to_the_writer(commits: ThreadCommits, options: dict[str, Any]) -> None:
    assert await thread_of(commits, **options) != threading.get_ident()


async def test_what_one_turn_brings_is_one_commit(commits: ThreadCommits) -> None:
    before = commits.store.engine.commits

    async def write(number: int) -> None:
        await commits.run(lambda tx: tx.put_record(post(person(1), number)), Admission.CLIENT_PUT)

    async with trio.open_nursery() as nursery:
        for number in range(INLINE_ROWS):
            nursery.start_soon(write, number)
    assert commits.store.engine.commits - before == 1
    assert commits.store.sequence == INLINE_ROWS


async def test_many_small_jobs_in_one_turn_go_to_the_writer(commits: ThreadCommits) -> None:
    threads: set[int] = set()

    async def write() -> None:
        threads.add(await thread_of(commits))

    async with trio.open_nursery() as nursery:
        for _ in range(INLINE_ROWS + 1):
            nursery.start_soon(write)
    assert len(threads) == 1 and threads != {threading.get_ident()}


async def test_an_error_reaches_its_own_caller_only(commits: ThreadCommits) -> None:
    results: list[int] = []

    def fail(tx: WriteTransaction) -> None:
        raise LookupError("mine")

    async def write(number: int) -> None:
        results.append(await commits.run(lambda tx: number, Admission.CLIENT_PUT))

    with pytest.RaisesGroup(LookupError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, 1)
            nursery.start_soon(commits.run, fail, Admission.CLIENT_PUT)
            nursery.start_soon(write, 2)
    assert sorted(results) == [1, 2]


async def test_a_cancelled_caller_hears_what_became_of_its_job(commits: ThreadCommits) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        assert await commits.run(lambda tx: 7, Admission.CLIENT_PUT) == 7


async def test_after_a_failed_commit_the_node_must_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = ThreadCommits(open_store(MemoryEngine()))

    def fail(transaction: MemoryTransaction) -> None:
        raise CommitFailed("the disk said no")

    monkeypatch.setattr(MemoryTransaction, "commit", fail)
    for _ in range(2):
        with pytest.raises(CommitFailed):
            await commits.run(lambda tx: None, Admission.CLIENT_PUT)
    with pytest.raises(CommitFailed):
        await commits.watch()
    await commits.aclose()


@pytest.mark.parametrize("options", [{}, {"rows": INLINE_ROWS + 1}, {"urgent": True}])
async def test_damage_met_by_a_commit_is_told_to_everyone_who_waits(
    commits: ThreadCommits, options: dict[str, Any]
) -> None:
    """Inline, handed over and urgent: whoever shared the group hears of it, and so does the node."""
    damage_sums(commits.store)
    like = reaction("like", person(2), person(1), 1)
    told: list[CommitFailed] = []

    async def write(job: Callable[[WriteTransaction], object]) -> None:
        with pytest.raises(CommitFailed) as failed:
            await commits.run(job, Admission.CLIENT_PUT, **options)
        told.append(failed.value)

    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, lambda tx: tx.put_record(like))
            for _ in range(3):
                nursery.start_soon(write, lambda tx: None)
        await write(lambda tx: None)
        with pytest.raises(CommitFailed, match="table blocks is damaged"):
            await commits.watch()
    assert len(told) == 5


async def test_a_closed_store_says_so(commits: ThreadCommits) -> None:
    await commits.aclose()
    with pytest.raises(StoreClosed):
        await commits.run(lambda tx: None, Admission.CLIENT_PUT)
