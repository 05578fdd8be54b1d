"""What pages show of this store, remembered until the commit that changes it.

- *Posts.* A post on a page is three reads: its cell, its counts, and whether there are labels. Posts that
  many look at are read once, whichever page they stand on.
- *First pages.* The first page of an author's posts, joined and packed as it is sent. Further pages are
  seldom asked for twice.
- *Profiles.* An account's profile fields, read and decoded.
- *Tops of home feeds.* Where posts stand that are shown first, and their keys. Which posts these are changes
  with what the followed post and repost; how each looks is remembered of the post.

What a commit changes is forgotten as part of that commit, before anybody is told of it; so what is remembered
is never older than what was acknowledged. Who has read while a commit went through does not know which side
of it was read, and remembers nothing. Nothing here depends on who looks: mutes, blocks and controls are
applied afterwards, to what everybody shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, Final, Generic, NamedTuple, TypeVar

from folkmoot.protocol.feed.pages import PackedPage
from folkmoot.protocol.key import ITEM_AT, KIND_AT, KIND_BYTE
from folkmoot.storage.bounded import BoundedCache, CacheFigures
from folkmoot.storage.bounds import FIRST_PAGES_PER_AUTHOR, SHOWN_BYTES
from folkmoot.storage.profiles import StoredProfile
from folkmoot.storage.shown_post import Post, post_key
from folkmoot.storage.touched import Touched

P = TypeVar("P")

_ON_PAGES: Final = frozenset(KIND_BYTE[kind] for kind in ("post", "label", "like", "repost", "decision"))
_PROFILE: Final = KIND_BYTE["profile"]
_LABEL: Final = KIND_BYTE["label"]
_DECISION: Final = KIND_BYTE["decision"]
_PAGE_BYTES: Final = 300  # of a page, besides its items
_TOP_BYTES: Final = 500  # of the top of a home feed, besides its places
_PLACE_BYTES: Final = 500  # of a place there, with the key of its post

FirstPages = Mapping[tuple[int, int], PackedPage]
"""First pages of one author, by how many items and bytes were asked for."""


class Top(NamedTuple, Generic[P]):
    """The top of a home feed into which nothing is merged.

    Args:
        limit: at most so many places were asked for.
        places: where posts stand, the newest first, as whoever reads them puts it.
        keys: of these posts.
    """

    limit: int
    places: Sequence[P]
    keys: Sequence[bytes]

    def has(self, limit: int) -> bool:
        """Whether it comes down far enough: there may be no more in the feed than in it."""
        return limit <= self.limit or len(self.places) < self.limit

    def cut(self, limit: int) -> Top[P]:
        """What it would be if so many had been asked for, and it has them."""
        if limit == self.limit:
            return self
        return Top(limit, self.places[:limit], self.keys[:limit])

    def weight(self) -> int:
        """About how many bytes it takes."""
        return _TOP_BYTES + _PLACE_BYTES * len(self.places)


class Sizes(NamedTuple):
    """What each may take, bytes."""

    posts: int = SHOWN_BYTES
    pages: int = SHOWN_BYTES
    profiles: int = SHOWN_BYTES
    homes: int = SHOWN_BYTES


class ShownCaches:
    """See the module. For any thread.

    Args:
        sizes: the most they take.
    """

    __slots__ = ("_homes", "_labellers", "_lock", "_pages", "_posts", "_profiles", "_version")

    def __init__(self, sizes: Sizes) -> None:
        self._posts: BoundedCache[bytes, Post] = BoundedCache(sizes.posts, Post.weight)
        self._pages: BoundedCache[bytes, FirstPages] = BoundedCache(sizes.pages, _weight_of_pages)
        self._profiles: BoundedCache[bytes, StoredProfile] = BoundedCache(
            sizes.profiles, StoredProfile.weight
        )
        self._homes: BoundedCache[bytes, Top[Any]] = BoundedCache(sizes.homes, Top.weight)
        self._version = 0
        self._labellers: frozenset[bytes] | None = None
        self._lock = Lock()  # the writer forgets on a thread of its own

    def bound(self, sizes: Sizes) -> None:
        """Take no more than this from now on."""
        with self._lock:
            self._posts.bound(sizes.posts)
            self._pages.bound(sizes.pages)
            self._profiles.bound(sizes.profiles)
            self._homes.bound(sizes.homes)

    def version(self, labellers: frozenset[bytes] | None = None) -> int:
        """Another one after each commit that has changed something. Who reads to remember asks for it before
        the transaction begins in which is read.

        Args:
            labellers: whose labels come first in what will be read; when they are others than last time,
                nothing that is remembered holds any more.
        """
        if labellers is not None and labellers is not self._labellers:
            if labellers != self._labellers:
                self.forget_all()
            self._labellers = labellers
        return self._version

    def posts(self, keys: Sequence[bytes]) -> list[Post | None]:
        """The posts with these keys, as far as they are remembered."""
        with self._lock:
            return self._posts.get_all(keys)

    def keep_posts(self, posts: Iterable[tuple[bytes, Post]], version: int) -> None:
        """Remember posts, by their keys."""
        with self._lock:
            if version == self._version:
                for key, post in posts:
                    self._posts.put(key, post)

    def first_page(self, place: bytes, asked: tuple[int, int]) -> PackedPage | None:
        """An author's first page, if it is remembered.

        Args:
            place: the author's prefix of keys (40 bytes).
            asked: for how many items and bytes.
        """
        with self._lock:
            known = self._pages.get(place, lambda pages: asked in pages)
            return None if known is None else known[asked]

    def keep_first_page(self, place: bytes, asked: tuple[int, int], page: PackedPage, version: int) -> None:
        """Remember an author's first page."""
        with self._lock:
            if version == self._version:
                known = self._pages.peek(place) or {}
                kept = dict(list(known.items())[1 - FIRST_PAGES_PER_AUTHOR :])
                self._pages.put(place, {**kept, asked: page})

    def profile(self, place: bytes) -> StoredProfile | None:
        """An account's profile, by its prefix of keys, if it is remembered."""
        with self._lock:
            return self._profiles.get(place)

    def keep_profile(self, place: bytes, profile: StoredProfile, version: int) -> None:
        """Remember a profile."""
        with self._lock:
            if version == self._version:
                self._profiles.put(place, profile)

    def top(self, group: bytes, limit: int) -> Top[Any] | None:
        """The top of a home feed, if it is remembered.

        Args:
            group: of the feed.
            limit: how many places are asked for.
        """
        with self._lock:
            known = self._homes.get(group, lambda top: top.has(limit))
        return None if known is None else known.cut(limit)

    def keep_top(self, group: bytes, top: Top[Any], version: int) -> None:
        """Remember the top of a home feed."""
        with self._lock:
            if version == self._version:
                self._homes.put(group, top)

    def forget_all(self) -> None:
        """Everything may look different by now: what is derived is kept elsewhere, or others label first."""
        with self._lock:
            self._version += 1
            for cache in (self._posts, self._pages, self._profiles, self._homes):
                cache.clear()

    def forget(self, touched: Touched) -> None:
        """This has changed."""
        with self._lock:
            self._version += 1
            if touched.merging:
                self._homes.clear()
            for group in touched.homes:
                self._homes.forget(group)
            for key in touched.cells:
                kind = key[KIND_AT]
                if kind in _ON_PAGES:
                    self._posts.forget(post_key(key))
                    self._pages.forget(key[:KIND_AT])
                if kind == _PROFILE or (kind == _DECISION and key[ITEM_AT] == _PROFILE):
                    self._profiles.forget(key[:KIND_AT])
                elif kind == _DECISION and key[ITEM_AT] == _LABEL:
                    self._posts.clear()  # which post bears the label, the key does not say; they are few

    def figures(self) -> dict[str, CacheFigures]:
        """What each has done, and what it holds, by name."""
        caches: dict[str, BoundedCache[Any, Any]] = {
            "posts": self._posts,
            "pages": self._pages,
            "profiles": self._profiles,
            "homes": self._homes,
        }
        with self._lock:
            return {name: cache.figures() for name, cache in caches.items()}


def _weight_of_pages(pages: FirstPages) -> int:
    return sum(_PAGE_BYTES + len(page.items) for page in pages.values())
