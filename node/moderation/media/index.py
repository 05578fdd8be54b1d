"""Finds which of a million hashes differ from some others in few bits.

Multi-index hashing: 256 bits are cut into 16 bands of 16. Of two hashes that differ in at most 31 bits, one
band differs in at most one; so it is enough to look at the hashes that have, in some band, one of the 17
values next to that of the hash in question, and to count the bits of those. For each band there is the order
of the hashes by it, in which equal values stand together.

Source: M. Norouzi, A. Punjani, D. Fleet, "Fast search in Hamming space with multi-index hashing" (CVPR 2012).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from folkmoot.node.moderation.media.pdq import HASH_BYTES
from numpy.typing import NDArray

DISTANCE_MAX: Final = 31  # bits, for which what is said above holds

_BANDS: Final = 16
_AT_ONCE: Final = 262_144  # hashes of which bits are counted together: some tens of MiB
_NEXT: Final = np.array([0, *(1 << bit for bit in range(16))], dtype=np.uint16)
_Numbers: TypeAlias = NDArray[Any]


class Nearest(NamedTuple):
    """What was found.

    Attributes:
        distance: bits that differ.
        row: which of the indexed hashes it is.
        asked: which of those that were asked for.
    """

    distance: int
    row: int
    asked: int


class HashIndex:
    """See the module; 64 bytes a hash beside itself.

    Args:
        hashes: 32 bytes each, one after the other.
    """

    def __init__(self, hashes: bytes | bytearray) -> None:
        self._words = np.frombuffer(bytes(hashes), dtype=np.uint64).reshape(-1, HASH_BYTES // 8)
        bands = self._words.view(np.uint16).T
        self._order = [np.argsort(band, kind="stable").astype(np.uint32) for band in bands]
        self._sorted = [band[order] for band, order in zip(bands, self._order, strict=True)]

    def __len__(self) -> int:
        return len(self._words)

    def nearest(self, asked: Sequence[bytes], distance_max: int) -> Nearest | None:
        """The hash that is nearest to one of some others.

        Args:
            asked: hashes, 32 bytes each.
            distance_max: in bits, at most `DISTANCE_MAX`.

        Returns:
            None when there is none within that distance.
        """
        assert 0 <= distance_max <= DISTANCE_MAX
        if not asked or not len(self):
            return None
        words = np.frombuffer(b"".join(asked), dtype=np.uint64).reshape(-1, HASH_BYTES // 8)
        best: Nearest | None = None
        for rows, of in self._candidates(words):
            distances = np.bitwise_count(self._words[rows] ^ words[of]).sum(axis=1)
            least = int(distances.argmin())
            found = Nearest(int(distances[least]), int(rows[least]), int(of[least]))
            if found.distance <= distance_max and (best is None or found < best):
                best = found
        return best

    def _candidates(self, words: _Numbers) -> Iterator[tuple[_Numbers, _Numbers]]:
        """The rows that may be near, each with which of the asked it may be near to, many at a time."""
        of_probe = np.repeat(np.arange(len(words)), len(_NEXT))
        for band in range(_BANDS):
            values = (words.view(np.uint16)[:, band, None] ^ _NEXT).ravel()
            first = np.searchsorted(self._sorted[band], values, side="left")
            count = np.searchsorted(self._sorted[band], values, side="right") - first
            hit = np.flatnonzero(count)
            if not len(hit):
                continue
            parts = np.cumsum(count[hit]) // _AT_ONCE
            for part in np.split(hit, np.flatnonzero(np.diff(parts)) + 1):
                counts = count[part]
                within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
                rows = self._order[band][np.repeat(first[part], counts) + within]
                yield rows, np.repeat(of_probe[part], counts)
