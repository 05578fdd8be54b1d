"""Building pages of notifications: what there is to tell of each notice, as things are now.

An index says that somebody did something. Whether it still is so, whether the account wants to know, and what
the post looks like is looked up when a page is built, as for other feeds. So a page may hold fewer items than
it was asked for, even none, and only a page without a cursor is the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from folkmoot.node.projections import listings
from folkmoot.node.projections.notice_items import (
    KIND_OF,
    OF_POSTS,
    Cause,
    Known,
    Look,
    Shown,
    cause_of,
    named_by,
    shown_of,
)
from folkmoot.node.projections.notices import Notice, NoticeList, groups_of
from folkmoot.node.projections.posts import Posts
from folkmoot.node.projections.selecting import Selection
from folkmoot.node.projections.strangers import Acquaintance
from folkmoot.node.projections.viewers import Viewers
from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.feed.audience import PageKind
from folkmoot.protocol.feed.controls import Edge
from folkmoot.protocol.feed.notifying import Tab
from folkmoot.protocol.feed.pages import PackedPage, pack_page
from folkmoot.protocol.feed.preferences import POLICY, READ, policy_of, read_until_us
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.projections import bounds
from folkmoot.protocol.projections.notices import Sort
from folkmoot.storage.moderated import waits
from folkmoot.storage.store import Store


class BuiltNotices(NamedTuple):
    """A page of notifications.

    Args:
        page: its items.
        unread: how many there are that the account has not seen, at most `bounds.NOTICES_UNREAD`; None but on
            first pages.
        read_us: up to when the account has seen them, microseconds since 1970.
    """

    page: PackedPage
    unread: int | None
    read_us: int


class NoticePages:
    """See the module.

    Args:
        store: this node's.
        posts: reads posts from wherever they are kept.
        selection: which of them a viewer sees; reads others' cells.
        viewers: what accounts block and mute.
        trusted: whose labels are outcomes of moderation.
        now_us: wall time, microseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        posts: Posts,
        selection: Selection,
        viewers: Viewers,
        trusted: Callable[[], frozenset[bytes]],
        now_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._posts = posts
        self._selection = selection
        self._viewers = viewers
        self._trusted = trusted
        self._now_us = now_us

    async def page(self, account: bytes, tab: Tab, after: bytes | None, limit: int) -> BuiltNotices:
        """A page of an account's notices, newest first.

        Args:
            account: whose (34 bytes); its place is kept here.
            tab: which of them.
            after: the place after which the page begins; None for the first.
            limit: at most so many items.
        """
        look, listing = await self._look(account), self.listing(account)
        page = _Page(after, limit, look.read_us)
        while page.goes_on:
            wanted = page.wanted
            places = await listing.places(page.at, wanted)
            named = bounds.NOTICES_BY if page.has_room else 1
            for place, shown in zip(places, await self._shown(look, places, named), strict=True):
                page.take(place, shown if shown is not None and shown.tab is tab else None)
            page.ended = len(places) < wanted
        return page.built()

    def listing(self, account: bytes) -> NoticeList:
        """Where an account's notices stand."""
        return NoticeList(self._store, account, sorted(self._trusted()))

    def groups(self, account: bytes) -> list[bytes]:
        """The groups in which there may come to be something for an account."""
        return groups_of(account, sorted(self._trusted()))

    async def items(self, account: bytes, places: Sequence[Notice]) -> list[bytes]:
        """The items of those of some notices that are among the account's notifications."""
        shown = await self._shown(await self._look(account), places)
        return [each.item() for each in shown if each is not None and each.tab is Tab.NOTIFICATIONS]

    async def _look(self, account: bytes) -> Look:
        keys = [cell_key(account, "preference", name) for name in (POLICY, READ)]
        said, mark = (None if cell is None else Cell.decode(cell) for cell in self._posts.own_cells(keys))
        policy = policy_of({} if said is None else said.winner.body)
        return Look(
            account,
            await self._viewers.of(account),
            policy,
            0 if mark is None else read_until_us(mark.survivors),
            self._now_us(),
            Acquaintance(self._store, account, ages=policy.min_age_days > 0),
            self._trusted(),
            {},
        )

    async def _shown(
        self, look: Look, places: Sequence[Notice], named: int = bounds.NOTICES_BY
    ) -> list[Shown | None]:
        """What is told of some notices; None for those that are not.

        Of a crowd a few are looked at, and the next few only when none of these is to be named.

        Args:
            named: so many at a time; where notices are only counted, one is enough to know that there is one.
        """
        shown: list[Shown | None] = [None] * len(places)
        numbers, skipped = list(range(len(places))), 0
        while numbers:
            some = [places[number] for number in numbers]
            causes = [cause_of(look, place, skipped, named) for place in some]
            known = await self._known(look, some, causes)
            for number, place, cause in zip(numbers, some, causes, strict=True):
                shown[number] = shown_of(look, place, cause, known)
            numbers = [
                number
                for number, cause in zip(numbers, causes, strict=True)
                if shown[number] is None and cause.has_more
            ]
            skipped += named
        return shown

    async def _known(self, look: Look, places: Sequence[Notice], causes: Sequence[Cause]) -> Known:
        """Look up what some notices are about, all at once."""
        refs = list(dict.fromkeys(cause.post for cause in causes if cause.post is not None))
        posts = dict(zip(refs, await self._posts.read(refs), strict=True)) if refs else {}
        asked: dict[bytes, listings.Place] = {}
        edges: list[Edge] = []
        for place, cause in zip(places, causes, strict=True):
            if place.sort in OF_POSTS and cause.post is not None:
                asked[cause.post.key] = listings.Place(place.at, cause.post)
            elif place.sort in KIND_OF or place.sort is Sort.FOLLOW:
                edges += [Edge("block", actor, look.account) for actor in cause.actors]
        named = {
            ref
            for place, cause in zip(places, causes, strict=True)
            if cause.post is not None
            and (ref := named_by(place.sort, posts[cause.post], look.account)) is not None
        }
        own = list(named - posts.keys())
        posts |= zip(own, self._posts.own([ref.key for ref in own]), strict=True)
        some = list(asked.values())
        selected = await self._selection.select(
            look.viewer, PageKind.NOTIFICATIONS, some, [posts[place.ref] for place in some]
        )
        return Known(
            posts,
            dict(zip((place.ref for place in some), selected, strict=True)),
            await self._selection.cells([key for cause in causes for key in cause.keys]),
            await self._selection.on(edges),
            self._decided(cause.post.key for cause in causes if cause.post and not cause.actors),
        )

    def _decided(self, waiting: Iterable[bytes]) -> frozenset[bytes]:
        """Those of some posts, by their keys, about whose held version somebody has decided."""
        return frozenset(key for key in waiting if not waits(self._store.engine, key))


