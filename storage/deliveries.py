"""What comes into inboxes and goes out of them in one transaction: gathered, and written inbox by inbox.

One author's posts go to the same inboxes, and these lie far apart. So what there is for each is gathered
first and then written in the order of keys: each page of the tree is looked for and copied once for all that
comes into it, and each inbox is asked for its floor once. Of what comes and goes again only the last counts.

There may be thousands of inboxes, and whoever else writes waits until a transaction ends. So what was
gathered in one may be written in several, which in that order share few pages. How far that has come is kept
nowhere: after a crash it is gathered again, and finds done what is done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from folkmoot.protocol.projections.entries import Index
from folkmoot.storage.inbox import Inbox
from folkmoot.storage.projections import Member, ProjectionBook

Entries = Sequence[tuple[bytes, Mapping[bytes, bytes | None]]]
"""Of groups of inboxes, in their order, what comes into each and, of no value, what goes out of it."""


class Standing(NamedTuple):
    """Where a repost stands in feeds.

    Args:
        meanwhile: wherever it may be before all is written: from all of these it is to be taken out again,
            should it be taken back.
        at: afterwards; empty for nowhere.
    """

    meanwhile: tuple[bytes, ...]
    at: bytes


class Left(NamedTuple):
    """What a transaction had no room for.

    Args:
        entries: to be written.
        standing: of reposts, by the keys of their cells.
    """

    entries: Entries
    standing: Mapping[bytes, Standing]


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

    def write(self, room: int | None = None) -> Entries:
        """Write what was gathered.

        Args:
            room: for about so many entries; for all, if not given.

        Returns:
            What there was no room for.

        Raises:
            DiskFull: nothing was changed.
        """
        by_group, self._by_group, self.waiting = self._by_group, {}, 0
        return self.deliver(sorted(by_group.items()), room)

    def deliver(self, entries: Entries, room: int | None = None) -> Entries:
        """Write what was gathered, perhaps in another transaction; see `write`."""
        written = 0
        for at, (group, waiting) in enumerate(entries):
            if room is not None and written >= room:
                return entries[at:]
            written += len(waiting)
            come: list[Member] = []
            for member, value in sorted(waiting.items()):
                if value is None:
                    self._book.drop(Index.INBOX, self._generation, group, member)
                else:
                    come.append(Member(member, value))
            if come:
                self.inbox(group).put(come)
        return ()

    def inbox(self, group: bytes) -> Inbox:
        """One of the inboxes, as it is without what is gathered."""
        return Inbox(self._book, self._generation, group, self._rows_max, self._now_us)
