"""Home feeds ready before they are asked for: what is posted goes into the inboxes of those who follow.

An *inbox* has an entry for each post and repost of those whom its account follows. A node fills the inboxes
of the accounts it keeps. What is put into one is found by looking at two cells, a follow and a post, which
become known in any order:

- a post goes into the inboxes of all who are known to follow its author (*fan-out*);
- a new follow asks for a *backfill*: the latest posts of the followed go into that one inbox;
- an unfollow takes them out again.

So whichever is known second does it, and doing it twice changes nothing.

Two bounds keep the cost of both in hand. Of authors with more than `followers_max` followers nothing is put
into inboxes: they are *merged* when a page is built, until they have a fifth less. What inboxes have of them
from before is not looked at any more, so that nobody needs to keep it right: once an author is not merged
again, it is taken out before their inboxes are filled anew. And an inbox keeps its newest `rows_max` entries
(see `inbox`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    repost_place,
    time_bytes,
)
from folkmoot.storage.deliveries import Deliveries, Entries, Left, Standing
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.projections import (
    Member,
    ProjectionBook,
    entry_key,
    has,
    members,
    tally,
    value_at,
)

SORT_BYTES: Final = limits.POST_ITEM_BYTES
FEWER: Final = 0.8
_STALE: Final = b"\x01"  # of a backfill, after its time: what the inbox has of the account is out of date


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
    return Shown(repost_place(reposter, stamp, author, item), author, item, reposter)


def of_entry(member: bytes, value: bytes) -> Shown:
    """What an entry of an inbox says."""
    author = account_of(member[SORT_BYTES:])
    if not value:
        return Shown(member, author, member[:SORT_BYTES])
    return Shown(member, author, value[:SORT_BYTES], account_of(value[SORT_BYTES:]))


class Inboxes:
    """The inboxes that a node fills, in one write transaction: what is put into them is there once it was
    written with `write`. Who follows whom changes meanwhile only as `followed` says.

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
        self._deliveries = Deliveries(book, generation, bounds.rows_max, now_us)
        self._standing: dict[bytes, Standing] = {}
        self._audiences: dict[bytes, list[bytes] | None] = {}
        self._weighed: set[bytes] = set()
        self._looked_up = 0

    @property
    def cost(self) -> int:
        """What is to be written, and the followers that were looked up, in rows that are written one by one:
        each of these takes about half as long as one of those."""
        return (self._deliveries.waiting + self._looked_up) // 2

    def write(self, most: int | None = None) -> Left | None:
        """Write what has come into inboxes and gone out of them.

        Args:
            most: about so many rows in the whole transaction; any number, if not given.

        Returns:
            What is to be gone on with in the next transaction.

        Raises:
            DiskFull: nothing was changed.
        """
        standing, self._standing = self._standing, {}
        left = self._ended(self._deliveries.write(self._room(most)), standing)
        if left is not None:
            for source, stands in standing.items():
                self._remember(source, *stands.meanwhile)
        return left

    def go_on(self, left: Left, most: int) -> Left | None:
        """Write what another transaction had no room for; see `write`."""
        return self._ended(self._deliveries.deliver(left.entries, self._room(most)), left.standing)

    def _room(self, most: int | None) -> int | None:
        return None if most is None else most - self._book.written

    def _ended(self, entries: Entries, standing: Mapping[bytes, Standing]) -> Left | None:
        """Remember where reposts stand, unless there are entries left."""
        if entries:
            return Left(entries, standing)
        for source, stands in standing.items():
            self._remember(source, stands.at)
        return None

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
        known, now = self._reposted_at(source) or (), of_repost(reposter, stamp, *post)
        before = [at for at in known if at and not (on and at == now.at)]
        for at in before:
            self._fan_out(Shown(at, *post, reposter), False)
        if on:
            self._fan_out(now, True)
        stands = (now.at,) if on else ()
        self._standing[source] = Standing((*before, *stands), now.at if on else b"")

    def _reposted_at(self, source: bytes) -> Sequence[bytes] | None:
        """Where a repost may stand in feeds; empty places when it was taken back, None when nothing is known
        of it."""
        if source in self._standing:
            return self._standing[source].meanwhile
        known = self._book.source(Projection.HOME, self._generation, source)
        return [entry.member for entry in known] or None

    def _remember(self, source: bytes, *places: bytes) -> None:
        entries = [Entry(Index.INBOX, b"", at) for at in places or (b"",)]
        self._book.remember(Projection.HOME, self._generation, source, entries)

    def _fan_out(self, shown: Shown, stands: bool) -> None:
        """Put something into all inboxes it belongs into, or take it out of them."""
        audience = self._audience(shown.by)
        member, value = shown.entry
        if audience is not None:
            self._deliveries.add(audience, member, value if stands else None)
        elif stands:
            self._book.tell(Index.MERGED, self._generation, place_prefix(shown.by), [Member(member, value)])

    def _audience(self, account: bytes) -> list[bytes] | None:
        """The groups of the inboxes that what an account posts is put into; None when it is merged."""
        if account not in self._audiences:
            self.weigh(account)
            merged = self.is_merged(account)
            self._audiences[account] = None if merged else self._kept_followers(account)
        return self._audiences[account]

    def _kept_followers(self, account: bytes) -> list[bytes]:
        """The groups of the inboxes of those who follow an account and are kept here."""
        most = self._bounds.followers_max + 1
        found = members(self._rows, Index.FOLLOWERS, self._followers, place_prefix(account), limit=most)
        self._looked_up += len(found)
        groups = (place_prefix(account_of(follower.member)) for follower in found)
        return [group for group in groups if self._keeps(group)]

    def followed(self, follower: bytes, account: bytes, *, on: bool) -> None:
        """A follow was switched on or off; the index of followers has it already."""
        self._audiences.pop(account, None)
        self._weighed.discard(account)
        self.weigh(account)
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
        self._book.tell(Index.INBOX, self._generation, group, [Member(b"", b"")])

    def _ask(self, group: bytes, account: bytes, *, stale: bool = False) -> None:
        """Ask for a backfill.

        Args:
            stale: whether the inbox may have of the account what it should not.
        """
        value = time_bytes(self._now_us) + (_STALE if stale or self._is_stale(group, account) else b"")
        self._book.put(self._generation, Entry(Index.BACKFILL, group, public_of(account), value))

    def _is_stale(self, group: bytes, account: bytes) -> bool:
        key = entry_key(Index.BACKFILL, self._generation, group, public_of(account))
        return (value_at(self._rows, Table.ENTRIES, key) or b"").endswith(_STALE, TIME_BYTES)

    def weigh(self, account: bytes) -> None:
        """Have an account be merged, or not any more, by how many follow it. The bound may be another than
        when somebody last followed it, so it is weighed once in each transaction that is about it."""
        if account in self._weighed:
            return
        self._weighed.add(account)
        place = place_prefix(account)
        count = tally(self._rows, Index.FOLLOWERS, self._followers, place)
        merged = self.is_merged(account)
        if not merged and count > self._bounds.followers_max:
            self._book.put(self._generation, Entry(Index.MERGED, place, b""))
            for group in self._kept_followers(account):
                self._turn_over(group)
        elif merged and count <= FEWER * self._bounds.followers_max:
            self._book.drop(Index.MERGED, self._generation, place, b"")
            found = members(self._rows, Index.FOLLOWERS, self._followers, place, limit=count)
            for group in (place_prefix(account_of(each.member)) for each in found):
                if self._keeps(group):
                    self._ask(group, account, stale=True)

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
        wanted = follows and not self.is_merged(account)
        stale = self._is_stale(group, account)
        if complete or not wanted:
            self._book.drop(Index.BACKFILL, self._generation, group, public_of(account))
        if not wanted:
            return
        inbox, brought = self._deliveries.inbox(group), sorted(latest, key=lambda shown: shown.at)
        if stale:  # what is news since then goes, too: so it is asked for again
            inbox.take_out(lambda entry: of_entry(*entry).by == account)
            self._book.drop(Index.BACKFILL, self._generation, group, public_of(account))
            self._ask(group, account)
        news = [shown for shown in brought if shown.reposter is None or self._is_news(shown)]
        inbox.put([Member(*shown.entry) for shown in news], news=False)
        most = self._bounds.rows_max
        inbox.trim(brought[-most].at if len(brought) >= most else b"")

    def _is_news(self, shown: Shown) -> bool:
        """Whether a repost that another node tells of is as it is known here, or not known yet.

        Where those stand is remembered: they may be taken back before their cell is read.
        """
        assert shown.reposter is not None, "only what was reposted has a cell of its own"
        source = kind_prefix(shown.author, "repost") + shown.item + shown.reposter
        known = self._reposted_at(source)
        if known is None:
            self._remember(source, shown.at)
        return known is None or shown.at in known

    def _take_out(self, group: bytes, account: bytes) -> None:
        """Take out of an inbox what an account has brought into it. What has come to be missing below is
        asked for again when much is."""
        self._book.drop(Index.BACKFILL, self._generation, group, public_of(account))
        self.write()
        inbox = self._deliveries.inbox(group)
        left = inbox.take_out(lambda entry: of_entry(*entry).by == account)
        if inbox.floor is not None and 2 * left < self._bounds.rows_max:
            inbox.open_downwards()
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
        asked = int.from_bytes((value_at(transaction, Table.ENTRIES, key) or b"")[:TIME_BYTES], "big")
        yield Backfill(account_of(both[:PUBLIC_BYTES]), account_of(both[PUBLIC_BYTES:]), asked)