class _Page:
    """A page that is being put together; of the first one, what is unread is counted beyond its end.

    Attributes:
        at: up to where notices were looked at.
        ended: whether there are no more.
    """

    def __init__(self, after: bytes | None, limit: int, read_us: int) -> None:
        self.at = after
        self.ended = False
        self._limit = limit
        self._read_us = read_us
        self._resume = after
        self._items: list[bytes] = []
        self._size = 0
        self._full = False
        self._left_out = False
        self._looked_at = 0
        self._is_first = self._counting = after is None
        self._unread = 0

    @property
    def has_room(self) -> bool:
        """Whether what is looked at next may come onto it; else it is only counted."""
        return not self._full

    @property
    def goes_on(self) -> bool:
        """Whether more is to be looked at."""
        wanted = not self._full or self._counting
        return wanted and not self.ended and self._looked_at < limits.PAGE_ROWS_SCANNED

    @property
    def wanted(self) -> int:
        """How many are to be looked at next: at first as many as there is room for, since mostly all of them
        are shown and few are unread."""
        most = bounds.NOTICES_LOOKED_AT
        if self._full:
            return min(most, bounds.NOTICES_UNREAD - self._unread)
        return most if self._looked_at else min(most, self._limit)

    def take(self, place: Notice, shown: Shown | None) -> None:
        """Take what is told of the next notice, if there is room for it."""
        self.at = place.at
        self._looked_at += 1
        # A notice stands by the newest in it, whether that one is wanted or not: what follows is older still.
        self._counting &= place.time_us > self._read_us
        if shown is not None:
            self._unread += self._counting and shown.unread
            self._counting &= self._unread < bounds.NOTICES_UNREAD
        item = None if shown is None or self._full else shown.item()
        if item is not None:
            self._full = self._size + len(item) > limits.PAGE_BYTES
        self._left_out |= self._full and shown is not None
        if not self._full:
            self._resume = place.at
            if item is not None:
                self._items.append(item)
                self._size += len(item)
                self._full = len(self._items) >= self._limit

    def built(self) -> BuiltNotices:
        """The page."""
        resume = None if self.ended and not self._left_out else self._resume
        return BuiltNotices(
            pack_page(self._items, resume), self._unread if self._is_first else None, self._read_us
        )
