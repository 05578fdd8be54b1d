"""I12: queues, hints, store queues and what streams hold are bounded; the peaks are reported."""

from __future__ import annotations

from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict


def check(evidence: Evidence) -> Verdict:
    """Hold every peak against its bound."""
    inquiry = Inquiry("I12")
    for what, (peak, bound) in evidence.peaks.items() if evidence.samples else ():
        if inquiry.fails(peak <= bound):
            inquiry.complain(f"{what} reached {peak}, and its bound is {bound}")
    return inquiry.verdict({what: peak for what, (peak, _) in evidence.peaks.items()})
