"""One inbox: the newest entries of a home feed, and the *floor* below which it has none.

How many entries there are is not kept: it would be one more write for each. So an inbox is counted now and
then, at moments that nobody who posts can foresee, or they could choose what to post such that it never is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from folkmoot.protocol import limits
from folkmoot.protocol.key import prefix_end
from folkmoot.protocol.projections.entries import (
    PUBLIC_BYTES,
    Entry,
    Index,
    account_of,
    public_of,
    time_bytes,
)
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.projections import Member, ProjectionBook, entry_key, has, members, value_at

_SHARE: Final = 8  # an inbox has, on average, at most this part more than its bound before it is counted
_DRAWN_BYTES: Final = 4
_MS_BYTES: Final = 6  # that a member begins with: when something was posted, milliseconds since 1970


class Inbox:
    """See the module.

    Args:
        book: what it is kept in, in one write transaction.
        generation: of home feeds.
        group: whose.
        rows_max: of its entries, more or less so many are kept.
        now_us: wall time, microseconds since 1970.
    """

    __slots__ = ("_book", "_generation", "_group", "_now_us", "_rows_max")

    def __init__(
        self, book: ProjectionBook, generation: int, group: bytes, rows_max: int, now_us: int
    ) -> None:
        self._book = book
        self._generation = generation
        self._group = group
        self._rows_max = rows_max
        self._now_us = now_us

    @property
    def floor(self) -> bytes | None:
        """The least member that may be in it; None for any."""
        return value_at(self._book.rows, Table.ENTRIES, self._floor_key())

    def _floor_key(self) -> bytes:
        return entry_key(Index.FLOOR, self._generation, self._group)

    def put(self, entries: Sequence[Member], *, news: bool = True) -> None:
        """Keep some entries, those that are not below the floor; best in the order of their members.

        Args:
            news: whether they have come just now: the inbox may be counted for them, and who follows it live
                is told also of those that it has no room for.

        Raises:
            DiskFull: nothing was changed.
        """
        floor = self.floor or b""
        kept = [entry for entry in entries if entry.member >= floor]
        if news and len(kept) < len(entries):
            self._tell([entry for entry in entries if entry.member < floor])
        if not kept:
            return
        self._book.insert(Index.INBOX, self._generation, self._group, kept)
        if news and self._is_drawn(kept[0].member, len(kept)):
            self.trim()

    def _tell(self, below: Sequence[Member]) -> None:
        """Tell of entries that are not kept. Whether they were told of before, nobody knows; so not of those
        that are old: these were only edited."""
        since_us = self._now_us - int(limits.FOLLOW_FEED_LATE_S * 1e6)
        since = (since_us // 1000).to_bytes(_MS_BYTES, "big")
        if late := [entry for entry in below if entry.member >= since]:
            self._book.tell(Index.INBOX, self._generation, self._group, late)

    def _is_drawn(self, member: bytes, tickets: int) -> bool:
        """Whether the inbox is counted for some entries, of which this is one."""
        drawn = hashlib.sha256(time_bytes(self._now_us) + self._group + member).digest()
        return int.from_bytes(drawn[:_DRAWN_BYTES], "big") % max(1, self._rows_max // _SHARE) < tickets

    def trim(self, least: bytes = b"") -> None:
        """Have it keep its newest entries.

        Args:
            least: nothing below this, in any case.
        """
        keys = self._keys()
        spare = len(keys) - self._rows_max
        head = len(entry_key(Index.INBOX, self._generation, self._group))
        floor = max(least, keys[spare][head:] if spare > 0 else b"")
        if floor <= (self.floor or b""):
            return
        for key in keys:
            if key[head:] < floor:
                self._book.rows.delete(Table.ENTRIES, key)
        self._book.put(self._generation, Entry(Index.FLOOR, self._group, b"", floor))

    def take_out(self, is_gone: Callable[[Member], bool]) -> int:
        """Take out some entries; how many are left."""
        entries = members(self._book.rows, Index.INBOX, self._generation, self._group)
        gone = [entry.member for entry in entries if is_gone(entry)]
        for member in gone:
            self._book.drop(Index.INBOX, self._generation, self._group, member)
        return len(entries) - len(gone)

    def open_downwards(self) -> None:
        """Have no floor any more."""
        self._book.rows.delete(Table.ENTRIES, self._floor_key())

    def _keys(self) -> list[bytes]:
        prefix = entry_key(Index.INBOX, self._generation, self._group)
        return [key for key, _ in self._book.rows.scan(Table.ENTRIES, prefix, prefix_end(prefix))]


def merged_followed(
    transaction: Transaction, generation: int, followers: int, follower: bytes
) -> list[bytes]:
    """The accounts whom an account follows whose posts are put into no inbox, nor looked for there.

    Args:
        generation, followers: of home feeds and of followers, as they are read.
    """
    head = bytes((Index.MERGED, generation))
    groups = [key[len(head) :] for key, _ in transaction.scan(Table.ENTRIES, head, prefix_end(head))]
    public = public_of(follower)
    return [
        account_of(group[-PUBLIC_BYTES:])
        for group in groups
        if has(transaction, Index.FOLLOWERS, followers, group, public)
    ]
