"""Group commit: everything that waits becomes one transaction and one fsync.

A *job* is a function of the write transaction. It may be run more than once before its group is committed,
so it changes nothing but the transaction; and it is answered only after the fsync returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from folkmoot.protocol.limits import STORE_GROUP_FAILURES
from folkmoot.storage.errors import CommitFailed, DiskFull
from folkmoot.storage.transaction import Admission, WriteTransaction

if TYPE_CHECKING:
    from folkmoot.storage.store import Store

Done = Callable[[Any, BaseException | None], None]


class Job(NamedTuple):
    """Something to do in a write transaction.

    Attributes:
        run: called with the transaction; what it returns is the job's result.
        admission: how full the disk may be.
        done: to be called with the result and None, or with None and the error.
        rows: about how many cells it writes; bounds a group.
    """

    run: Callable[[WriteTransaction], Any]
    admission: Admission
    done: Done
    rows: int = 1


class Completion(NamedTuple):
    """How a job ended: `error` is None when its result is durable."""

    job: Job
    result: Any
    error: BaseException | None

    def tell(self) -> None:
        """Call the job's `done`."""
        self.job.done(self.result, self.error)


def commit_group(store: Store, jobs: Sequence[Job]) -> list[Completion]:
    """Run `jobs` in one transaction and commit it; in the order of `jobs`, how each ended.

    A job that raises is left out and the others are run again without it. When several of a group raise, the
    rest are committed one by one, so that the work stays proportional to the number of jobs. A full map fails
    the whole group with `DiskFull`. Anything else that is raised outside of the jobs, such as damage met in
    what every commit writes, is no job's own and would meet the next group as well: it is `CommitFailed`.

    Raises:
        CommitFailed: nobody knows whether the group is on disk; the process must end.
    """
    ended: dict[int, Completion] = {}
    waiting = list(enumerate(jobs))
    for _ in range(STORE_GROUP_FAILURES):
        failed = _attempt(store, waiting, ended)
        if failed is None:
            return [ended[index] for index in range(len(jobs))]
        waiting.remove(failed)
    for one in waiting:
        _attempt(store, [one], ended)
    return [ended[index] for index in range(len(jobs))]


def _attempt(
    store: Store, jobs: Sequence[tuple[int, Job]], ended: dict[int, Completion]
) -> tuple[int, Job] | None:
    """Run and commit `jobs`; when one raises, note that it did, undo all and return it."""
    results: list[Any] = []
    try:
        with store.write() as transaction:
            for index, job in jobs:
                transaction.admit(job.admission)
                try:
                    results.append(job.run(transaction))
                except Exception as error:
                    ended[index] = Completion(job, None, error)
                    return index, job
            transaction.commit()
    except DiskFull as error:
        for index, job in jobs:
            ended[index] = Completion(job, None, error)
        return None
    except BaseException as error:
        failure = CommitFailed.of(error)
        raise failure from failure.__cause__
    for (index, job), result in zip(jobs, results, strict=True):
        ended[index] = Completion(job, result, None)
    return None
