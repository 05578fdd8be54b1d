"""The labels on posts, as pages show them, and what chosen labellers have said about a post.

Anyone may put labels on anyone's post, so those of *trusted* labellers (the cluster's own nodes) have the
first places. They are found by seeking, since what one labeller says about a post stands together: however
many labels others put there, each is passed over without being read. So are those of labellers that a reader
has chosen, where a post has more labels than it shows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple

from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import winner_frame
from folkmoot.protocol.key import (
    ITEM_AT,
    KIND_AT,
    KIND_BYTE,
    PLACE_PREFIX_BYTES,
    kind_prefix,
    place_prefix,
    prefix_end,
)
from folkmoot.protocol.limits import ACCOUNT_BYTES, PAGE_LABELS_PER_POST, POST_ITEM_BYTES
from folkmoot.protocol.moderation.bounds import LABELLER_LABELS
from folkmoot.protocol.moderation.label import KIND, VALUE_AT, labeller_prefix
from folkmoot.protocol.record import Record
from folkmoot.storage.decided import Hidden
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import row_cell

_LABEL: Final = bytes((KIND_BYTE["label"],))

# How many labels of one trusted labeller on one post are looked at, those taken back among them.
_ROWS_PER_LABELLER: Final = 4 * PAGE_LABELS_PER_POST

TrustedLabellers = Callable[[], frozenset[bytes]]
"""Whose labels come first: account ids of 34 bytes. Asked only when there are labels."""


class Labels(NamedTuple):
    """Labels on a post.

    Attributes:
        frames: of the labels' display winners, at most 16, those of trusted labellers first; labels that were
            taken back, and those that a decision hides, are left out.
        cut: whether there may be more.
    """

    frames: list[bytes]
    cut: bool


def labels_on(transaction: Transaction, key: bytes, trusted: TrustedLabellers) -> Labels:
    """The labels on the post at `key`.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    of_post = _labels_at(key)
    if not transaction.holds(Table.CELLS, of_post, prefix_end(of_post)):
        return Labels([], cut=False)
    hidden = Hidden(transaction, key[:PLACE_PREFIX_BYTES], KIND)
    return _labels_on(transaction, of_post, _Trusted.of(trusted()), hidden)


def labels_by(transaction: Transaction, key: bytes, labellers: Collection[bytes]) -> list[bytes]:
    """The frames of what some labellers say about the post at `key`, but for what they took back.

    Args:
        labellers: their accounts; of each the last 8 labels are looked at, by their values.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    prefixes = sorted(map(labeller_prefix, labellers))
    rows = _rows_by(transaction, _labels_at(key), prefixes, LABELLER_LABELS)
    said = [(at, winner_frame(row_cell(at, row))) for at, row in rows if at[-ACCOUNT_BYTES:] in labellers]
    hidden = Hidden(transaction, key[:PLACE_PREFIX_BYTES], KIND)
    return [frame for at, frame in said if not _negated(frame) and not hidden.by(at[ITEM_AT:], frame)]


def labels_between(
    transaction: Transaction,
    place: bytes,
    first_item: bytes,
    last_item: bytes,
    bytes_max: int,
    trusted: TrustedLabellers,
) -> dict[bytes, Labels]:
    """Labels on posts from `first_item` to `last_item`, from the last one back, by the items of those that
    have any.

    Ends with the post whose labels are more than `bytes_max` together: no page has room for those beyond.
    """
    prefix = kind_prefix(place, "label")
    start, stop = prefix + first_item, prefix_end(prefix + last_item)
    labels: dict[bytes, Labels] = {}
    if not transaction.holds(Table.CELLS, start, stop):
        return labels
    newest = transaction.last(Table.CELLS, start, stop, 1)
    first, hidden = _Trusted.of(trusted()), Hidden(transaction, place_prefix(place), KIND)
    size = 0
    while newest and size <= bytes_max:
        of_post = newest[0][0][: ITEM_AT + POST_ITEM_BYTES]
        found = _labels_on(transaction, of_post, first, hidden)
        if found.frames or found.cut:
            labels[of_post[ITEM_AT:]] = found
            size += sum(map(len, found.frames))
        newest = transaction.last(Table.CELLS, start, of_post, 1)
    return labels


class _Trusted(NamedTuple):
    """Trusted labellers: their accounts, and in order what the items of their labels go on with."""

    accounts: frozenset[bytes]
    prefixes: list[bytes]

    @classmethod
    def of(cls, accounts: frozenset[bytes]) -> _Trusted:
        return cls(accounts, sorted(map(labeller_prefix, accounts)))


def _labels_at(key: bytes) -> bytes:
    """What the keys of the labels on the post at `key` begin with."""
    return key[:KIND_AT] + _LABEL + key[ITEM_AT:]


def _labels_on(transaction: Transaction, of_post: bytes, trusted: _Trusted, hidden: Hidden) -> Labels:
    """Labels on one post: trusted labellers' first, and of theirs no value twice before all once.

    Args:
        of_post: what the keys of its labels begin with.
        hidden: which of the labels are on no page.
    """
    rows = transaction.last(Table.CELLS, of_post, prefix_end(of_post), PAGE_LABELS_PER_POST + 1)
    cut = len(rows) > PAGE_LABELS_PER_POST
    if cut:
        rows = [*_rows_by(transaction, of_post, trusted.prefixes, _ROWS_PER_LABELLER), *rows]
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
    return Labels([*once.values(), *again.values(), *others.values()][:PAGE_LABELS_PER_POST], cut)


def _rows_by(
    transaction: Transaction, of_post: bytes, prefixes: Sequence[bytes], most: int
) -> Iterator[tuple[bytes, bytes]]:
    """The labels that some labellers put on one post, however many labels of others stand between them.

    Goes from the greatest key to the least, and leaps from what there is to the next that may be one's of
    theirs: at most one step for each of them, and fewer where few have said anything.

    Args:
        of_post: what the keys of its labels begin with.
        prefixes: what those of the labellers go on with, in order.
        most: so many of each are looked at.
    """
    waiting = len(prefixes)
    while waiting:
        ours = of_post + prefixes[waiting - 1]
        newest = transaction.last(Table.CELLS, of_post, prefix_end(ours), 1)
        if not newest:
            return
        labeller = newest[0][0][ITEM_AT + POST_ITEM_BYTES : ITEM_AT + VALUE_AT]
        if labeller == prefixes[waiting - 1]:
            yield from transaction.last(Table.CELLS, ours, prefix_end(ours), most)
            waiting -= 1
        else:
            waiting = bisect_right(prefixes, labeller, hi=waiting)


def _negated(frame: bytes) -> bool:
    """Whether a label takes itself back. Few contain the word, and only those are read."""
    if b"negated" not in frame:
        return False
    return Record.from_wire(codec.unpack(frame)).body.get("negated") is True
