"""Backfilling: the latest posts of those who were followed of late, put into their followers' inboxes.

It goes on beside the logs, so that a node far away, which is asked for what is not kept here, holds up
nothing else. What such a node tells may be as it was before the follow; so it is asked again, after a moment
and after a while, until what it says is sure to be all. What is damaged here waits until it has been mended.

Those that wait are looked at in turn, some at a time, so that many that cannot be filled keep no others from
being so.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Final, Protocol

import trio
from cachetools import TTLCache
from folkmoot.node.environment import WallClock
from folkmoot.node.projections.generations import Generations
from folkmoot.node.projections.logs import Latest
from folkmoot.protocol import limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.projections.entries import Projection
from folkmoot.storage import inboxes, latest
from folkmoot.storage.errors import DiskFull, StoreCorrupt
from folkmoot.storage.inboxes import Backfill, Bounds, Inboxes, Keeps, Shown
from folkmoot.storage.interface import Transaction
from folkmoot.storage.projections import ProjectionBook, generation_of
from folkmoot.storage.store import Store

log = logging.getLogger(__name__)

_MOMENT_US: Final = 1_000_000
_SETTLED_US: Final = int(limits.PROJECTION_SETTLED_S * 1e6)

Commit = Callable[[Callable[[ProjectionBook], int]], Awaitable[int]]
"""Runs a job in a write transaction."""


class TellsLatest(Protocol):
    """See `projections.logs`."""

    def keeps(self, account: bytes) -> bool: ...

    async def latest_elsewhere(self, account: bytes, limit: int) -> Latest | None: ...


class Backfiller:
    """See the module.

    Args:
        store: this node's.
        commit: see `Commit`.
        latest: asks other nodes.
        generations: which rows are read, and which are built.
        keeps: whether this node keeps what is at a key.
        bounds: of inboxes.
        wall: dates what was asked of other nodes.
    """

    def __init__(
        self,
        store: Store,
        commit: Commit,
        latest: TellsLatest,
        generations: Generations,
        keeps: Keeps,
        bounds: Bounds,
        wall: WallClock,
    ) -> None:
        self._store = store
        self._commit = commit
        self._latest = latest
        self._generations = generations
        self._keeps = keeps
        self._bounds = bounds
        self._wall = wall
        self._retry_us: TTLCache[tuple[int, Backfill], int] = TTLCache(
            limits.BACKFILLS_RETRIED, 2 * limits.PROJECTION_SETTLED_S, trio.current_time
        )
        self._after: dict[int, Backfill | None] = {}
        self._asks = trio.CapacityLimiter(limits.BACKFILL_ASKS)
        self._asked = trio.Event()
        self._some_wait = True
        self._is_through = False

    def waiting(self) -> int:
        """How many inboxes wait to be filled while some are due, counted up to `BACKFILLS_LOOKED_AT`; 0 once
        whatever could be filled is: what is left then was filled, too, and is only made sure of."""
        if self._is_through and not self._asked.is_set():
            return 0
        live = self._generations.live(Projection.HOME)
        with self._store.engine.begin() as transaction:
            return sum(1 for _ in islice(inboxes.waiting(transaction, live), limits.BACKFILLS_LOOKED_AT))

    def wake(self) -> None:
        """Somebody's latest posts are to be put into an inbox."""
        self._asked.set()

    async def run(self) -> None:
        """Fill inboxes until cancelled."""
        while True:
            self._asked, self._some_wait, self._is_through = trio.Event(), False, False
            try:
                for generation in self._numbers():
                    while await self._some(generation):
                        await trio.lowlevel.checkpoint()
            except (DiskFull, WireError) as error:
                log.warning("new followers' home feeds wait: %s", error)
                await trio.sleep(limits.PROJECTION_RETRY_S)
                continue
            self._is_through = True
            with trio.move_on_after(limits.BACKFILL_IDLE_S if self._some_wait else float("inf")):
                await self._asked.wait()

    def has_due(self, generation: int) -> bool:
        """Whether something is still to be tried for the inboxes of a generation."""
        now_us = self._wall.now_us()
        with self._store.engine.begin() as transaction:
            waiting = inboxes.waiting(transaction, generation)
            return any(self._is_due(generation, each, now_us) for each in waiting)

    def _numbers(self) -> list[int]:
        """The generations of home feeds there are."""
        return [number for number in self._generations.of(Projection.HOME) if number is not None]

    def _is_due(self, generation: int, each: Backfill, now_us: int) -> bool:
        return self._retry_us.get((generation, each), 0) <= now_us

    async def _some(self, generation: int) -> bool:
        """Look at some that wait and fill those that are due; whether there may be more."""
        now_us = self._wall.now_us()
        with self._store.engine.begin() as transaction:
            rows = inboxes.waiting(transaction, generation, self._after.get(generation))
            found = list(islice(rows, limits.BACKFILLS_LOOKED_AT))
        self._some_wait |= bool(found)
        due = [each for each in found if self._is_due(generation, each, now_us)]
        some = due[: limits.BACKFILLS_AT_ONCE]
        filled = await self._fill(generation, some) if some else 0
        if filled < len(due):
            self._after[generation] = some[filled - 1] if filled else self._after.get(generation)
            return True
        is_last = len(found) < limits.BACKFILLS_LOOKED_AT
        self._after[generation] = None if is_last else found[-1]
        return not is_last

    async def _fill(self, generation: int, some: list[Backfill]) -> int:
        """Fill some inboxes; how many, before it was enough for one transaction."""
        told = await self._ask(dict.fromkeys(each.account for each in some))
        now_us = self._wall.now_us()
        live = self._generations.live
        followers, reposted = live(Projection.FOLLOWERS), live(Projection.REPOSTS)

        def job(book: ProjectionBook) -> int:
            if generation not in generation_of(book.rows, Projection.HOME):
                return len(some)  # it was given up meanwhile
            filling = Inboxes(book, generation, followers, self._keeps, self._bounds, now_us)
            for done, each in enumerate(some):
                if book.written >= limits.PROJECTION_WRITES:
                    return done
                answer = told.get(each.account)
                if each.account not in told:
                    latest = self._own_latest(book.rows, reposted, each.account)
                    if latest is not None:
                        filling.fill(each.follower, each.account, latest)
                elif answer is not None:
                    complete = answer.as_of_us >= each.asked_us + _SETTLED_US
                    filling.fill(each.follower, each.account, answer.shown, complete=complete)
            return len(some)

        filled = await self._commit(job)
        for each in some[:filled]:
            answer = told.get(each.account)
            fresh = answer is not None and answer.as_of_us >= each.asked_us + _MOMENT_US
            again_us = each.asked_us + _SETTLED_US if fresh else now_us
            self._retry_us[generation, each] = again_us + _MOMENT_US
        return filled

    async def _ask(self, accounts: Iterable[bytes]) -> dict[bytes, Latest | None]:
        """What others tell of accounts that are not kept here."""
        told: dict[bytes, Latest | None] = {}

        async def ask(account: bytes) -> None:
            async with self._asks:
                told[account] = await self._latest.latest_elsewhere(account, self._bounds.rows_max)

        async with trio.open_nursery() as nursery:
            for account in accounts:
                if not self._latest.keeps(account):
                    nursery.start_soon(ask, account)
        return told

    def _own_latest(self, rows: Transaction, reposted: int, account: bytes) -> list[Shown] | None:
        """The latest of an account that is kept here; None while something of it is damaged."""
        try:
            return latest.latest_of(rows, reposted, account, self._bounds.rows_max)
        except StoreCorrupt as error:
            self._store.damage.note(error)
            return None
