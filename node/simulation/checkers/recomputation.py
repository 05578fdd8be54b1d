"""I10: block sums, counts, the log and the hints' states equal their full recomputation, on every node."""

from __future__ import annotations

from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict
from folkmoot.storage.verify import verify


def check(evidence: Evidence) -> Verdict:
    """Verify every store."""
    inquiry = Inquiry("I10")
    for held in evidence.held:
        report = verify(held.engine, signatures=True)
        inquiry.compared += report.cells
        for finding in report.findings:
            inquiry.complain(f"{held.name}: {finding.table} {finding.where}: {finding.what}")
    return inquiry.verdict()
