"""Building a page: the posts at the places of a feed, as they are now.

What is in an index says where something stands, never how it looks: posts that were deleted, labels, counts
and whatever a viewer does not want to see are looked up when a page is built. So a page may hold fewer items
than it was asked for, even none, and only a page without a cursor is the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from folkmoot.node.projections.listings import Listing, Place, Thread
from folkmoot.node.projections.posts import UNREACHED, Posts, Ref, Unreached
from folkmoot.protocol import limits
from folkmoot.protocol.feed.pages import ITEM_HEAD, PackedPage, pack_gap, pack_item, pack_page, reposted_head
from folkmoot.storage.pages import Post

UNKNOWN: Final = "unknown"
DELETED: Final = "deleted"
UNREACHABLE: Final = "unreachable"

Found = Post | Unreached | None
Item = Callable[[Place, Found], list[bytes]]


class Builder:
    """See the module.

    Args:
        posts: reads posts from wherever they are kept.
    """

    def __init__(self, posts: Posts) -> None:
        self._posts = posts

    async def page(self, listing: Listing, after: bytes | None, limit: int) -> PackedPage:
        """A page of a feed whose posts simply are missing once they are deleted.

        Args:
            listing: the feed.
            after: the place after which the page begins; None for the first.
            limit: at most so many items.
        """
        page = _Page(after, limit)
        while not page.full:
            places = await listing.places(page.at, page.wanted + 1)
            some = places[: page.wanted]
            for place, post in zip(some, await self._read(some), strict=True):
                if not page.add(place, _item(place, post)):
                    return page.packed()
            if len(places) == len(some):
                return page.packed(last=True)
        return page.packed()

    async def thread(self, thread: Thread, after: bytes | None, limit: int) -> PackedPage:
        """A page of a thread; where something is missing that others answer, it says so."""
        page = _Page(after, limit)
        places = await thread.places(after, limit + 1)
        some = places[:limit]
        gaps = await self._gaps(thread, some)
        for place, post in zip(some, await self._read(some), strict=True):
            missing = gaps.pop(place.answers, None) if place.answers is not None else None
            if not page.add(place, [*([missing] if missing else []), _said(place.ref, post, place)]):
                return page.packed()
        return page.packed(last=len(places) == len(some))

    async def _gaps(self, thread: Thread, places: Sequence[Place]) -> dict[Ref, bytes]:
        """What is said of posts that are answered in a thread and not in it themselves."""
        answered = dict.fromkeys(place.answers for place in places if place.answers is not None)
        missing = [ref for ref in answered if not thread.has(ref)]
        posts = await self._posts.read(missing) if missing else []
        return {
            ref: pack_gap(*ref, _reason(post) or UNKNOWN) for ref, post in zip(missing, posts, strict=True)
        }

    async def _read(self, places: Sequence[Place]) -> list[Found]:
        return await self._posts.read([place.ref for place in places]) if places else []


class _Page:
    """A page that is being put together."""

    def __init__(self, after: bytes | None, limit: int) -> None:
        self.at = after
        self._limit = limit
        self._items: list[bytes] = []
        self._size = 0
        self._looked_at = 0

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

    def packed(self, *, last: bool = False) -> PackedPage:
        return pack_page(self._items, None if last else self.at)


def _item(place: Place, post: Found) -> list[bytes]:
    """What a page shows of a post that may be gone: nothing then, and the gap when nobody could be asked."""
    if isinstance(post, Post) and post.frame is not None:
        head = ITEM_HEAD if place.reposter is None else reposted_head(place.reposter)
        return [pack_item(post.frame, post.labels, *post.counts, post.replies, head=head)]
    return [pack_gap(*place.ref, UNREACHABLE)] if post is UNREACHED else []


def _said(ref: Ref, post: Found, place: Place) -> bytes:
    """What a thread shows of a post: itself, or why it is missing."""
    reason = _reason(post)
    return pack_gap(*ref, reason) if reason else _item(place, post)[0]


def _reason(post: Found) -> str | None:
    """Why a post is not shown; None when it is."""
    if isinstance(post, Unreached):
        return UNREACHABLE
    if post is None:
        return UNKNOWN
    return DELETED if post.frame is None else None
