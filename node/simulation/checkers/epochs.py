"""I4: no two epochs can both form a quorum of one range, whatever stood on the nodes' disks at any moment."""

from __future__ import annotations

from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict


def check(evidence: Evidence) -> Verdict:
    """Take up what was seen when it happened."""
    inquiry = Inquiry("I4")
    watch = evidence.witness.epochs
    inquiry.compared = watch.compared
    for complaint in watch.complaints:
        inquiry.complain(complaint)
    return inquiry.verdict()
