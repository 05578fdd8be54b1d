"""Pages of the change log: what has changed after a moment, and what stands there now.

A place in a log means something only as long as the log went through it (see `boots`). So a page is asked
for after a moment of a log, and says whether what the store is now came of that moment; where it did not, it
begins where the asker says it may begin instead.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from folkmoot.protocol.feed.pages import pack_item
from folkmoot.protocol.limits import FOLLOW_EVENT_BYTES, FOLLOW_LOG_ROWS
from folkmoot.protocol.projections.entries import Projection
from folkmoot.storage.boots import Moment, present_moment, went_through
from folkmoot.storage.changes import Change, changes_between
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Transaction
from folkmoot.storage.labelled import TrustedLabellers
from folkmoot.storage.pages import shown
from folkmoot.storage.projections import generation_of
from folkmoot.storage.view import OnDamage


class LogAsked(NamedTuple):
    """What a page is to be of.

    Attributes:
        start, end: of the cells with start ≤ key < end (an empty `end` is the end).
        log: the log (16 bytes) that `after` is a moment of; None to begin at `otherwise`.
        after: the moment.
        otherwise: the change to begin after when the log never went through that moment; None for now.
        most: at most so many changes.
        without: kinds, as bytes of keys, that are passed over.
        items: whether the cells are wanted, too.
    """

    start: bytes
    end: bytes
    log: bytes | None
    after: Moment
    otherwise: int | None
    most: int
    without: Container[int] = ()
    items: bool = False


class LogPage(NamedTuple):
    """Some changes.

    Attributes:
        exact: whether it begins after the moment that was asked for.
        boot: by which the log is now being written.
        rows: the changes, in order; of a cell the latest one.
        items: of each the packed item (see `feed.pages`), empty where nothing can be told; none if not asked.
        damaged: how many rows of the log cannot be read any more, among those looked at.
        reached: the next page goes on after this change.
        head: the latest change of the store; when `reached` is as far, there is no more.
    """

    exact: bool
    boot: int
    rows: list[Change]
    items: list[bytes]
    damaged: int
    reached: int
    head: int


def page(
    transaction: Transaction, log_id: bytes, asked: LogAsked, trusted: TrustedLabellers, on_damage: OnDamage
) -> LogPage:
    """The next changes.

    A cell that is damaged is told with nothing: when it is mended it changes, and is told again.

    Args:
        log_id: of this log.
        trusted: whose labels come first.
        on_damage: told of damaged cells.

    Raises:
        StoreCorrupt: what the log says of itself is damaged.
    """
    present = present_moment(transaction)
    exact = asked.log == log_id and went_through(transaction, asked.after)
    after = asked.after.sequence if exact else asked.otherwise
    if after is None:
        return LogPage(exact, present.boot, [], [], 0, present.sequence, present.sequence)
    found = changes_between(
        transaction,
        after,
        FOLLOW_LOG_ROWS,
        asked.start,
        asked.end,
        most=asked.most,
        without=asked.without,
    )
    rows, reached = found.rows, found.reached
    items: list[bytes] = []
    if asked.items:
        size = 0
        threads = generation_of(transaction, Projection.THREADS).live
        for row in rows:
            item = _item(transaction, row.key, trusted, threads, on_damage)
            size += len(item)
            if items and size > FOLLOW_EVENT_BYTES:
                rows = rows[: len(items)]
                reached = rows[-1].sequence
                break
            items.append(item)
    return LogPage(exact, present.boot, rows, items, len(found.damaged), reached, found.head)


def _item(
    transaction: Transaction, key: bytes, trusted: TrustedLabellers, threads: int, on_damage: OnDamage
) -> bytes:
    try:
        found = shown(transaction, key, trusted, threads)
    except StoreCorrupt as error:
        on_damage(error)
        return b""
    return b"" if found is None else pack_item(found.frame, found.labels, *found.counts, found.replies)
