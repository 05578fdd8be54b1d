"""Building a page: the posts at the places of a feed, as they are now.

What is in an index says where something stands, never how it looks: posts that were deleted, labels, counts
and whatever a viewer does not want to see are looked up when a page is built. So a page may hold fewer items
than it was asked for, even none, and only a page without a cursor is the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from folkmoot.node.projections.branches import Thread
from folkmoot.node.projections.listings import Home, Listing, Place
from folkmoot.node.projections.posts import UNREACHED, Posts, Ref, Unreached
from folkmoot.node.projections.selecting import Found, Selected, Selection
from folkmoot.protocol import codec, limits
from folkmoot.protocol.feed.audience import Hide, PageKind, Reason
from folkmoot.protocol.feed.pages import (
    Item,
    PackedPage,
    pack_gap,
    pack_missing,
    pack_page,
    read_items,
)
from folkmoot.protocol.feed.threads import above
from folkmoot.protocol.feed.viewer import PUBLIC, Viewer
from folkmoot.protocol.record import Record
from folkmoot.storage.bounded import BoundedCache, CacheFigures
from folkmoot.storage.rows import Counts
from folkmoot.storage.shown_post import Post

UNKNOWN: Final = "unknown"
DELETED: Final = "deleted"
UNREACHABLE: Final = "unreachable"
FURTHER: Final = "further"

_BLOCKED: Final = Hide(Reason.BLOCK)


class Builder:
    """See the module.

    Args:
        posts: reads posts from wherever they are kept.
        selection: which of them a viewer sees.
        seen_bytes: what is remembered of authors' pages that were taken apart takes at most.
    """

    def __init__(self, posts: Posts, selection: Selection, seen_bytes: int) -> None:
        self._posts = posts
        self._selection = selection
        self._seen: BoundedCache[bytes, _Seen] = BoundedCache(seen_bytes, _Seen.weight)

    def caches(self) -> dict[str, CacheFigures]:
        """Authors' pages that were taken apart."""
        return {"seen_pages": self._seen.figures()}

    async def page(
        self, kind: PageKind, listing: Listing, viewer: Viewer, after: bytes | None, limit: int
    ) -> PackedPage:
        """A page of a feed in which what is deleted or hidden simply is missing.

        Args:
            kind: of the page.
            listing: the feed.
            viewer: who looks.
            after: the place after which the page begins; None for the first.
            limit: at most so many items.
        """
        page = _Page(after, limit)
        while not page.full:
            places = await listing.places(page.at, page.wanted + 1)
            some = places[: page.wanted]
            found = await self._read(some)
            plain = self._selection.plain(some, found) if viewer is PUBLIC else None
            page.unreached = listing.unreached
            if plain is not None and page.add_all(some, plain):
                if len(places) == len(some):
                    return page.packed(last=True)
                continue
            selected = await self._selection.select(viewer, kind, some, found)
            for place, post, each in zip(some, found, selected, strict=True):
                if not page.add(place, _items(place, post, each)):
                    return page.packed()
            if len(places) == len(some):
                return page.packed(last=True)
        return page.packed()

    async def first_of(self, post: Record) -> Ref:
        """What the thread of a post begins with, as far as what stands above it can be read."""
        return await self._selection.first_of(post)

    async def items(self, kind: PageKind, viewer: Viewer, places: Sequence[Place]) -> list[bytes]:
        """The items of the posts at some places, without those that are deleted or hidden."""
        found = await self._read(places)
        selected = await self._selection.select(viewer, kind, places, found)
        shown = zip(places, found, selected, strict=True)
        return [item for each in shown for item in _items(*each)]

    async def of_author(self, author: bytes, page: PackedPage, viewer: Viewer) -> PackedPage:
        """A page of one author's posts that was read already, as a viewer sees it.

        Args:
            author: whose (34 bytes).
            page: all that is on it.
            viewer: who looks. When one of the two blocks the other, it is empty and the last one.
        """
        if (seen := self._seen.get(page.items)) is None:
            seen = _Seen.of(author, page)
            self._seen.put(page.items, seen)
        places, posts = seen
        selected = await self._selection.select(viewer, PageKind.AUTHOR, places, posts)
        if any(each.decision == _BLOCKED for each in selected):
            return pack_page([], None)
        shown = zip(places, posts, selected, strict=True)
        return pack_page([item for each in shown for item in _items(*each)], page.resume)

    def page_now(self, home: Home, after: bytes | None, limit: int) -> PackedPage | None:
        """`page` for nobody in particular, when it can be built without waiting: None when it cannot."""
        top = home.now(after, limit + 1) if self._posts.keeps_all() else None
        if top is None:
            return None
        some, last = top.places[:limit], len(top.places) <= limit
        items = self._selection.plain(some, self._posts.own(top.keys[:limit]))
        page = _Page(after, limit)
        if items is None or not page.add_all(some, items) or (page.wanted and not last):
            return None
        return page.packed(last=last)

    async def thread(self, thread: Thread, viewer: Viewer, after: bytes | None, limit: int) -> PackedPage:
        """A page of a thread; where something is missing or hidden, it says so."""
        page = _Page(after, limit)
        places = await thread.places(after, limit + 1)
        some = places[:limit]
        found = await self._read(some)
        selected = await self._selection.select(viewer, PageKind.THREAD, some, found, thread.root)
        gaps = await self._gaps(thread, some)
        for place, post, each in zip(some, found, selected, strict=True):
            if place.again or (each.strays and place.ref != thread.root):
                page.add(place, [])
                continue
            missing = gaps.pop(place.answers, None) if place.answers is not None else None
            reason = FURTHER if place.further else _reason(post, each)
            said = [pack_gap(*place.ref, reason)] if reason else _items(place, post, each)
            if place.ref == thread.root and isinstance(post, Post) and post.frame is not None:
                missing = _gap_above(post.record)
            if not page.add(place, said if missing is None else [missing, *said]):
                return page.packed()
        return page.packed(last=len(places) == len(some))

    async def _gaps(self, thread: Thread, places: Sequence[Place]) -> dict[Ref, bytes]:
        """What is said of posts that are answered in a thread and that nothing can be shown of."""
        asked = [place for place in places if place.answers is not None and not thread.has(place)]
        missing = list(dict.fromkeys(place.answers for place in asked if place.answers is not None))
        posts = await self._posts.read(missing) if missing else []
        reasons = zip(missing, map(_reason, posts), strict=True)
        return {ref: pack_gap(*ref, reason) for ref, reason in reasons if reason is not None}

    async def _read(self, places: Sequence[Place]) -> list[Found]:
        return await self._posts.read([place.ref for place in places]) if places else []


