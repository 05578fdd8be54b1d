"""Feeds that are projections: `feed.home`, `feed.thread`, `feed.tag` and `feed.bookmarks`.

A page is built by a node that keeps the group the feed is about: this one, if it does, or the nearest replica
(`feed.page`). A node builds none before it has read all logs once: what it has then is as old as it says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final, NamedTuple

from folkmoot.node.actors.session import Asker, Immediate, Method
from folkmoot.node.contracts import EpochCheck, Peers, Reading
from folkmoot.node.projections import listings
from folkmoot.node.projections.answers import Answers
from folkmoot.node.projections.branches import Thread, check_place
from folkmoot.node.projections.building import Builder
from folkmoot.node.projections.listings import Merging
from folkmoot.node.projections.nearest import from_nearest
from folkmoot.node.projections.posts import Ref
from folkmoot.node.projections.serving import Lagging, lag_of
from folkmoot.node.projections.viewers import Viewers
from folkmoot.node.routing import Router
from folkmoot.node.rpc import Packed
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.audience import PageKind
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.pages import PackedPage, array_header, pack_result
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections.entries import post_group, tag_form, tag_group
from folkmoot.protocol.ring.levels import parse_level
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.token import Token
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

PAGE: Final = "feed.page"
_NO_TOKEN: Final = Token().encode()
_RETRY_MS: Final = 500

_Asked = messages.FeedAuthor | messages.FeedThread | messages.FeedTag
_Subject = Annotated[bytes, Meta(max_length=limits.TAG_FORM_BYTES)]
_Place = Annotated[bytes, Meta(max_length=limits.CURSOR_BYTES)]


class _Page(Struct):
    """`feed.page`: a page of a feed that the asked node keeps the group of."""

    range: int
    epoch: int
    feed: CursorKind
    subject: _Subject
    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_ITEMS)]
    after: _Place | None = None
    viewer: messages.Account | None = None


class _Built(Struct):
    """The answer."""

    count: Annotated[int, Meta(ge=0, le=2 * limits.PAGE_ITEMS)]
    items: bytes
    lag_ms: Annotated[int, Meta(ge=0)]
    resume: _Place | None = None


class Feed(NamedTuple):
    """Which feed a page is of.

    Args:
        kind: what sort of feed.
        subject: whose; see `cursor.encode`.
        group: where it is kept.
        viewer: who looks (34 bytes); None for nobody in particular.
    """

    kind: CursorKind
    subject: bytes
    group: bytes
    viewer: bytes | None


class BuiltPage(NamedTuple):
    """A page, and how far behind it may be, in milliseconds."""

    page: PackedPage
    lag_ms: int


class Feeds:
    """See the module.

    Args:
        store: this node's.
        router: orders replicas by distance.
        where: the range that holds a key.
        peers: how to reach the others.
        epochs: checks claims of other nodes.
        reading: finds out what a post answers.
        builder: puts pages together.
        viewers: what those who look block and mute.
        merging: feeds that are merged when they are read.
        answers: what threads are made of.
        lagging: how far behind projections are.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        where: Callable[[bytes], RangeDescriptor],
        peers: Peers,
        epochs: EpochCheck,
        reading: Reading,
        builder: Builder,
        viewers: Viewers,
        merging: Merging,
        answers: Answers,
        lagging: Lagging,
    ) -> None:
        self._store = store
        self._router = router
        self._where = where
        self._peers = peers
        self._epochs = epochs
        self._reading = reading
        self._builder = builder
        self._viewers = viewers
        self._merging = merging
        self._answers = answers
        self._lagging = lagging

    def client_methods(self) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        return {
            "feed.home": self._home,
            "feed.thread": self._thread,
            "feed.tag": self._tag,
            "feed.list": self._list,
            "feed.bookmarks": self._bookmarks,
        }

    def immediate(self) -> Mapping[str, Immediate]:
        """Methods that can often be answered at once, by their names on the wire."""
        return {"feed.home": self._home_now}

    def _home_now(self, asker: Asker, params: Params) -> Packed | None:
        """`feed.home` as anybody sees it, when this node can answer it at once."""
        if asker.account is not None:
            return None
        asked = codec.shaped(params, messages.FeedHome, "feed.home")
        _check_account(asked.account)
        lag_s = self._lagging.lag_s()
        if lag_s is None or not self._lagging.covers(place_prefix(asked.account)):
            return None
        feed = Feed(CursorKind.HOME, asked.account, place_prefix(asked.account), None)
        page = self._builder.page_now(self._merging.home(asked.account), _after(feed, asked), asked.limit)
        return None if page is None else _packed(feed, asked, BuiltPage(page, int(lag_s * 1000)))

    async def _thread(self, asker: Asker, params: Params) -> Packed:
        asked = codec.shaped(params, messages.FeedThread, "feed.thread")
        _check_account(asked.author)
        root = await self._root_of(Ref(asked.author, asked.item), asked)
        feed = Feed(CursorKind.THREAD, root.author + root.item, post_group(*root), asker.account)
        return await self._answer(feed, asked)

    async def _root_of(self, ref: Ref, asked: messages.FeedThread) -> Ref:
        """What the thread of a post begins with: itself, when it is not known or answers nothing."""
        read = await self._reading.get([ref.key], parse_level(asked.level), Token())
        if read.cells[0] is None:
            return ref
        cell = Cell.decode(read.cells[0])
        return ref if cell.deleted else await self._builder.first_of(cell.winner)

    async def _home(self, asker: Asker, params: Params) -> Packed:
        asked = codec.shaped(params, messages.FeedHome, "feed.home")
        _check_account(asked.account)
        feed = Feed(CursorKind.HOME, asked.account, place_prefix(asked.account), asker.account)
        return await self._answer(feed, asked)

    async def _tag(self, asker: Asker, params: Params) -> Packed:
        asked = codec.shaped(params, messages.FeedTag, "feed.tag")
        form = tag_form(asked.tag)
        if not form:
            raise WireError(BAD_REQUEST, "the tag has no characters besides its sign")
        feed = Feed(CursorKind.TAG, form.encode(), tag_group(form), asker.account)
        return await self._answer(feed, asked)

    async def _list(self, asker: Asker, params: Params) -> Packed:
        asked = codec.shaped(params, messages.FeedList, "feed.list")
        _check_account(asked.account)
        subject = asked.account + asked.item
        feed = Feed(CursorKind.LIST, subject, place_prefix(asked.account), asker.account)
        return await self._answer(feed, asked)

    async def _bookmarks(self, asker: Asker, params: Params) -> Packed:
        asked = codec.shaped(params, messages.FeedBookmarks, "feed.bookmarks")
        _check_account(asked.account)
        if asker.account is None:
            raise WireError(UNAUTHENTICATED, "bookmarks are private: send auth first")
        if asker.account != asked.account:
            raise WireError(FORBIDDEN, "these bookmarks belong to another account")
        feed = Feed(CursorKind.BOOKMARKS, asked.account, place_prefix(asked.account), asker.account)
        return await self._answer(feed, asked)

    async def _answer(self, feed: Feed, asked: _Asked) -> Packed:
        return _packed(feed, asked, await self.page(feed, _after(feed, asked), asked.limit))

    async def page(self, feed: Feed, after: bytes | None, limit: int) -> BuiltPage:
        """A page from this node, or from the nearest one that keeps the feed.

        Raises:
            WireError: `level_unreachable`; `busy` when all that can be reached have yet to read the logs.
        """
        owner = self._where(feed.group)
        return await from_nearest(
            self._router,
            owner,
            partial(self.build, feed, after, limit),
            partial(self._ask, owner=owner, feed=feed, after=after, limit=limit),
        )

    async def _ask(
        self, node_id: bytes, owner: RangeDescriptor, feed: Feed, after: bytes | None, limit: int
    ) -> BuiltPage:
        params = {
            "range": owner.id,
            "epoch": owner.epoch,
            "feed": int(feed.kind),
            "subject": feed.subject,
            "limit": limit,
            "after": after,
            "viewer": feed.viewer,
        }
        answer = await self._peers.call(node_id, PAGE, params, limits.REPLICA_READ_TIMEOUT_S)
        built = codec.shaped(answer, _Built, "a page")
        codec.unpack(array_header(built.count) + built.items)
        return BuiltPage(PackedPage(built.count, built.items, built.resume), built.lag_ms)

    async def build(self, feed: Feed, after: bytes | None, limit: int) -> BuiltPage:
        """A page of a feed whose group this node keeps.

        Raises:
            WireError: `busy`, as long as not all logs have been read for it.
        """
        lag_s = lag_of(self._lagging, feed.group)
        subject, store = feed.subject, self._store
        viewer, build = await self._viewers.of(feed.viewer), self._builder.page
        match feed.kind:
            case CursorKind.HOME:
                page = await build(PageKind.HOME, self._merging.home(subject), viewer, after, limit)
            case CursorKind.TAG:
                page = await build(
                    PageKind.TAG, listings.tagged(store, subject.decode()), viewer, after, limit
                )
            case CursorKind.BOOKMARKS:
                page = await build(PageKind.LIST, listings.bookmarked(store, subject), viewer, after, limit)
            case CursorKind.LIST:
                page = await build(
                    PageKind.LIST, self._merging.members(*_parts(subject)), viewer, after, limit
                )
            case CursorKind.THREAD:
                if after is not None:
                    check_place(after)
                thread = Thread(store, Ref(*_parts(subject)), self._answers)
                page = await self._builder.thread(thread, viewer, after, limit)
            case _:
                raise WireError(BAD_REQUEST, f"feed {feed.kind} is no projection")
        return BuiltPage(page, int(lag_s * 1000))

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {PAGE: self._answer_peer}

    async def _answer_peer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, _Page, PAGE)
        feed = Feed(asked.feed, asked.subject, _group_of(asked.feed, asked.subject), asked.viewer)
        self._epochs.check_epochs({asked.range: asked.epoch}, [feed.group])
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=_RETRY_MS)
        built = await self.build(feed, asked.after, asked.limit)
        return {**built.page.to_wire(), "lag_ms": built.lag_ms}


