"""Ranges: who owns which slice of the key space, each at its own epoch.

The descriptors of a map partition the whole ordered key space, so every key has exactly one owner set and
`lookup` is a bisection. A map is an immutable value; a descriptor in it is only ever replaced by one with a
higher epoch, so that maps form a join-semilattice and can be exchanged in any order. Where a range begins is
its own for ever; where it ends changes when it is split (see `splitting`).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any, Final

from folkmoot.protocol import codec, limits
from folkmoot.protocol.ring.errors import RingError, blame_peer
from folkmoot.protocol.ring.roster import Epoch, NodeIdBytes, Slug, check_slug
from msgspec import Meta, Struct

Bound = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
RangeId = Annotated[int, Meta(ge=0, le=limits.EPOCH_MAX)]

# The empty bound is the beginning as a start and, since every key follows it, the open end as an end.
OPEN: Final = b""


class _WireSlot(Struct):
    region: Slug
    nodes: Annotated[list[NodeIdBytes], Meta(min_length=1, max_length=limits.NODES_PER_SLOT)]


class _WireRange(Struct):
    id: RangeId
    epoch: Epoch
    start: Bound
    end: Bound
    slots: Annotated[list[_WireSlot], Meta(min_length=1, max_length=limits.SLOTS_PER_RANGE)]
    right: RangeId | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """One position in a range's replica set.

    Args:
        region: the region the slot belongs to; it stays when the node in it changes.
        nodes: the node that fills it; two (C, D) while the slot moves from C to D: then it acknowledges
            only when both have, and is read at the first.

    Raises:
        RingError: no node, too many, or one twice.
    """

    region: str
    nodes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        check_slug(self.region, "the region of a slot")
        if not 1 <= len(self.nodes) <= limits.NODES_PER_SLOT or len(set(self.nodes)) != len(self.nodes):
            raise RingError(f"a slot of {len(self.nodes)} nodes; it has one, or two different while it moves")
        if any(type(node) is not bytes or len(node) != limits.NODE_ID_BYTES for node in self.nodes):
            raise RingError(f"a slot names a node whose id is not {limits.NODE_ID_BYTES} bytes")

    @property
    def reader(self) -> bytes:
        """The node that answers reads for this slot."""
        return self.nodes[0]

    def to_wire(self) -> dict[str, Any]:
        """The map nodes send each other."""
        return {"nodes": list(self.nodes), "region": self.region}


@dataclass(frozen=True, slots=True)
class RangeDescriptor:
    """One range and its replica set, at one epoch.

    Args:
        id: the range's number, for ever.
        epoch: from 1, raised by every change of the descriptor.
        start: the first key, inclusive; empty for the beginning.
        end: exclusive; empty for the end of the key space.
        slots: 1 to 16 slots; no node is in two of them.
        right: the range that begins where this one ends, once a split has put another there than the founders
            did; so whoever learns of a split finds what the range was split into, however often it was.

    Raises:
        RingError: one of these does not hold.
    """

    id: int
    epoch: int
    start: bytes
    end: bytes
    slots: tuple[Slot, ...]
    right: int | None = None
    _nodes: tuple[bytes, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_nodes", tuple(node for slot in self.slots for node in slot.nodes))
        if not (0 <= self.id <= limits.EPOCH_MAX and 1 <= self.epoch <= limits.EPOCH_MAX):
            raise RingError(f"range {self.id} at epoch {self.epoch}: ids begin at 0 and epochs at 1")
        if self.end != OPEN and self.start >= self.end:
            raise RingError(
                f"range {self.id} ends at {self.end.hex()}, not after its start {self.start.hex()}"
            )
        if self.right is not None and (self.end == OPEN or not 0 <= self.right <= limits.EPOCH_MAX):
            raise RingError(f"range {self.id} has no range {self.right} to its right")
        if max(len(self.start), len(self.end)) > limits.STORE_KEY_BYTES:
            raise RingError(f"range {self.id} has a bound longer than {limits.STORE_KEY_BYTES} bytes")
        if not 1 <= len(self.slots) <= limits.SLOTS_PER_RANGE:
            raise RingError(f"range {self.id} has {len(self.slots)} slots, not 1 to {limits.SLOTS_PER_RANGE}")
        if len(set(self._nodes)) != len(self._nodes):
            raise RingError(f"range {self.id} has one node in two slots, which would count its answer twice")

    def nodes(self) -> tuple[bytes, ...]:
        """Every node that must hold the range, slot by slot."""
        return self._nodes

    def covers(self, key: bytes) -> bool:
        """Whether `key` lies in the range."""
        return self.start <= key and (self.end == OPEN or key < self.end)

    def to_wire(self) -> dict[str, Any]:
        """The map nodes send each other."""
        wire: dict[str, Any] = {
            "end": self.end,
            "epoch": self.epoch,
            "id": self.id,
            "slots": [slot.to_wire() for slot in self.slots],
            "start": self.start,
        }
        if self.right is not None:
            wire["right"] = self.right
        return wire

    @classmethod
    def from_wire(cls, value: Any) -> RangeDescriptor:
        """Check and take what a peer or the store gave.

        Raises:
            WireError: `bad_request`.
        """
        wire = codec.shaped(value, _WireRange, "a range descriptor")
        with blame_peer():
            slots = tuple(Slot(slot.region, tuple(slot.nodes)) for slot in wire.slots)
            return cls(wire.id, wire.epoch, wire.start, wire.end, slots, wire.right)


@dataclass(frozen=True, slots=True)
class RangeMap:
    """A partition of the whole key space into ranges, in key order.

    Args:
        ranges: the descriptors in any order; kept sorted by their start.

    Raises:
        RingError: they leave a gap, overlap, repeat an id, or are more than 4,096.
    """

    ranges: tuple[RangeDescriptor, ...]
    _starts: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    _by_id: Mapping[int, RangeDescriptor] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.ranges) <= limits.RANGES:
            raise RingError(f"a map of {len(self.ranges)} ranges; it holds 1 to {limits.RANGES}")
        ordered = tuple(sorted(self.ranges, key=lambda descriptor: descriptor.start))
        by_id = {descriptor.id: descriptor for descriptor in ordered}
        if len(by_id) != len(ordered):
            raise RingError("two ranges of a map have the same id")
        _check_partition(ordered)
        shared: dict[tuple[Slot, ...], tuple[Slot, ...]] = {}
        for descriptor in ordered:  # equal slots are one object: what is grouped by them compares at once
            object.__setattr__(descriptor, "slots", shared.setdefault(descriptor.slots, descriptor.slots))
        object.__setattr__(self, "ranges", ordered)
        object.__setattr__(self, "_starts", tuple(descriptor.start for descriptor in ordered))
        object.__setattr__(self, "_by_id", by_id)

    def lookup(self, key: bytes) -> RangeDescriptor:
        """The one range `key` lies in."""
        return self.ranges[bisect_right(self._starts, key) - 1]

    def get(self, range_id: int) -> RangeDescriptor | None:
        """The range with this id."""
        return self._by_id.get(range_id)

    def of_node(self, node_id: bytes) -> tuple[RangeDescriptor, ...]:
        """The ranges `node_id` holds, in key order."""
        return tuple(descriptor for descriptor in self.ranges if node_id in descriptor.nodes())

    def epochs(self) -> dict[int, int]:
        """The epoch of each range by its id."""
        return {descriptor.id: descriptor.epoch for descriptor in self.ranges}

    def newer_than(self, epochs: Mapping[int, int]) -> tuple[RangeDescriptor, ...]:
        """The ranges that someone whose epochs (by id) are these does not have, in key order."""
        return tuple(
            descriptor for descriptor in self.ranges if descriptor.epoch > epochs.get(descriptor.id, 0)
        )

    def replace(self, descriptor: RangeDescriptor) -> RangeMap:
        """This map with one descriptor replaced.

        Raises:
            RingError: the range is not in the map, the epoch is not higher, or the bounds would leave a
                gap or overlap.
        """
        mine = self._by_id.get(descriptor.id)
        if mine is None:
            raise RingError(f"range {descriptor.id} is not in the map")
        if descriptor.epoch <= mine.epoch:
            raise RingError(
                f"range {descriptor.id} is at epoch {mine.epoch}; a descriptor of epoch {descriptor.epoch} "
                "cannot replace it"
            )
        return self._with((descriptor,))

    def join(self, others: Iterable[RangeDescriptor]) -> RangeMap:
        """This map with every descriptor of `others` that has a higher epoch; itself when there is none.

        Raises:
            RingError: together they do not partition the key space.
        """
        newer = tuple(
            other
            for other in others
            if (mine := self._by_id.get(other.id)) is None or other.epoch > mine.epoch
        )
        return self._with(newer) if newer else self

    def _with(self, newer: Iterable[RangeDescriptor]) -> RangeMap:
        return RangeMap(
            tuple({**self._by_id, **{descriptor.id: descriptor for descriptor in newer}}.values())
        )

    def digest(self) -> bytes:
        """SHA-256 over the canonical descriptors: equal digests, equal maps.

        The whole descriptors and not only their epochs, so that two nodes that made different maps at one
        epoch (from different founders, say) are found out.
        """
        wire = [descriptor.to_wire() for descriptor in self.ranges]
        return hashlib.sha256(codec.encode_canonical(wire)).digest()


def _check_partition(ordered: tuple[RangeDescriptor, ...]) -> None:
    if ordered[0].start != OPEN:
        raise RingError(f"no range holds the keys before {ordered[0].start.hex()}")
    for left, right in pairwise(ordered):
        if left.end == OPEN or left.end > right.start:
            raise RingError(f"ranges {left.id} and {right.id} overlap at {right.start.hex()}")
        if left.end < right.start:
            raise RingError(f"ranges {left.id} and {right.id} leave a gap before {right.start.hex()}")
    if ordered[-1].end != OPEN:
        raise RingError(f"no range holds the keys from {ordered[-1].end.hex()} on")
