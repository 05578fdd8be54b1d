"""I10 of search: every index finds the posts of its store, by the words they have now, and no others."""

from __future__ import annotations

from collections.abc import Sequence

from folkmoot.node.simulation.checkers.verdict import Evidence, HeldCells, Inquiry, Verdict
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.search import rederiving

INDEXED_S_MAX = 90.0


def check(evidence: Evidence) -> Verdict:
    """Work out anew what every node should find, and compare it with what its index is made of."""
    inquiry = Inquiry("search")
    for held in evidence.held:
        posts, found = differences(held)
        inquiry.compared += posts
        for sentence in found:
            inquiry.complain(f"{held.name}: {sentence}")
    indexed_s = evidence.quiet.indexed_s
    if indexed_s is None or indexed_s > INDEXED_S_MAX:
        inquiry.complain(f"it took {indexed_s or 'too many'} s, not {INDEXED_S_MAX}, until it was so")
    return inquiry.verdict({"posts": inquiry.compared, "indexed_s": indexed_s or 0.0})


def differences(held: HeldCells) -> tuple[int, list[str]]:
    """How many posts a node should find, and what it has otherwise."""
    try:
        should = rederiving.expected(held.engine)
    except StoreCorrupt as error:
        return 0, [f"what it should find cannot be told: {error}"]
    if held.index is None:
        return len(should), ["there is no index that was ever whole"]
    return len(should), rederiving.differences(should, rederiving.held(held.index))


def are_equal(held: Sequence[HeldCells]) -> bool:
    """Whether every node's index is what it should be."""
    return not any(differences(each)[1] for each in held)
