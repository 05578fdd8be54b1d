"""Following a home feed, a tag or one's notifications: what comes into it is told as soon as it is derived.

A feed is in the order of the times that authors gave their posts, and what is new may stand anywhere in it.
So a stream is given each entry that is put into the feed, and tells it. Only who comes back, or has fallen
behind too far, has the feed's newest places looked at for what was not told. A cursor is a time: who comes
back with it, at any node that keeps the feed, is told what is dated later than an hour before; something may
be told twice, and is recognised by its record. When more has come than a stream looks at, that is said.

What is deleted is not told, and what the viewer does not want to see is left out, as on pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from folkmoot.node.projections.watchers import New, Watch, Watchers
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.feed.following import OVERRUN, Batch, Gap

_PLACE_BYTES: Final = 8
_MS_BYTES: Final = 6


class HasPlace(Protocol):
    """Something that stands in a feed."""

    @property
    def at(self) -> bytes:
        """Where: what is greater is newer. It begins with a time, milliseconds since 1970 in 6 bytes."""
        ...

    @property
    def name(self) -> bytes:
        """What it stays when it stands somewhere else: of one name only the newest place is told."""
        ...


Standing = TypeVar("Standing", bound=HasPlace)


class Followed(Protocol[Standing]):
    """A feed, as a stream looks at it."""

    @property
    def most(self) -> int:
        """How many of its newest places are looked at."""
        ...

    def marks(self) -> Iterable[bytes]:
        """What is to be waited for; it may be other things each time."""
        ...

    def new(self, news: Sequence[New]) -> list[Standing] | None:
        """Where in the feed stands what has come; None when its newest places are to be looked at for it."""
        ...

    async def places(self) -> list[Standing]:
        """Its newest places, newest first."""
        ...

    async def items(self, places: Sequence[Standing]) -> list[bytes]:
        """What is told of some places: of each one item, or none."""
        ...


class FeedSource(Generic[Standing]):
    """See `live.contracts.Source`.

    Args:
        followed: the feed.
        watchers: wake it.
        now_us: wall time, microseconds since 1970.
    """

    def __init__(self, followed: Followed[Standing], watchers: Watchers, now_us: Callable[[], int]) -> None:
        self._followed = followed
        self._watchers = watchers
        self._now_us = now_us
        self._watch = Watch()
        self._told: dict[bytes, bytes] = {}  # by name, where it stood when it was told
        self._waiting: dict[bytes, Standing] = {}  # by name, what has come and is not told yet
        self._look_since_us: int | None = None
        self._has_begun = False
        self._is_behind = False

    async def begin(self, since_us: int | None) -> bytes:
        self._has_begun = True
        self._watchers.watch(self._watch, self._followed.marks())
        now_us = self._now_us()
        if since_us is not None:
            self._look_since_us = since_us
        return (now_us if since_us is None else since_us).to_bytes(_PLACE_BYTES, "big")

    @staticmethod
    def check_place(place: bytes) -> None:
        """See `live.contracts.Source.check`."""
        if len(place) != _PLACE_BYTES:
            raise WireError(BAD_REQUEST, "the cursor is not one of this stream")

    def check(self, place: bytes) -> None:
        self.check_place(place)

    def when_changed(self, call: Callable[[], None]) -> None:
        """Have something be called when `wait_changed` would return; it must not wait."""
        self._watch.heard = call

    async def read(self, after: bytes, limit: int) -> Batch:
        now_us = self._now_us()
        gap = await self._look(after) if self._has_missed_something(after) else None
        some = sorted(self._waiting.values(), key=lambda each: each.at)[:limit]
        items = await self._followed.items(some)
        while len(some) > 1 and sum(map(len, items)) > limits.FOLLOW_EVENT_BYTES:
            some = some[: len(some) // 2]
            items = await self._followed.items(some)
        for each in some:
            self._told[each.name] = each.at
            if self._waiting[each.name] == each:  # else it has moved on meanwhile
                del self._waiting[each.name]
        if len(self._told) > 2 * self._followed.most:
            newest = sorted(self._told.items(), key=lambda told: told[1])[-self._followed.most :]
            self._told = dict(newest)
        more = bool(self._waiting)
        return Batch(items, after if more else now_us.to_bytes(_PLACE_BYTES, "big"), more, gap)

    def _has_missed_something(self, after: bytes) -> bool:
        """Take what has come; whether the places have to be looked at besides, because it is not all."""
        has_other_marks = self._watchers.watch(self._watch, self._followed.marks())
        news = self._watch.take()
        places = None if news is None else self._followed.new(news)
        self._take(places or ())
        if self._look_since_us is None and (places is None or has_other_marks or not self._has_begun):
            self._look_since_us = int.from_bytes(after, "big") - int(limits.FOLLOW_FEED_LATE_S * 1e6)
        self._has_begun = True
        return self._look_since_us is not None

    async def _look(self, after: bytes) -> Gap | None:
        """Look for what was not told; what may be missing."""
        places = await self._followed.places()
        since_us, self._look_since_us = self._look_since_us, None
        assert since_us is not None, "only who has missed something looks"
        news = self._take(each for each in places if _dated_us(each) >= since_us)
        names = {each.name for each in places}
        self._told = {name: at for name, at in self._told.items() if name in names}
        return self._gap(after, places, news)

    def _take(self, places: Iterable[Standing]) -> list[Standing]:
        """Have those told that were not told where they stand now, or further up."""
        news = [each for each in places if self._told.get(each.name, b"") < each.at]
        for each in news:
            known = self._waiting.get(each.name)
            if known is None or known.at < each.at:
                self._waiting[each.name] = each
        return news

    def _gap(self, after: bytes, places: list[Standing], news: list[Standing]) -> Gap | None:
        """What may be missing: when the oldest looked at is news, there may be more such behind it."""
        was_behind, self._is_behind = self._is_behind, False
        if len(places) < self._followed.most or not news or news[-1].at != places[-1].at:
            return None
        self._is_behind = True
        if was_behind:
            return None
        return Gap(int.from_bytes(after, "big") // 1000, _dated_us(places[-1]) // 1000, OVERRUN)

    async def wait_changed(self) -> None:
        await self._watch.wait()

    def close(self) -> None:
        self._watchers.watch(self._watch, ())


def _dated_us(place: HasPlace) -> int:
    """The time by which something stands in a feed, microseconds since 1970."""
    return 1000 * int.from_bytes(place.at[:_MS_BYTES], "big")
