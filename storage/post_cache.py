"""Posts as pages show them, remembered until one of the cells they are put together from changes.

A post on a page is three reads: its cell, its counts, and whether there are labels. Posts that many look at
are read once. What a commit changes is forgotten as part of that commit, before anybody is told of it; so
what is remembered is never older than what was acknowledged. Who has read while a commit went through does
not know which side of it was read, and remembers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Final, NamedTuple

from cachetools import LRUCache
from folkmoot.protocol.feed.pages import pack_item
from folkmoot.protocol.feed.telling import is_telling
from folkmoot.protocol.key import ITEM_AT, KIND_AT, KIND_BYTE
from folkmoot.protocol.limits import POST_ITEM_BYTES, POSTS_CACHED_BYTES
from folkmoot.storage.rows import NO_COUNTS, Counts

_POST_BYTES: Final = 400  # of a post, besides its item and frame
_POST: Final = bytes((KIND_BYTE["post"],))


class Post(NamedTuple):
    """A post as a page shows it.

    Args:
        frame: the display winner's `[payload, signature]`, encoded as it was signed; None when it is deleted.
        labels: the labels' frames, as in `pages.AuthorPage`.
        counts: likes and reposts.
        replies: how many.
        telling: whether it has to be read to know who may see it, and what is to be said first.
        item: the item of a page that shows it, packed; empty when it is deleted.
    """

    frame: bytes | None
    labels: list[bytes]
    counts: Counts
    replies: int
    telling: bool
    item: bytes

    @classmethod
    def of(cls, frame: bytes, labels: list[bytes], counts: Counts, replies: int) -> Post:
        """A post that stands."""
        telling = bool(labels) or is_telling(frame)
        return cls(frame, labels, counts, replies, telling, pack_item(frame, labels, *counts, replies))

    def weight(self) -> int:
        """About how many bytes it takes."""
        return _POST_BYTES + 2 * len(self.item)


GONE: Final = Post(None, [], NO_COUNTS, 0, False, b"")
"""A post that was deleted."""


def post_key(key: bytes) -> bytes:
    """The key of the post that a cell is about: a post's own, or a label's, like's or repost's."""
    return key[:KIND_AT] + _POST + key[ITEM_AT : ITEM_AT + POST_ITEM_BYTES]


class PostCache:
    """See the module.

    All together never take more than `limits.POSTS_CACHED_BYTES`.

    Attributes:
        hits, misses: how often a post was remembered, and how often not.
    """

    __slots__ = ("_lock", "_posts", "_version", "hits", "misses")

    def __init__(self) -> None:
        self._posts: LRUCache[bytes, Post] = LRUCache(POSTS_CACHED_BYTES, Post.weight)
        self._version = 0
        self._lock = Lock()  # the writer forgets on a thread of its own
        self.hits = 0
        self.misses = 0

    @property
    def version(self) -> int:
        """Another one after each commit that has changed something."""
        return self._version

    def get(self, keys: Sequence[bytes]) -> list[Post | None]:
        """The posts with these keys, as far as they are remembered."""
        known = self._posts
        with self._lock:
            found = [known.get(key) for key in keys]
        missed = found.count(None)
        self.misses += missed
        self.hits += len(keys) - missed
        return found

    def keep(self, posts: Iterable[tuple[bytes, Post]], version: int) -> None:
        """Remember posts, by their keys.

        Args:
            version: what it was before the transaction began in which they were read.
        """
        with self._lock:
            if version == self._version:
                for key, post in posts:
                    self._posts[key] = post

    def forget_all(self) -> None:
        """What is counted of posts is kept elsewhere by now."""
        with self._lock:
            self._version += 1
            self._posts.clear()

    def forget(self, keys: Iterable[bytes]) -> None:
        """The cells at these keys have changed."""
        with self._lock:
            self._version += 1
            if self._posts:
                for key in keys:
                    self._posts.pop(post_key(key), None)
