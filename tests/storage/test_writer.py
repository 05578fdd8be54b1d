"""The writer's thread: grouping, order, bounds, and what happens when it closes or fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.limits import STORE_GROUP_JOBS, STORE_GROUP_ROWS, STORE_QUEUE_JOBS, STORE_URGENT_JOBS
from folkmoot.storage import writer as writer_module
from folkmoot.storage.errors import CommitFailed, StoreClosed
from folkmoot.storage.group import Completion, Job
from folkmoot.storage.memory_engine import MemoryEngine, MemoryTransaction
from folkmoot.storage.outcomes import PutStatus
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import Admission, WriteTransaction
from folkmoot.storage.verify import verify
from folkmoot.storage.writer import WriterThread

from tests.storage.making import cells_of, damage_sums, open_store, person, post, reaction
from tests.waiting import until_blocking

ANN = person(1)
DEADLINE_S = 30.0


class Writing:
    """A writer whose thread can be held up in a job, and what it delivered, group by group."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.groups: Queue[list[Completion]] = Queue()
        self.writer = WriterThread(store, self.groups.put)
        self._go_on = threading.Event()

    def hold(self) -> None:
        """Keep the thread busy until `go_on`, so that what is submitted meanwhile waits."""
        started = threading.Event()

        def wait(tx: WriteTransaction) -> None:
            started.set()
            assert self._go_on.wait(DEADLINE_S)

        self.submit(wait)
        assert started.wait(DEADLINE_S)

    def go_on(self) -> None:
        self._go_on.set()
        assert len(self.next_group()) == 1

    def submit(self, job: Any, **options: Any) -> None:
        self.writer.submit(job, Admission.CLIENT_PUT, lambda result, error: None, **options)

    def next_group(self) -> list[Completion]:
        return self.groups.get(timeout=DEADLINE_S)


def putting(number: int) -> Job:
    record = post(ANN, number)
    return Job(lambda tx: tx.put_record(record), Admission.CLIENT_PUT, lambda result, error: None)


@pytest.fixture
def writing(store: Store) -> Iterator[Writing]:
    made = Writing(store)
    yield made
    made._go_on.set()
    made.writer.close()


def test_what_waits_becomes_one_group_with_one_sync(writing: Writing) -> None:
    writing.hold()
    for number in range(50):
        writing.submit(lambda tx, number=number: tx.put_record(post(ANN, number)).status)
    before = writing.store.engine.commits
    writing.go_on()
    group = writing.next_group()
    assert [completion.result for completion in group] == [PutStatus.STORED] * 50
    assert writing.store.engine.commits - before <= 2
    statistics = writing.writer.statistics()
    assert (statistics.waiting, statistics.groups, statistics.jobs) == (0, 2, 51)
    assert sum(statistics.group_us) == 2


def test_delivered_means_durable(writing: Writing) -> None:
    record = post(ANN, 1)
    writing.submit(lambda tx: tx.put_record(record))
    (completion,) = writing.next_group()
    assert writing.store.get_cell(record.key) == completion.result.cell


def test_urgent_jobs_go_first(writing: Writing) -> None:
    writing.hold()
    for number in range(STORE_GROUP_JOBS):
        writing.submit(lambda tx, number=number: number)
    writing.submit(lambda tx: "urgent", urgent=True)
    writing.go_on()
    assert [completion.result for completion in writing.next_group()] == [
        "urgent",
        *range(STORE_GROUP_JOBS - 1),
    ]
    assert [completion.result for completion in writing.next_group()] == [STORE_GROUP_JOBS - 1]


