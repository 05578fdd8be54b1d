"""I11: after a heal, membership and repair finish within a stated bound; so does the notice of a death."""

from __future__ import annotations

from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict

EQUAL_S_MAX = 60.0
AGREED_S_MAX = 60.0
NOTICED_S_MAX = 45.0
RETURNED_S_MAX = 30.0


def check(evidence: Evidence) -> Verdict:
    """Hold the times it took against their bounds."""
    inquiry = Inquiry("I11")
    facts: dict[str, int | float] = {}
    for what, took_s, most_s in (
        ("equal_s", evidence.quiet.equal_s, EQUAL_S_MAX),
        ("agreed_s", evidence.quiet.agreed_s, AGREED_S_MAX),
        ("noticed_s", evidence.quiet.noticed_s, NOTICED_S_MAX),
        ("returned_s", evidence.quiet.returned_s, RETURNED_S_MAX),
    ):
        if took_s is not None:
            facts[what] = round(took_s, 1)
        if inquiry.fails(took_s is not None and took_s <= most_s):
            inquiry.complain(f"{what} was {took_s or 'never reached'}, and may be {most_s}")
    return inquiry.verdict(facts)
