"""A cache that never takes more than so many bytes, and counts how often it helps.

What was used longest ago makes room. The count of bytes is of what the values are made of, as whoever puts
them says; Python adds about as much again for small ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from cachetools import LRUCache, TTLCache

K = TypeVar("K")
V = TypeVar("V")


class CacheFigures(NamedTuple):
    """What a cache has done since it was made, and what it holds now.

    Args:
        hits, misses: how often something was there, and how often not.
        evictions: how much made room for others; what was forgotten because it changed is not among it.
        entries, bytes, bytes_max: how many there are, what they take, and what they may take.
    """

    hits: int
    misses: int
    evictions: int
    entries: int
    bytes: int
    bytes_max: int


class BoundedCache(Generic[K, V]):
    """See the module. Not for several threads at once.

    Args:
        bytes_max: what all values together may take; 0 for a cache that keeps nothing.
        weight: how many bytes a value takes.
        lasting_s: after which a value is forgotten, seconds; None for never.
        now: the clock by which it is.
    """

    __slots__ = ("_kept", "_weight", "evictions", "hits", "misses")

    def __init__(
        self,
        bytes_max: int,
        weight: Callable[[V], int],
        *,
        lasting_s: float | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._weight = weight
        self._kept: LRUCache[K, V] | TTLCache[K, V]
        if lasting_s is None or now is None:
            self._kept = LRUCache(bytes_max, weight)
        else:
            self._kept = TTLCache(bytes_max, lasting_s, now, weight)
        self.hits = 0
        self.misses = 0
        self.evictions = 0

    def get(self, key: K, holds: Callable[[V], bool] | None = None) -> V | None:
        """What is kept under a key; None when nothing is.

        Args:
            key: its.
            holds: whether what is kept can still be used; None when it can.
        """
        value = self._kept.get(key)
        if value is None or (holds is not None and not holds(value)):
            self.misses += 1
            return None
        self.hits += 1
        return value

    def peek(self, key: K) -> V | None:
        """`get` that does not count."""
        return self._kept.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep a value, unless it alone is too large."""
        kept = self._kept
        kept.pop(key, None)
        if self._weight(value) > kept.maxsize:
            return
        before = len(kept)
        kept[key] = value
        self.evictions += before + 1 - len(kept)

    def forget(self, key: K) -> None:
        """Keep nothing under a key."""
        self._kept.pop(key, None)

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)

    def bound(self, bytes_max: int) -> None:
        """Take no more than this from now on; what is kept is forgotten."""
        old = self._kept
        if isinstance(old, TTLCache):
            self._kept = TTLCache(bytes_max, old.ttl, old.timer, self._weight)
        else:
            self._kept = LRUCache(bytes_max, self._weight)

    def figures(self) -> CacheFigures:
        """What it has done, and what it holds."""
        kept = self._kept
        return CacheFigures(
            self.hits, self.misses, self.evictions, len(kept), int(kept.currsize), int(kept.maxsize)
        )
