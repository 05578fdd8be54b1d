"""Whom to ask for what: few nodes, and near ones, that keep all of some ranges together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence


def assigned(candidates: Mapping[int, Sequence[bytes]], own: bytes) -> dict[bytes, list[int]]:
    """Which ranges each node is to be asked for; ranges without candidates are left out.

    Greedily: this node is asked for all it keeps, then again and again whoever is a near replica of most of
    what is left. (The least number of nodes is a set cover, and those are hard to find.)

    Args:
        candidates: of each range the nodes that may be asked, the nearest first.
        own: this node's id.
    """
    left = {range_id: nodes for range_id, nodes in candidates.items() if nodes}
    found: dict[bytes, list[int]] = {}
    chosen: bytes | None = own
    while left and chosen is not None:
        ranges = [range_id for range_id, nodes in left.items() if chosen in nodes]
        if ranges:
            found[chosen] = ranges
        for range_id in ranges:
            del left[range_id]
        chosen = _weightiest(left)
    return found


def _weightiest(left: Mapping[int, Sequence[bytes]]) -> bytes | None:
    weights: dict[bytes, float] = defaultdict(float)
    for nodes in left.values():
        for rank, node in enumerate(nodes, start=1):
            weights[node] += 1 / rank
    return max(weights, key=lambda node: (weights[node], node), default=None)
