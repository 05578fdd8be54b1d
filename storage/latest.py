"""The latest posts and reposts of one account, as they stand in feeds: what a new follower is brought."""

from __future__ import annotations

from folkmoot.protocol import limits
from folkmoot.protocol.key import kind_prefix, place_prefix, prefix_end
from folkmoot.protocol.projections.entries import Index, account_of, public_of
from folkmoot.storage.inboxes import SORT_BYTES, Shown, of_post
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.projections import newest
from folkmoot.storage.rows import Frames, row_frames


def latest_of(transaction: Transaction, reposted: int, account: bytes, limit: int) -> list[Shown]:
    """The latest posts and reposts of an account whose place this node keeps, the newest first. Where very
    many were deleted it may be fewer than there are: it is not looked further for ever.

    Args:
        reposted: the generation of reposts that is read.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    latest: list[Shown] = []
    before: bytes | None = None
    for _ in range(max(1, limits.PAGE_ROWS_SCANNED // limit)):
        rows = _rows_of(transaction, reposted, account, limit, before)
        latest += [shown for shown, stands in rows if stands]
        if len(latest) >= limit or len(rows) < limit:
            break
        before = rows[-1][0].at
    return latest[:limit]


def places_of(
    transaction: Transaction, reposted: int, account: bytes, limit: int, before: bytes | None = None
) -> list[Shown]:
    """The next posts and reposts of an account before a place in a feed, the newest first; posts that were
    deleted are among them, so that there are fewer than `limit` only at the end.

    Args:
        reposted, account: see `latest_of`.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    return [shown for shown, _ in _rows_of(transaction, reposted, account, limit, before)]


def _rows_of(
    transaction: Transaction, reposted: int, account: bytes, limit: int, before: bytes | None
) -> list[tuple[Shown, bool]]:
    """What `places_of` tells, each with whether it stands."""
    public, prefix = public_of(account), kind_prefix(account, "post")
    stop = prefix_end(prefix)
    if before is not None:
        stop = prefix + before[:SORT_BYTES] + (b"\0" if public < before[SORT_BYTES:] else b"")
    rows = transaction.last(Table.CELLS, prefix, stop, limit)
    cut = row_frames(rows) if rows else Frames([], [], 0)
    found = [
        (of_post(account, key[len(prefix) :]), frame is not None)
        for key, frame in zip(cut.keys, cut.frames, strict=True)
    ]
    entries = newest(transaction, Index.REPOSTED, reposted, place_prefix(account), before=before, limit=limit)
    for at, item in entries:
        found.append((Shown(at, account_of(at[SORT_BYTES:]), item, account), True))
    return sorted(found, key=lambda row: row[0].at, reverse=True)[:limit]
