"""Seating: which nodes should hold the seats, given who is a member and who can be reached.

A pure function, so that whoever works it out comes to the same. Seats are few and stay where they are: a
member that is silent keeps its seat, because silence moves nothing. What changes seats by itself is growth
(from one to three to five, over regions first), a seat whose store is another than it was, and a node that
is no longer a member. Who leaves a seat is replaced before the seats are added to; when there are fewer
members than seats, the seats become fewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from folkmoot.protocol.consensus.configuration import SIZES, Configuration, Seat


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
