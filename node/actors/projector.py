"""The projector: keeps what is derived from cells up with them.

It follows the log of every range of the cluster, this node's own where it has a slot, and keeps of what comes
out of them the part that belongs to places it has slots for (docs/decisions/0033). Every replica of a place
does so for itself: nobody has to be elected for it, and when one is lost the others have it all. Cursors are
committed together with what they stand for, and everything may be applied twice, so a crash, another log and
two nodes at the same work do no harm.

A run reads what has changed and applies a bounded part of it in one commit. A rebuild is a run of its own
that begins at the beginning, into rows that nobody reads before it has come to where the main run is. So is a
*widening*: what is about a place may follow from cells anywhere, so a node that comes to keep more reads
everything once more, and meanwhile goes on with, and answers for, what it kept before. What comes while it
does waits for the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.environment import WallClock
from folkmoot.node.projections.backfilling import Backfiller, TellsLatest
from folkmoot.node.projections.generations import Generations
from folkmoot.node.projections.reading import LogReading, ReadsLogs
from folkmoot.node.projections.runs import Run, Step
from folkmoot.node.projections.stretches import KeptBlocks, Stretch, Stretches
from folkmoot.node.projections.watchers import Watchers
from folkmoot.protocol import limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.projections.entries import Projection
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.storage import projections
from folkmoot.storage.deliveries import Left
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.inboxes import Bounds
from folkmoot.storage.outdated import erase_outdated
from folkmoot.storage.projecting import OF_NO_USE, Application, Target
from folkmoot.storage.projections import MAIN, WIDENING, ProjectionBook
from folkmoot.storage.transaction import Admission, WriteTransaction

log = logging.getLogger(__name__)

T = TypeVar("T")

# A commit of derived rows never holds up the loop: it is always the writer's.
_ROWS = limits.STORE_GROUP_ROWS


class FollowsLogs(ReadsLogs, TellsLatest, Protocol):
    """See `projections.logs`."""


class Projector:
    """See the module.

    Args:
        node_id: this node's (16 bytes).
        commits: this node's store.
        logs: what is followed.
        generations: which rows are read, and which are built.
        ranges: the range map now.
        bounds: of inboxes and lists of notices.
        wall: dates what was asked of other nodes.
        watchers: told of what is new.
    """

    def __init__(
        self,
        node_id: bytes,
        commits: Commits,
        logs: FollowsLogs,
        generations: Generations,
        ranges: Callable[[], RangeMap],
        bounds: Bounds,
        wall: WallClock,
        watchers: Watchers,
    ) -> None:
        self._watchers = watchers
        self._wall = wall
        self._node_id = node_id
        self._commits = commits
        self._logs = logs
        self._generations = generations
        self._ranges = ranges
        self._bounds = bounds
        self._covered = KeptBlocks()  # what is complete as far as the main run has read
        self._kept = KeptBlocks()  # and what a widening reads for
        self._main = Run(MAIN)
        self._widening: Run | None = None
        self._rebuilding: dict[Projection, Run] = {}
        self.backfiller = Backfiller(
            commits.store, self._commit, logs, generations, lambda key: key in self._kept, bounds, wall
        )
        self._stretches = Stretches(ranges)
        self._reading = LogReading(commits.store, logs, self._stretches, self._wake)
        self._asking: trio.Nursery
        self._news = trio.Event()
        commits.notice(self._wake)
        self._wanted: dict[Projection, trio.Event] = {}
        self._stale = True
        self._much = False
        self._began = 0.0
        self._oldest: float | None = None
        self._applied = 0
        self._written = 0

    @property
    def applied(self) -> int:
        """How many changes have been applied since the node started."""
        return self._applied

    def lag_s(self) -> float | None:
        """For how long, at the most, something may have changed that is not seen in projections yet, seconds.

        What was read before the node started counts as old as that. None before each log was read at all.
        """
        return None if self._oldest is None else max(0.0, trio.current_time() - self._oldest)

    def covers(self, key: bytes) -> bool:
        """See `serving.Lagging`."""
        return key in self._covered

    def widening(self) -> float | None:
        """How far everything has been read for what this node has come to keep, from 0 to 1; None if for
        nothing."""
        return None if self._widening is None else self._widening.progress(self._main)

    def unread(self) -> Iterator[tuple[int, float]]:
        """See `pressure.FollowsLog`."""
        for name, stretch in self._stretches():
            if not self._logs.is_own(stretch):
                continue
            position = self._main.position(name, self._logs.own_log)
            if self._commits.store.lane_changed(stretch.lane, position):
                yield position, self._main.current_at.get(name, self._began)

    async def run(self) -> None:
        """Follow the logs until cancelled."""
        self._began = trio.current_time()
        recalled = False
        async with trio.open_nursery() as self._asking:
            while True:
                self._news = trio.Event()
                try:
                    if not recalled:
                        await self._recall()
                        recalled = True
                    moved = await self._turn()
                    self._oldest = self._main.oldest(
                        self._stretches(), trio.current_time(), self._began, self._oldest
                    )
                except (DiskFull, WireError) as error:
                    log.warning("projections wait: %s", error)
                    await trio.sleep(limits.PROJECTION_RETRY_S)
                    continue
                if self._much:
                    await trio.lowlevel.checkpoint()
                    continue
                await trio.sleep(limits.PROJECTION_PAUSE_S)
                if not moved:
                    with trio.move_on_after(limits.PROJECTION_IDLE_S):
                        await self._news.wait()

    def _wake(self) -> None:
        """Something was committed, or another node has answered."""
        self._news.set()

    async def _turn(self) -> bool:
        """Do a bounded part of what there is to do; whether there was something."""
        self._much = False
        await self._cover_what_is_kept()
        await self._begin_rebuilds()
        moved = await self._advance(self._main, self._generations.live_targets())
        moved |= await self._widen()
        for projection in self._generations.building():
            moved |= await self._rebuild(projection)
        if self._stale:
            self._stale = not await self._commit(self._erase_stale)
        return moved

    async def _recall(self) -> None:
        """What the store says of what was read for which blocks, and how far; nobody is being asked."""
        for projection in await self._generations.begin_formats():
            log.warning("projection %s is of another format, and is made anew", projection.word)
            self._stale = True
        self._look_again()
        self._rebuilding.clear()
        with self._commits.store.engine.begin() as transaction:
            self._kept = self._covered = KeptBlocks(projections.covered(transaction))
            wanted = projections.wanted(transaction)
        if wanted is not None:
            self._kept, self._widening = KeptBlocks(wanted), Run(WIDENING)

    async def _cover_what_is_kept(self) -> None:
        """Begin to read for what this node has come to keep; when it kept nothing, with everything."""
        kept = KeptBlocks.of(self._ranges(), self._node_id)
        if kept <= self._kept or self._widening is not None:
            return
        wider = kept.joined(self._kept)
        for projection in self._generations.building():  # what was read for them was too little
            self._wanted.setdefault(projection, trio.Event())
        await self._begin_rebuilds()
        if self._covered:
            await self._commit(lambda book: book.widen(wider.to_bytes()))
            self._widening = Run(WIDENING)
        else:
            await self._commit(lambda book: book.begin_anew(wider.to_bytes()))
            self._covered, self._main = wider, Run(MAIN)
        self._kept = wider

    async def _widen(self) -> bool:
        """Go on with reading for what this node has come to keep; whether there was something to do."""
        run = self._widening
        if run is None:
            return False
        moved = await self._advance(run, self._generations.live_targets(), behind=self._main)
        if moved or not self._has_caught_up(run):
            return moved
        await self._commit(lambda book: book.widened(self._kept.to_bytes()))
        self._covered, self._widening = self._kept, None
        self._look_again()
        return True

    def _look_again(self) -> None:
        """Have the main run go on where the store says that it is to."""
        self._main = Run(MAIN, current_at=self._main.current_at)

    async def _advance(self, run: Run, targets: Iterable[Target], behind: Run | None = None) -> bool:
        """Read on in all logs and apply what is new, as much as one transaction is to do.

        Args:
            behind: a run that is not overtaken.
        """
        await self._reading.read(run, self._asking)
        steps: list[Step] = []
        for step in list(run.waiting.values()):
            if behind is not None:
                step = step.until(behind.position(step.stretch.name, step.read.log_id))
            if step.read.batch.changed or not run.positions[step.stretch.name]:
                steps.append(step)
            else:
                self._note(run, step, 0)
        if steps:
            await self._apply(run, steps, list(targets))
        return bool(steps)

    async def _apply(self, run: Run, steps: list[Step], targets: list[Target]) -> None:
        followers, keeps = self._generations.live(Projection.FOLLOWERS), self._kept.__contains__
        now_us, at_once = self._wall.now_us(), self._rows_at_once(run)

        def application(book: ProjectionBook) -> Application:
            return Application(book, targets, followers, keeps, self._bounds, now_us)

        def begin(book: ProjectionBook) -> tuple[list[int], Mapping[Target, Left]]:
            """How many changes of each step were applied, before it was enough for one transaction, and what
            of them has to be written in further ones."""
            beginning, done = application(book), list[int]()
            for step in steps:
                count = 0
                for change in step.read.batch.changed:
                    if beginning.cost >= limits.PROJECTION_WRITES or book.written >= at_once:
                        break
                    beginning.apply(change)
                    count += 1
                done.append(count)
            left = beginning.write(2 * at_once)
            if not left:
                _set_cursors(book, run, steps, done)
            return done, left

        def go_on(book: ProjectionBook) -> Mapping[Target, Left]:
            still = application(book).go_on(left, 2 * at_once)
            if not still:
                _set_cursors(book, run, steps, done)
            return still

        done, left = await self._commit(begin)
        while left:
            left = await self._commit(go_on)
        for step, count in zip(steps, done, strict=True):
            self._applied += count
            self._note(run, step, count)

    def _rows_at_once(self, run: Run) -> int:
        """How much of what a run applies is one transaction: little while others write, who wait for it."""
        written, self._written = self._written, self._commits.store.sequence
        is_alone = run is not self._main or written == self._written
        return limits.PROJECTION_WRITES if is_alone else limits.PROJECTION_WRITES_AMONG_OTHERS

    def _note(self, run: Run, step: Step, count: int) -> None:
        """So many of the changes that were read of a stretch are applied."""
        batch = step.read.batch
        self._much |= count < len(batch.changed) or batch.reached < batch.head
        if count or not batch.changed:
            run.note(step, count)

    async def _rebuild(self, projection: Projection) -> bool:
        """Go on with building a projection anew; whether there was something to do."""
        target = self._generations.target_of(projection)
        if projection not in self._rebuilding:
            self._rebuilding[projection] = Run(projection, without=OF_NO_USE[projection])
        run = self._rebuilding[projection]
        moved = await self._advance(run, [target], behind=self._main)
        if moved or not self._has_caught_up(run):
            return moved
        if projection is Projection.HOME and self.backfiller.has_due(target.generation):
            return False
        await self._generations.finish(projection)
        del self._rebuilding[projection]
        self._look_again()
        self._stale = True
        log.info("projection %s has been rebuilt", projection.word)
        return True

    def _has_caught_up(self, run: Run) -> bool:
        """Whether a run has come to where the main one is."""
        return run.has_caught_up(self._main, self._stretches(), self._is_quiet)

    def _is_quiet(self, stretch: Stretch, log_id: bytes, position: int) -> bool:
        is_own = log_id == self._logs.own_log
        return is_own and not self._commits.store.lane_changed(stretch.lane, position)

    def progress(self, projection: Projection) -> float:
        """How far a projection that is built anew has come, from 0 to 1, by what has been read of logs."""
        run = self._rebuilding.get(projection)
        return 0.0 if run is None else run.progress(self._main)

    async def rebuild(self, projection: Projection) -> None:
        """Have a projection be built anew, from the beginning, and wait until that has begun."""
        await self._wanted.setdefault(projection, trio.Event()).wait()

    async def _begin_rebuilds(self) -> None:
        for projection in list(self._wanted):
            await self._generations.begin(projection)
            self._rebuilding.pop(projection, None)
            self._stale = True
            self._wanted.pop(projection).set()

    def _erase_stale(self, book: ProjectionBook) -> bool:
        return erase_outdated(book.rows, self._generations.all(), limits.PROJECTION_ERASED_ROWS)

    async def _commit(self, job: Callable[[ProjectionBook], T]) -> T:
        books: list[ProjectionBook] = []

        def run(transaction: WriteTransaction) -> T:
            books.append(ProjectionBook(transaction))
            return job(books[-1])

        done = await self._commits.run(run, Admission.PEER_JOIN, rows=_ROWS)
        self._watchers.wake(books[-1].news)
        if books[-1].asked:
            self.backfiller.wake()
        return done


def _set_cursors(book: ProjectionBook, run: Run, steps: Sequence[Step], done: Sequence[int]) -> None:
    """Remember that so many changes of each step are applied."""
    for (stretch, (log_id, batch), _), count in zip(steps, done, strict=True):
        if count or not batch.changed:
            position = batch.position_after(count)
            book.set_cursor(run.number, *stretch.name, log_id, position, alone=count > 0)
