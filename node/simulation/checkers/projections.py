"""I10 of projections: what each node keeps of them is what all cells of the cluster come to.

A node is held to what it keeps by the range map. Cells are taken from whoever should hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from folkmoot.node.simulation.checkers.verdict import Evidence, HeldCells, Inquiry, Verdict
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.projections.entries import Projection
from folkmoot.protocol.projections.facts import Facts, facts_of, is_projected
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.storage.projections import generation_of
from folkmoot.storage.rederiving import kept, rederived

PROJECTED_S_MAX = 90.0


def check(evidence: Evidence) -> Verdict:
    """Work out anew what every node should have."""
    inquiry = Inquiry("projections")
    facts = facts_in(evidence.held, evidence.ranges)
    entries = 0
    for held in evidence.held:
        due, found = differences(held, facts, evidence.ranges)
        entries += due
        inquiry.compared += due + len(facts)  # of a cell there may be nothing, and then nothing else is right
        for sentence in found:
            inquiry.complain(f"{held.name}: {sentence}")
    projected_s = evidence.quiet.projected_s
    if projected_s is None or projected_s > PROJECTED_S_MAX:
        inquiry.complain(f"it took {projected_s or 'too many'} s, not {PROJECTED_S_MAX}, until it was so")
    return inquiry.verdict({"entries": entries, "projected_s": projected_s or 0.0})


def facts_in(held: Sequence[HeldCells], ranges: RangeMap) -> list[tuple[bytes, Facts]]:
    """What projections are to be made of: of each range what its first replica holds."""
    by_id = {each.node_id: each for each in held}

    def cells() -> Iterator[tuple[bytes, bytes]]:
        for owner in ranges.ranges:
            holder = next((by_id[node] for node in owner.nodes() if node in by_id), None)
            if holder is not None:
                yield from ((key, cell) for key, cell in holder.cells.items() if owner.covers(key))

    return [(key, facts_of(Cell.decode(cell))) for key, cell in cells() if is_projected(key)]


def differences(
    held: HeldCells, facts: Sequence[tuple[bytes, Facts]], ranges: RangeMap
) -> tuple[int, list[str]]:
    """How many entries a node should have, and what it has otherwise."""

    def keeps(key: bytes) -> bool:
        return held.node_id in ranges.lookup(key).nodes()

    with held.engine.begin() as transaction:
        live = {each: generation_of(transaction, each).live for each in Projection}
        should = rederived(transaction, live, facts, keeps)
        return len(should.entries), should.differences(kept(transaction, live, keeps))


def are_equal(held: Sequence[HeldCells], ranges: RangeMap) -> bool:
    """Whether every node's projections are what they should be."""
    facts = facts_in(held, ranges)
    return not any(differences(each, facts, ranges)[1] for each in held)
