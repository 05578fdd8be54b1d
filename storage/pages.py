"""An author's posts, newest first: the read that everything else is measured by.

Cells of kind `post` stand in the order of their making, so a page is a reverse scan of one slice of the key
space. Frames are cut out of the stored bytes, and nothing is looked up for a post that has nothing: counts
come from one range scan over the items that the page spans, labels from the posts that bear some.

Anyone may put labels on anyone's post, so those of *trusted* labellers (the cluster's own nodes) have the
first places. They are found by seeking, since what one labeller says about a post stands together: however
many labels others put there, each is passed over without being read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, cast

from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import winner_frame
from folkmoot.protocol.feed.pages import PackedPage, pack_page, pack_plain_page
from folkmoot.protocol.feed.telling import any_telling
from folkmoot.protocol.key import (
    ITEM_AT,
    KIND_AT,
    KIND_BYTE,
    PLACE_PREFIX_BYTES,
    kind_prefix,
    parse_key,
    place_prefix,
    prefix_end,
)
from folkmoot.protocol.limits import (
    ACCOUNT_BYTES,
    PAGE_LABELS_PER_POST,
    PAGE_ROWS_SCANNED,
    POST_ITEM_BYTES,
)
from folkmoot.protocol.moderation.label import KIND as LABEL
from folkmoot.protocol.moderation.label import VALUE_AT, labeller_prefix
from folkmoot.protocol.projections.entries import Index
from folkmoot.protocol.record import Record
from folkmoot.storage import counts
from folkmoot.storage.decided import Hidden, applied_on_page, applied_to
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.projections import entry_key, tally
from folkmoot.storage.rows import NO_COUNTS, Counts, Frames, counts_key, row_cell, row_frames, unseal
from folkmoot.storage.shown_post import GONE, Post, packed_post

_POST: Final = KIND_BYTE["post"]
_LABEL: Final = bytes((KIND_BYTE["label"],))

# Fewer rows than this are not worth a step of their own.
_ROWS_AT_ONCE: Final = 32

# How many labels of one labeller on one post are looked at, those taken back among them.
_ROWS_PER_LABELLER: Final = 4 * PAGE_LABELS_PER_POST

TrustedLabellers = Callable[[], frozenset[bytes]]
"""Whose labels come first: account ids of 34 bytes. Asked only when there are labels."""


class AuthorPage(NamedTuple):
    """Posts of one author, newest first.

    Attributes:
        keys: the posts' cell keys.
        frames: of each, the display winner's `[payload, signature]`, encoded as it was signed.
        counts: item → likes and reposts, for those that have any.
        replies: item → how many replies, for those that have any.
        labels: item → frames of the labels' display winners, at most 16 a post, those of trusted labellers
            first; labels that were taken back are left out.
        decisions: item → frames of the decisions that apply to the version that is shown.
        resume: the item before which the next page begins, or None when there is nothing more.
    """

    keys: list[bytes]
    frames: list[bytes]
    counts: dict[bytes, Counts]
    replies: dict[bytes, int]
    labels: dict[bytes, list[bytes]]
    decisions: dict[bytes, list[bytes]]
    resume: bytes | None

    @property
    def items(self) -> list[bytes]:
        """The posts' items (16 bytes each)."""
        return [key[ITEM_AT:] for key in self.keys]

    def packed(self) -> PackedPage:
        """The page as it is sent."""
        labels, counted, replies, decisions = self.labels, self.counts, self.replies, self.decisions
        if not labels and not counted and not replies and not decisions:
            return pack_plain_page(self.frames, self.resume)
        packed = (
            packed_post(
                *(frame, labels.get(item, ()), *counted.get(item, NO_COUNTS)),
                *(replies.get(item, 0), decisions.get(item, ())),
            )
            for item, frame in zip(self.items, self.frames, strict=True)
        )
        telling = bool(labels or decisions) or any_telling(self.frames)
        return pack_page(packed, self.resume, telling=telling)