def _after(feed: Feed, asked: _Asked) -> bytes | None:
    """The place after which a page begins that was asked for.

    Raises:
        WireError: `bad_request`, for a level there is not, or a cursor of another feed.
    """
    parse_level(asked.level)
    return None if asked.cursor is None else cursors.decode(feed.kind, feed.subject, asked.cursor)


def _packed(feed: Feed, asked: _Asked, built: BuiltPage) -> Packed:
    resume = built.page.resume
    cursor = None if resume is None else cursors.encode(feed.kind, feed.subject, resume)
    return Packed(pack_result(built.page, cursor, asked.token or _NO_TOKEN, built.lag_ms))


def _group_of(kind: CursorKind, subject: bytes) -> bytes:
    """Where a feed is kept.

    Raises:
        WireError: `bad_request`, when the subject is none of such a feed.
    """
    if kind is CursorKind.TAG:
        try:
            return tag_group(subject.decode())
        except UnicodeDecodeError:
            raise WireError(BAD_REQUEST, "a tag that is not UTF-8") from None
    account, item = _parts(subject)
    _check_account(account)
    if kind is CursorKind.LIST and len(item) == limits.LIST_ITEM_BYTES:
        return place_prefix(account)
    if kind is CursorKind.THREAD and len(item) == limits.POST_ITEM_BYTES:
        return post_group(account, item)
    if item:
        raise WireError(BAD_REQUEST, "the subject of a feed is longer than it should be")
    return place_prefix(account)


def _parts(subject: bytes) -> tuple[bytes, bytes]:
    """An account, and what follows it."""
    return subject[: limits.ACCOUNT_BYTES], subject[limits.ACCOUNT_BYTES :]


def _check_account(account: bytes) -> None:
    if not is_account(account):
        raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")
