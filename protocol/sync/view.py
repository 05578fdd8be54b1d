"""What reconciliation reads: a sorted set of leaves, with cheap sums over wide ranges.

A view is asked many small questions, each of which may see a later state of the set than the one before:
nothing is locked, and no snapshot outlives the handling of one frame. An empty `end` is the end of the key
space; ranges are half-open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from folkmoot.protocol.key import block_of, block_start
from folkmoot.protocol.limits import BLOCKS
from folkmoot.protocol.sync.fingerprint import EMPTY, Fingerprint

Leaf = tuple[bytes, bytes]


class View(Protocol):
    """One side's set of leaves."""

    def fingerprint(self, start: bytes, end: bytes) -> Fingerprint:
        """Of the leaves with start ≤ key < end."""
        ...

    def split(self, start: bytes, end: bytes, parts: int) -> list[bytes]:
        """Bounds that cut the leaves of a range into about equal parts.

        Args:
            start, end: the range.
            parts: at most so many.

        Returns:
            Fewer than `parts` bounds, ascending, each with leaves of the range on both sides of it; none
            when the range has fewer than two leaves.
        """
        ...

    def leaves(self, start: bytes, end: bytes, limit: int) -> list[Leaf]:
        """The first `limit` leaves of a range as (key, hash), in key order."""
        ...


class BlockView:
    """A view over a store that keeps a fingerprint a block of the key space.

    Whole blocks are answered from their fingerprints; only the edges of a range are scanned.

    Args:
        sums: the non-empty blocks from the first number to before the second, in order.
        scan: the first leaves of a range in order, as many as the limit says; all of them without one.
    """

    def __init__(
        self,
        sums: Callable[[int, int], Iterable[tuple[int, Fingerprint]]],
        scan: Callable[[bytes, bytes, int | None], Iterable[Leaf]],
    ) -> None:
        self._sums = sums
        self._scan = scan

    def fingerprint(self, start: bytes, end: bytes) -> Fingerprint:
        """See `View`."""
        total = EMPTY
        for _, part in self._parts(start, end):
            total = total.combine(part)
        return total

    def split(self, start: bytes, end: bytes, parts: int) -> list[bytes]:
        """See `View`."""
        weights = [(bound, part.count) for bound, part in self._parts(start, end) if part.count]
        if len(weights) == 1:
            weights = [(key, 1) for key, _ in self._scan(start, end, None)]
        return balanced_bounds(weights, parts)

    def leaves(self, start: bytes, end: bytes, limit: int) -> list[Leaf]:
        """See `View`."""
        return list(self._scan(start, end, limit))

    def _parts(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, Fingerprint]]:
        """The range as consecutive parts (first bound, fingerprint), none longer than a block."""
        first, last = _block_from(start), BLOCKS if end == b"" else block_of(end.ljust(2, b"\0"))
        if first >= last:
            yield start, self._scanned(start, end)
            return
        if start < block_start(first):
            yield start, self._scanned(start, block_start(first))
        for block, total in self._sums(first, last):
            yield block_start(block), total
        if end != b"" and block_start(last) < end:
            yield block_start(last), self._scanned(block_start(last), end)

    def _scanned(self, start: bytes, end: bytes) -> Fingerprint:
        return Fingerprint.of(leaf for _, leaf in self._scan(start, end, None))


def balanced_bounds(weights: Sequence[tuple[bytes, int]], parts: int) -> list[bytes]:
    """Where to cut a sequence of weights so that no part is much heavier than another.

    Args:
        weights: (bound before it, weight above 0), ascending.
        parts: at most so many.
    """
    total = sum(weight for _, weight in weights)
    bounds: list[bytes] = []
    before = 0
    for bound, weight in weights:
        if before * parts >= (len(bounds) + 1) * total:
            bounds.append(bound)
        before += weight
    # Without a cut the last weight outweighs all before it: it becomes a part of its own.
    return bounds or [bound for bound, _ in weights[1:]][-1:]


def _block_from(start: bytes) -> int:
    """The first block that begins at or after `start`."""
    if start == b"":
        return 0
    block = block_of(start.ljust(2, b"\0"))
    return block if start <= block_start(block) else block + 1
