"""Following an account's posts, or a whole range: sources that read change logs of replicas."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32

from folkmoot.node.environment import WallClock
from folkmoot.node.live.messages import ChangesTold
from folkmoot.node.live.range_log import RangeLog
from folkmoot.node.live.tails import Tails, Watch
from folkmoot.node.movement.contracts import Holder
from folkmoot.protocol.errors import NOT_FOUND, WireError
from folkmoot.protocol.feed.following import DAMAGED, NOT_PROVEN, SPLIT, Batch, Gap
from folkmoot.protocol.feed.places import LogPlace
from folkmoot.protocol.key import kind_prefix, prefix_end


class Slice(NamedTuple):
    """What is followed, as it is now.

    Attributes:
        start, end: of the cells with start ≤ key < end.
        prefix: what their keys begin with; None for a whole range.
        range, range_start: of the range it lies in.
        shape: see `LogPlace`.
        right: the range that the rest of this one became when it was split last.
    """

    start: bytes
    end: bytes
    prefix: bytes | None
    range: int
    range_start: bytes
    shape: int = 0
    right: int | None = None


def posts_of(account: bytes, holder: Holder) -> Callable[[], Slice]:
    """The posts of an account (34 bytes), in whatever range they are."""
    start = kind_prefix(account, "post")
    end = prefix_end(start)

    def now() -> Slice:
        owner = holder.current().ranges.lookup(start)
        return Slice(start, end, start, owner.id, owner.start)

    return now


def all_of(range_id: int, holder: Holder) -> Callable[[], Slice]:
    """A range, whatever it has become by splits.

    Raises:
        WireError: `not_found`: there is none with this number.
    """

    def now() -> Slice:
        owner = holder.current().ranges.get(range_id)
        if owner is None:
            raise WireError(NOT_FOUND, f"there is no range {range_id}")
        shape = crc32(owner.end)
        return Slice(owner.start, owner.end, None, owner.id, owner.start, shape, owner.right)

    return now


class LogSource:
    """See `contracts.Source`.

    Args:
        followed: what, as it is now.
        ranges: reads logs.
        tails: wake it.
        wall: dates gaps.
    """

    def __init__(
        self, followed: Callable[[], Slice], ranges: RangeLog, tails: Tails, wall: WallClock
    ) -> None:
        self._followed = followed
        self._ranges = ranges
        self._tails = tails
        self._wall = wall
        self._watch: Watch | None = None

    async def begin(self, since_us: int | None) -> bytes:
        followed = self._followed()
        told = await self._read(followed, None, most=1, since_us=since_us, items=False)
        place = LogPlace.decode(told.place)
        if told.rows:  # it is to be told from before the first of them
            place = place._replace(sequence=told.rows[0][0] - 1, time_us=min(place.time_us, since_us or 0))
        return place._replace(shape=followed.shape).encode()

    def check(self, place: bytes) -> None:
        LogPlace.decode(place)

    async def read(self, after: bytes, limit: int) -> Batch:
        followed = self._followed()
        if self._watch is not None:
            self._watch.clear()
        before = LogPlace.decode(after)
        told = await self._read(followed, after, most=limit)
        place = LogPlace.decode(told.place)._replace(shape=followed.shape)
        self._follow(followed, place)
        gap = self._gap(followed, before, told)
        return Batch([item for item in told.items if item], place.encode(), told.more, gap)

    async def wait_changed(self) -> None:
        assert self._watch is not None, "who waits has read"
        await self._watch.wait()

    def close(self) -> None:
        if self._watch is not None:
            self._tails.unwatch(self._watch)
            self._watch = None

    async def _read(
        self,
        followed: Slice,
        place: bytes | None,
        *,
        most: int,
        since_us: int | None = None,
        items: bool = True,
    ) -> ChangesTold:
        return await self._ranges.read(
            followed.start, followed.end, place, most=most, since_us=since_us, items=items
        )

    def _follow(self, followed: Slice, place: LogPlace) -> None:
        """Be woken by the log that was read; once more at once if it is another one than before."""
        if self._watch is not None and self._watch.live and self._watch.log == (place.node, followed.range):
            return
        self.close()
        self._watch = self._tails.watch(followed.range, followed.range_start, followed.prefix, place)

    def _gap(self, followed: Slice, before: LogPlace, told: ChangesTold) -> Gap | None:
        """What has been lost between a place and what was told after it."""
        since_ms, now_ms = before.time_us // 1000, self._wall.now_us() // 1000
        if told.how == "lost":
            return Gap(since_ms, now_ms, NOT_PROVEN)
        if told.damaged:
            return Gap(since_ms, now_ms, DAMAGED)
        if before.shape != followed.shape:
            return Gap(since_ms, now_ms, SPLIT, followed.right)
        return None
