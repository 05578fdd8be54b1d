"""Backfilling: the latest posts of those who were followed of late, put into their followers' inboxes.

What is kept elsewhere is asked for, and may be told as it was before the follow. So others are asked again,
after a moment and after a while, until what they say is sure to be all. What is damaged here waits until it
has been mended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol

import trio
from cachetools import TTLCache
from folkmoot.node.environment import WallClock
from folkmoot.node.projections.generations import Generations
from folkmoot.node.projections.logs import Latest
from folkmoot.protocol import limits
from folkmoot.protocol.projections.entries import Projection
from folkmoot.storage import inboxes
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.inboxes import Backfill, Bounds, Inboxes, Keeps, Shown
from folkmoot.storage.projections import ProjectionBook
from folkmoot.storage.store import Store

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
        generations: which rows are read.
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
        self._retry_us: TTLCache[Backfill, int] = TTLCache(
            limits.BACKFILLS_WAITING, 2 * limits.PROJECTION_SETTLED_S, trio.current_time
        )

    async def run(self, generation: int) -> tuple[int, int]:
        """Fill some inboxes of a generation: how many were looked at, and how many of them were not got to
        before it was enough for one transaction."""
        now_us = self._wall.now_us()
        with self._store.engine.begin() as transaction:
            found = inboxes.waiting(transaction, generation, limits.BACKFILLS_WAITING)
        due = [each for each in found if self._retry_us.get(each, 0) <= now_us][: limits.BACKFILLS_AT_ONCE]
        if not due:
            return 0, 0
        told = await self._ask(dict.fromkeys(each.account for each in due))
        live = self._generations.live
        followers, reposted = live(Projection.FOLLOWERS), live(Projection.REPOSTS)

        def job(book: ProjectionBook) -> int:
            filling = Inboxes(book, generation, followers, self._keeps, self._bounds, now_us)
            for done, each in enumerate(due):
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
            return len(due)

        filled = await self._commit(job)
        for each in due[:filled]:
            answer = told.get(each.account)
            fresh = answer is not None and answer.as_of_us >= each.asked_us + _MOMENT_US
            self._retry_us[each] = each.asked_us + _SETTLED_US + _MOMENT_US if fresh else now_us + _MOMENT_US
        return len(due), len(due) - filled

    async def _ask(self, accounts: Iterable[bytes]) -> dict[bytes, Latest | None]:
        """What others tell of accounts that are not kept here."""
        elsewhere = [account for account in accounts if not self._latest.keeps(account)]
        rows = self._bounds.rows_max
        return {account: await self._latest.latest_elsewhere(account, rows) for account in elsewhere}

    def _own_latest(self, rows: Any, reposted: int, account: bytes) -> list[Shown] | None:
        """The latest of an account that is kept here; None while something of it is damaged."""
        try:
            return inboxes.latest_of(rows, reposted, account, self._bounds.rows_max)
        except StoreCorrupt as error:
            self._store.damage.note(error)
            return None
