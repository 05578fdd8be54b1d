"""I8: registers are linearizable: a single copy of each could have given all the answers that clerks got."""

from __future__ import annotations

from folkmoot.node.simulation.checkers.linearizability import UNKNOWN, linearize
from folkmoot.node.simulation.checkers.models import Register
from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict
from folkmoot.node.simulation.history import History


def check(evidence: Evidence) -> Verdict:
    """Look for an order of each register's operations."""
    inquiry = Inquiry("I8")
    return inquiry.verdict(judge(inquiry, evidence.history))


def judge(inquiry: Inquiry, history: History) -> dict[str, int]:
    """The same in a history alone; how many changes took effect, and how many are in doubt."""
    changed = in_doubt = 0
    for register, operations in sorted(history.registers.items()):
        order = linearize(operations, Register())
        if inquiry.fails(order.linearizable is True):
            if (blocked := order.blocked) is None:
                # What was not found out is not known to hold.
                inquiry.complain(f"register {register}: undecided after {order.tried} steps of the search")
                continue
            inquiry.complain(
                f"register {register}: no order of {len(operations)} operations has {blocked.call} by "
                f"{blocked.process} answer {blocked.result!r}"
            )
        inquiry.compared += len(operations) - 1
        changed += sum(each.result is True for each in operations)
        in_doubt += sum(each.result is UNKNOWN for each in operations)
    return {"changed": changed, "in_doubt": in_doubt}
