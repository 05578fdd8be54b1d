"""The store as trio code sees it: reads at once, writes by awaiting a group commit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import trio
from folkmoot.protocol.errors import WireError
from folkmoot.storage.errors import CommitFailed, StorageError
from folkmoot.storage.group import Completion, Job
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import Admission, WriteTransaction
from folkmoot.storage.writer import WriterThread

log = logging.getLogger(__name__)

T = TypeVar("T")

INLINE_ROWS: Final = 64


class Commits(Protocol):
    """One node's open store."""

    @property
    def store(self) -> Store:
        """For reads, which are short and never wait for writes."""
        ...

    async def run(
        self,
        job: Callable[[WriteTransaction], T],
        admission: Admission,
        *,
        rows: int = 1,
        urgent: bool = False,
    ) -> T:
        """Commit what `job` does, together with everything else that waits, and return its result.

        Args:
            job: may run more than once; changes nothing but the transaction.
            admission: how full the disk may be.
            rows: about how many cells it writes.
            urgent: for small jobs that must not wait behind data.

        Raises:
            WireError: `busy`, or what the job raised.
            DiskFull: nothing was changed.
            CommitFailed: nobody knows what is on disk; the process must end.
        """
        ...

    async def wait_past(self, sequence: int) -> None:
        """Wait until a change after the one with this number is durable; a group wakes who waits once."""
        ...

    def notice(self, call: Callable[[], None]) -> None:
        """Have something called after each group that was committed; it must be quick, and not wait."""
        ...

    async def watch(self) -> None:
        """Wait for ever; raise `CommitFailed` once a commit failed, because then the node must not go on."""
        ...

    async def aclose(self) -> None:
        """Commit what waits, then close the store."""
        ...


class ThreadCommits:
    """`Commits` over the writer thread. Made inside a trio run.

    Args:
        store: taken over; closed by `aclose`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._token = trio.lowlevel.current_trio_token()
        self._writer = WriterThread(store, self._deliver)
        self._gathered: list[Job] = []
        self._failure: CommitFailed | None = None
        self._failed = trio.Event()
        self._committed = trio.lowlevel.ParkingLot()
        self._notices: list[Callable[[], None]] = []

    async def run(
        self,
        job: Callable[[WriteTransaction], T],
        admission: Admission,
        *,
        rows: int = 1,
        urgent: bool = False,
    ) -> T:
        """See `Commits`."""
        ended = trio.Event()
        outcome: list[Any] = [None, None]

        def done(result: Any, error: BaseException | None) -> None:
            outcome[:] = result, error
            ended.set()

        # The commit cannot be taken back, so its answer is waited for even by a task that is cancelled.
        with trio.CancelScope(shield=True):
            if urgent:
                self._submit(Job(job, admission, done, rows), urgent=True)
            else:
                await self._gather(Job(job, admission, done, rows))
            if not ended.is_set():
                await ended.wait()
        result, error = outcome
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    async def _gather(self, job: Job) -> None:
        """Commit `job` with what other tasks bring in the same turn of the loop; the first does it for all.

        Few rows are committed here while the writer is idle: a commit holds up the loop, but what arrives
        meanwhile is then committed together, so it delays nobody for longer than a group would.
        """
        self._gathered.append(job)
        if len(self._gathered) > 1:
            return
        await trio.lowlevel.cancel_shielded_checkpoint()
        jobs, self._gathered = self._gathered, []
        try:
            few = sum(each.rows for each in jobs) <= INLINE_ROWS
            completions = self._writer.commit_now(jobs) if few else None
        except CommitFailed as failure:
            completions = [Completion(each, None, failure) for each in jobs]
        if completions is not None:
            self._tell_all(completions)
            return
        for each in jobs:
            self._submit(each)

    async def wait_past(self, sequence: int) -> None:
        """See `Commits`."""
        while self.store.sequence <= sequence:
            await self._committed.park()

    def notice(self, call: Callable[[], None]) -> None:
        """See `Commits`."""
        self._notices.append(call)

    async def watch(self) -> None:
        """See `Commits`."""
        await self._failed.wait()
        assert self._failure is not None
        raise self._failure

    async def aclose(self) -> None:
        """See `Commits`."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._writer.close)
            self.store.close()

    def _submit(self, job: Job, *, urgent: bool = False) -> None:
        try:
            self._writer.submit(job.run, job.admission, job.done, rows=job.rows, urgent=urgent)
        except (WireError, StorageError) as error:
            self._tell_all([Completion(job, None, error)])

    def _deliver(self, completions: list[Completion]) -> None:
        """On the writer's thread: one wake-up of the loop for a whole group."""
        try:
            self._token.run_sync_soon(self._tell_all, completions)
        except trio.RunFinishedError:
            log.debug("%d commits ended after the node did", len(completions))

    def _tell_all(self, completions: list[Completion]) -> None:
        for completion in completions:
            if isinstance(completion.error, CommitFailed):
                self._failure = completion.error
                self._failed.set()
            completion.tell()
        self._committed.unpark_all()
        for call in self._notices:
            call()
