"""An author's posts, newest first: the read that everything else is measured by.

Cells of kind `post` stand in the order of their making, so a page is a reverse scan of one slice of the key
space. Frames are cut out of the stored bytes; nothing is decoded, and nothing is looked up post by post:
counts and labels come from one range scan each over the items that the page spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from folkmoot.protocol.crdt.cell import winner_frame
from folkmoot.protocol.key import ITEM_AT, kind_prefix, parse_key, place_prefix, prefix_end
from folkmoot.protocol.limits import PAGE_LABELS_PER_POST, PAGE_ROWS_SCANNED, POST_ITEM_BYTES
from folkmoot.storage import counts
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import Counts, row_cell, row_frames

# Fewer rows than this are not worth a step of their own.
_ROWS_AT_ONCE: Final = 32


class AuthorPage(NamedTuple):
    """Posts of one author, newest first.

    Attributes:
        keys: the posts' cell keys.
        frames: of each, the display winner's `[payload, signature]`, encoded as it was signed.
        counts: item → likes and reposts, for those that have any.
        labels: item → frames of the labels' display winners, at most 16 a post.
        resume: the item before which the next page begins, or None when there is nothing more.
    """

    keys: list[bytes]
    frames: list[bytes]
    counts: dict[bytes, Counts]
    labels: dict[bytes, list[bytes]]
    resume: bytes | None

    @property
    def items(self) -> list[bytes]:
        """The posts' items (16 bytes each)."""
        return [key[ITEM_AT:] for key in self.keys]


def author_page(
    transaction: Transaction, place: bytes, before_item: bytes | None, *, limit: int, bytes_max: int
) -> AuthorPage:
    """The next page of an author's posts.

    Args:
        place: the author's account id (34 bytes).
        before_item: where the last page's `resume` said; None for the newest.
        limit: at most this many posts.
        bytes_max: at most this many bytes of frames, of posts and labels together, but for one post.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    keys, frames, resume = _posts(transaction, place, before_item, limit, bytes_max)
    if not keys:
        return AuthorPage(keys, frames, {}, {}, resume)
    labels = _labels(transaction, place, keys[-1][ITEM_AT:], keys[0][ITEM_AT:])
    if labels:
        kept = _fitting(keys, frames, labels, bytes_max)
        if kept < len(keys):
            del keys[kept:], frames[kept:]
            resume = keys[-1][ITEM_AT:]
    counted = counts.slice_of(transaction, place_prefix(place), keys[-1][ITEM_AT:], keys[0][ITEM_AT:])
    return AuthorPage(keys, frames, counted, labels, resume)


def _posts(
    transaction: Transaction, place: bytes, before_item: bytes | None, limit: int, bytes_max: int
) -> tuple[list[bytes], list[bytes], bytes | None]:
    prefix = kind_prefix(place, "post")
    stop = prefix_end(prefix) if before_item is None else prefix + before_item
    keys: list[bytes] = []
    frames: list[bytes] = []
    size = scanned = 0
    last = None
    while scanned < PAGE_ROWS_SCANNED:
        wanted = min(max(limit - len(keys) + 1, _ROWS_AT_ONCE), PAGE_ROWS_SCANNED - scanned)
        rows = transaction.last(Table.CELLS, prefix, stop, wanted)
        if not scanned and (whole := _plain_page(rows[:limit], bytes_max)):
            return *whole, None if len(rows) <= limit else rows[limit - 1][0][ITEM_AT:]
        for (key, _), frame in zip(rows, row_frames(rows), strict=True):
            if len(keys) == limit:
                return keys, frames, last
            if frame is not None:
                size += len(frame)
                if size > bytes_max and keys:
                    return keys, frames, last
                keys.append(key)
                frames.append(frame)
            last = key[ITEM_AT:]
        if len(rows) < wanted:
            return keys, frames, None
        scanned += wanted
        stop = rows[-1][0]
    return keys, frames, last


def _plain_page(
    rows: Sequence[tuple[bytes, bytes]], bytes_max: int
) -> tuple[list[bytes], list[bytes]] | None:
    """The page that most pages are, made of all the rows there are; None when one is not to be shown."""
    frames = row_frames(rows)
    shown = [frame for frame in frames if frame is not None]
    if len(shown) < len(rows) or sum(map(len, shown)) > bytes_max:
        return None
    return [key for key, _ in rows], shown


def _labels(
    transaction: Transaction, place: bytes, first_item: bytes, last_item: bytes
) -> dict[bytes, list[bytes]]:
    """Labels on posts from `first_item` to `last_item`: their items begin with the post's.

    Bounded in rows as well as per post; what is past the bound of rows belongs to the oldest of the page.
    """
    prefix = kind_prefix(place, "label")
    start, stop = prefix + first_item, prefix_end(prefix + last_item)
    labels: dict[bytes, list[bytes]] = {}
    if not transaction.last(Table.CELLS, start, stop, 1):
        return labels
    rows = transaction.scan(Table.CELLS, start, stop, reverse=True)
    for key, row in islice(rows, PAGE_ROWS_SCANNED):
        of_post = labels.setdefault(key[ITEM_AT : ITEM_AT + POST_ITEM_BYTES], [])
        if len(of_post) < PAGE_LABELS_PER_POST:
            of_post.append(winner_frame(row_cell(key, row)))
    return labels


def labels_of(transaction: Transaction, key: bytes) -> list[bytes]:
    """The frames of the labels on the post at `key`, at most 16."""
    place, _, item = parse_key(key)
    return _labels(transaction, place, item, item).get(item, [])


def _fitting(keys: list[bytes], frames: list[bytes], labels: dict[bytes, list[bytes]], bytes_max: int) -> int:
    """How many of the posts fit with their labels; at least one."""
    size = 0
    for index, (key, frame) in enumerate(zip(keys, frames, strict=True)):
        size += len(frame) + sum(map(len, labels.get(key[ITEM_AT:], ())))
        if size > bytes_max and index:
            return index
    return len(keys)
