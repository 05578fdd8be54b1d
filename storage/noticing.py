"""Notices of accounts, kept up with the cells they are about (see `protocol.projections.notices`).

What one cell makes is put and taken back like the entries of any index. Likes and reposts of one post are one
entry, which is changed in place: one write each, and nothing else to be remembered.

A list keeps its newest `rows_max` entries. Below its *floor* nothing is put into it any more; it is cut when
it has so many more that cutting is worth its while.
"""

from __future__ import annotations

from itertools import islice

from folkmoot.protocol import limits
from folkmoot.protocol.key import KeyParts, place_prefix, prefix_end
from folkmoot.protocol.projections import bounds
from folkmoot.protocol.projections.entries import Entry, Index, Projection, public_of
from folkmoot.protocol.projections.facts import Facts
from folkmoot.protocol.projections.notices import CROWDS, Crowd, Reaction, notices_group, notices_of
from folkmoot.storage.inboxes import Keeps
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.projections import Member, ProjectionBook, entry_key, tally, value_at


class Notices:
    """The notices that a node keeps, in one write transaction.

    Args:
        book: what they are kept in.
        generation: of notifications.
        keeps: see `inboxes.Keeps`.
        rows_max: of one account and sort.
    """

    def __init__(self, book: ProjectionBook, generation: int, keeps: Keeps, rows_max: int) -> None:
        self._book = book
        self._generation = generation
        self._keeps = keeps
        self._rows_max = rows_max

    def apply(self, source: bytes, parts: KeyParts, facts: Facts) -> None:
        """Bring the notices up to what a cell is now; doing it again changes nothing.

        Args:
            source: the cell's key.
            parts: of it.
            facts: see there.

        Raises:
            DiskFull: nothing was changed.
        """
        if parts.kind in CROWDS:
            if self._keeps(place_prefix(parts.place)):
                self._react(parts, facts)
            return
        made = notices_of(parts, facts)
        kept = [entry for entry in made if self._keeps(entry.group) and not self._is_below(entry)]
        self._book.replace(Projection.NOTIFICATIONS, self._generation, source, kept)
        for entry in kept:
            self._trim(entry.group)

    def _react(self, parts: KeyParts, facts: Facts) -> None:
        """Somebody likes or reposts a post, or does not any more."""
        post, who = parts.item[: limits.POST_ITEM_BYTES], parts.item[limits.POST_ITEM_BYTES :]
        if who == parts.place:
            return
        group = notices_group(parts.place, CROWDS[parts.kind])
        known = value_at(
            self._book.rows, Table.ENTRIES, entry_key(Index.NOTICES, self._generation, group, post)
        )
        before = Crowd.decode(known or b"")
        after = before.changed(Reaction(facts.stamp, public_of(who)), on=facts.on)
        if after == before:
            return
        entry = Entry(Index.NOTICES, group, post, after.encode())
        if after == Crowd():
            self._book.drop(Index.NOTICES, self._generation, group, post)
        elif known is not None or not self._is_below(entry):
            self._book.put(self._generation, entry)
            if known is not None and after.newest[:1] > before.newest[:1]:  # a new one is told as it is put
                self._book.tell(Index.NOTICES, self._generation, group, [Member(post, entry.value)])
            self._trim(group)

    def _is_below(self, entry: Entry) -> bool:
        floor = floor_of(self._book.rows, self._generation, entry.group)
        return entry.member < floor

    def _trim(self, group: bytes) -> None:
        """Have a list keep its newest entries."""
        spare = tally(self._book.rows, Index.NOTICES, self._generation, group) - self._rows_max
        if spare < bounds.NOTICES_SPARE:
            return
        prefix = entry_key(Index.NOTICES, self._generation, group)
        rows = self._book.rows.scan(Table.ENTRIES, prefix, prefix_end(prefix))
        *gone, floor = [key[len(prefix) :] for key, _ in islice(rows, spare + 1)]
        for member in gone:
            self._book.drop(Index.NOTICES, self._generation, group, member)
        self._book.put(self._generation, Entry(Index.NOTICES_FLOOR, group, b"", floor))


def floor_of(transaction: Transaction, generation: int, group: bytes) -> bytes:
    """The least member that may be in a list of notices."""
    return value_at(transaction, Table.ENTRIES, entry_key(Index.NOTICES_FLOOR, generation, group)) or b""
