"""Following a home feed or a tag: what comes into it is told as soon as it is derived.

A feed is in the order of the times that authors gave their posts, and what is new may stand anywhere in it.
So a stream knows what it has told of the feed's newest places, looks at them when something is new, and tells
the rest. A cursor is a time: who comes back with it, at any node that keeps the feed, is told what is dated
later than an hour before; something may be told twice, and is recognised by its record.

What is deleted is not told, and what the viewer does not want to see is left out, as on pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from folkmoot.node.projections.building import Builder
from folkmoot.node.projections.listings import Listing, Place
from folkmoot.node.projections.viewers import Viewers
from folkmoot.node.projections.watchers import Watch, Watchers
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.feed.audience import PageKind
from folkmoot.protocol.feed.following import Batch

_PLACE_BYTES: Final = 8
_MS_BYTES: Final = 6


class FeedSource:
    """See `live.contracts.Source`.

    Args:
        kind: of the feed.
        listing: the feed.
        marks: what is to be waited for; it may be other things each time.
        viewer: who looks (34 bytes); None for nobody in particular.
        viewers, builder: see there.
        watchers: wake it.
        now_us: wall time, microseconds since 1970.
    """

    def __init__(
        self,
        kind: PageKind,
        listing: Listing,
        marks: Callable[[], Iterable[bytes]],
        viewer: bytes | None,
        viewers: Viewers,
        builder: Builder,
        watchers: Watchers,
        now_us: Callable[[], int],
    ) -> None:
        self._kind = kind
        self._listing = listing
        self._marks = marks
        self._viewer = viewer
        self._viewers = viewers
        self._builder = builder
        self._watchers = watchers
        self._now_us = now_us
        self._watch = Watch()
        self._told: set[bytes] | None = None

    async def begin(self, since_us: int | None) -> bytes:
        now_us = self._now_us()
        places = await self._places()
        self._told = {each.at for each in places if since_us is None or _dated_us(each) < since_us}
        return (now_us if since_us is None else since_us).to_bytes(_PLACE_BYTES, "big")

    def check(self, place: bytes) -> None:
        if len(place) != _PLACE_BYTES:
            raise WireError(BAD_REQUEST, "the cursor is not one of this stream")

    async def read(self, after: bytes, limit: int) -> Batch:
        self._watch.clear()
        self._watchers.watch(self._watch, self._marks())
        now_us = self._now_us()
        places = await self._places()
        if self._told is None:  # somebody has come back
            since_us = int.from_bytes(after, "big") - int(limits.FOLLOW_FEED_LATE_S * 1e6)
            self._told = {each.at for each in places if _dated_us(each) < since_us}
        news = [each for each in reversed(places) if each.at not in self._told]
        some = news[:limit]
        items = await self._builder.items(self._kind, await self._viewers.of(self._viewer), some)
        self._told.update(each.at for each in some)
        self._told.intersection_update({each.at for each in places})
        more = len(news) > len(some)
        return Batch(items, after if more else now_us.to_bytes(_PLACE_BYTES, "big"), more)

    async def wait_changed(self) -> None:
        await self._watch.wait()

    def close(self) -> None:
        self._watchers.watch(self._watch, ())

    async def _places(self) -> list[Place]:
        return await self._listing.places(None, limits.FOLLOW_FEED_ROWS)


def _dated_us(place: Place) -> int:
    """The time by which something stands in a feed, microseconds since 1970."""
    return 1000 * int.from_bytes(place.at[:_MS_BYTES], "big")
