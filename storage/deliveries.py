"""What comes into inboxes and goes out of them in one transaction: gathered, and written inbox by inbox.

One author's posts go to the same inboxes, and these lie far apart. So what there is for each is gathered
first and then written in the order of keys: each page of the tree is looked for and copied once for all that
comes into it, and each inbox is asked for its floor once. Of what comes and goes again only the last counts.
"""

from __future__ import annotations

from collections.abc import Collection

from folkmoot.protocol.projections.entries import Index
from folkmoot.storage.inbox import Inbox
from folkmoot.storage.projections import Member, ProjectionBook


class Deliveries:
    """See the module.

    Attributes:
        waiting: how many entries are gathered, at most.

    Args:
        book: what inboxes are kept in.
        generation: of home feeds.
        rows_max, now_us: see `Inbox`.
    """

    __slots__ = ("_book", "_by_group", "_generation", "_now_us", "_rows_max", "waiting")

    def __init__(self, book: ProjectionBook, generation: int, rows_max: int, now_us: int) -> None:
        self._book = book
        self._generation = generation
        self._rows_max = rows_max
        self._now_us = now_us
        self._by_group: dict[bytes, dict[bytes, bytes | None]] = {}
        self.waiting = 0

    def add(self, groups: Collection[bytes], member: bytes, value: bytes | None) -> None:
        """Put an entry into some inboxes; or, of no value, take it out of them."""
        by_group = self._by_group
        for group in groups:
            waiting = by_group.get(group)
            if waiting is None:
                waiting = by_group[group] = {}
            waiting[member] = value
        self.waiting += len(groups)

    def write(self) -> None:
        """Write what was gathered.

        Raises:
            DiskFull: nothing was changed.
        """
        by_group, self._by_group, self.waiting = self._by_group, {}, 0
        for group in sorted(by_group):
            come: list[Member] = []
            for member, value in sorted(by_group[group].items()):
                if value is None:
                    self._book.drop(Index.INBOX, self._generation, group, member)
                else:
                    come.append(Member(member, value))
            if come:
                self.inbox(group).put(come)

    def inbox(self, group: bytes) -> Inbox:
        """One of the inboxes, as it is without what is gathered."""
        return Inbox(self._book, self._generation, group, self._rows_max, self._now_us)