def author_page(
    transaction: Transaction,
    place: bytes,
    before_item: bytes | None,
    *,
    limit: int,
    bytes_max: int,
    trusted: TrustedLabellers,
    threads: int,
) -> AuthorPage:
    """The next page of an author's posts.

    Args:
        place: the author's account id (34 bytes).
        before_item: where the last page's `resume` said; None for the newest.
        limit: at most this many posts.
        bytes_max: at most this many bytes of frames, of posts and labels together, but for one post.
        trusted: whose labels come first.
        threads: the generation of threads that is read.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    keys, frames, resume = _posts(transaction, place, before_item, limit, bytes_max)
    if not keys:
        return AuthorPage(keys, frames, {}, {}, {}, {}, resume)
    labels = _labels(transaction, place, keys[-1][ITEM_AT:], keys[0][ITEM_AT:], bytes_max, trusted)
    decisions = applied_on_page(transaction, keys, frames)
    if labels or decisions:
        kept = _fitting(keys, frames, (labels, decisions), bytes_max)
        if kept < len(keys):
            del keys[kept:], frames[kept:]
            resume = keys[-1][ITEM_AT:]
    prefix, first, last = place_prefix(place), keys[-1][ITEM_AT:], keys[0][ITEM_AT:]
    counted = counts.slice_of(transaction, prefix, first, last)
    replies = _tallies(transaction, Index.REPLIES, threads, prefix, first, last)
    return AuthorPage(keys, frames, counted, replies, labels, decisions, resume)


def posts_at(
    transaction: Transaction, keys: Iterable[bytes], trusted: TrustedLabellers, threads: int
) -> list[Post | None]:
    """The posts at some keys; None where nothing is known, or only what is damaged.

    Args:
        keys: of cells of kind `post`.
        trusted, threads: as in `author_page`.
    """
    found: list[Post | None] = []
    for key in keys:
        row = transaction.get(Table.CELLS, key)
        try:
            found.append(None if row is None else _post(transaction, key, row, trusted, threads))
        except StoreCorrupt:
            found.append(None)
    return found


def _post(transaction: Transaction, key: bytes, row: bytes, trusted: TrustedLabellers, threads: int) -> Post:
    frame = row_frames([(key, row)]).frames[0]
    if frame is None:
        return GONE
    place, item = key[:PLACE_PREFIX_BYTES], key[ITEM_AT:]
    labels_at = place + _LABEL + item
    labels: list[bytes] = []
    if transaction.holds(Table.CELLS, labels_at, prefix_end(labels_at)):
        labels = _labels_on(transaction, labels_at, _Trusted.of(trusted()), Hidden(transaction, place, LABEL))
    replies = tally(transaction, Index.REPLIES, threads, place + item)
    decisions = applied_to(transaction, key, frame)
    return Post(frame, labels, counts.read(transaction, place + item), replies, decisions)


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
        step = max(limit - len(keys), _ROWS_AT_ONCE if scanned else 1)
        step = min(step, PAGE_ROWS_SCANNED - scanned)
        rows = transaction.last(Table.CELLS, prefix, stop, step + 1)
        cut = row_frames(rows[:step])
        if not scanned and _is_page(cut, bytes_max) and (len(rows) <= step or step == limit):
            resume = None if len(rows) <= step else cut.keys[-1][ITEM_AT:]
            return cut.keys, cast(list[bytes], cut.frames), resume
        for key, frame in zip(cut.keys, cut.frames, strict=True):
            if len(keys) == limit:
                return keys, frames, last
            if frame is not None:
                size += len(frame)
                if size > bytes_max and keys:
                    return keys, frames, last
                keys.append(key)
                frames.append(frame)
            last = key[ITEM_AT:]
        if len(rows) <= step:
            return keys, frames, None
        scanned += step
        stop = cut.keys[-1]
        if len(keys) == limit:
            break
    return keys, frames, last


def _is_page(cut: Frames, bytes_max: int) -> bool:
    """Whether rows are a page as they are, which most are: nothing is deleted and everything fits."""
    if not all(cut.frames):
        return False
    return cut.bytes_max <= bytes_max or sum(map(len, cast(list[bytes], cut.frames))) <= bytes_max


def labels_of(transaction: Transaction, key: bytes, trusted: TrustedLabellers) -> list[bytes]:
    """The frames of the labels on the post at `key`, as a page shows them.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    place, _, item = parse_key(key)
    return _labels(transaction, place, item, item, 0, trusted).get(item, [])


class Shown(NamedTuple):
    """One cell, as it is told to those who follow.

    Attributes:
        frame: the display winner's `[payload, signature]`, be it a deletion.
        labels: as on a page; none on what is no post.
        counts: likes and reposts of a post.
        replies: how many it has.
    """

    frame: bytes
    labels: list[bytes]
    counts: Counts
    replies: int


