"""How many likes and reposts a post has: the number of enabled edges under it, kept as they change.

The truth is in the cells; a row of counts is a projection that can be derived again at any time, and is
gone when both are nought.
"""

from __future__ import annotations

from contextlib import suppress

from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.flag import is_on
from folkmoot.protocol.key import KIND_AT, PLACE_PREFIX_BYTES, prefix_end
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import (
    LIKE,
    NO_COUNTS,
    REPOST,
    Counts,
    counts_key,
    counts_row,
    row_cell,
    row_counts,
)


def read(transaction: Transaction, key: bytes) -> Counts:
    """The counts of a post, at its place prefix and item.

    Raises:
        StoreCorrupt: the row is damaged.
    """
    row = transaction.get(Table.COUNTS, key)
    return NO_COUNTS if row is None else row_counts(key, row)


def write(transaction: Transaction, changes: dict[bytes, list[int]]) -> None:
    """Add what changed: counts key → [likes, reposts]. A damaged row is derived again from its cells."""
    for key in sorted(changes):
        try:
            before = read(transaction, key)
            after = Counts(before.likes + changes[key][0], before.reposts + changes[key][1])
        except StoreCorrupt:
            before, after = None, _derived(transaction, key)  # the changed cells are written already
        if after == before:
            continue
        if after == NO_COUNTS:
            transaction.delete(Table.COUNTS, key)
        else:
            transaction.put(Table.COUNTS, key, counts_row(key, after))


def slice_of(
    transaction: Transaction, place_prefix: bytes, first_item: bytes, last_item: bytes
) -> dict[bytes, Counts]:
    """Of the posts from `first_item` to `last_item` (both included), those that have counts: by item.

    Raises:
        StoreCorrupt: a row is damaged.
    """
    start, stop = place_prefix + first_item, prefix_end(place_prefix + last_item)
    if not transaction.holds(Table.COUNTS, start, stop):
        return {}
    rows = transaction.scan(Table.COUNTS, start, stop)
    return {key[len(place_prefix) :]: row_counts(key, row) for key, row in rows}


def correction(transaction: Transaction, post: bytes, found: Counts) -> list[int]:
    """What `write` must be given for the counts of a post, at its counts key, to be what was found.

    Of a damaged row it does not matter: `write` derives it.
    """
    try:
        before = read(transaction, post)
    except StoreCorrupt:
        return [0, 0]
    return [found.likes - before.likes, found.reposts - before.reposts]


def _derived(transaction: Transaction, post: bytes) -> Counts:
    """The counts of a post by its cells; those that are damaged are not counted."""
    place_prefix, item = post[:PLACE_PREFIX_BYTES], post[PLACE_PREFIX_BYTES:]
    derived: dict[bytes, Counts] = {}
    for kind in sorted((LIKE, REPOST)):
        prefix = place_prefix + bytes((kind,)) + item
        for key, row in transaction.scan(Table.CELLS, prefix, prefix_end(prefix)):
            with suppress(StoreCorrupt):
                if is_on(Cell.decode(row_cell(key, row))):
                    add(derived, key)
    return derived.get(post, NO_COUNTS)


def add(derived: dict[bytes, Counts], key: bytes) -> None:
    """Count one enabled edge, the cell at `key`."""
    post = counts_key(key)
    likes, reposts = derived.get(post, NO_COUNTS)
    derived[post] = Counts(likes + 1, reposts) if key[KIND_AT] == LIKE else Counts(likes, reposts + 1)
