"""Splitting a range in two, so that no key is ever owned by nobody or by two.

Where a range begins is its own for ever. It is split by giving up what follows a bound: the range keeps its
id and the left part, a range of a new id gets the right part, on the same slots. Both are one epoch later, so
that of every key the epoch of its owner rises, and whoever acts under the older one is told so. The slots are
the same, hence a quorum of before and one of after share a node and nothing has to be fenced; what moves
either part later fences it as ever.

Two registers are concerned, and only one change decides. First the register of the range to come is given a
*reservation*: its descriptor, and whose right part it is. That means nothing yet. Then the register of the
range that is split has its descriptor compared and set to the left part, whose `right` names the reserved id:
from that moment both are decided. The first can be done and not the second; then the reservation is

- *pending*, as long as the range is at the epoch for which it was made: nobody may change it, because whoever
  made it may yet decide it. Whoever splits the same range goes on with it as it is.
- *void*, once the range is at a later epoch without it: it can never be decided, and its id is free.

Whoever learns of a descriptor must learn of those its `right` leads to before it can use either (`lacking`),
as in a tree whose leaves link to the right: what they cover has no gap at any moment.

At 4,096 ranges no id is left. A bound never cuts an account: a page of its posts is put together on one
replica with their labels and counts, which are cells of the same account.

Source of the links: P. Lehman, S. Yao, "Efficient Locking for Concurrent Operations on B-Trees" (1981).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from folkmoot.protocol import codec, limits
from folkmoot.protocol.key import PLACE_PREFIX_BYTES
from folkmoot.protocol.ring.driving import is_joint
from folkmoot.protocol.ring.errors import RingError, blame_peer
from folkmoot.protocol.ring.ranges import OPEN, RangeDescriptor, RangeId, RangeMap
from msgspec import Struct

Standing = Literal["active", "pending", "void", "unknown"]


class _WireReservation(Struct):
    """What a reservation's map has beside the descriptor."""

    of: RangeId | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """What the register of a range to come holds.

    Args:
        descriptor: of the right part, as it will be.
        of: the range whose right part it is.
    """

    descriptor: RangeDescriptor
    of: int

    @property
    def of_epoch(self) -> int:
        """The epoch at which that range must be for the split to be decided."""
        return self.descriptor.epoch - 1

    def to_wire(self) -> dict[str, Any]:
        """The map a register holds."""
        return {**self.descriptor.to_wire(), "of": self.of}

    @classmethod
    def from_wire(cls, value: Any) -> Reservation | None:
        """Take what a register holds; None when that is a descriptor and no reservation.

        Raises:
            WireError: `bad_request`, when it is neither.
        """
        of = codec.shaped(value, _WireReservation, "a reservation").of
        descriptor = RangeDescriptor.from_wire(value)
        with blame_peer():
            return None if of is None else cls(descriptor, of)

    def standing(self, ranges: RangeMap) -> Standing:
        """What has become of it, as far as a map tells: `unknown` when that is behind the reservation.

        A map that has the range at a later epoch has all that the range was split into before.
        """
        if ranges.get(self.descriptor.id) is not None:
            return "active"
        parent = ranges.get(self.of)
        if parent is None or parent.epoch < self.of_epoch:
            return "unknown"
        return "pending" if parent.epoch == self.of_epoch else "void"


def check_bound(parent: RangeDescriptor, at: bytes) -> None:
    """See that a range can be split before `at`.

    Raises:
        RingError: it is moving, or `at` is no bound within it.
    """
    if is_joint(parent):
        raise RingError(f"range {parent.id} is moving: it can be split when that has come to its end")
    if len(at) > PLACE_PREFIX_BYTES:
        raise RingError(
            f"a bound of {len(at)} bytes cuts an account in two; at most {PLACE_PREFIX_BYTES} do not"
        )
    if at == parent.start or at == OPEN or not parent.covers(at):
        raise RingError(f"the bound {at.hex() or 'nothing'} is not within range {parent.id}")


def reserve(parent: RangeDescriptor, at: bytes, range_id: int) -> Reservation:
    """The right part of a range, under an id that is to be its own.

    Raises:
        RingError: see `check_bound`.
    """
    check_bound(parent, at)
    return Reservation(replace(parent, id=range_id, epoch=parent.epoch + 1, start=at), parent.id)


def left_part(parent: RangeDescriptor, reservation: Reservation) -> RangeDescriptor:
    """What is left of a range; when that is decided, so is the reservation.

    Raises:
        RingError: the reservation is not for the range as it is.
    """
    right = reservation.descriptor
    if reservation != reserve(parent, right.start, right.id):
        raise RingError(f"what is reserved as range {right.id} is no part of range {parent.id} as it is")
    return replace(parent, epoch=parent.epoch + 1, end=right.start, right=right.id)


def may_replace(held: Reservation, ranges: RangeMap) -> bool:
    """Whether a reservation may give way to another one, as far as a map tells, in which its id is free."""
    return held.standing(ranges) == "void"


def is_for(held: Reservation, parent: RangeDescriptor) -> bool:
    """Whether a reservation is for a range as it is: then it is gone on with."""
    return (held.of, held.of_epoch) == (parent.id, parent.epoch)


def free_ids(ranges: RangeMap) -> Iterator[int]:
    """The ids that no range of a map has, from the least on; none when there are as many as may be."""
    return (number for number in range(limits.RANGES) if ranges.get(number) is None)


def lacking(ranges: RangeMap, found: Mapping[int, RangeDescriptor]) -> list[int]:
    """The ranges that must be learned of before what was found can be used.

    Args:
        ranges: what is known.
        found: what was learned since, by id.
    """
    rights = {descriptor.right for descriptor in found.values()}
    return sorted(
        right for right in rights if right is not None and right not in found and ranges.get(right) is None
    )


def changed_bounds(before: RangeDescriptor, after: RangeDescriptor) -> bool:
    """Whether a change of a range is more than one of its slots, which only a split may be."""
    return (before.start, before.end, before.right) != (after.start, after.end, after.right)