def shown(transaction: Transaction, key: bytes, trusted: TrustedLabellers, threads: int) -> Shown | None:
    """What stands at `key`; None when nothing does.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    row = transaction.get(Table.CELLS, key)
    if row is None:
        return None
    frame = winner_frame(row_cell(key, row))
    if key[KIND_AT] != _POST:
        return Shown(frame, [], NO_COUNTS, 0)
    at = counts_key(key)
    replies = tally(transaction, Index.REPLIES, threads, at)
    return Shown(frame, labels_of(transaction, key, trusted), counts.read(transaction, at), replies)


def _labels(
    transaction: Transaction,
    place: bytes,
    first_item: bytes,
    last_item: bytes,
    bytes_max: int,
    trusted: TrustedLabellers,
) -> dict[bytes, list[bytes]]:
    """Labels on posts from `first_item` to `last_item`, from the last one back.

    Ends with the post whose labels are more than `bytes_max` together: no page has room for those beyond.
    """
    prefix = kind_prefix(place, "label")
    start, stop = prefix + first_item, prefix_end(prefix + last_item)
    labels: dict[bytes, list[bytes]] = {}
    if not transaction.holds(Table.CELLS, start, stop):
        return labels
    newest = transaction.last(Table.CELLS, start, stop, 1)
    first, hidden = _Trusted.of(trusted()), Hidden(transaction, place_prefix(place), LABEL)
    size = 0
    while newest and size <= bytes_max:
        of_post = newest[0][0][: ITEM_AT + POST_ITEM_BYTES]
        if frames := _labels_on(transaction, of_post, first, hidden):
            labels[of_post[ITEM_AT:]] = frames
            size += sum(map(len, frames))
        newest = transaction.last(Table.CELLS, start, of_post, 1)
    return labels


class _Trusted(NamedTuple):
    """Trusted labellers: their accounts, and in order what the items of their labels go on with."""

    accounts: frozenset[bytes]
    prefixes: list[bytes]

    @classmethod
    def of(cls, accounts: frozenset[bytes]) -> _Trusted:
        return cls(accounts, sorted(map(labeller_prefix, accounts)))


def _labels_on(transaction: Transaction, of_post: bytes, trusted: _Trusted, hidden: Hidden) -> list[bytes]:
    """Labels on one post, at most 16: trusted labellers' first, and of theirs no value twice before all once.

    Args:
        of_post: what the keys of its labels begin with.
        hidden: which of the labels are on no page.
    """
    rows = transaction.last(Table.CELLS, of_post, prefix_end(of_post), PAGE_LABELS_PER_POST + 1)
    if len(rows) > PAGE_LABELS_PER_POST:
        rows = [*_trusted_rows(transaction, of_post, trusted.prefixes), *rows]
    once: dict[bytes, bytes] = {}
    again: dict[bytes, bytes] = {}
    others: dict[bytes, bytes] = {}
    values: set[bytes] = set()
    for key, row in rows:
        if key in once or key in again:
            continue
        frame = winner_frame(row_cell(key, row))
        if _negated(frame) or hidden.by(key[ITEM_AT:], frame):
            continue
        value = key[ITEM_AT + VALUE_AT : -ACCOUNT_BYTES]
        if key[-ACCOUNT_BYTES:] not in trusted.accounts:
            others[key] = frame
        elif value not in values:
            values.add(value)
            once[key] = frame
        else:
            again[key] = frame
    return [*once.values(), *again.values(), *others.values()][:PAGE_LABELS_PER_POST]


def _trusted_rows(
    transaction: Transaction, of_post: bytes, prefixes: Sequence[bytes]
) -> Iterator[tuple[bytes, bytes]]:
    """The labels that trusted labellers put on one post, however many labels of others stand between them.

    Goes from the greatest key to the least, and leaps from what there is to the next that may be trusted: at
    most one step for each trusted labeller, and fewer where few have said anything.

    Args:
        of_post: what the keys of its labels begin with.
        prefixes: what those of trusted labellers go on with, in order.
    """
    waiting = len(prefixes)
    while waiting:
        ours = of_post + prefixes[waiting - 1]
        newest = transaction.last(Table.CELLS, of_post, prefix_end(ours), 1)
        if not newest:
            return
        labeller = newest[0][0][ITEM_AT + POST_ITEM_BYTES : ITEM_AT + VALUE_AT]
        if labeller == prefixes[waiting - 1]:
            yield from transaction.last(Table.CELLS, ours, prefix_end(ours), _ROWS_PER_LABELLER)
            waiting -= 1
        else:
            waiting = bisect_right(prefixes, labeller, hi=waiting)


def _negated(frame: bytes) -> bool:
    """Whether a label takes itself back. Few contain the word, and only those are read."""
    if b"negated" not in frame:
        return False
    return Record.from_wire(codec.unpack(frame)).body.get("negated") is True


def _fitting(
    keys: list[bytes], frames: list[bytes], beside: Sequence[Mapping[bytes, list[bytes]]], bytes_max: int
) -> int:
    """How many of the posts fit with what stands beside them, their labels and decisions; at least one."""
    size = 0
    for index, (key, frame) in enumerate(zip(keys, frames, strict=True)):
        size += len(frame) + sum(sum(map(len, each.get(key[ITEM_AT:], ()))) for each in beside)
        if size > bytes_max and index:
            return index
    return len(keys)


def _tallies(
    transaction: Transaction, index: Index, generation: int, place: bytes, first: bytes, last: bytes
) -> dict[bytes, int]:
    """Of the groups under one place from `first` to `last`, those that have entries: by what follows the
    place in the group.

    Args:
        place: what the groups begin with.
        first, last: what they go on with, both included.
    """
    head = entry_key(index, generation, place)
    start, stop = head + first, prefix_end(head + last)
    if not transaction.holds(Table.TALLIES, start, stop):
        return {}
    found: dict[bytes, int] = {}
    for key, row in transaction.scan(Table.TALLIES, start, stop):
        try:
            found[key[len(head) :]] = int.from_bytes(unseal(Table.TALLIES, key, row), "big")
        except StoreCorrupt:
            continue
    return found
