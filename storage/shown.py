"""What pages show of this store, remembered until the commit that changes it.

- *Posts.* A post on a page is three reads: its cell, its counts, and whether there are labels. Posts that
  many look at are read once, whichever page they stand on.
- *First pages.* The first page of an author's posts, joined and packed as it is sent. Further pages are
  seldom asked for twice.
- *Profiles.* An account's profile fields, read and decoded.

What a commit changes is forgotten as part of that commit, before anybody is told of it; so what is remembered
is never older than what was acknowledged. Who has read while a commit went through does not know which side
of it was read, and remembers nothing. Nothing here depends on who looks: mutes, blocks and controls are
applied afterwards, to what everybody shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, Final, NamedTuple

from folkmoot.protocol.feed.pages import PackedPage
from folkmoot.protocol.key import KIND_AT, KIND_BYTE
from folkmoot.storage.bounded import BoundedCache, CacheFigures
from folkmoot.storage.bounds import FIRST_PAGES_PER_AUTHOR, SHOWN_BYTES
from folkmoot.storage.profiles import StoredProfile
from folkmoot.storage.shown_post import Post, post_key

_ON_PAGES: Final = frozenset(KIND_BYTE[kind] for kind in ("post", "label", "like", "repost"))
_PROFILE: Final = KIND_BYTE["profile"]
_PAGE_BYTES: Final = 300  # of a page, besides its items

FirstPages = Mapping[tuple[int, int], PackedPage]
"""First pages of one author, by how many items and bytes were asked for."""


class Sizes(NamedTuple):
    """What each may take, bytes."""

    posts: int = SHOWN_BYTES
    pages: int = SHOWN_BYTES
    profiles: int = SHOWN_BYTES


class ShownCaches:
    """See the module. For any thread.

    Args:
        sizes: the most they take.
    """

    __slots__ = ("_labellers", "_lock", "_pages", "_posts", "_profiles", "_version")

    def __init__(self, sizes: Sizes) -> None:
        self._posts: BoundedCache[bytes, Post] = BoundedCache(sizes.posts, Post.weight)
        self._pages: BoundedCache[bytes, FirstPages] = BoundedCache(sizes.pages, _weight_of_pages)
        self._profiles: BoundedCache[bytes, StoredProfile] = BoundedCache(
            sizes.profiles, StoredProfile.weight
        )
        self._version = 0
        self._labellers: frozenset[bytes] | None = None
        self._lock = Lock()  # the writer forgets on a thread of its own

    def bound(self, sizes: Sizes) -> None:
        """Take no more than this from now on."""
        with self._lock:
            self._posts.bound(sizes.posts)
            self._pages.bound(sizes.pages)
            self._profiles.bound(sizes.profiles)

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
            return [self._posts.get(key) for key in keys]

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

    def forget_all(self) -> None:
        """Everything may look different by now: what is counted is kept elsewhere, or others label first."""
        with self._lock:
            self._version += 1
            for cache in (self._posts, self._pages, self._profiles):
                cache.clear()

    def forget(self, keys: Iterable[bytes]) -> None:
        """The cells at these keys have changed."""
        with self._lock:
            self._version += 1
            for key in keys:
                kind = key[KIND_AT]
                if kind in _ON_PAGES:
                    self._posts.forget(post_key(key))
                    self._pages.forget(key[:KIND_AT])
                elif kind == _PROFILE:
                    self._profiles.forget(key[:KIND_AT])

    def figures(self) -> dict[str, CacheFigures]:
        """What each has done, and what it holds, by name."""
        caches: dict[str, BoundedCache[Any, Any]] = {
            "posts": self._posts,
            "pages": self._pages,
            "profiles": self._profiles,
        }
        with self._lock:
            return {name: cache.figures() for name, cache in caches.items()}


def _weight_of_pages(pages: FirstPages) -> int:
    return sum(_PAGE_BYTES + len(page.items) for page in pages.values())