class _Seen(NamedTuple):
    """The posts on an author's page, and where they stand: nothing but what its bytes say, so that it holds
    for as long as they are the same."""

    places: list[Place]
    posts: list[Post]

    @classmethod
    def of(cls, author: bytes, page: PackedPage) -> _Seen:
        posts = [_read_post(item) for item in read_items(page)]
        return cls([Place(b"", Ref(author, post.record.item)) for post in posts], posts)

    def weight(self) -> int:
        return sum(post.weight() for post in self.posts)


class _Page:
    """A page that is being put together."""

    def __init__(self, after: bytes | None, limit: int) -> None:
        self.at = after
        self._limit = limit
        self._items: list[bytes] = []
        self._size = 0
        self._looked_at = 0
        self.unreached: Sequence[bytes] = ()

    @property
    def wanted(self) -> int:
        return self._limit - len(self._items)

    @property
    def full(self) -> bool:
        return self.wanted <= 0 or self._looked_at >= limits.PAGE_ROWS_SCANNED

    def add(self, place: Place, items: list[bytes]) -> bool:
        """Take what stands at the next place; whether there was room."""
        self._looked_at += 1
        size = sum(map(len, items))
        if self._size + size > limits.PAGE_BYTES and self._items:
            return False
        self._size += size
        self._items += items
        self.at = place.at
        return True

    def add_all(self, places: Sequence[Place], items: Sequence[bytes]) -> bool:
        """Take what stands at the next places, all of it or nothing; an item that is empty is not shown."""
        size = sum(map(len, items))
        if self._size + size > limits.PAGE_BYTES or not places:
            return False
        self._looked_at += len(places)
        self._size += size
        self._items += filter(None, items)
        self.at = places[-1].at
        return True

    def packed(self, *, last: bool = False) -> PackedPage:
        """The page; before all else it says whose posts may be missing."""
        missing = [pack_missing(account, UNREACHABLE) for account in self.unreached[: limits.PAGE_ITEMS]]
        return pack_page(missing + self._items, None if last else self.at)


def _items(place: Place, post: Found, selected: Selected) -> list[bytes]:
    """What a page shows of a post: nothing when it is gone or hidden, a gap when nobody could be asked."""
    if not isinstance(post, Post):
        return [pack_gap(*place.ref, UNREACHABLE)] if post is UNREACHED else []
    if post.frame is None or isinstance(selected.decision, Hide):
        return []
    more = selected.more
    if place.reposter is not None:
        more["reposter"] = place.reposter
        more["reposted_ms"] = place.reposted_ms
    if place.why is not None:
        more["why"] = place.why
    if not more:
        return [post.item]
    return [post.item_with(more)]


def _read_post(item: Item) -> Post:
    frame, labels = codec.pack(item.record), [codec.pack(label) for label in item.labels]
    counts, decisions = item.counts, [codec.pack(each) for each in item.decisions]
    told = Counts(counts.get("likes", 0), counts.get("reposts", 0))
    return Post(frame, labels, told, counts.get("replies", 0), decisions, labels_cut=item.labels_cut)


def _reason(post: Found, selected: Selected | None = None) -> str | None:
    """Why a post is not shown; None when it is."""
    if isinstance(post, Unreached):
        return UNREACHABLE
    if post is None:
        return UNKNOWN
    if post.frame is None:
        return DELETED
    if selected is not None and isinstance(selected.decision, Hide):
        return selected.decision.reason.value
    return None


def _gap_above(root: Record) -> bytes | None:
    """What is said before a thread whose beginning is further up than was looked."""
    ref = above(root)
    return None if ref is None else pack_gap(*ref, FURTHER)
