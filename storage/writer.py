"""The writer: one thread that commits what others hand it, in groups.

Jobs wait in two bounded lanes. The urgent one (promises, membership, the like) is always emptied first, so
that control never waits behind data. The thread takes what waits, within the bounds of a group, commits it
with one fsync, and hands all endings over at once, so that the receiving side is woken once a group.

Two hops between threads cost more than a small commit on a fast disk, so a caller may commit on its own
thread while the writer has nothing to do (`commit_now`). A transaction never changes threads.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.limits import (
    STORE_GROUP_JOBS,
    STORE_GROUP_ROWS,
    STORE_INLINE_US,
    STORE_QUEUE_JOBS,
    STORE_URGENT_JOBS,
)
from folkmoot.storage.errors import CommitFailed, StoreClosed
from folkmoot.storage.group import Completion, Job, commit_group
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import Admission, WriteTransaction

T = TypeVar("T")

BUSY_RETRY_MS = 50
HISTOGRAM_BUCKETS = 24


@dataclass(frozen=True, slots=True)
class WriterStatistics:
    """What a writer has done since it was made.

    Args:
        waiting: jobs in both lanes now.
        groups, jobs: committed groups, and jobs that ended, well or badly.
        group_us: how many groups took less than 2^i µs (and no less than half that), by i: running the
            jobs, commit and fsync.
    """

    waiting: int
    groups: int
    jobs: int
    group_us: tuple[int, ...]


class WriterThread:
    """One thread over one store.

    Args:
        store: written by nobody else while this lives.
        deliver: called on the writer's thread with the endings of a whole group, after its fsync; by
            default each job's `done` is called there.
    """

    def __init__(self, store: Store, deliver: Callable[[list[Completion]], None] | None = None) -> None:
        self._store = store
        self._deliver = deliver or _tell_all
        self._urgent: deque[Job] = deque()
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._failure: CommitFailed | None = None
        self._writing = threading.Lock()
        self._last_us = 0
        self._groups = self._ended = 0
        self._group_us = [0] * HISTOGRAM_BUCKETS
        self._thread = threading.Thread(target=self._run, name="folkmoot-writer", daemon=True)
        self._thread.start()

    def submit(
        self,
        job: Callable[[WriteTransaction], T],
        admission: Admission,
        done: Callable[[T | None, BaseException | None], None],
        *,
        rows: int = 1,
        urgent: bool = False,
    ) -> None:
        """Queue a job, from any thread.

        Args:
            job: may be run more than once; changes nothing but the transaction.
            admission: how full the disk may be.
            done: handed to `deliver` with the result or the error, after the fsync.
            rows: about how many cells the job writes.
            urgent: for small jobs that must not wait behind data.

        Raises:
            WireError: `busy`, when too many jobs wait.
            StoreClosed, CommitFailed: there is no writer any more.
        """
        lane, longest = (self._urgent, STORE_URGENT_JOBS) if urgent else (self._jobs, STORE_QUEUE_JOBS)
        with self._changed:
            if self._failure is not None:
                raise self._failure
            if self._closing:
                raise StoreClosed
            if len(lane) >= longest:
                raise WireError(BUSY, "too many writes wait for the disk", retry_after_ms=BUSY_RETRY_MS)
            lane.append(Job(job, admission, done, rows))
            self._changed.notify()

    def commit_now(self, jobs: Sequence[Job]) -> list[Completion] | None:
        """Commit `jobs` on the calling thread, if the writer is idle and the last group was quick.

        Returns:
            How each ended, for the caller to deliver; None when they should be submitted instead.

        Raises:
            CommitFailed: the process must end.
        """
        with self._changed:
            if self._closing or self._failure is not None or self._urgent or self._jobs:
                return None
            if self._last_us > STORE_INLINE_US or not self._writing.acquire(blocking=False):
                return None
        try:
            return self._commit(jobs)
        except BaseException as error:
            failure = CommitFailed.of(error)
            self._give_up(failure, [])
            raise failure from failure.__cause__
        finally:
            self._writing.release()

    def statistics(self) -> WriterStatistics:
        """What has been done so far."""
        with self._changed:
            return WriterStatistics(
                waiting=len(self._urgent) + len(self._jobs),
                groups=self._groups,
                jobs=self._ended,
                group_us=tuple(self._group_us),
            )

    def close(self) -> None:
        """Commit what waits, then end the thread. The store stays open."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        """The thread. However it ends, nobody is left waiting for it."""
        group: list[Job] = []
        try:
            while group := self._next_group():
                with self._writing:
                    completions = self._commit(group)
                group = []
                self._deliver(completions)
        except BaseException as error:
            self._give_up(CommitFailed.of(error), group)

    def _commit(self, group: Sequence[Job]) -> list[Completion]:
        if self._failure is not None:  # met on another thread, after this group was taken
            raise self._failure
        started = time.perf_counter_ns()
        completions = commit_group(self._store, group)
        taken_us = (time.perf_counter_ns() - started) // 1000
        with self._changed:
            self._last_us = taken_us
            self._groups += 1
            self._ended += len(completions)
            self._group_us[min(taken_us.bit_length(), HISTOGRAM_BUCKETS - 1)] += 1
        return completions

    def _next_group(self) -> list[Job]:
        """Wait for jobs and take a group of them; empty when closing and nothing waits."""
        with self._changed:
            while not (self._urgent or self._jobs or self._closing):
                self._changed.wait()
            group: list[Job] = []
            rows = 0
            for lane in (self._urgent, self._jobs):
                while (
                    lane
                    and len(group) < STORE_GROUP_JOBS
                    and (not group or rows + lane[0].rows <= STORE_GROUP_ROWS)
                ):
                    job = lane.popleft()
                    rows += job.rows
                    group.append(job)
            return group

    def _give_up(self, failure: CommitFailed, group: list[Job]) -> None:
        """Answer everything with the failed commit; whoever hears of it ends the process."""
        with self._changed:
            self._failure = failure
            waiting = [*group, *self._urgent, *self._jobs]
            self._urgent.clear()
            self._jobs.clear()
        self._deliver([Completion(job, None, failure) for job in waiting])


def _tell_all(completions: list[Completion]) -> None:
    for completion in completions:
        completion.tell()
