"""Home feeds ready before they are asked for: what is posted goes into the inboxes of those who follow.

An *inbox* has an entry for each post and repost of those whom its account follows. A node fills the inboxes
of the accounts it keeps. What is put into one is found by looking at two cells, a follow and a post, which
become known in any order:

- a post goes into the inboxes of all who are known to follow its author (*fan-out*);
- a new follow asks for a *backfill*: the latest posts of the followed go into that one inbox;
- an unfollow takes them out again.

So whichever is known second does it, and doing it twice changes nothing.

Two bounds keep the cost of both in hand. Of authors with more than `followers_max` followers nothing is put
into inboxes: they are *merged* when a page is built, until they have a fifth less. And an inbox keeps its
newest `rows_max` entries: below its *floor* nothing is put into it any more. It is looked at now and then, so
there may be some more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.key import kind_prefix, place_prefix, prefix_end
from folkmoot.protocol.projections.entries import (
    PUBLIC_BYTES,
    TIME_BYTES,
    Entry,
    Index,
    Projection,
    account_of,
    public_of,
    time_bytes,
)
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.projections import (
    Member,
    ProjectionBook,
    entry_key,
    has,
    members,
    newest,
    tally,
    value_at,
)
from folkmoot.storage.rows import Frames, row_frames

SORT_BYTES: Final = limits.POST_ITEM_BYTES
_MS_BYTES: Final = 6
_TRIM_MASK: Final = 63  # an inbox is looked at once for so many entries, on average
_FEWER: Final = 0.8


Keeps = Callable[[bytes], bool]
"""Whether a node keeps what is at a key, or at those that begin with it."""


class Bounds(NamedTuple):
    """What fan-out may cost.

    Args:
        followers_max: authors with more of them are merged when pages are built.
        rows_max: of one inbox.
        notices_max: of one sort of an account's notices.
    """

    followers_max: int
    rows_max: int
    notices_max: int = 1_000


class Shown(NamedTuple):
    """What is to be shown in a home feed.

    Args:
        at: its place in the feed (48 bytes): what is greater is newer.
        author, item: the post (34 and 16 bytes).
        reposter: who reposted it (34 bytes); None for the post itself.
    """

    at: bytes
    author: bytes
    item: bytes
    reposter: bytes | None = None

    @property
    def entry(self) -> tuple[bytes, bytes]:
        """Member and value of its entry in an inbox."""
        value = b"" if self.reposter is None else self.item + public_of(self.reposter)
        return self.at, value

    @property
    def by(self) -> bytes:
        """Who brought it into the feed."""
        return self.reposter or self.author


def of_post(author: bytes, item: bytes) -> Shown:
    """A post in a feed; its place there is that of its item."""
    return Shown(item + public_of(author), author, item)


def of_repost(reposter: bytes, stamp: int, author: bytes, item: bytes) -> Shown:
    """A repost in a feed; its place there is when it was made (microseconds since 1970)."""
    unique = hashlib.sha256(reposter + author + item).digest()[: SORT_BYTES - _MS_BYTES]
    sort = (stamp // 1000).to_bytes(_MS_BYTES, "big") + unique
    return Shown(sort + public_of(author), author, item, reposter)


def of_entry(member: bytes, value: bytes) -> Shown:
    """What an entry of an inbox says."""
    author = account_of(member[SORT_BYTES:])
    if not value:
        return Shown(member, author, member[:SORT_BYTES])
    return Shown(member, author, value[:SORT_BYTES], account_of(value[SORT_BYTES:]))


class Inboxes:
    """The inboxes that a node fills, in one write transaction.

    Args:
        book: what they are kept in.
        generation: of home feeds.
        followers: the generation of followers that is read.
        keeps: see `Keeps`.
        bounds: see `Bounds`.
        now_us: wall time, microseconds since 1970.
    """

    def __init__(
        self,
        book: ProjectionBook,
        generation: int,
        followers: int,
        keeps: Keeps,
        bounds: Bounds,
        now_us: int,
    ) -> None:
        self._now_us = now_us
        self._book = book
        self._rows = book.rows
        self._generation = generation
        self._followers = followers
        self._keeps = keeps
        self._bounds = bounds

    def posted(self, author: bytes, item: bytes, *, stands: bool) -> None:
        """A post was made, or deleted."""
        self._fan_out(of_post(author, item), stands)

    def reposted(
        self, source: bytes, reposter: bytes, stamp: int, post: tuple[bytes, bytes], *, on: bool
    ) -> None:
        """A repost was made, taken back, or made again.

        Args:
            source: the key of its cell.
            stamp: when, microseconds since 1970.
            post: its author and item.
        """
        before, now = self._reposted_at(source), of_repost(reposter, stamp, *post)
        if before and (not on or before != now.at):
            self._fan_out(Shown(before, *post, reposter), False)
        if on:
            self._fan_out(now, True)
        self._remember(source, now.at if on else b"")

    def _reposted_at(self, source: bytes) -> bytes | None:
        """Where a repost stands in feeds; empty when it was taken back, None when nothing is known of it."""
        known = self._book.source(Projection.HOME, self._generation, source)
        return known[0].member if known else None

    def _remember(self, source: bytes, at: bytes) -> None:
        self._book.remember(Projection.HOME, self._generation, source, [Entry(Index.INBOX, b"", at)])

    def _fan_out(self, shown: Shown, stands: bool) -> None:
        """Put something into all inboxes it belongs into, or take it out of them."""
        if self.is_merged(shown.by):
            if stands:
                self._book.tell(Index.MERGED, self._generation, place_prefix(shown.by), Member(*shown.entry))
            return
        member, value = shown.entry
        for group in self._kept_followers(shown.by):
            if stands:
                self._put(group, member, value)
            else:
                self._book.drop(Index.INBOX, self._generation, group, member)

    def _kept_followers(self, account: bytes) -> Iterator[bytes]:
        """The groups of the inboxes of those who follow an account and are kept here."""
        most = self._bounds.followers_max + 1
        found = members(self._rows, Index.FOLLOWERS, self._followers, place_prefix(account), limit=most)
        for follower in found:
            group = place_prefix(account_of(follower.member))
            if self._keeps(group):
                yield group

    def followed(self, follower: bytes, account: bytes, *, on: bool) -> None:
        """A follow was switched on or off; the index of followers has it already."""
        self._weigh(account)
        group = place_prefix(follower)
        if not self._keeps(group) or follower == account:
            return
        if not on:
            self._take_out(group, account)
        elif self.is_merged(account):
            self._turn_over(group)
        else:
            self._ask(group, account)

    def _turn_over(self, group: bytes) -> None:
        """Tell who waits for what comes into an inbox that something may have come that is not in it."""
        self._book.tell(Index.INBOX, self._generation, group, Member(b"", b""))

    def _ask(self, group: bytes, account: bytes) -> None:
        asked = Entry(Index.BACKFILL, group, public_of(account), time_bytes(self._now_us))
        self._book.put(self._generation, asked)

    def _weigh(self, account: bytes) -> None:
        """Have an account be merged, or not any more, by how many follow it."""
        place = place_prefix(account)
        count = tally(self._rows, Index.FOLLOWERS, self._followers, place)
        merged = self.is_merged(account)
        if not merged and count > self._bounds.followers_max:
            self._book.put(self._generation, Entry(Index.MERGED, place, b""))
            for group in self._kept_followers(account):
                self._turn_over(group)
        elif merged and count <= _FEWER * self._bounds.followers_max:
            self._book.drop(Index.MERGED, self._generation, place, b"")
            found = members(self._rows, Index.FOLLOWERS, self._followers, place, limit=count)
            for group in (place_prefix(account_of(each.member)) for each in found):
                if self._keeps(group):
                    self._ask(group, account)

    def is_merged(self, account: bytes) -> bool:
        """Whether what an account posts is not put into inboxes."""
        return has(self._rows, Index.MERGED, self._generation, place_prefix(account), b"")

    def fill(
        self, follower: bytes, account: bytes, latest: Iterable[Shown], *, complete: bool = True
    ) -> None:
        """Put the latest posts and reposts of an account into the inbox of a new follower, who may have
        changed their mind since.

        Args:
            complete: whether all is among them that was there before the follow was known here.
        """
        group = place_prefix(follower)
        follows = has(
            self._rows, Index.FOLLOWERS, self._followers, place_prefix(account), public_of(follower)
        )
        if complete or not follows:
            self._book.drop(Index.BACKFILL, self._generation, group, public_of(account))
        if not follows:
            return
        for shown in latest:
            if shown.reposter is None or self._is_news(shown):
                self._put(group, *shown.entry, trim=False)
        self._trim(group)

    def _is_news(self, shown: Shown) -> bool:
        """Whether a repost that another node tells of is as it is known here, or not known yet.

        Where those stand is remembered: they may be taken back before their cell is read.
        """
        assert shown.reposter is not None, "only what was reposted has a cell of its own"
        source = kind_prefix(shown.author, "repost") + shown.item + shown.reposter
        known = self._reposted_at(source)
        if known is None:
            self._remember(source, shown.at)
        return known is None or known == shown.at

    def _put(self, group: bytes, member: bytes, value: bytes, *, trim: bool = True) -> None:
        floor = value_at(self._rows, Table.ENTRIES, entry_key(Index.FLOOR, self._generation, group))
        if floor is not None and member < floor:
            return
        self._book.put(self._generation, Entry(Index.INBOX, group, member, value))
        if trim and (member[SORT_BYTES - 1] + group[0]) & _TRIM_MASK == 0:
            self._trim(group)

    def _trim(self, group: bytes) -> None:
        """Have an inbox keep its newest entries."""
        prefix = entry_key(Index.INBOX, self._generation, group)
        keys = [key for key, _ in self._rows.scan(Table.ENTRIES, prefix, prefix_end(prefix))]
        spare = len(keys) - self._bounds.rows_max
        if spare <= 0:
            return
        for key in keys[:spare]:
            self._rows.delete(Table.ENTRIES, key)
        self._book.put(self._generation, Entry(Index.FLOOR, group, b"", keys[spare][len(prefix) :]))

    def _take_out(self, group: bytes, account: bytes) -> None:
        """Take out of an inbox what an account has brought into it. What has come to be missing below is
        asked for again when much is."""
        self._book.drop(Index.BACKFILL, self._generation, group, public_of(account))
        entries = members(self._rows, Index.INBOX, self._generation, group, limit=2 * self._bounds.rows_max)
        gone = [entry for entry in entries if of_entry(*entry).by == account]
        for entry in gone:
            self._book.drop(Index.INBOX, self._generation, group, entry.member)
        floor = entry_key(Index.FLOOR, self._generation, group)
        if value_at(self._rows, Table.ENTRIES, floor) is None:
            return
        if 2 * (len(entries) - len(gone)) < self._bounds.rows_max:
            self._rows.delete(Table.ENTRIES, floor)
            self._refill(group)

    def _refill(self, group: bytes) -> None:
        """Ask for the latest posts of all whom the account of an inbox follows."""
        follower = account_of(group[-PUBLIC_BYTES:])
        prefix = kind_prefix(follower, "follow")
        follows = islice(self._rows.scan(Table.CELLS, prefix, prefix_end(prefix)), limits.FOLLOWS_REFILLED)
        accounts = [key[len(prefix) :] for key, _ in follows]
        for account in accounts:
            known = has(
                self._rows, Index.FOLLOWERS, self._followers, place_prefix(account), public_of(follower)
            )
            if known and not self.is_merged(account):
                self._ask(group, account)


def latest_of(
    transaction: Transaction, reposted: int, account: bytes, limit: int, before: bytes | None = None
) -> list[Shown]:
    """The latest posts and reposts of an account whose place this node keeps, before a place in a feed: at
    most so many of each, the newest first.

    Args:
        reposted: the generation of reposts that is read.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    prefix = kind_prefix(account, "post")
    stop = prefix_end(prefix) if before is None else prefix + before[:SORT_BYTES] + b"\0"
    rows = transaction.last(Table.CELLS, prefix, stop, limit)
    cut = row_frames(rows) if rows else Frames([], [], 0)
    standing = zip(cut.keys, cut.frames, strict=True)
    shown = [of_post(account, key[len(prefix) :]) for key, frame in standing if frame is not None]
    until = None if before is None else time_bytes(1000 * (int.from_bytes(before[:_MS_BYTES], "big") + 1))
    found = newest(transaction, Index.REPOSTED, reposted, place_prefix(account), before=until, limit=limit)
    shown += [reposted_at(account, entry.member) for entry in found]
    earlier = (each for each in shown if before is None or each.at < before)
    return sorted(earlier, key=lambda each: each.at, reverse=True)


