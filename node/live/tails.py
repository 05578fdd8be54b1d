"""Tails: one task at the end of each log that is followed, which wakes those whose cells have changed.

However many subscriptions follow a range, its log is watched once, here or at another node: a commit wakes
the tail, the tail reads which cells have changed since, and only who follows one of them reads again. Nothing
is handed over but the news that there is something.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import trio
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.live.range_log import RangeLog
from folkmoot.node.movement.contracts import Holder
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.feed.places import LogPlace
from folkmoot.protocol.key import ITEM_AT

log = logging.getLogger(__name__)

PAUSE_S: Final = 0.5


class _Log(NamedTuple):
    """Which log is followed: whose, and of which range."""

    node: bytes
    range: int


class Watch:
    """Somebody who waits for cells of a slice to change. Whoever gets one has to read after that.

    Args:
        log: where.
        prefix: what the keys begin with (`key.kind_prefix`); None for all that are in the range.

    Attributes:
        live: whether there is somebody who wakes it.
    """

    def __init__(self, log: _Log, prefix: bytes | None) -> None:
        self.log = log
        self.prefix = prefix
        self.live = True
        self._changed = trio.Event()
        self._changed.set()

    def wake(self) -> None:
        """Something may have changed."""
        self._changed.set()

    def clear(self) -> None:
        """To be called before what has changed is read."""
        self._changed = trio.Event()

    async def wait(self) -> None:
        """Wait for something to change after `clear`."""
        await self._changed.wait()


class _Tail:
    """Those who follow one log."""

    def __init__(self, start: bytes, place: bytes) -> None:
        self.start = start
        self.place = place
        self._by_prefix: dict[bytes, dict[Watch, None]] = {}
        self._of_all: dict[Watch, None] = {}

    def __bool__(self) -> bool:
        return bool(self._by_prefix or self._of_all)

    def add(self, watch: Watch) -> None:
        if watch.prefix is None:
            self._of_all[watch] = None
        else:
            self._by_prefix.setdefault(watch.prefix, {})[watch] = None

    def remove(self, watch: Watch) -> None:
        if watch.prefix is None:
            self._of_all.pop(watch, None)
            return
        watches = self._by_prefix.get(watch.prefix, {})
        watches.pop(watch, None)
        if not watches:
            self._by_prefix.pop(watch.prefix, None)

    def wake(self, keys: Iterable[bytes]) -> None:
        """Wake those who follow one of these."""
        prefixes = dict.fromkeys(key[:ITEM_AT] for key in keys)
        for watch in self._of_all if prefixes else ():
            watch.wake()
        for prefix in prefixes:
            for watch in self._by_prefix.get(prefix, ()):
                watch.wake()

    def wake_all(self) -> None:
        for watch in self._watches():
            watch.wake()

    def end(self) -> None:
        """Nobody is woken by this any more."""
        for watch in self._watches():
            watch.live = False
            watch.wake()

    def _watches(self) -> Iterator[Watch]:
        yield from self._of_all
        for some in self._by_prefix.values():
            yield from some


class Tails:
    """See the module. `run` must be running for anybody to be woken.

    Args:
        node_id: this node's.
        ranges: reads logs.
        holder: who owns what; when that changes, all are woken to see whom to follow now.
    """

    def __init__(self, node_id: bytes, ranges: RangeLog, holder: Holder) -> None:
        self._node_id = node_id
        self._ranges = ranges
        self._holder = holder
        self._tails: dict[_Log, _Tail] = {}
        self._nursery: trio.Nursery | None = None

    @property
    def followed(self) -> int:
        """How many logs are followed."""
        return len(self._tails)

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for key in self._tails:
                    nursery.start_soon(self._follow, key)
                while True:
                    await self._holder.wait_changed()
                    for tail in self._tails.values():
                        tail.wake_all()
        finally:
            self._nursery = None

    def watch(self, range_id: int, range_start: bytes, prefix: bytes | None, place: LogPlace) -> Watch:
        """Have somebody woken by changes in the log of a place.

        Args:
            range_id, range_start: the range's.
            prefix: see `Watch`.
            place: from which on.

        Raises:
            WireError: `busy`: the logs of too many ranges are followed at other nodes.
        """
        key = _Log(place.node, range_id)
        tail = self._tails.get(key)
        if tail is None:
            away = sum(each.node != self._node_id for each in self._tails)
            if place.node != self._node_id and away >= limits.FOLLOW_RANGES_AWAY:
                raise WireError(BUSY, "too many ranges are followed at other nodes", retry_after_ms=1000)
            tail = self._tails[key] = _Tail(range_start, place.encode())
            if self._nursery is not None:
                self._nursery.start_soon(self._follow, key)
        watch = Watch(key, prefix)
        tail.add(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Wake somebody no more."""
        tail = self._tails.get(watch.log)
        if tail is not None:
            tail.remove(watch)

    async def _follow(self, key: _Log) -> None:
        """Follow one log as long as anybody does; when it cannot be read, all are woken to find another."""
        tail = self._tails[key]
        try:
            while tail:
                await self._step(key, tail)
        except (WireError, PeerUnreachable) as error:
            log.debug("range %d is not followed at %s: %s", key.range, key.node.hex()[:8], error)
            await trio.sleep(PAUSE_S)
        finally:
            del self._tails[key]
            tail.end()

    async def _step(self, key: _Log, tail: _Tail) -> None:
        began = trio.current_time()
        told = await self._ranges.read(
            tail.start,
            b"",
            tail.place,
            most=limits.FOLLOW_LOG_ROWS,
            wait_s=limits.FOLLOW_WAIT_S,
            only=key.node,
        )
        tail.place = told.place
        if told.how != "exact" or told.damaged:
            tail.wake_all()
        else:
            tail.wake(row_key for _, row_key in told.rows)
        waited = told.rows or told.more or trio.current_time() - began >= limits.FOLLOW_MOMENT_S
        await trio.sleep(
            0.0 if waited else PAUSE_S
        )  # where there is no room to wait, it is looked now and then
