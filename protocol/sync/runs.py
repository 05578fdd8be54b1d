"""Runs: the leaves of one heavy block, summed up a few hundred at a time.

All of an account lies in one block, whose own sum says nothing about a part of it. Runs cut a block into
neighbouring pieces of 256 to 511 leaves. Sums are a group: with the sum of everything before each run, what
any stretch of runs comes to is one subtraction, and of a range only the ends that cut a run are read. Of the
leaves themselves nothing is kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container, Iterable, Iterator
from itertools import accumulate, islice, pairwise

from folkmoot.protocol.limits import SYNC_RUN_LEAVES
from folkmoot.protocol.sync.fingerprint import EMPTY, Fingerprint, Leaf

Scan = Callable[[bytes, bytes], Iterable[Leaf]]


class Runs:
    """The runs of one stretch of the key space, one after the other. Never changes; see `renewed`.

    Args:
        runs: first bound and fingerprint of each, ascending; at least one.
        end: where the last one ends; empty for the end of the key space.
    """

    __slots__ = ("_before", "_bounds", "_end")

    def __init__(self, runs: Iterable[tuple[bytes, Fingerprint]], end: bytes) -> None:
        bounds, prints = zip(*runs, strict=True)
        self._bounds: tuple[bytes, ...] = bounds
        self._before = list(accumulate(prints, Fingerprint.combine, initial=EMPTY))
        self._end = end

    @classmethod
    def of(cls, start: bytes, end: bytes, scan: Scan) -> Runs:
        """Read the leaves with start ≤ key < end, each once, and cut them into runs."""
        return cls(_cut(start, scan(start, end)), end)

    def __len__(self) -> int:
        return len(self._bounds)

    def inside(self, start: bytes, end: bytes) -> range:
        """The numbers of the runs that lie whole in a range, which lies in this stretch."""
        last = len(self) if end == self._end else bisect_right(self._bounds, end) - 1
        return range(bisect_left(self._bounds, start), last)

    def bound(self, number: int) -> bytes:
        """Where a run begins; the number after the last is that of the end."""
        return self._end if number == len(self) else self._bounds[number]

    def total(self, runs: range) -> Fingerprint:
        """Of all leaves in neighbouring runs."""
        return self._before[runs.stop].without(self._before[runs.start])

    def holding(self, keys: Iterable[bytes]) -> set[int]:
        """The numbers of the runs in which some keys would be; keys elsewhere are passed over."""
        first, end = self._bounds[0], self._end
        return {
            bisect_right(self._bounds, key) - 1 for key in keys if first <= key and (end == b"" or key < end)
        }

    def renewed(self, changed: Container[int], scan: Scan) -> Runs:
        """The runs after leaves of those with the numbers `changed` were added or replaced."""
        return Runs(self._renewed(changed, scan), self._end)

    def _renewed(self, changed: Container[int], scan: Scan) -> Iterator[tuple[bytes, Fingerprint]]:
        for number, (start, end) in enumerate(pairwise([*self._bounds, self._end])):
            if number in changed:
                yield from _cut(start, scan(start, end))
            else:
                yield start, self.total(range(number, number + 1))


def _cut(start: bytes, leaves: Iterable[Leaf]) -> list[tuple[bytes, Fingerprint]]:
    """Runs of 256 leaves from `start` on, the last of which takes in what is left over: however leaves
    arrive, none but an only run is ever shorter."""
    runs: list[tuple[bytes, Fingerprint]] = []
    coming = iter(leaves)
    while chunk := list(islice(coming, SYNC_RUN_LEAVES)):
        total = Fingerprint.of(leaf for _, leaf in chunk)
        if not runs:
            runs.append((start, total))
        elif len(chunk) < SYNC_RUN_LEAVES:
            runs[-1] = (runs[-1][0], runs[-1][1].combine(total))
        else:
            runs.append((chunk[0][0], total))
    return runs or [(start, EMPTY)]
