"""The indexer: keeps this node's index of posts up with its store, builds it anew, and finds posts in it.

It follows this node's own log alone, for the words of posts do not travel: whoever keeps a post is asked for
it. Steps are taken off the event loop, one at a time. An index that is damaged, or read from a disk that has
since gone back, is thrown away and made anew from the store, which nobody notices but by the time it takes:
meanwhile other replicas are asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, TypeVar

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.environment import Executor
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.search.tokens import tokens
from folkmoot.protocol.trends.sketch import Sketch
from folkmoot.storage.errors import DiskFull, StorageError
from folkmoot.storage.labelled import TrustedLabellers
from folkmoot.storage.search import finding, following, trending
from folkmoot.storage.search.errors import IndexDamaged
from folkmoot.storage.search.files import Indexes
from folkmoot.storage.search.finding import Asked, Found
from folkmoot.storage.search.index import Position, SearchIndex

log = logging.getLogger(__name__)

T = TypeVar("T")

SEARCH: Final = "search"
"""What the index is called among the projections of a node."""

# What changes within a moment is indexed together.
_MOMENT_S: Final = 0.25
_LOOK_S: Final = 5.0
_RETRY_S: Final = 5.0
# Merging all that is left of what was taken out is done so seldom that it takes a tenth of the time at most.
_SETTLE_S: Final = 5.0
_SETTLE_SHARE: Final = 10


class Indexer:
    """See the module.

    Args:
        commits: this node's store.
        indexes: where indexes are kept.
        executor: where they are written.
        searches: where they are read.
        trusted: whose labels keep a post from being recommended.
        enabled: whether there is to be one.

    Attributes:
        damaged: how many indexes were found damaged since the node started.
        rebuilt: how many were built beside the one that was read.
    """

    def __init__(
        self,
        commits: Commits,
        indexes: Indexes,
        executor: Executor,
        searches: Executor,
        trusted: TrustedLabellers,
        *,
        enabled: bool,
    ) -> None:
        self._trusted = trusted
        self._commits = commits
        self._store = commits.store
        self._indexes = indexes
        self._executor = executor
        self._searches = searches
        self._enabled = enabled
        self._live: tuple[int, SearchIndex] | None = None
        self._building: tuple[int, SearchIndex] | None = None
        self._position: Position | None = None
        self._unreadable: IndexDamaged | None = None
        self._current_at: float | None = None
        self._bytes = 0
        self._erased = 0
        self._settle_at = 0.0
        self._full = self._cramped = False
        self._rebuild_wanted: trio.Event | None = None
        self._wake = trio.Event()
        self.damaged = 0
        self.rebuilt = 0
        if enabled:
            commits.notice(self._notice)

    async def run(self) -> None:
        """Follow the store until cancelled."""
        if not self._enabled:
            await self._executor.run(self._remove_all)
            return
        try:
            await self._open_when_possible()
            while True:
                try:
                    more = await self._advance()
                except IndexDamaged as error:
                    await self._discard(error)
                    more = False
                except DiskFull as error:
                    more = False
                    await self._wait_for_room(error)
                if not more:
                    await self._wait()
        finally:
            for each in (self._live, self._building):
                if each is not None:
                    each[1].close()
            self._live = self._building = None

    async def _open_when_possible(self) -> None:
        """Open what there is, or begin, as soon as the disk allows it."""
        while True:
            try:
                await self._executor.run(self._open)
            except StorageError as error:
                await self._wait_for_room(error)
            else:
                return

    async def _wait_for_room(self, error: StorageError) -> None:
        if not self._cramped:
            log.warning("there is no room for the search index: %s", error)
        self._cramped = self._full = True
        await trio.sleep(_RETRY_S)

    async def _wait(self) -> None:
        """Wait until there is news, or something else is due."""
        self._wake = trio.Event()
        if not self._has_news() and self._rebuild_wanted is None and self._unreadable is None:
            until_s = trio.current_time() + _LOOK_S
            if self._erased:
                until_s = min(until_s, self._settle_at)
            with trio.move_on_at(until_s):
                await self._wake.wait()
        await trio.sleep(_MOMENT_S)

    def _notice(self) -> None:
        """Something was committed."""
        if not self._wake.is_set() and self._has_news():
            self._wake.set()

    def _has_news(self) -> bool:
        return self._live is not None and following.has_news(self._position, self._store)

    async def _advance(self) -> bool:
        """Take a step with each index; whether there is more to do at once."""
        assert self._live is not None, "opened, or begun anew"
        if (unreadable := self._unreadable) is not None:
            raise unreadable
        if self._rebuild_wanted is not None:
            await self._executor.run(self._begin_building)
            wanted, self._rebuild_wanted = self._rebuild_wanted, None
            wanted.set()
        began_s = trio.current_time()
        step = await self._step(self._live[1])
        self._cramped = False
        if step.at_end:
            self._current_at = began_s
        more = not step.at_end and not step.left_out
        if self._building is not None:
            building = await self._step(self._building[1])
            if building.at_end and not building.left_out:
                await self._executor.run(self._exchange)
            else:
                more = not building.left_out
        if self._erased and trio.current_time() >= self._settle_at:
            await self._settle()
        return more

    async def _step(self, index: SearchIndex) -> following.Step:
        room = self._store.usage().fraction < limits.DISK_FULL_CLIENT_PUT
        self._full = not room

        def work() -> tuple[following.Step, int, int, Position | None]:
            step = following.Step(0, at_end=True, left_out=False)
            if index is not self._live_index or following.is_due(index, self._store):
                step = following.step(index, self._store, room=room)
            return step, index.size_bytes(), index.erased, index.position

        step, size, erased, position = await self._executor.run(work)
        if index is self._live_index:
            self._bytes, self._erased, self._position = size, erased, position
            self._store.engine.beside_bytes = size
        return step

    @property
    def _live_index(self) -> SearchIndex | None:
        return None if self._live is None else self._live[1]

    async def _settle(self) -> None:
        """Have the words of what was taken out leave the file."""
        assert self._live is not None, "opened, or begun anew"
        began_s = trio.current_time()
        settled = await self._executor.run(self._live[1].settle_erasures)
        now_s = trio.current_time()
        self._settle_at = now_s + max(_SETTLE_S, _SETTLE_SHARE * (now_s - began_s))
        if settled:
            self._erased = 0

    def _open(self) -> None:
        """Open what there is; throw away what cannot be used, or is no use any more."""
        tokens("\u044f")  # the first text beyond ASCII takes 25 ms; that should not be a query, on the loop
        self._live = self._building = None
        for generation in reversed(self._indexes.generations()):
            try:
                index = self._indexes.open(generation)
                index.check()
                usable = following.belongs(index, self._store)
            except IndexDamaged as error:
                self._note_damage(error)
                self._indexes.remove(generation)
                continue
            if not usable:
                log.warning("the search index is of another state of this disk: it is made anew")
            if not usable or (self._live is not None and self._live[1].complete):
                index.close()
                self._indexes.remove(generation)
            elif index.complete or self._live is None:
                self._building, self._live = self._live, (generation, index)
            else:
                index.close()
                self._indexes.remove(generation)
        if self._live is None:
            self._live = self._begin(0)
        self._position = self._live[1].position

    def _begin(self, after: int) -> tuple[int, SearchIndex]:
        generation = max((after, *self._indexes.generations())) + 1
        return generation, self._indexes.open(generation)

    def _begin_building(self) -> None:
        if self._building is not None:
            self._building[1].close()
            self._indexes.remove(self._building[0])
        assert self._live is not None, "opened, or begun anew"
        self._building = self._begin(self._live[0])

    def _exchange(self) -> None:
        """Read from now on what was built, and remove what it takes the place of."""
        assert self._live is not None and self._building is not None, "one is exchanged for the other"
        old, self._live, self._building = self._live, self._building, None
        self._position = self._live[1].position
        old[1].close()
        self._indexes.remove(old[0])
        self.rebuilt += 1
        log.info("the search index has been built anew")

    async def _discard(self, error: IndexDamaged) -> None:
        """Throw away the indexes there are, and begin anew."""
        self._note_damage(error)
        self._unreadable = self._current_at = None

        def discard() -> None:
            after = 0
            for each in (self._live, self._building):
                if each is not None:
                    each[1].close()
                    self._indexes.remove(each[0])
                    after = max(after, each[0])
            self._building = None
            self._live = self._begin(after)
            self._position = None

        await self._executor.run(discard)
        await trio.sleep(_MOMENT_S)

    def _note_damage(self, error: IndexDamaged) -> None:
        self.damaged += 1
        log.error("the search index is damaged, and is made anew: %s", error)

    def _remove_all(self) -> None:
        for generation in self._indexes.generations():
            self._indexes.remove(generation)

    async def rebuild(self) -> int:
        """Have an index be built from the beginning beside the one that is read.

        Returns:
            The number of the new one, once that is begun.

        Raises:
            WireError: `busy`, when there is no index yet, or is to be none.
        """
        if self._live is None:
            said = "is being opened" if self._enabled else "is switched off (search.enabled)"
            raise WireError(BUSY, f"search {said} on this node", retry_after_ms=1000)
        if self._rebuild_wanted is None:
            self._rebuild_wanted = trio.Event()
        wanted = self._rebuild_wanted
        self._wake.set()
        await wanted.wait()
        return max(each[0] for each in (self._live, self._building) if each is not None)

    def lag_s(self) -> float | None:
        """How long ago there may have been a change that the index does not have; None before it has been at
        the end of the log since the node started."""
        if self._live is None or self._current_at is None:
            return None
        return trio.current_time() - self._current_at if self._has_news() else 0.0

    @property
    def applied(self) -> int:
        """See `pressure.FollowsLog`."""
        return 0 if self._position is None else self._position.sequence

    def unread(self) -> Iterator[tuple[int, float]]:
        """See `pressure.FollowsLog`; an index that is opened, or made anew, has nothing that is late."""
        if self._position is not None and self._current_at is not None and self._has_news():
            yield self._position.sequence, self._current_at

    async def find(self, asked: Asked, keeps: Callable[[bytes], bool]) -> Found:
        """The next hits among the posts of ranges that this node keeps; see `finding.find`.

        Raises:
            WireError: `busy`, as long as the index is not whole.
        """
        index = self._readable()
        return await self._read(index, partial(finding.find, index, asked, keeps))

    async def sketch(
        self, keeps: Callable[[bytes], bool], now_ms: int, half_life_ms: int
    ) -> dict[str, Sketch]:
        """What is tagged in ranges that this node keeps; see `trending.sketch`.

        Raises:
            WireError: `busy`, as long as the index is not whole.
        """
        index = self._readable()
        work = partial(trending.sketch, index, self._store, self._trusted, keeps, now_ms, half_life_ms)
        return await self._read(index, work)

    def _readable(self) -> SearchIndex:
        if self._live is None or self._current_at is None or self._unreadable is not None:
            raise WireError(BUSY, "this node's search index is being made", retry_after_ms=1000)
        return self._live[1]

    async def _read(self, index: SearchIndex, work: Callable[[], T]) -> T:
        try:
            return await self._searches.run(work)
        except IndexDamaged as error:
            if self._live_index is index:
                self._unreadable = error
                self._wake.set()
            raise error.to_wire_error() from error

    @property
    def generation(self) -> int | None:
        """The number of the index that is read."""
        return None if self._live is None else self._live[0]

    def progress(self) -> float | None:
        """How far the index that is being built has come, from 0 to 1; None when none is."""
        if self._building is None:
            return None
        position = self._building[1].position
        return 0.0 if position is None else min(1.0, position.sequence / max(1, self._store.sequence))

    def status(self) -> dict[str, Any]:
        """What `cluster.status` tells of it."""
        lag_s = self.lag_s()
        return {
            "enabled": self._enabled,
            "lag_ms": None if lag_s is None else int(lag_s * 1000),
            "bytes": self._bytes,
            "erasing": self._erased,
            "damaged": self.damaged,
            "full": self._full,
            "rebuilding": self._building is not None,
        }
