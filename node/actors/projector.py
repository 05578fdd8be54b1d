"""The projector: keeps what is derived from cells up with them.

It follows the log of every range of the cluster, this node's own where it has a slot, and keeps of what comes
out of them the part that belongs to places it has slots for (docs/decisions/0033). Every replica of a place
does so for itself: nobody has to be elected for it, and when one is lost the others have it all. Cursors are
committed together with what they stand for, and everything may be applied twice, so a crash, another log and
two nodes at the same work do no harm.

A run reads what has changed and applies a bounded part of it in one commit; a rebuild is a run of its own
that begins at the beginning, into rows that nobody reads before it has come to where the others are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.environment import WallClock
from folkmoot.node.projections.backfilling import Backfiller, TellsLatest
from folkmoot.node.projections.generations import Generations
from folkmoot.node.projections.logs import Read
from folkmoot.node.projections.stretches import KeptBlocks, Stretch, stretches_of
from folkmoot.node.projections.watchers import Watchers
from folkmoot.protocol import limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.projections.entries import Projection
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.storage import projections
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.inboxes import Bounds
from folkmoot.storage.projecting import Application, Batch, Target
from folkmoot.storage.projections import MAIN, ProjectionBook
from folkmoot.storage.transaction import Admission, WriteTransaction

log = logging.getLogger(__name__)

T = TypeVar("T")

# A commit of derived rows never holds up the loop: it is always the writer's.
_ROWS = limits.STORE_GROUP_ROWS


class ReadsLogs(TellsLatest, Protocol):
    """See `projections.logs`."""

    def is_own(self, stretch: Stretch) -> bool: ...

    async def read_own(self, wanted: Sequence[tuple[Stretch, int]]) -> list[Batch]: ...

    async def read_others(
        self, wanted: Sequence[tuple[Stretch, Mapping[bytes, int]]]
    ) -> list[tuple[Stretch, Read]]: ...


@dataclass(slots=True)
class _Run:
    """One way through the logs.

    Args:
        number: under which its cursors are kept.
        positions: of each stretch, how far logs were read, by their ids.
        ask_at: of each stretch of others, when they are next asked (trio's clock).
        current_at: of each stretch, when its log was last read to its end (trio's clock).
        ends: of each stretch, the log that it is followed in.
    """

    number: int
    positions: dict[tuple[int, int], dict[bytes, int]] = field(default_factory=dict)
    ask_at: dict[tuple[int, int], float] = field(default_factory=dict)
    current_at: dict[tuple[int, int], float] = field(default_factory=dict)
    ends: dict[tuple[int, int], bytes] = field(default_factory=dict)


class _Step(NamedTuple):
    """What is to be applied of one stretch."""

    stretch: Stretch
    read: Read


class Projector:
    """See the module.

    Args:
        node_id: this node's (16 bytes).
        commits: this node's store.
        logs: what is followed.
        generations: which rows are read, and which are built.
        ranges: the range map now.
        bounds: of inboxes.
        wall: dates what was asked of other nodes.
        watchers: told of what is new.
    """

    def __init__(
        self,
        node_id: bytes,
        commits: Commits,
        logs: ReadsLogs,
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
        self._kept = KeptBlocks()
        self._main = _Run(MAIN)
        self._rebuilding: dict[Projection, _Run] = {}
        self._backfiller = Backfiller(
            commits.store, self._commit, logs, generations, lambda key: key in self._kept, bounds, wall
        )
        self._wanted: dict[Projection, trio.Event] = {}
        self._stale = True
        self._much = False
        self._began = 0.0
        self._oldest: float | None = None
        self._applied = 0

    @property
    def applied(self) -> int:
        """How many changes have been applied since the node started."""
        return self._applied

    def lag_s(self) -> float | None:
        """For how long, at the most, something may have changed that is not seen in projections yet, seconds.

        What was read before the node started counts as old as that. None before each log was read at all.
        """
        return None if self._oldest is None else max(0.0, trio.current_time() - self._oldest)

    def _oldest_of_all(self) -> float | None:
        """When the log that was read to its end longest ago was."""
        oldest = trio.current_time()
        for stretch in stretches_of(self._ranges()):
            if stretch.name in self._main.current_at:
                oldest = min(oldest, self._main.current_at[stretch.name])
            elif self._main.positions.get(stretch.name):
                oldest = min(oldest, self._began)
            else:
                return None
        return oldest

    async def run(self) -> None:
        """Follow the logs until cancelled."""
        self._began = trio.current_time()
        self._kept = KeptBlocks(self._covered())
        while True:
            looked_at = self._commits.store.sequence
            try:
                moved = await self._turn()
                self._oldest = self._oldest_of_all()
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
                    await self._commits.wait_past(looked_at)

    async def _turn(self) -> bool:
        """Do a bounded part of what there is to do; whether there was something."""
        self._much = False
        await self._cover_what_is_kept()
        await self._begin_rebuilds()
        moved = await self._advance(self._main, self._generations.live_targets())
        moved |= await self._backfill(self._generations.live(Projection.HOME))
        for projection in self._generations.building():
            moved |= await self._rebuild(projection)
        if self._stale:
            self._stale = not await self._commit(self._erase_stale)
        return moved

    def _covered(self) -> bytes:
        with self._commits.store.engine.begin() as transaction:
            return projections.covered(transaction)

    async def _cover_what_is_kept(self) -> None:
        """Begin anew when this node has come to keep more than was looked for so far."""
        kept = KeptBlocks.of(self._ranges(), self._node_id)
        if kept <= self._kept:
            return
        wider = kept.joined(self._kept)
        await self._commit(lambda book: book.cover(wider.to_bytes()))
        self._kept, self._main = wider, _Run(MAIN)

    async def _advance(self, run: _Run, targets: Iterable[Target], behind: _Run | None = None) -> bool:
        """Read on in all logs and apply what is new, as much as one transaction is to do.

        Args:
            behind: a run that is not overtaken.
        """
        began = trio.current_time()
        steps: list[_Step] = []
        waiting = 0
        for stretch, read in await self._read(run):
            if behind is not None:
                position = behind.positions.get(stretch.name, {}).get(read.log_id, 0)
                read = read._replace(batch=read.batch.until(position))
            if read.batch.changed or not run.positions[stretch.name]:
                steps.append(_Step(stretch, read))
                waiting += len(read.batch.changed)
            else:
                self._done(run, stretch, read, 0, began)
            if waiting >= limits.PROJECTION_WRITES:
                break
        if steps:
            await self._apply(run, steps, list(targets), began)
        return bool(steps)

    async def _read(self, run: _Run) -> list[tuple[Stretch, Read]]:
        """What is new in all logs that may have something new."""
        store = self._commits.store
        own: list[tuple[Stretch, int]] = []
        wanted: list[tuple[Stretch, Mapping[bytes, int]]] = []
        for stretch in stretches_of(self._ranges()):
            positions = run.positions.get(stretch.name)
            if positions is None:
                positions = run.positions[stretch.name] = self._kept_positions(run, stretch)
            if not self._logs.is_own(stretch):
                if run.ask_at.get(stretch.name, 0.0) > trio.current_time():
                    continue
                wanted.append((stretch, positions))
            elif store.lane_changed(stretch.lane, after := positions.get(store.log_id, 0)) or not positions:
                own.append((stretch, after))
            else:
                run.ends[stretch.name] = store.log_id
                run.current_at[stretch.name] = trio.current_time()
        others = await self._logs.read_others(wanted) if wanted else []
        busy = {stretch.name for stretch, read in others if read.batch.changed}
        for stretch, _ in wanted:
            if stretch.name not in busy:
                run.ask_at[stretch.name] = trio.current_time() + limits.PROJECTION_ASK_S
        if not own:
            return others
        batches = await self._logs.read_own(own)
        found = [(each[0], Read(store.log_id, batch)) for each, batch in zip(own, batches, strict=True)]
        return found + others

    def _done(self, run: _Run, stretch: Stretch, read: Read, count: int, began: float) -> None:
        """So many of the changes that were read of a stretch are applied."""
        batch = read.batch
        run.positions[stretch.name][read.log_id] = batch.position_after(count)
        run.ends[stretch.name] = read.log_id
        if count == len(batch.changed) and batch.reached >= batch.head:
            run.current_at[stretch.name] = began

    def _kept_positions(self, run: _Run, stretch: Stretch) -> dict[bytes, int]:
        with self._commits.store.engine.begin() as transaction:
            return projections.cursors_at(transaction, run.number, *stretch.name)

    async def _apply(self, run: _Run, steps: list[_Step], targets: list[Target], began: float) -> None:
        followers, keeps = self._generations.live(Projection.FOLLOWERS), self._kept.__contains__
        application = Application(targets, followers, keeps, self._bounds, self._wall.now_us())

        def job(book: ProjectionBook) -> list[int]:
            """How many changes of each step were applied, before it was enough for one transaction."""
            done: list[int] = []
            for stretch, (log_id, batch) in steps:
                count = 0
                for change in batch.changed:
                    if book.written >= limits.PROJECTION_WRITES:
                        break
                    application.apply(book, change)
                    count += 1
                done.append(count)
                if count or not batch.changed:
                    book.set_cursor(run.number, *stretch.name, log_id, batch.position_after(count))
            return done

        for (stretch, read), count in zip(steps, await self._commit(job), strict=True):
            self._applied += count
            self._much |= count < len(read.batch.changed) or read.batch.reached < read.batch.head
            if count or not read.batch.changed:
                self._done(run, stretch, read, count, began)

    async def _backfill(self, generation: int) -> bool:
        """Fill some inboxes of those who follow somebody new; whether there was something to do."""
        looked_at, left = await self._backfiller.run(generation)
        self._much |= left > 0
        return looked_at > 0

    async def _rebuild(self, projection: Projection) -> bool:
        """Go on with building a projection anew; whether there was something to do."""
        generation = self._generations.of(projection)
        assert generation.building is not None, "only what is being built is gone on with"
        run = self._rebuilding.setdefault(projection, _Run(projection))
        moved = await self._advance(run, [Target(projection, generation.building)], behind=self._main)
        if projection is Projection.HOME:
            moved |= await self._backfill(generation.building)
        if moved or not self._has_caught_up(run):
            return moved
        await self._generations.finish(projection)
        del self._rebuilding[projection]
        self._stale = True
        log.info("projection %s has been rebuilt", projection.word)
        return True

    def _has_caught_up(self, run: _Run) -> bool:
        """Whether a run has come to where the main one is, in the logs that this one follows."""
        for stretch in stretches_of(self._ranges()):
            log_id = self._main.ends.get(stretch.name)
            if log_id is None:
                continue
            ahead = self._main.positions.get(stretch.name, {}).get(log_id, 0)
            if run.positions.get(stretch.name, {}).get(log_id, 0) < ahead:
                return False
        return True

    def progress(self, projection: Projection) -> float:
        """How far a projection that is built anew has come, from 0 to 1, by what has been read of logs."""
        run = self._rebuilding.get(projection)
        whole = read = 0
        for name, log_id in self._main.ends.items():
            whole += (ahead := self._main.positions.get(name, {}).get(log_id, 0))
            read += min(ahead, 0 if run is None else run.positions.get(name, {}).get(log_id, 0))
        return read / whole if whole else 0.0

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
        return book.erase_stale(self._generations.all(), limits.PROJECTION_ERASED_ROWS)

    async def _commit(self, job: Callable[[ProjectionBook], T]) -> T:
        books: list[ProjectionBook] = []

        def run(transaction: WriteTransaction) -> T:
            books.append(ProjectionBook(transaction, self._watchers.marks))
            return job(books[-1])

        done = await self._commits.run(run, Admission.PEER_JOIN, rows=_ROWS)
        self._watchers.wake(books[-1].news)
        return done
