"""I5: what was acknowledged is kept, and what was acknowledged at quorum is seen by every later quorum read.

A write and a read *meet* when both are at quorum or above, or one of them is at `all`: then they share a
replica. Quorum reads meet each other, too, because they write back what they tell. A record acknowledged at
any level was on a disk, so once all is quiet every replica has it.
"""

from __future__ import annotations

from collections import defaultdict

from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict
from folkmoot.node.simulation.history import QUORUM_LEVELS, Ack, CellRead, History, newest_acks
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.clock import Clock
from folkmoot.protocol.limits import ACCOUNT_BYTES
from folkmoot.protocol.ring.levels import LEVELS


def check(evidence: Evidence) -> Verdict:
    """Hold every read against every write that was acknowledged before it, and the end against all."""
    inquiry = Inquiry("I5")
    judge(inquiry, evidence.history)
    _compare_end(inquiry, evidence)
    history = evidence.history
    facts = {"acks": len(history.acks), "cells_read": len(history.reads), "pages": len(history.pages)}
    return inquiry.verdict(facts)


def judge(inquiry: Inquiry, history: History) -> None:
    """Hold what clients were told against what they had been told before; no replica is looked at."""
    acks: dict[bytes, list[Ack]] = defaultdict(list)
    reads: dict[bytes, list[CellRead]] = defaultdict(list)
    for ack in history.acks:
        acks[ack.record.key].append(ack)
    for read in history.reads:
        reads[read.key].append(read)
    for key, of_key in reads.items():
        for read in of_key:
            _compare_with_writes(inquiry, read, acks[key])
            _compare_with_reads(inquiry, read, of_key)
    for ack in history.acks:
        _compare_levels(inquiry, ack)
    for read in history.reads:
        _compare_levels(inquiry, read)
    _compare_pages(inquiry, history)


def meet(write_level: str, read_level: str) -> bool:
    """Whether a write and a read of these levels share a replica."""
    both = {write_level, read_level}
    return "all" in both or both <= QUORUM_LEVELS


def _compare_levels(inquiry: Inquiry, answer: Ack | CellRead) -> None:
    """What is answered as done has reached what was asked for; levels rise in the order they stand in."""
    order = ("none", *LEVELS)
    if inquiry.fails(order.index(answer.level) >= order.index(answer.asked)):
        what = "write" if isinstance(answer, Ack) else "read"
        inquiry.complain(
            f"a {what} asked for {answer.asked} at {answer.sent_s:.3f} s was answered with {answer.level}"
        )


def _compare_with_writes(inquiry: Inquiry, read: CellRead, acks: list[Ack]) -> None:
    clock: Clock = {} if read.view is None else read.view.clock
    for ack in acks:
        if ack.at_s >= read.sent_s or not meet(ack.level, read.level):
            continue
        if inquiry.fails(clocks.covers(clock, ack.record.device, ack.record.stamp)):
            inquiry.complain(
                f"{read.key.hex()} read at {read.level} at {read.sent_s:.3f} s lacks stamp "
                f"{ack.record.stamp}, acknowledged at {ack.level} at {ack.at_s:.3f} s"
            )


def _compare_with_reads(inquiry: Inquiry, read: CellRead, others: list[CellRead]) -> None:
    if read.level not in QUORUM_LEVELS:
        return
    clock: Clock = {} if read.view is None else read.view.clock
    for other in others:
        if other.view is None or other.at_s >= read.sent_s or other.level not in QUORUM_LEVELS:
            continue
        if inquiry.fails(clocks.dominates(clock, other.view.clock)):
            inquiry.complain(
                f"{read.key.hex()} read at {read.level} at {read.sent_s:.3f} s shows less than the read at "
                f"{other.level} that ended at {other.at_s:.3f} s"
            )


def _compare_pages(inquiry: Inquiry, history: History) -> None:
    """Posts that nobody ever tried to delete are on every page that meets their acknowledgement, but for
    answers of those whom somebody blocks: whom they answer may not have them there."""
    deleted = {record.key for record in history.submitted if record.deleted}
    blocked = {record.item[-ACCOUNT_BYTES:] for record in history.submitted if record.kind == "block"}
    posts: dict[bytes, list[Ack]] = defaultdict(list)
    for ack in history.acks:
        record = ack.record
        may_be_hidden = "reply_to" in record.body and record.author in blocked
        if record.kind == "post" and record.key not in deleted and not may_be_hidden:
            posts[record.author].append(ack)
    for page in history.pages:
        for ack in posts[page.account]:
            record = ack.record
            if ack.at_s >= page.sent_s or not meet(ack.level, page.level) or not page.reaches(record.item):
                continue
            shown = page.shown.get(record.item)
            if inquiry.fails(shown is not None and shown.stamp >= record.stamp):
                inquiry.complain(
                    f"a page read at {page.level} at {page.sent_s:.3f} s lacks stamp {record.stamp} of post "
                    f"{record.item.hex()}, acknowledged at {ack.level} at {ack.at_s:.3f} s"
                )


def _compare_end(inquiry: Inquiry, evidence: Evidence) -> None:
    """Each acknowledged record is known to every replica of its range."""
    clock_of: dict[tuple[str, bytes], Clock] = {}
    for (key, device), ack in newest_acks(evidence.history.acks).items():
        for held in evidence.replicas_of(key):
            at = held.name, key
            if at not in clock_of:
                cell = held.cells.get(key)
                clock_of[at] = {} if cell is None else Cell.decode(cell).clock
            if inquiry.fails(clocks.covers(clock_of[at], device, ack.record.stamp)):
                inquiry.complain(
                    f"{held.name} has lost stamp {ack.record.stamp} of {key.hex()}, acknowledged at "
                    f"{ack.level} at {ack.at_s:.3f} s"
                )
