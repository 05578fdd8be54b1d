"""Which nodes hold a range: capacity-weighted rendezvous hashing, region by region.

For one range each node draws a score from a hash of (range, node), and the highest win. A node's scores
depend on nothing but itself, so a node that comes takes exactly the slots it wins and one that goes gives
up exactly its own: no other slot moves. With h uniform in (0, 1), -w / ln h makes the chance of winning
proportional to the weight w.

Source: D. Thaler, C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (1998); the weighted
form: C. Schindelhauer, G. Schomaker, "Weighted Distributed Hash Tables" (2005), logarithmic method.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from folkmoot.protocol import limits
from folkmoot.protocol.key import block_start
from folkmoot.protocol.ring.errors import PlacementError
from folkmoot.protocol.ring.ranges import OPEN, RangeDescriptor, RangeMap, Slot
from folkmoot.protocol.ring.roster import Replicas, Roster, RosterNode

_NODE_DOMAIN: Final = b"folkmoot-place-node\0"
_REGION_DOMAIN: Final = b"folkmoot-place-region\0"
_HASH_BITS: Final = 52


def bootstrap_map(roster: Roster, replicas: Replicas, count: int = limits.RANGES_INITIAL) -> RangeMap:
    """The first map of a cluster: equal ranges at epoch 1, the same from every founder.

    Args:
        roster: the founders.
        replicas: see `place`.
        count: of ranges; divides 64, so that each range is so many whole lanes.

    Raises:
        PlacementError: the roster has too few nodes somewhere, or there cannot be so many ranges.
    """
    if count < 1 or limits.LANES % count:
        raise PlacementError(f"a cluster begins with 1, 2, 4, 8, 16, 32 or 64 ranges, not with {count}")
    blocks = limits.BLOCKS // count
    starts = [OPEN, *(block_start(number * blocks) for number in range(1, count))]
    ends = [*starts[1:], OPEN]
    return RangeMap(
        tuple(
            RangeDescriptor(number, 1, start, end, place(roster, replicas, number))
            for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        )
    )


def place(roster: Roster, replicas: Replicas, range_id: int) -> tuple[Slot, ...]:
    """The slots of one range: regions by name, and in each the winners in the order of their scores.

    Args:
        roster: who there is.
        replicas: so many in each region; or a total, spread over the regions as evenly as possible (which
            regions get the odd one is drawn per range, by the regions' capacities).
        range_id: the range's number.

    Raises:
        PlacementError: the roster has too few nodes somewhere, or `replicas` makes no sense.
    """
    regions = roster.regions()
    counts = _spread(regions, replicas, range_id) if isinstance(replicas, int) else dict(replicas)
    _check_counts(regions, counts)
    return tuple(
        Slot(region, (node.node_id,))
        for region in sorted(counts)
        for node in _rank_nodes(regions.get(region, ()), range_id)[: counts[region]]
    )


def score(domain: bytes, range_id: int, candidate: bytes, weight: float) -> float:
    """The candidate's score for the range: greater wins, ever more likely with its weight.

    Args:
        domain: separates draws that must not depend on one another.
        range_id: the range's number.
        candidate: the bytes that name the node or region.
        weight: above 0.
    """
    digest = hashlib.sha256(domain + range_id.to_bytes(8, "big") + candidate).digest()
    # The half keeps h inside the open interval, where the logarithm is finite and below zero.
    uniform = ((int.from_bytes(digest[:8], "big") >> (64 - _HASH_BITS)) + 0.5) / (1 << _HASH_BITS)
    return -weight / math.log(uniform)


def _rank_nodes(nodes: Iterable[RosterNode], range_id: int) -> list[RosterNode]:
    return sorted(
        nodes,
        key=lambda node: (-score(_NODE_DOMAIN, range_id, node.node_id, node.capacity), node.node_id),
    )


def _rank_regions(regions: Mapping[str, Sequence[RosterNode]], range_id: int) -> list[str]:
    def rank(region: str) -> tuple[float, str]:
        weight = sum(node.capacity for node in regions[region])
        return -score(_REGION_DOMAIN, range_id, region.encode(), weight), region

    return sorted(regions, key=rank)


def _spread(regions: Mapping[str, Sequence[RosterNode]], total: int, range_id: int) -> dict[str, int]:
    """Deal `total` replicas to the regions one at a time, passing over regions that have no node left."""
    there = sum(len(nodes) for nodes in regions.values())
    if total > there:
        raise PlacementError(
            f"replicas = {total}, and the roster has {there} nodes: "
            f"add {'a node' if total - there == 1 else f'{total - there} nodes'} or lower replicas"
        )
    order = _rank_regions(regions, range_id)
    counts = dict.fromkeys(order, 0)
    dealt = 0
    while dealt < total:
        for region in order:
            if dealt < total and counts[region] < len(regions[region]):
                counts[region] += 1
                dealt += 1
    return counts


def _check_counts(regions: Mapping[str, Sequence[RosterNode]], counts: Mapping[str, int]) -> None:
    if any(count < 0 for count in counts.values()) or not 1 <= sum(counts.values()) <= limits.SLOTS_PER_RANGE:
        raise PlacementError(f"replicas add up to {sum(counts.values())}, not 1 to {limits.SLOTS_PER_RANGE}")
    lacking = [
        f"region {region!r} lacks {count - there} of the {count} nodes asked for"
        for region, count in sorted(counts.items())
        if (there := len(regions.get(region, ()))) < count
    ]
    if lacking:
        raise PlacementError("; ".join(lacking) + ": add nodes there or lower replicas")