def test_a_group_is_bounded_in_rows(writing: Writing) -> None:
    writing.hold()
    for number in range(4):
        writing.submit(lambda tx, number=number: number, rows=STORE_GROUP_ROWS // 2)
    writing.go_on()
    assert [completion.result for completion in writing.next_group()] == [0, 1]
    assert [completion.result for completion in writing.next_group()] == [2, 3]


def test_who_came_before_a_large_job_does_not_wait_for_it(writing: Writing) -> None:
    writing.hold()
    writing.submit(lambda tx: "small")
    writing.submit(lambda tx: "large", rows=STORE_GROUP_ROWS)
    writing.submit(lambda tx: "after it")
    writing.go_on()
    assert [[completion.result for completion in writing.next_group()] for _ in range(3)] == [
        ["small"],
        ["large"],
        ["after it"],
    ]


@pytest.mark.parametrize(("urgent", "longest"), [(False, STORE_QUEUE_JOBS), (True, STORE_URGENT_JOBS)])
def test_a_full_lane_is_busy_and_the_other_is_not(writing: Writing, urgent: bool, longest: int) -> None:
    writing.hold()
    for _ in range(longest):
        writing.submit(lambda tx: None, urgent=urgent)
    with pytest.raises(WireError) as refused:
        writing.submit(lambda tx: None, urgent=urgent)
    assert refused.value.kind is BUSY and refused.value.retry_after_ms
    writing.submit(lambda tx: None, urgent=not urgent)
    writing.go_on()
    ended = 0
    while ended < longest + 1:
        ended += len(writing.next_group())
    writing.submit(lambda tx: None, urgent=urgent)


def test_close_commits_what_waits(store: Store) -> None:
    writing = Writing(store)
    writing.hold()
    for number in range(300):
        writing.submit(lambda tx, number=number: tx.put_record(post(ANN, number)))
    closing = threading.Thread(target=writing.writer.close)
    closing.start()
    writing.go_on()
    closing.join(DEADLINE_S)
    assert len(cells_of(store)) == 300
    with pytest.raises(StoreClosed):
        writing.submit(lambda tx: None)


def test_a_caller_may_commit_while_the_writer_is_idle(writing: Writing) -> None:
    jobs = [putting(1), putting(2)]
    completions = writing.writer.commit_now(jobs)
    assert completions is not None
    assert [completion.result.status for completion in completions] == [PutStatus.STORED] * 2
    writing.submit(lambda tx: tx.put_record(post(ANN, 3)).status)
    assert [completion.result for completion in writing.next_group()] == [PutStatus.STORED]
    assert writing.store.sequence == 3 and verify(writing.store.engine).ok
    assert writing.writer.statistics().groups == 2


def test_nobody_commits_beside_a_busy_or_slow_writer(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(lambda tx: None, Admission.CLIENT_PUT, lambda result, error: None)
    writing.hold()
    assert writing.writer.commit_now([job]) is None
    writing.submit(lambda tx: None)
    assert writing.writer.commit_now([job]) is None
    writing.go_on()
    writing.next_group()
    assert writing.writer.commit_now([job]) is not None
    monkeypatch.setattr(writer_module, "STORE_INLINE_US", -1)
    assert writing.writer.commit_now([job]) is None


def test_commits_of_both_threads_never_mix(writing: Writing) -> None:
    inline = 0
    for number in range(300):
        job = putting(number)
        if writing.writer.commit_now([job]) is None:
            writing.submit(job.run)
        else:
            inline += 1
            writing.submit(putting(1000 + number).run)
    writing.writer.close()
    assert len(cells_of(writing.store)) == 300 + inline
    assert writing.store.sequence == 300 + inline
    assert verify(writing.store.engine).ok


def test_an_error_reaches_its_own_done(store: Store) -> None:
    told: Queue[tuple[Any, BaseException | None]] = Queue()
    writer = WriterThread(store)
    error = RuntimeError("mine")

    def fail(tx: WriteTransaction) -> None:
        raise error

    writer.submit(fail, Admission.CLIENT_PUT, lambda result, error: told.put((result, error)))
    assert told.get(timeout=DEADLINE_S) == (None, error)
    writer.submit(lambda tx: 7, Admission.CLIENT_PUT, lambda result, error: told.put((result, error)))
    assert told.get(timeout=DEADLINE_S) == (7, None)
    writer.close()


def test_after_a_failed_commit_everyone_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    writing = Writing(open_store(MemoryEngine()))
    writing.hold()
    for _ in range(STORE_GROUP_JOBS + 10):
        writing.submit(lambda tx: None)

    def fail(transaction: MemoryTransaction) -> None:
        raise CommitFailed("the disk said no")

    monkeypatch.setattr(MemoryTransaction, "commit", fail)
    writing._go_on.set()
    group = writing.next_group()
    assert len(group) == STORE_GROUP_JOBS + 11
    assert all(isinstance(completion.error, CommitFailed) for completion in group)
    with pytest.raises(CommitFailed):
        writing.submit(lambda tx: None)
    writing.writer.close()


def liking() -> Job:
    like = reaction("like", person(2), ANN, 1)
    return Job(lambda tx: tx.put_record(like), Admission.CLIENT_PUT, lambda result, error: None)


def test_damage_met_by_a_commit_is_told_to_everyone(writing: Writing) -> None:
    damage_sums(writing.store)
    writing.hold()
    for number in range(STORE_GROUP_JOBS + 10):
        writing.submit(liking().run if number == 3 else putting(number).run)
    writing.go_on()
    group = writing.next_group()
    assert len(group) == STORE_GROUP_JOBS + 10
    assert all(isinstance(completion.error, CommitFailed) for completion in group)
    with pytest.raises(CommitFailed, match="table blocks is damaged"):
        writing.submit(lambda tx: None)
    writing.writer.close()
    assert cells_of(writing.store) == {}


def test_damage_met_by_a_caller_ends_the_writer_too(writing: Writing) -> None:
    damage_sums(writing.store)
    with pytest.raises(CommitFailed, match="table blocks is damaged"):
        writing.writer.commit_now([putting(1), liking()])
    with pytest.raises(CommitFailed):
        writing.submit(lambda tx: None)
    assert writing.writer.commit_now([putting(2)]) is None


def test_whatever_ends_the_thread_nobody_waits_for_it(writing: Writing) -> None:
    """Not even an exception that is none of `Exception` loses the ending of a job."""

    def leave(tx: WriteTransaction) -> None:
        raise SystemExit

    writing.submit(leave)
    (completion,) = writing.next_group()
    assert isinstance(completion.error, CommitFailed)
    with pytest.raises(CommitFailed):
        writing.submit(lambda tx: None)


def test_a_group_taken_before_another_threads_commit_failed_is_not_committed(writing: Writing) -> None:
    started, fail = threading.Event(), threading.Event()

    def leave(tx: WriteTransaction) -> None:
        started.set()
        assert fail.wait(DEADLINE_S)
        raise SystemExit

    def commit_now() -> None:
        with pytest.raises(CommitFailed):
            writing.writer.commit_now([Job(leave, Admission.CLIENT_PUT, lambda result, error: None)])

    caller = threading.Thread(target=commit_now)
    caller.start()
    assert started.wait(DEADLINE_S)
    writing.submit(putting(1).run)
    until_blocking(lambda: not writing.writer.statistics().waiting, what="the group to be taken")
    fail.set()
    caller.join(DEADLINE_S)
    told = [completion for _ in range(2) for completion in writing.next_group()]
    assert [type(completion.error) for completion in told] == [CommitFailed]
    assert cells_of(writing.store) == {}


def test_readers_on_other_threads_meanwhile(writing: Writing) -> None:
    seen: list[int] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            cells = writing.store.fingerprint(b"", b"").count
            seen.append(cells)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        writing.submit(lambda tx, number=number: tx.put_record(post(ANN, number)))
    ended = 0
    while ended < 200:
        ended += len(writing.next_group())
    stop.set()
    reader.join(DEADLINE_S)
    assert seen == sorted(seen) and writing.store.fingerprint(b"", b"").count == 200
    assert verify(writing.store.engine).ok
