"""A cache that never takes more than so many bytes, and counts how often it helps.

What was used longest ago makes room. The count of bytes is of what the values are made of, as whoever puts
them says; Python adds about as much again for small ones.

It is an ordered dictionary and little more, because a page asks for fifty posts at once: with a general cache
between, these took three times as long.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

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

    __slots__ = (
        "_bytes",
        "_bytes_max",
        "_kept",
        "_lasting_s",
        "_now",
        "_until",
        "_weight",
        "_weights",
        "evictions",
        "hits",
        "misses",
    )

    def __init__(
        self,
        bytes_max: int,
        weight: Callable[[V], int],
        *,
        lasting_s: float | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._bytes_max = bytes_max
        self._weight = weight
        self._lasting_s = lasting_s
        self._now = now
        self._kept: OrderedDict[K, V] = OrderedDict()  # what was used longest ago first
        self._weights: dict[K, int] = {}
        self._until: OrderedDict[K, float] = OrderedDict()  # of what was kept first, first
        self._bytes = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0

    def get(self, key: K, holds: Callable[[V], bool] | None = None) -> V | None:
        """What is kept under a key; None when nothing is.

        Args:
            key: its.
            holds: whether what is kept can still be used; None when it can.
        """
        if self._until:
            self._expire()
        value = self._kept.get(key)
        if value is None or (holds is not None and not holds(value)):
            self.misses += 1
            return None
        self._kept.move_to_end(key)
        self.hits += 1
        return value

    def get_all(self, keys: Sequence[K]) -> list[V | None]:
        """`get` of each of some keys."""
        self._expire()
        values = list(map(self._kept.get, keys))
        missed = values.count(None)
        self.misses += missed
        self.hits += len(values) - missed
        used = self._kept.move_to_end
        for key, value in zip(keys, values, strict=True):
            if value is not None:
                used(key)
        return values

    def peek(self, key: K) -> V | None:
        """`get` that does not count."""
        self._expire()
        return self._kept.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep a value, unless it alone is too large."""
        self._expire()
        self.forget(key)
        weight = self._weight(value)
        if weight > self._bytes_max:
            return
        while self._bytes + weight > self._bytes_max:
            self.forget(next(iter(self._kept)))
            self.evictions += 1
        self._kept[key] = value
        self._weights[key] = weight
        self._bytes += weight
        if self._lasting_s is not None and self._now is not None:
            self._until[key] = self._now() + self._lasting_s

    def forget(self, key: K) -> None:
        """Keep nothing under a key."""
        if self._kept.pop(key, None) is not None:
            self._bytes -= self._weights.pop(key)
            self._until.pop(key, None)

    def _expire(self) -> None:
        while self._until and self._now is not None:
            key, until = next(iter(self._until.items()))
            if self._now() < until:
                return
            self.forget(key)

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()
        self._weights.clear()
        self._until.clear()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def bound(self, bytes_max: int) -> None:
        """Take no more than this from now on; what is kept is forgotten."""
        self.clear()
        self._bytes_max = bytes_max

    def figures(self) -> CacheFigures:
        """What it has done, and what it holds."""
        self._expire()
        return CacheFigures(
            self.hits, self.misses, self.evictions, len(self._kept), self._bytes, self._bytes_max
        )
