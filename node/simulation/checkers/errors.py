"""No node logs an error, or ends, unless it was made to: what supervision survives is still a bug."""

from __future__ import annotations

from folkmoot.node.simulation.checkers.verdict import Evidence, Verdict


def check(evidence: Evidence) -> Verdict:
    """Complain of every error."""
    return Verdict("errors", len(evidence.held), evidence.errors)
