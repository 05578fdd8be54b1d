"""I3: quiet and connected, all replicas of a range hold the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from folkmoot.node.simulation.checkers.verdict import Evidence, HeldCells, Inquiry, Verdict
from folkmoot.node.simulation.layout import RANGES
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap


def check(evidence: Evidence) -> Verdict:
    """Compare every cell of every range on all its slots."""
    inquiry = Inquiry("I3")
    by_id = {held.node_id: held for held in evidence.held}
    for owner in evidence.ranges.ranges:
        if missing := [node.hex() for node in owner.nodes() if node not in by_id]:
            inquiry.complain(f"range {owner.id} could not be compared: nothing is known of {missing}")
        else:
            _compare(inquiry, owner, [by_id[node] for node in owner.nodes()])
    for held in evidence.held:
        for key in held.cells:
            if inquiry.fails(held.node_id in evidence.ranges.lookup(key).nodes()):
                inquiry.complain(f"{held.name} holds {key.hex()}, which is in none of its ranges")
    changes = sum(owner.epoch - 1 for owner in evidence.ranges.ranges)
    splits = len(evidence.ranges.ranges) - RANGES
    return inquiry.verdict({"range_changes": changes, "splits": splits} if changes else None)


def equal_replicas(held: Mapping[bytes, Mapping[bytes, bytes]], ranges: RangeMap) -> bool:
    """Whether all replicas are there and hold the same cells.

    Args:
        held: node id → cell key → cell.
        ranges: who should hold what.
    """
    return all(
        held.keys() >= set(owner.nodes())
        and all(
            _slice(held[owner.nodes()[0]], owner) == _slice(held[node], owner) for node in owner.nodes()[1:]
        )
        for owner in ranges.ranges
    )


def _compare(inquiry: Inquiry, owner: RangeDescriptor, replicas: Sequence[HeldCells]) -> None:
    slices = {replica.name: _slice(replica.cells, owner) for replica in replicas}
    for key in sorted({key for cells in slices.values() for key in cells}):
        states = {cells.get(key) for cells in slices.values()}
        if inquiry.fails(len(states) == 1):
            lacking = [name for name, cells in slices.items() if key not in cells]
            inquiry.complain(
                f"{key.hex()} in range {owner.id} has {len(states)} states; lacked by {lacking or 'nobody'}"
            )


def _slice(cells: Mapping[bytes, bytes], owner: RangeDescriptor) -> dict[bytes, bytes]:
    return {key: cell for key, cell in cells.items() if owner.covers(key)}
