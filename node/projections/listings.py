"""What a page of each feed is made of: places in the feed, and the posts that stand there.

A listing is read where its group is kept, in short transactions, some places at a time; which of the posts
are shown, and how, is decided afterwards (see `building`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import starmap
from typing import Any, Final, NamedTuple, Protocol

from folkmoot.node.environment import Executor
from folkmoot.node.projections.merging import Accounts, Piece, Source, newest_of
from folkmoot.node.projections.posts import Ref
from folkmoot.protocol import limits
from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.flag import is_on
from folkmoot.protocol.key import kind_prefix, place_prefix, prefix_end
from folkmoot.protocol.projections.entries import (
    PUBLIC_BYTES,
    TIME_BYTES,
    Index,
    Projection,
    account_of,
    public_of,
    tag_group,
)
from folkmoot.storage import inboxes, projections
from folkmoot.storage.inbox import merged_followed
from folkmoot.storage.inboxes import Shown
from folkmoot.storage.projections import Member
from folkmoot.storage.shown import Top
from folkmoot.storage.store import Store

_INBOX_ROWS: Final = 64
_PLACES_KNOWN: Final = 8_192
_TOP_PLACES: Final = limits.PAGE_ITEMS + 1  # a page, and whether there is more; streams read further down


class Place(NamedTuple):
    """A place in a feed.

    Args:
        at: where; the cursor after it.
        ref: the post that stands there.
        reposter: who reposted it there (34 bytes).
        reposted_ms: and when, milliseconds since 1970; a ranked feed puts it elsewhere than at its time.
        answers: what it answers, in a thread.
        why: what is said of why it stands there, in a ranked feed.
        further: whether it only names what hangs too far down in a thread to be shown.
        again: whether it was on the way there already, in a thread whose posts answer each other in a circle.
    """

    at: bytes
    ref: Ref
    reposter: bytes | None = None
    reposted_ms: int | None = None
    answers: Ref | None = None
    why: Mapping[str, Any] | None = None
    further: bool = False
    again: bool = False

    @property
    def dated_ms(self) -> int:
        """The time by which it stands there in a feed that is no ranked one."""
        return post_time_ms(self.at)  # a place begins as posts' items do

    @property
    def name(self) -> bytes:
        """See `live.HasPlace`: it never stands anywhere else."""
        return self.at


class Listing(Protocol):
    """The places of one feed."""

    @property
    def unreached(self) -> Sequence[bytes]:
        """The accounts of which something may be missing in what was read, for nobody could be asked."""
        ...

    async def places(self, after: bytes | None, limit: int) -> list[Place]:
        """The next places after one, in the order of the feed; fewer than `limit` at its end."""
        ...


class Entries:
    """The entries of one index, as this node has them.

    Args:
        store: this node's.
        index, projection, group: whose.
        place: what an entry's member says.
        forwards: in the order of members, or against it.
    """

    def __init__(
        self,
        store: Store,
        index: Index,
        projection: Projection,
        group: bytes,
        place: Callable[[bytes, bytes], Place],
        *,
        forwards: bool = False,
    ) -> None:
        self._store = store
        self._index = index
        self._projection = projection
        self._group = group
        self._place = place
        self._forwards = forwards

    @property
    def unreached(self) -> Sequence[bytes]:
        """See `Listing`."""
        return ()

    async def places(self, after: bytes | None, limit: int) -> list[Place]:
        """See `Listing`."""
        generation = self._store.live[self._projection]
        with self._store.engine.begin() as transaction:
            if self._forwards:
                found = projections.members(
                    transaction, self._index, generation, self._group, after=after or b"", limit=limit
                )
            else:
                found = projections.newest(
                    transaction, self._index, generation, self._group, before=after, limit=limit
                )
        return [self._place(*entry) for entry in found]

    def has(self, ref: Ref) -> bool:
        """Whether there is an entry of a post, whose members are items and authors."""
        generation = self._store.live[self._projection]
        with self._store.engine.begin() as transaction:
            member = ref.item + public_of(ref.author)
            return projections.has(transaction, self._index, generation, self._group, member)


def tagged(store: Store, form: str) -> Entries:
    """The posts with a tag, in its form."""
    return Entries(store, Index.TAGGED, Projection.TAGS, tag_group(form), by_item)


def bookmarked(store: Store, account: bytes) -> Entries:
    """The posts an account has bookmarked."""
    group = place_prefix(account)
    return Entries(store, Index.BOOKMARKED, Projection.BOOKMARKS, group, _bookmark)


def by_item(member: bytes, value: bytes) -> Place:
    """Where a post stands, by an entry whose member begins with its item."""
    item, author = member[: limits.POST_ITEM_BYTES], account_of(member[limits.POST_ITEM_BYTES :])
    return Place(member, Ref(author, item))


def _bookmark(member: bytes, value: bytes) -> Place:
    post = member[TIME_BYTES:]
    return Place(member, Ref(account_of(post[:PUBLIC_BYTES]), post[PUBLIC_BYTES:]))


class Latest(NamedTuple):
    """The latest of some accounts.

    Args:
        shown: of each, the newest first; of whom nobody can be asked about, nothing.
        unreached: those.
    """

    shown: list[list[Shown]]
    unreached: list[bytes]


class Merging:
    """Feeds that are merged from what accounts posted when they are read: wholly, or home feeds in part.

    Args:
        store: this node's.
        accounts: reads what they posted.
        executor: where long lists are read.
    """

    def __init__(self, store: Store, accounts: Accounts, executor: Executor) -> None:
        self._store = store
        self._accounts = accounts
        self._executor = executor

    def home(self, account: bytes) -> Home:
        """The home feed of an account that this node keeps: what is in its inbox, and the posts of those with
        too many followers for inboxes."""
        return Home(account, self._store, self._accounts)

    def members(self, account: bytes, item: bytes) -> Listing:
        """The feed of a list (its owner, whom this node keeps, and its item of 16 bytes)."""
        return _List(account, item, self._store, self._accounts, self._executor)

    async def latest(
        self, accounts: Iterable[bytes], after: bytes | None, limit: int, *, reposts: bool
    ) -> Latest:
        """The latest of each of some accounts after a place."""
        sources = [Source(account, after) for account in accounts]
        unreached: dict[bytes, None] = {}
        await self._accounts.read(sources, limit, reposts=reposts, unreached=unreached)
        return Latest([source.shown[:limit] for source in sources], list(unreached))


class Home:
    """One home feed; made by `Merging.home`."""

    def __init__(self, account: bytes, store: Store, accounts: Accounts) -> None:
        self._account = account
        self._store = store
        self._accounts = accounts
        self._unreached: dict[bytes, None] = {}

    @property
    def unreached(self) -> Sequence[bytes]:
        """See `Listing`."""
        return list(self._unreached)

    async def places(self, after: bytes | None, limit: int) -> list[Place]:
        """See `Listing`."""
        if (top := self._remembered(after, limit)) is not None:
            return list(top.places)
        version = self._store.shown.version()
        own, merged = self._read(after, limit)
        if not merged:
            return list(self._keep(own, after, limit, version).places)
        inbox = Source(self._account, after)
        sources = [Source(account, after) for account in merged]
        stale = frozenset(merged)
        inbox.add(_without(own, stale, limit))

        async def read(lacking: Sequence[Source], some: int) -> None:
            if inbox in lacking:
                some = max(some, _INBOX_ROWS)
                inbox.add(_without(self._read(inbox.before, some)[0], stale, some))
            others = [source for source in lacking if source is not inbox]
            if others:
                await self._accounts.read(others, some, reposts=True, unreached=self._unreached)

        return list(map(place_of, await newest_of([inbox, *sources], limit, read)))

    def merged(self) -> list[bytes]:
        """The accounts whose posts are merged into it now."""
        live = self._store.live
        with self._store.engine.begin() as transaction:
            home, followers = live[Projection.HOME], live[Projection.FOLLOWERS]
            return merged_followed(transaction, home, followers, self._account)

    def now(self, after: bytes | None, limit: int) -> Top[Place] | None:
        """`places` and the keys of their posts, when nothing has to be merged; else None."""
        if (top := self._remembered(after, limit)) is not None:
            return top
        version = self._store.shown.version()
        own, merged = self._read(after, limit)
        return None if merged else self._keep(own, after, limit, version)

    def _remembered(self, after: bytes | None, limit: int) -> Top[Place] | None:
        return self._store.shown.top(place_prefix(self._account), limit) if after is None else None

    def _keep(self, own: Sequence[Member], after: bytes | None, limit: int, version: int) -> Top[Place]:
        """What was read of an inbox with which nothing is merged; what stands first is remembered."""
        places = list(starmap(_place_of_entry, own))
        top = Top(limit, places, [place.ref.key for place in places])
        if after is None and limit <= _TOP_PLACES:
            self._store.shown.keep_top(place_prefix(self._account), top, version)
        return top

    def _read(self, after: bytes | None, limit: int) -> tuple[list[Member], list[bytes]]:
        """What is in the inbox, and whose posts are to be merged with it."""
        live = self._store.live
        home, group = live[Projection.HOME], place_prefix(self._account)
        with self._store.engine.begin() as transaction:
            found = projections.newest(transaction, Index.INBOX, home, group, before=after, limit=limit)
            merged = merged_followed(transaction, home, live[Projection.FOLLOWERS], self._account)
        return found, merged


class _List:
    def __init__(
        self, account: bytes, item: bytes, store: Store, accounts: Accounts, executor: Executor
    ) -> None:
        self._prefix = kind_prefix(account, "listed") + item
        self._store = store
        self._accounts = accounts
        self._executor = executor
        self._members: list[bytes] | None = None
        self._unreached: dict[bytes, None] = {}

    @property
    def unreached(self) -> Sequence[bytes]:
        """See `Listing`."""
        return list(self._unreached)

    async def places(self, after: bytes | None, limit: int) -> list[Place]:
        """See `Listing`."""
        if self._members is None:
            self._members = await self._executor.run(self._read_members)
        sources = [Source(member, after) for member in self._members]
        read = partial(self._accounts.read, reposts=False, unreached=self._unreached)
        return list(map(place_of, await newest_of(sources, limit, read)))

    def _read_members(self) -> list[bytes]:
        cells = self._store.cells_between(
            self._prefix, prefix_end(self._prefix), limit=limits.LIST_MEMBERS, bytes_max=limits.MESSAGE_BYTES
        )
        return [key[len(self._prefix) :] for key, cell in cells if is_on(Cell.decode(cell))]


def _without(own: Iterable[Member], merged: Collection[bytes], limit: int) -> Piece:
    """What of an inbox is looked at: not what is there from before its author was merged."""
    shown = list(starmap(inboxes.of_entry, own))
    return Piece.of(shown, limit)._replace(shown=[each for each in shown if each.by not in merged])


@lru_cache(maxsize=_PLACES_KNOWN)
def _place_of_entry(member: bytes, value: bytes) -> Place:
    """Where something stands by its entry in an inbox; those that are read often are read once."""
    return place_of(inboxes.of_entry(member, value))


def place_of(shown: Shown) -> Place:
    """Where something stands that is shown in a feed."""
    ref = Ref(shown.author, shown.item)
    if shown.reposter is None:
        return Place(shown.at, ref)
    return Place(shown.at, ref, shown.reposter, post_time_ms(shown.at))
