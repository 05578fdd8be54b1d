"""I6: nothing deleted or switched off returns, whoever replays what.

Nor does what is older than a record that erases. Looked for in three places: in every commit of every node
(see `witness`), in every read that meets the acknowledgement of a deletion or an "off" (see `quorum.meet`),
and in what the replicas hold in the end.
"""

from __future__ import annotations

from collections import defaultdict

from folkmoot.node.simulation.checkers.quorum import meet
from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict
from folkmoot.node.simulation.history import Ack, CellRead, CellView, History, PageRead
from folkmoot.node.simulation.witness import outlived
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.flag import is_on
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.record import Record

Gone = dict[bytes, list[Ack]]


def check(evidence: Evidence) -> Verdict:
    """Look for what should be gone."""
    inquiry = Inquiry("I6")
    gone = judge(inquiry, evidence.history)
    _look_in_the_end(inquiry, gone, evidence)
    inquiry.complaints += evidence.witness.complaints
    deletions = sum(acks[0].record.deleted for acks in gone.values())
    facts = {"deletions": deletions, "offs": len(gone) - deletions, "commits": evidence.witness.transitions}
    return inquiry.verdict(facts)


def judge(inquiry: Inquiry, history: History) -> Gone:
    """Look in everything clients were told; no replica is looked at. What should be gone, by key."""
    gone: Gone = defaultdict(list)
    for ack in history.acks:
        if ack.record.deleted or ack.record.body.get("on") is False:
            gone[ack.record.key].append(ack)
    for read in history.reads:
        _look_in_read(inquiry, gone, read)
    for page in history.pages:
        _look_in_page(inquiry, gone, page)
    return gone


def _look_in_read(inquiry: Inquiry, gone: Gone, read: CellRead) -> None:
    for ack in gone.get(read.key, ()):
        if ack.at_s >= read.sent_s or not meet(ack.level, read.level) or read.view is None:
            continue
        if inquiry.fails(_stays_gone(read.view, ack.record)):
            inquiry.complain(
                f"{read.key.hex()} was taken back at {ack.at_s:.3f} s and is back at {read.sent_s:.3f} s"
            )


def _look_in_page(inquiry: Inquiry, gone: Gone, page: PageRead) -> None:
    for item, shown in page.shown.items():
        for ack in gone.get(cell_key(page.account, "post", item), ()):
            if ack.at_s >= page.sent_s or not meet(ack.level, page.level):
                continue
            if inquiry.fails(shown.deleted):
                inquiry.complain(
                    f"post {item.hex()} was deleted at {ack.at_s:.3f} s and paged at {page.sent_s:.3f} s"
                )


def _stays_gone(view: CellView, record: Record) -> bool:
    if record.deleted:
        return view.deleted
    return not view.on or view.clock[record.device] > record.stamp


def _look_in_the_end(inquiry: Inquiry, gone: Gone, evidence: Evidence) -> None:
    for key, acks in gone.items():
        last = max((ack.record for ack in acks), key=lambda record: record.stamp)
        for held in evidence.replicas_of(key):
            data = held.cells.get(key)
            cell = None if data is None else Cell.decode(data)
            if inquiry.fails(cell is not None and _is_gone(cell, last)):
                inquiry.complain(f"{held.name} holds {key.hex()}, which was taken back by stamp {last.stamp}")
            erased = [] if cell is None else [each for ack in acks for each in outlived(cell, ack.record)]
            if inquiry.fails(not erased):
                inquiry.complain(f"{held.name} holds at {key.hex()} what was erased: stamp {erased[0].stamp}")


def _is_gone(cell: Cell, record: Record) -> bool:
    if record.deleted:
        return cell.deleted
    return not is_on(cell) or cell.clock[record.device] > record.stamp
