"""Seating: which nodes should hold the seats, given who is a member and who can be reached.

A pure function, so that whoever works it out comes to the same. Seats are few and stay where they are: a
member that is silent keeps its seat, because silence moves nothing. What changes seats by itself is growth
(from one to three to five, over regions first), a seat whose store is another than it was, a node that is no
longer a member, and a region with two seats more than another could have. Who leaves a seat is replaced
before the seats are added to; when there are fewer members than seats, the seats become fewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from folkmoot.protocol.consensus.configuration import SIZES, Configuration, Seat

T = TypeVar("T")

MAY_HOLD: Final = ("member", "drained")
"""Standings on the roster with which a node may hold a seat; who leaves or is given up is replaced."""


def wanted_seats(
    configuration: Configuration, members: Mapping[bytes, str], stores: Mapping[bytes, bytes]
) -> list[Seat] | None:
    """The seats there should be; None when they are as they should be, or nothing can be done now.

    Args:
        configuration: of today; not joint.
        members: the region of each member of the roster, by node id.
        stores: the seat id of each member that can be reached and says so, by node id.
    """
    kept = [
        seat
        for seat in configuration.seats
        if seat.node in members and stores.get(seat.node, seat.id) == seat.id
    ]
    kept.sort(key=lambda seat: seat.node not in stores)  # should they become fewer, those that answer stay
    size = _size(len(configuration.seats), len(stores), len(members))
    free = sorted(node for node in stores if all(seat.node != node for seat in kept))
    added = spread((members[seat.node] for seat in kept), {node: members[node] for node in free})
    coming = [*kept, *(Seat(stores[node], node) for node in added[: max(0, size - len(kept))])][:size]
    if len(coming) != size or set(coming) == set(configuration.seats):
        return None
    return coming


def evened_seats(
    configuration: Configuration, members: Mapping[bytes, str], stores: Mapping[bytes, bytes]
) -> list[Seat] | None:
    """The seats with one of them moved to a region that has fewer; None when that would gain nothing.

    Args:
        configuration, members, stores: as for `wanted_seats`, which comes first.
    """
    if any(seat.node not in members for seat in configuration.seats):
        return None
    held = {seat.node: members[seat.node] for seat in configuration.seats}
    free = {node: members[node] for node in stores if node not in held}
    move = evening(held, free, silent=[node for node in held if node not in stores])
    if move is None:
        return None
    leaving, coming = move
    kept = [seat for seat in configuration.seats if seat.node != leaving]
    return [*kept, Seat(stores[coming], coming)]


def evening(
    held: Mapping[bytes, str], free: Mapping[bytes, str], silent: Container[bytes] = ()
) -> tuple[bytes, bytes] | None:
    """Which node's seat should move to which other node, so that fewer are lost with one region.

    A seat moves only from a region that has two more than the other, so that none ever moves back: each move
    makes the sum of the squares of the counts less.

    Args:
        held: the region of each node with a seat, by node id.
        free: of the nodes that could be given one.
        silent: of those with a seat, who does not answer, and goes first.
    """
    counts = Counter(held.values())
    order = spread(held.values(), free)
    fullest = max(counts.values(), default=0)
    if not order or fullest - counts[free[order[0]]] < 2:
        return None
    crowded = [node for node in held if counts[held[node]] == fullest]
    return max(crowded, key=lambda node: (node in silent, node)), order[0]


class Patience(Generic[T]):
    """Tells when the same has been wanted for long enough, so that what comes and goes changes nothing.

    Args:
        long_s: how long that is.
    """

    def __init__(self, long_s: float) -> None:
        self._long_s = long_s
        self._wanted: T | None = None
        self._since = 0.0

    def is_over(self, wanted: T | None, now: float) -> bool:
        """Whether this, and nothing else, has been wanted for long enough.

        Args:
            wanted: now; None for nothing.
            now: seconds, on a clock that never goes back.
        """
        if wanted != self._wanted:
            self._wanted, self._since = wanted, now
        return wanted is not None and now - self._since >= self._long_s


def spread(taken: Iterable[str], candidates: Mapping[bytes, str]) -> Sequence[bytes]:
    """Candidates (region by node id) in the order in which they serve regions best.

    Args:
        taken: the regions of those that have a seat.
    """
    held = Counter(taken)
    left = dict(sorted(candidates.items()))
    order = []
    while left:
        best = min(left, key=lambda node: (held[left[node]], left[node], node))
        order.append(best)
        held[left.pop(best)] += 1
    return order


def _size(now: int, reachable: int, members: int) -> int:
    """One step up, when there are as many nodes as that takes; down when there are not as many members."""
    if members < now:
        return max((size for size in SIZES if size <= members), default=now)
    larger = [size for size in SIZES if size > now]
    return larger[0] if larger and reachable >= larger[0] else now
