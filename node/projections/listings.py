"""What a page of each feed is made of: places in the feed, and the posts that stand there.

A listing is read where its group is kept, in short transactions, some places at a time; which of the posts
are shown, and how, is decided afterwards (see `building`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, NamedTuple, Protocol

import trio
from cachetools import TTLCache
from folkmoot.node.projections.logs import Latest
from folkmoot.node.projections.posts import Ref
from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.flag import is_on
from folkmoot.protocol.key import kind_prefix, place_prefix, prefix_end
from folkmoot.protocol.projections.entries import (
    PUBLIC_BYTES,
    TIME_BYTES,
    Index,
    Projection,
    account_of,
    post_group,
    public_of,
    tag_group,
)
from folkmoot.storage import inboxes, projections
from folkmoot.storage.inboxes import Shown
from folkmoot.storage.store import Store

_FIRST: Final = b"\0"  # the place of what a thread begins with, before all members
_LATEST_CACHED: Final = 256
_LATEST_S: Final = 5.0


class Place(NamedTuple):
    """A place in a feed.

    Args:
        at: where; the cursor after it.
        ref: the post that stands there.
        reposter: who reposted it there (34 bytes).
        answers: what it answers, in a thread.
    """

    at: bytes
    ref: Ref
    reposter: bytes | None = None
    answers: Ref | None = None


class Listing(Protocol):
    """The places of one feed."""

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


class Thread:
    """A thread: the post it begins with, and then all that answer it or each other, as they were made.

    Args:
        store: this node's.
        root: the post it begins with.
    """

    def __init__(self, store: Store, root: Ref) -> None:
        self.root = root
        group = post_group(*root)
        self._replies = Entries(store, Index.THREAD, Projection.THREADS, group, _in_thread, forwards=True)

    async def places(self, after: bytes | None, limit: int) -> list[Place]:
        """See `Listing`."""
        if after is None:
            return [Place(_FIRST, self.root), *await self._replies.places(None, limit - 1)][:limit]
        return await self._replies.places(None if after == _FIRST else after, limit)

    def has(self, ref: Ref) -> bool:
        """Whether a post is in it."""
        return ref == self.root or self._replies.has(ref)


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


def _in_thread(member: bytes, value: bytes) -> Place:
    answers = Ref(account_of(value[:PUBLIC_BYTES]), value[PUBLIC_BYTES:])
    return by_item(member, value)._replace(answers=answers)


def _bookmark(member: bytes, value: bytes) -> Place:
    post = member[TIME_BYTES:]
    return Place(member, Ref(account_of(post[:PUBLIC_BYTES]), post[PUBLIC_BYTES:]))


class AsksLatest(Protocol):
    """Asks other nodes for the latest posts of an account; see `logs`."""

    async def latest_elsewhere(self, account: bytes, limit: int) -> Latest | None:
        """Its latest posts and reposts; None when this node keeps them, or nobody can be asked."""
        ...

    def keeps(self, account: bytes) -> bool:
        """Whether this node keeps what an account writes."""
        ...


class Merging:
    """Feeds that are merged from what accounts posted when they are read: wholly, or home feeds in part.

    Args:
        store: this node's.
        latest: see `AsksLatest`.
        now: the clock by which what others told is remembered for a few seconds.
    """

    def __init__(self, store: Store, latest: AsksLatest, now: Callable[[], float]) -> None:
        self._store = store
        self._latest = latest
        self._told: TTLCache[bytes, list[Shown]] = TTLCache(_LATEST_CACHED, _LATEST_S, now)

    def home(self, account: bytes) -> Home:
        """The home feed of an account that this node keeps: what is in its inbox, and the posts of those with
        too many followers for inboxes."""
        return Home(account, self._store, self)

    def members(self, account: bytes, item: bytes) -> Listing:
        """The feed of a list (its owner, whom this node keeps, and its item of 16 bytes)."""
        return _List(account, item, self._store, self)

    async def merged(
        self, accounts: Iterable[bytes], after: bytes | None, limit: int, *, reposts: bool
    ) -> list[list[Shown]]:
        """The latest of each of some accounts after a place, the newest first."""
        shown: list[list[Shown]] = []
        elsewhere: list[bytes] = []
        reposted = self._store.live[Projection.REPOSTS]
        with self._store.engine.begin() as transaction:
            for account in accounts:
                if self._latest.keeps(account):
                    found = inboxes.latest_of(transaction, reposted, account, limit, after)
                    shown.append([each for each in found if reposts or each.reposter is None])
                else:
                    elsewhere.append(account)
        async with trio.open_nursery() as nursery:
            for account in elsewhere:
                if account not in self._told:
                    nursery.start_soon(self._ask, account)
        for account in elsewhere:
            told = self._told.get(account, ())
            later = (each for each in told if after is None or each.at < after)
            shown.append([each for each in later if reposts or each.reposter is None])
        return shown

    async def _ask(self, account: bytes) -> None:
        answer = await self._latest.latest_elsewhere(account, limits.PAGE_ITEMS)
        self._told[account] = [] if answer is None else answer.shown


class Home:
    """One home feed; made by `Merging.home`."""

    def __init__(self, account: bytes, store: Store, merging: Merging) -> None:
        self._account = account
        self._store = store
        self._merging = merging

    async def places(self, after: bytes | None, limit: int) -> list[Place]:
        """See `Listing`."""
        own, merged = self._read(after, limit)
        if not merged:
            return list(map(place_of, own))
        return _merge([own, *await self._merging.merged(merged, after, limit, reposts=True)], limit)

    def merged(self) -> list[bytes]:
        """The accounts whose posts are merged into it now."""
        live = self._store.live
        with self._store.engine.begin() as transaction:
            home, followers = live[Projection.HOME], live[Projection.FOLLOWERS]
            return inboxes.merged_followed(transaction, home, followers, self._account)

    def places_now(self, after: bytes | None, limit: int) -> list[Place] | None:
        """`places`, when nothing has to be merged; else None."""
        own, merged = self._read(after, limit)
        return None if merged else list(map(place_of, own))

    def _read(self, after: bytes | None, limit: int) -> tuple[list[Shown], list[bytes]]:
        """What is in the inbox, and whose posts are to be merged with it."""
        live = self._store.live
        home, group = live[Projection.HOME], place_prefix(self._account)
        with self._store.engine.begin() as transaction:
            found = projections.newest(transaction, Index.INBOX, home, group, before=after, limit=limit)
            merged = inboxes.merged_followed(transaction, home, live[Projection.FOLLOWERS], self._account)
        return [inboxes.of_entry(*entry) for entry in found], merged


class _List:
    def __init__(self, account: bytes, item: bytes, store: Store, merging: Merging) -> None:
        self._prefix = kind_prefix(account, "listed") + item
        self._store = store
        self._merging = merging

    async def places(self, after: bytes | None, limit: int) -> list[Place]:
        """See `Listing`."""
        cells = self._store.cells_between(
            self._prefix, prefix_end(self._prefix), limit=limits.LIST_MEMBERS, bytes_max=limits.MESSAGE_BYTES
        )
        members = [key[len(self._prefix) :] for key, cell in cells if is_on(Cell.decode(cell))]
        return _merge(await self._merging.merged(members, after, limit, reposts=False), limit)


def place_of(shown: Shown) -> Place:
    """Where something stands that is shown in a feed."""
    return Place(shown.at, Ref(shown.author, shown.item), shown.reposter)


def _merge(shown: Iterable[Iterable[Shown]], limit: int) -> list[Place]:
    ordered = heapq.merge(*shown, key=lambda each: each.at, reverse=True)
    return list(islice(_once(ordered), limit))


def _once(ordered: Iterable[Shown]) -> Iterable[Place]:
    """Places in order, each once: a merged author's posts may be in an inbox from before they were merged."""
    last = b""
    for shown in ordered:
        if shown.at != last:
            yield place_of(shown)
        last = shown.at