def reposted_at(reposter: bytes, member: bytes) -> Shown:
    """What an entry of the index of reposts says, as it is shown in a feed."""
    stamp, post = member[:TIME_BYTES], member[TIME_BYTES:]
    item, author = post[: limits.POST_ITEM_BYTES], account_of(post[limits.POST_ITEM_BYTES :])
    return of_repost(reposter, int.from_bytes(stamp, "big"), author, item)


def merged_followed(
    transaction: Transaction, generation: int, followers: int, follower: bytes
) -> list[bytes]:
    """The accounts whom an account follows whose posts are in no inbox.

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


class Backfill(NamedTuple):
    """An inbox that is to be filled.

    Args:
        follower: whose (34 bytes).
        account: with whose latest posts (34 bytes).
        asked_us: since when, wall time, microseconds since 1970.
    """

    follower: bytes
    account: bytes
    asked_us: int


def waiting(transaction: Transaction, generation: int, after: Backfill | None = None) -> Iterator[Backfill]:
    """The backfills that were asked for, in the order of inboxes, after one of them."""
    head = bytes((Index.BACKFILL, generation))
    start = head
    if after is not None:
        group = place_prefix(after.follower)
        start = entry_key(Index.BACKFILL, generation, group, public_of(after.account)) + b"\0"
    for key, _ in transaction.scan(Table.ENTRIES, start, prefix_end(head)):
        both = key[-2 * PUBLIC_BYTES :]
        asked = int.from_bytes(value_at(transaction, Table.ENTRIES, key) or b"", "big")
        yield Backfill(account_of(both[:PUBLIC_BYTES]), account_of(both[PUBLIC_BYTES:]), asked)
