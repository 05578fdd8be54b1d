"""I9: with a token, per cell: read your writes, monotonic reads, monotonic writes, writes follow reads.

What a session wrote and what it was shown becomes its floor; whatever node answers it later must show at
least that. Of what a device wrote, only the newest that the cell's clock covers may be shown: were an older
one to stand beside or instead of it, writes would have been applied in another order than they were made.
"""

from __future__ import annotations

from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict
from folkmoot.node.simulation.history import CellRead, PageRead
from folkmoot.protocol.crdt import clock as clocks


def check(evidence: Evidence) -> Verdict:
    """Hold every read against its session's floor."""
    inquiry = Inquiry("I9")
    for read in evidence.history.reads:
        if read.floor:
            _compare_with_floor(inquiry, read)
    for page in evidence.history.pages:
        _compare_page_with_floor(inquiry, page)
    with_floor = inquiry.compared
    for read in evidence.history.reads if with_floor else ():
        _compare_order(inquiry, read)
    return inquiry.verdict({"with_floor": with_floor})


def _compare_with_floor(inquiry: Inquiry, read: CellRead) -> None:
    seen = {} if read.view is None else read.view.clock
    if inquiry.fails(clocks.dominates(seen, read.floor)):
        inquiry.complain(
            f"session {read.session} read {read.key.hex()} at {read.level} at {read.sent_s:.3f} s and was "
            "shown less than it had seen before"
        )


def _compare_page_with_floor(inquiry: Inquiry, page: PageRead) -> None:
    for item, stamp in page.floor.items():
        if page.reaches(item):
            shown = page.shown.get(item)
            if inquiry.fails(shown is not None and shown.stamp >= stamp):
                inquiry.complain(
                    f"a page read at {page.level} at {page.sent_s:.3f} s lacks stamp {stamp} of the reader's "
                    f"own post {item.hex()}"
                )


def _compare_order(inquiry: Inquiry, read: CellRead) -> None:
    if read.view is None or read.view.deleted:
        return
    for device, stamp in read.view.shown:
        if inquiry.fails(read.view.clock.get(device) == stamp):
            inquiry.complain(
                f"{read.key.hex()} read at {read.sent_s:.3f} s shows an older write than its clock covers"
            )
