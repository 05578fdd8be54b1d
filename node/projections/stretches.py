"""What a node follows: every range of the cluster, lane by lane; and what of it the node keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from folkmoot.protocol.key import block_of, lane_of
from folkmoot.protocol.limits import BLOCKS, LANES
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap

BITMAP_BYTES: Final = BLOCKS // 8


class Stretch(NamedTuple):
    """The part of a range that lies in one lane: what one log has of it is in order.

    Args:
        owner: the range.
        lane: 0–63.
    """

    owner: RangeDescriptor
    lane: int

    @property
    def name(self) -> tuple[int, int]:
        """What it is known by: the range's id, and the lane."""
        return self.owner.id, self.lane


Named = tuple[tuple[int, int], Stretch]
"""A stretch beside its name, which is asked for more often than it is worth making."""


def stretches_of(ranges: RangeMap) -> Iterator[Stretch]:
    """Every stretch of a map, in key order."""
    for owner in ranges.ranges:
        first = lane_of(owner.start) if owner.start else 0
        for lane in range(first, _last_lane(owner) + 1):
            yield Stretch(owner, lane)


class Stretches:
    """Every stretch of the map there is, with its name; put together once for each map.

    Args:
        ranges: the range map now.
    """

    def __init__(self, ranges: Callable[[], RangeMap]) -> None:
        self._ranges = ranges
        self._mapped: RangeMap | None = None
        self._named: list[Named] = []

    def __call__(self) -> list[Named]:
        """Name and stretch, in key order."""
        ranges = self._ranges()
        if ranges is not self._mapped:
            self._mapped = ranges
            self._named = [(stretch.name, stretch) for stretch in stretches_of(ranges)]
        return self._named


def _last_lane(owner: RangeDescriptor) -> int:
    """The last lane in which a range has keys."""
    if not owner.end:
        return LANES - 1
    lane = lane_of(owner.end)
    first_of_lane = bytes((lane * (256 // LANES),))
    return lane - 1 if owner.end.rstrip(b"\0") == first_of_lane.rstrip(b"\0") else lane


class KeptBlocks:
    """The blocks (0–4095) that a node has a slot for, or for a part of which it has one.

    Args:
        bits: one for each block.
    """

    def __init__(self, bits: bytes = b"") -> None:
        self._bits = int.from_bytes(bits.ljust(BITMAP_BYTES, b"\0"), "little")

    @classmethod
    def of(cls, ranges: RangeMap, node_id: bytes) -> KeptBlocks:
        """What a node keeps by a range map."""
        kept = cls()
        for owner in ranges.of_node(node_id):
            first = block_of(owner.start.ljust(2, b"\0"))
            last = block_of(owner.end.ljust(2, b"\0")) if owner.end else BLOCKS - 1
            kept._bits |= ((1 << (last - first + 1)) - 1) << first
        return kept

    def __contains__(self, key: bytes) -> bool:
        """Whether the block of a key is kept."""
        return bool(self._bits >> block_of(key) & 1)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self._bits != 0

    def __le__(self, other: KeptBlocks) -> bool:
        return self._bits & ~other._bits == 0

    def joined(self, other: KeptBlocks) -> KeptBlocks:
        """What is in either."""
        both = KeptBlocks()
        both._bits = self._bits | other._bits
        return both

    def to_bytes(self) -> bytes:
        """The bits, as the constructor takes them."""
        return self._bits.to_bytes(BITMAP_BYTES, "little")
