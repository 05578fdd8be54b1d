"""I1: what a node acknowledged it still has, or it does not count towards quorums."""

from __future__ import annotations

from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict
from folkmoot.node.simulation.history import QUORUM_LEVELS, History
from folkmoot.node.simulation.promise_watch import Owed
from folkmoot.protocol.crdt import clock as clocks


def check(evidence: Evidence) -> Verdict:
    """Take up what was seen on disks when it happened, and judge what was owed by what clients were told."""
    inquiry = Inquiry("I1")
    watch = evidence.witness.promises
    inquiry.compared = watch.compared
    for complaint in watch.complaints:
        inquiry.complain(complaint)
    for owed in watch.owed:
        judge(inquiry, owed, evidence.history)
    return inquiry.verdict({"boots": watch.boots, "went_back": len(watch.owed)})


def judge(inquiry: Inquiry, owed: Owed, history: History) -> None:
    """What a quorum had acknowledged before a disk went back was there when its node counted again."""
    for ack in history.acks:
        key, device, stamp = ack.record.key, ack.record.device, ack.record.stamp
        if key not in owed.lacked or ack.level not in QUORUM_LEVELS or ack.at_s >= owed.since_s:
            continue
        if clocks.covers(owed.lacked[key], device, stamp) and inquiry.fails(
            clocks.covers(owed.had[key], device, stamp)
        ):
            inquiry.complain(
                f"{owed.disk} counts at {owed.counted_s:.3f} s without stamp {stamp} of {key.hex()}, which "
                f"its node had had, and which was acknowledged at {ack.level} at {ack.at_s:.3f} s"
            )
