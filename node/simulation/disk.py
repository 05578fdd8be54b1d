"""A simulated node's disk: the memory engine behind group commits that take virtual time.

What waits becomes one group, as in production (see `storage.writer`). The group exists only in memory until
its fsync ends, so a crash before that loses it whole; it is acknowledged a scheduling point later, so a crash
in between keeps it without anyone having been told. Both points can also be hit on purpose. And a disk may be
made to refuse: then it says what production says there, `busy` before a job waits and `DiskFull` after its
group was tried, to a share of the jobs. Urgent jobs are left out: nothing in production fills their lane, the
disk cap leaves them room, and a node that cannot write down its incarnation all the same is meant to end.

And it may fail, with EIO: at either point of a commit, after which nobody in the node knows what is on it,
or at a share of all reads.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

import trio
from folkmoot.node.configuration.media_section import MediaSection
from folkmoot.node.environment import MediaHome
from folkmoot.node.simulation.disk_errors import EIO, FallibleEngine
from folkmoot.node.simulation.file_work import FileWork
from folkmoot.node.simulation.files import SimulatedFiles
from folkmoot.node.simulation.ownership import owns
from folkmoot.node.simulation.trace import Trace
from folkmoot.node.simulation.witness import Witness
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.storage.errors import CommitFailed, DiskFull, StoreClosed
from folkmoot.storage.group import Completion, Job, commit_group
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.search.files import MemoryIndexes
from folkmoot.storage.store import LOG_ID_BYTES, Owner, Store
from folkmoot.storage.transaction import Admission, WriteTransaction

T = TypeVar("T")

FSYNC_LEAST_S = 0.0005
FSYNC_SPREAD_S = 0.004
FULL_AMONG_REFUSED: Final = 0.25


class CommitPoint(enum.Enum):
    """Where in a group commit a crash or a failure may be planted."""

    BEFORE_COMMIT = "before the commit"
    BEFORE_ACKNOWLEDGEMENT = "between the commit and its acknowledgement"


class SimulatedDisk:
    """One node's disk, which outlives its crashes.

    Args:
        node: its name.
        random: draws fsync times, log ids and refusals.
        trace, witness: told of every commit.
        nursery: where the writers run.
        on_crash: called when a planted crash point is reached.

    Attributes:
        slowdown: by how much longer than a healthy disk it takes.
        refused_share: of the jobs that are not urgent, how many it refuses.
        crash_point: where it crashes next.
        failure_point: where the next commit fails.
        failing_reads_share: how many of all reads fail.
        has_failed: whether a commit or a read has failed since it was opened.
        peak_waiting: the most jobs that ever waited in one lane.
        commits: the open store; None while it is closed.
        at_boot: what was on it when it was last opened.
        indexes: what of search is on it; a commit of theirs is whole or not there, and takes no time.
        files: the media on it.
        file_work: what is being done with those by the process that runs; None while none does.
    """

    def __init__(
        self,
        node: str,
        random: Random,
        trace: Trace,
        witness: Witness,
        nursery: trio.Nursery,
        on_crash: Callable[[], None],
    ) -> None:
        self.node = node
        self.random = random
        self.trace = trace
        self.witness = witness
        self.on_crash = on_crash
        self.engine = MemoryEngine()
        self.at_boot = self.engine.copy()
        self.indexes = MemoryIndexes()
        self.files = SimulatedFiles()
        self.files_at_boot = self.files.copy()
        self.file_work: FileWork | None = None
        self.slowdown = 1.0
        self.refused_share = 0.0
        self.crash_point: CommitPoint | None = None
        self.failure_point: CommitPoint | None = None
        self.failing_reads_share = 0.0
        self.has_failed = False
        self.peak_waiting = 0
        self.commits: SimulatedCommits | None = None
        self._nursery = nursery

    def open(self, directory: Path, owner: Owner) -> SimulatedCommits:
        """See `environment.Disk`; there is one store, whatever the directory."""
        assert self.commits is None, "a second daemon on one disk"
        self.at_boot, self.files_at_boot = self.engine.copy(), self.files.copy()
        self.has_failed = False
        self.witness.booted(self.node, owner.node, self.engine)
        self.witness.media.booted(self.node, owner.node, self.engine, self.files, directory)
        engine = FallibleEngine(self.engine, self._fails_to_read)
        store = Store(engine, owner=owner, fresh_log_id=self.random.randbytes(LOG_ID_BYTES))
        self.commits = SimulatedCommits(self, store, owner.node)
        self._nursery.start_soon(self.commits.write)
        return self.commits

    def media(self, settings: MediaSection) -> MediaHome:
        """Where the media of a process that begins lie."""

        def open_media(directory: Path) -> Blobs:
            return Blobs(self.files, directory / "media", settings.disk_cap, settings.cache)

        self.files.on_unlink = partial(self.witness.media.unlinked, self.node)
        self.file_work = FileWork(self.files, self.fsync_s, self.random)
        return MediaHome(open_media, self.file_work)

    def crash(self) -> None:
        """Keep what is committed; whoever waits for more is never answered."""
        self.crash_point = None
        if self.file_work is not None:
            self.file_work.crash()
            self.file_work, self.files = None, self.files.crash(self.random)
        if self.commits is not None:
            self.commits.die()
        self.closed()

    def put_back(self, copy: MemoryEngine, files: SimulatedFiles) -> None:
        """Have an older state in the place of what is on it."""
        assert self.commits is None, "a disk is exchanged while its node is down"
        self.engine, self.files = copy, files
        self.witness.forget(self.node)

    def closed(self) -> None:
        """Be ready to be opened again."""
        self.commits = None
        self.engine = self.engine.crash()

    def fsync_s(self) -> float:
        """How long the next fsync takes."""
        return self.slowdown * (FSYNC_LEAST_S + FSYNC_SPREAD_S * self.random.random())

    def refusal(self) -> WireError | DiskFull | None:
        """What the next job that is not urgent is refused with, if it is."""
        if not self.refused_share or self.random.random() >= self.refused_share:
            return None
        if self.random.random() < FULL_AMONG_REFUSED:
            self.trace.note(f"refusal {self.node} full")
            return DiskFull("the map is full")
        self.trace.note(f"refusal {self.node} busy")
        return busy()

    def reached(self, point: CommitPoint) -> None:
        """A group commit is at this point; crash or fail there if that was planted.

        Raises:
            CommitFailed: it fails.
        """
        if self.crash_point is point:
            self.on_crash()
        if self.failure_point is point:
            self.failure_point = None
            self.has_failed = True
            self.trace.note(f"failure {self.node} {point.name}")
            raise CommitFailed(EIO)

    def _fails_to_read(self) -> bool:
        if not self.failing_reads_share or self.random.random() >= self.failing_reads_share:
            return False
        self.has_failed = True
        self.trace.note(f"failure {self.node} read")
        return True


class SimulatedCommits:
    """`node.commits.Commits` on virtual time.

    Args:
        disk: where it commits.
        store: taken over.
        node_id: whose it is.
    """

    def __init__(self, disk: SimulatedDisk, store: Store, node_id: bytes) -> None:
        self.store = store
        self._node_id = node_id
        self._disk = disk
        self._urgent: deque[Job] = deque()
        self._jobs: deque[Job] = deque()
        self._work = trio.lowlevel.ParkingLot()
        self._idle = trio.Event()
        self._awaited: dict[trio.Event, None] = {self._idle: None}
        self._closing = False
        self._dead = False
        self._failure: CommitFailed | None = None
        self._failed = trio.Event()
        self._committed = trio.lowlevel.ParkingLot()
        self._notices: list[Callable[[], None]] = []
        self._scope = trio.CancelScope()

    async def run(
        self,
        job: Callable[[WriteTransaction], T],
        admission: Admission,
        *,
        rows: int = 1,
        urgent: bool = False,
    ) -> T:
        """See `node.commits.Commits`."""
        lane, longest = self._lane(urgent)
        if self._dead:
            await trio.sleep_forever()
        if self._failure is not None:
            raise self._failure
        if self._closing:
            raise StoreClosed
        if len(lane) >= longest:
            raise busy()
        refusal = None if urgent else self._disk.refusal()
        if isinstance(refusal, WireError):
            raise refusal
        ended = trio.Event()
        outcome: list[Any] = [None, None]

        def done(result: Any, error: BaseException | None) -> None:
            outcome[:] = result, error
            ended.set()

        lane.append(Job(job if refusal is None else _raising(refusal), admission, done, rows))
        self._disk.peak_waiting = max(self._disk.peak_waiting, len(lane))
        self._work.unpark()
        await self._ended(ended)
        result, error = outcome
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    async def wait_past(self, sequence: int) -> None:
        """See `node.commits.Commits`."""
        while self.store.sequence <= sequence:
            await self._committed.park()

    def notice(self, call: Callable[[], None]) -> None:
        """See `node.commits.Commits`."""
        self._notices.append(call)

    async def watch(self) -> None:
        """See `node.commits.Commits`."""
        await self._failed.wait()
        assert self._failure is not None
        raise self._failure

    async def aclose(self) -> None:
        """See `node.commits.Commits`."""
        self._closing = True
        self._work.unpark()
        await self._ended(self._idle)
        self.store.close()
        self._disk.closed()

    async def write(self) -> None:
        """Commit group after group, until closed or dead."""
        with self._scope:
            while group := await self._next_group():
                try:
                    completions = await self._carry(group)
                except CommitFailed as failure:
                    self._give_up(failure, group)
                    break
                await trio.lowlevel.checkpoint()
                for completion in completions:
                    completion.tell()
                self._committed.unpark_all()
                for call in self._notices:
                    call()
            self._idle.set()

    async def _carry(self, group: list[Job]) -> list[Completion]:
        """Commit a group, which takes its time.

        Raises:
            CommitFailed: nobody is told of any of it.
        """
        await trio.sleep(self._disk.fsync_s())
        self._disk.reached(CommitPoint.BEFORE_COMMIT)
        await trio.lowlevel.checkpoint_if_cancelled()
        completions = self._commit(group)
        self._disk.reached(CommitPoint.BEFORE_ACKNOWLEDGEMENT)
        return completions

    def _give_up(self, failure: CommitFailed, group: list[Job]) -> None:
        """Answer everything with the failed commit; whoever hears of it ends the node."""
        self._failure = failure
        waiting = [*group, *self._urgent, *self._jobs]
        self._urgent.clear()
        self._jobs.clear()
        self._failed.set()
        for job in waiting:
            Completion(job, None, failure).tell()

    def die(self) -> None:
        """The machine stops: nothing more is committed, and nobody is answered."""
        self._closing = self._dead = True
        self._scope.cancel()
        for event in self._awaited:
            event.set()

    def _commit(self, group: list[Job]) -> list[Completion]:
        engine = self._disk.engine
        before = engine.commits
        completions = commit_group(self.store, group)
        changes = engine.newest_changes(engine.commits - before)
        still_owns = partial(self._owns, engine)
        self._disk.witness.committed(self._disk.node, self._node_id, changes, still_owns)
        written = b"".join(change.key + (change.value or b"") for change in changes)
        self._disk.trace.note(f"commit {self._disk.node} {len(group)}", written)
        return completions

    def _owns(self, engine: MemoryEngine, key: bytes) -> bool:
        return owns(engine, self._node_id, key)

    async def _ended(self, event: trio.Event) -> None:
        """Wait for a commit even when cancelled, for it cannot be taken back; unless the machine dies."""
        self._awaited[event] = None
        with trio.CancelScope(shield=True):
            await event.wait()
        if self._dead:
            await trio.sleep_forever()  # a dead machine's tasks hear nothing but their cancellation
        del self._awaited[event]

    async def _next_group(self) -> list[Job]:
        while not (self._urgent or self._jobs or self._closing):
            await self._work.park()
        group: list[Job] = []
        rows = 0
        for lane in (self._urgent, self._jobs):
            while (
                lane
                and len(group) < limits.STORE_GROUP_JOBS
                and (not group or rows + lane[0].rows <= limits.STORE_GROUP_ROWS)
            ):
                job = lane.popleft()
                rows += job.rows
                group.append(job)
        return group

    def _lane(self, urgent: bool) -> tuple[deque[Job], int]:
        if urgent:
            return self._urgent, limits.STORE_URGENT_JOBS
        return self._jobs, limits.STORE_QUEUE_JOBS


def busy() -> WireError:
    """What a store says that has too many jobs waiting."""
    return WireError(BUSY, "too many writes wait for the disk", retry_after_ms=50)


def _raising(error: DiskFull) -> Callable[[WriteTransaction], Any]:
    """A job for which there is no room."""

    def job(transaction: WriteTransaction) -> None:
        raise error

    return job
