"""Notices of accounts, kept up with the cells they are about (see `protocol.projections.notices`).

What one cell makes is put and taken back like the entries of any index. Likes and reposts of one post are one
entry, which is changed in place: one write each, and nothing else to be remembered.

A list keeps its newest `rows_max` entries. Below its *floor* nothing is put into it any more; it is cut when
it has so many more that cutting is worth its while. Those go first who have more than their share of it (see
`protocol.projections.shares`): an author who floods it has a floor of their own from then on, and pushes
nobody out. More authors than there are rows push out what is oldest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from folkmoot.protocol import limits
from folkmoot.protocol.key import KeyParts, place_prefix
from folkmoot.protocol.projections import bounds
from folkmoot.protocol.projections.entries import Entry, Index, Projection, public_of
from folkmoot.protocol.projections.facts import Facts
from folkmoot.protocol.projections.notices import (
    CROWDS,
    SORT_BYTES,
    Crowd,
    Reaction,
    Sort,
    notices_group,
    notices_of,
    sort_of,
)
from folkmoot.protocol.projections.shares import fair_level
from folkmoot.storage.inboxes import Keeps
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.projections import Member, ProjectionBook, entry_key, members, tally, value_at

_BY_AUTHOR: Final = frozenset({Sort.REPLY, Sort.MENTION, Sort.QUOTE, Sort.THREAD, Sort.FOLLOW})


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
        after = before.changed(Reaction(facts.told_us, public_of(who)), on=facts.on)
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
        return entry.member < floor_of(self._book.rows, self._generation, entry.group, entry.member)

    def _trim(self, group: bytes) -> None:
        """Have a list keep its newest entries, once nobody has more in it than is fair."""
        rows, most = self._book.rows, self._rows_max
        if tally(rows, Index.NOTICES, self._generation, group) < most + bounds.NOTICES_SPARE:
            return
        listed = [member for member, _ in members(rows, Index.NOTICES, self._generation, group)]
        left = self._fair(group, listed) if has_authors(group) else listed
        floors = sorted(floor for _, floor in self._floors(group))
        floor = max(left[-most:][:1] + floors[:-most][-1:], default=b"")
        if len(left) > most or len(floors) > most:
            self._raise_floor(group, floor)
        kept = {member for member in left if member >= floor}
        for member in listed:
            if member not in kept:
                self._book.drop(Index.NOTICES, self._generation, group, member)

    def _fair(self, group: bytes, listed: Sequence[bytes]) -> list[bytes]:
        """What is left of a list when those who take more than their share of it have lost their oldest: from
        then on they have a floor of their own."""
        by_author: dict[bytes, list[bytes]] = {}
        for member in listed:
            by_author.setdefault(member[SORT_BYTES:], []).append(member)
        level = fair_level([len(each) for each in by_author.values()], self._rows_max)
        left: list[bytes] = []
        for author, theirs in by_author.items():
            left += theirs[-level:]
            if len(theirs) > level:
                self._book.put(self._generation, Entry(Index.NOTICES_FLOOR, group, author, theirs[-level]))
        return sorted(left)

    def _floors(self, group: bytes) -> list[Member]:
        """The floors of authors; that of the list has no member."""
        floors = members(self._book.rows, Index.NOTICES_FLOOR, self._generation, group)
        return [each for each in floors if each.member]

    def _raise_floor(self, group: bytes, floor: bytes) -> None:
        """Have nothing below a member be listed; authors whose floor is no higher need none any more."""
        for author, theirs in self._floors(group):
            if theirs <= floor:
                self._book.drop(Index.NOTICES_FLOOR, self._generation, group, author)
        self._book.put(self._generation, Entry(Index.NOTICES_FLOOR, group, b"", floor))


def has_authors(group: bytes) -> bool:
    """Whether what is in a list is by several authors, whom its members name."""
    return sort_of(group) in _BY_AUTHOR


def floor_of(transaction: Transaction, generation: int, group: bytes, member: bytes) -> bytes:
    """The least that a member may be to stand in a list of notices, by whoever it is."""
    whose = (b"", member[SORT_BYTES:]) if has_authors(group) else (b"",)
    return max(
        value_at(transaction, Table.ENTRIES, entry_key(Index.NOTICES_FLOOR, generation, group, each)) or b""
        for each in whose
    )
