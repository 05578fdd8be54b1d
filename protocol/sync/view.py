"""What reconciliation reads: a sorted set of leaves, with cheap sums over wide ranges.

A view is asked many small questions, each of which may see a later state of the set than the one before:
nothing is locked, and no snapshot outlives the handling of one frame. An empty `end` is the end of the key
space; ranges are half-open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from folkmoot.protocol.key import block_of, block_start
from folkmoot.protocol.limits import BLOCKS
from folkmoot.protocol.sync.fingerprint import EMPTY, Fingerprint, Leaf
from folkmoot.protocol.sync.runs import Runs, Scan


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

    def leaves(self, start: bytes, end: bytes, limit: int) -> Iterable[Leaf]:
        """The first `limit` leaves of a range as (key, hash), in key order; read as far as they are taken."""
        ...


class BlockView:
    """A view over a store that keeps a fingerprint a block of the key space.

    Whole blocks are answered from their fingerprints, parts of heavy ones from those of their runs; only the
    ends of a range are read.

    Args:
        sums: the non-empty blocks from the first number to before the second, in order.
        scan: the leaves of a range in order, read as far as they are taken.
        runs: of the block with this number; None when it has so few leaves that they are read instead.
    """

    def __init__(
        self,
        sums: Callable[[int, int], Iterable[tuple[int, Fingerprint]]],
        scan: Scan,
        runs: Callable[[int], Runs | None],
    ) -> None:
        self._sums = sums
        self._scan = scan
        self._runs = runs

    def fingerprint(self, start: bytes, end: bytes) -> Fingerprint:
        """See `View`."""
        total = EMPTY
        for _, part in self._by_block(start, end):
            total = total.combine(part)
        return total

    def split(self, start: bytes, end: bytes, parts: int) -> list[bytes]:
        """See `View`. The coarsest of blocks, runs and leaves that cut the range at all do."""
        weights = [(bound, part.count) for bound, part in self._by_block(start, end) if part.count]
        if len(weights) == 1:
            block = _block_at(weights[0][0])
            by_run = self._by_run(block, *_common(start, end, block_start(block), block_start(block + 1)))
            weights = [(bound, part.count) for bound, part in by_run if part.count]
        if len(weights) == 1:
            weights = [(key, 1) for key, _ in self._scan(start, end)]
        return balanced_bounds(weights, parts)

    def leaves(self, start: bytes, end: bytes, limit: int) -> Iterator[Leaf]:
        """See `View`."""
        return islice(self._scan(start, end), limit)

    def _by_block(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, Fingerprint]]:
        """The range as consecutive parts (first bound, fingerprint), none longer than a block."""
        first, last = _block_from(start), BLOCKS if end == b"" else _block_at(end)
        if first > last or first == BLOCKS:
            yield start, self._within(_block_at(start), start, end)
            return
        if first and start < block_start(first):
            yield start, self._within(first - 1, start, block_start(first))
        for block, total in self._sums(first, last):
            yield block_start(block), total
        if end != b"" and block_start(last) < end:
            yield block_start(last), self._within(last, block_start(last), end)

    def _within(self, block: int, start: bytes, end: bytes) -> Fingerprint:
        """Of a part of one block."""
        runs, whole = self._runs_inside(block, start, end)
        if runs is None:
            return self._read(start, end)
        before, after = self._read(start, runs.bound(whole.start)), self._read(runs.bound(whole.stop), end)
        return before.combine(runs.total(whole)).combine(after)

    def _by_run(self, block: int, start: bytes, end: bytes) -> Iterator[tuple[bytes, Fingerprint]]:
        """A part of one block as consecutive parts, none longer than a run."""
        runs, whole = self._runs_inside(block, start, end)
        if runs is None:
            yield start, self._read(start, end)
            return
        yield start, self._read(start, runs.bound(whole.start))
        for number in whole:
            yield runs.bound(number), runs.total(range(number, number + 1))
        yield runs.bound(whole.stop), self._read(runs.bound(whole.stop), end)

    def _runs_inside(self, block: int, start: bytes, end: bytes) -> tuple[Runs | None, range]:
        """The runs of a block, and which of them lie whole in a part of it; None when none does."""
        runs = self._runs(block)
        whole = runs.inside(start, end) if runs else range(0)
        return (runs, whole) if whole else (None, whole)

    def _read(self, start: bytes, end: bytes) -> Fingerprint:
        return EMPTY if start == end else Fingerprint.of(leaf for _, leaf in self._scan(start, end))


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


def _common(start: bytes, end: bytes, other_start: bytes, other_end: bytes) -> tuple[bytes, bytes]:
    """What two ranges have in common, which is not nothing."""
    ends = [bound for bound in (end, other_end) if bound != b""]
    return max(start, other_start), min(ends, default=b"")


def _block_at(bound: bytes) -> int:
    """The block in which a key would be that is equal to a bound."""
    return block_of(bound.ljust(2, b"\0"))


def _block_from(start: bytes) -> int:
    """The first block that begins at or after `start`."""
    block = _block_at(start)
    return block if start <= block_start(block) else block + 1
