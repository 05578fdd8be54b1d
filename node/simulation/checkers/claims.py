"""I7: messages of closed sessions and fenced epochs have no effect, by what the disks of who answers have."""

from __future__ import annotations

from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict


def check(evidence: Evidence) -> Verdict:
    """Take up what was seen when it happened."""
    inquiry = Inquiry("I7")
    watch = evidence.witness.claims
    inquiry.compared = watch.compared
    for complaint in watch.complaints:
        inquiry.complain(complaint)
    return inquiry.verdict(
        {"commits": watch.commits, "fences": watch.fences, "sessions_replaced": watch.replaced}
    )
