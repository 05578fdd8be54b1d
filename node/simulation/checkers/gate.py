"""The gate: what the policy refuses or holds for review is shown to nobody and stands in no cell."""

from __future__ import annotations

from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict
from folkmoot.protocol.crdt.cell import Cell


def check(evidence: Evidence) -> Verdict:
    """Look for what was kept back, in every read and in what the replicas hold in the end."""
    inquiry = Inquiry("gate")
    dots = {(record.key, record.device, record.stamp) for record in evidence.history.kept_back}
    keys = {key for key, _, _ in dots}
    for read in evidence.history.reads:
        if read.key in keys and read.view is not None:
            shown = {(read.key, *dot) for dot in read.view.shown}
            if inquiry.fails(not shown & dots):
                inquiry.complain(
                    f"{read.key.hex()} read at {read.sent_s:.3f} s shows what the policy kept back"
                )
    for key in sorted(keys):
        for held in evidence.replicas_of(key):
            data = held.cells.get(key)
            records = () if data is None else Cell.decode(data).records()
            if inquiry.fails(not {(key, record.device, record.stamp) for record in records} & dots):
                inquiry.complain(f"{held.name} holds at {key.hex()} what the policy kept back")
    return inquiry.verdict({"kept_back": len(dots)})
