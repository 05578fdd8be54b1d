"""`notice.list`, and following one's notifications: what others did that concerns an account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, NamedTuple

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import EpochCheck, Peers
from folkmoot.node.environment import WallClock
from folkmoot.node.live.contracts import Open, Subject
from folkmoot.node.projections.away import Away
from folkmoot.node.projections.hosting import Followed
from folkmoot.node.projections.live import FeedSource
from folkmoot.node.projections.nearest import from_nearest
from folkmoot.node.projections.notice_pages import BuiltNotices, NoticePages
from folkmoot.node.projections.notices import Notice, check_place
from folkmoot.node.projections.serving import Lagging, lag_of
from folkmoot.node.projections.watchers import New, Watchers, mark
from folkmoot.node.routing import Router
from folkmoot.node.rpc import Packed
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    BUSY,
    FORBIDDEN,
    UNAUTHENTICATED,
    WireError,
)
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.notifying import Tab
from folkmoot.protocol.feed.pages import PackedPage, array_header, pack_notices
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections import bounds
from folkmoot.protocol.projections.entries import Index
from folkmoot.protocol.projections.notices import sort_of
from folkmoot.protocol.ring.ranges import RangeDescriptor
from msgspec import Meta, Struct

PAGE: Final = "notice.page"
_RETRY_MS: Final = 500
_CURSORS: Final = {Tab.NOTIFICATIONS: CursorKind.NOTIFICATIONS, Tab.REQUESTS: CursorKind.REQUESTS}

_Place = Annotated[bytes, Meta(max_length=limits.CURSOR_BYTES)]
_Uint = Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)]


class _Page(Struct):
    """`notice.page`: a page of the notices of an account that the asked node keeps."""

    range: int
    epoch: int
    account: messages.Account
    tab: Tab
    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_ITEMS)]
    after: _Place | None = None


class _Built(Struct):
    """The answer."""

    count: Annotated[int, Meta(ge=0, le=limits.PAGE_ITEMS)]
    items: bytes
    lag_ms: _Uint
    read_us: _Uint
    resume: _Place | None = None
    unread: Annotated[int, Meta(ge=0, le=bounds.NOTICES_UNREAD)] | None = None


class _Answer(NamedTuple):
    """A page, and how far behind it may be, in milliseconds."""

    built: BuiltNotices
    lag_ms: int


class Notifications:
    """See the module.

    Args:
        router: orders replicas by distance.
        where: the range that holds a key.
        peers: how to reach the others.
        epochs: checks claims of other nodes.
        pages: puts pages together.
        away: follows what is kept here or elsewhere.
        watchers: wake streams.
        lagging: how far behind projections are.
        wall: dates cursors.
    """

    def __init__(
        self,
        router: Router,
        where: Callable[[bytes], RangeDescriptor],
        peers: Peers,
        epochs: EpochCheck,
        pages: NoticePages,
        away: Away,
        watchers: Watchers,
        lagging: Lagging,
        wall: WallClock,
    ) -> None:
        self._router = router
        self._where = where
        self._peers = peers
        self._epochs = epochs
        self._pages = pages
        self._away = away
        self._watchers = watchers
        self._lagging = lagging
        self._wall = wall

    def client_methods(self) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        return {"notice.list": self._list}

    def opens(self) -> Mapping[str, Open]:
        """What clients can follow, by the key in `what`."""
        return {"notifications": self._open}

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {PAGE: self._answer_peer}

    async def _list(self, asker: Asker, params: Params) -> Packed:
        asked = codec.shaped(params, messages.NoticeList, "notice.list")
        account, tab = asked.account, Tab(asked.tab)
        self._check_owner(asker, account)
        after = None
        if asked.cursor is not None:
            after = cursors.decode(_CURSORS[tab], account, asked.cursor)
            check_place(after)
        owner = self._where(place_prefix(account))
        built, lag_ms = await from_nearest(
            self._router,
            owner,
            partial(self._build, account, tab, after, asked.limit),
            partial(self._ask, owner=owner, account=account, tab=tab, after=after, limit=asked.limit),
        )
        resume = built.page.resume
        cursor = None if resume is None else cursors.encode(_CURSORS[tab], account, resume)
        return Packed(pack_notices(built.page, cursor, built.unread, built.read_us, lag_ms))

    def _check_owner(self, asker: Asker, account: bytes) -> None:
        """Refuse whoever has not proven to be the account, or whose proof is over.

        Raises:
            WireError: `bad_request`, `unauthenticated`, `forbidden`.
        """
        if not is_account(account):
            raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")
        asker.expire(self._wall.now_us() // 1000)
        if asker.account is None:
            raise WireError(UNAUTHENTICATED, "notifications are private: send auth first")
        if asker.account != account:
            raise WireError(FORBIDDEN, "these notifications belong to another account")

    async def _build(self, account: bytes, tab: Tab, after: bytes | None, limit: int) -> _Answer:
        lag_s = lag_of(self._lagging, place_prefix(account))
        return _Answer(await self._pages.page(account, tab, after, limit), int(lag_s * 1000))

    async def _ask(
        self,
        node_id: bytes,
        owner: RangeDescriptor,
        account: bytes,
        tab: Tab,
        after: bytes | None,
        limit: int,
    ) -> _Answer:
        params = {
            "range": owner.id,
            "epoch": owner.epoch,
            "account": account,
            "tab": tab.value,
            "limit": limit,
            "after": after,
        }
        answer = await self._peers.call(node_id, PAGE, params, limits.REPLICA_READ_TIMEOUT_S)
        told = codec.shaped(answer, _Built, "a page of notices")
        codec.unpack(array_header(told.count) + told.items)
        page = PackedPage(told.count, told.items, told.resume)
        return _Answer(BuiltNotices(page, told.unread, told.read_us), told.lag_ms)

    async def _answer_peer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, _Page, PAGE)
        self._epochs.check_epochs({asked.range: asked.epoch}, [place_prefix(asked.account)])
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=_RETRY_MS)
        if asked.after is not None:
            check_place(asked.after)
        built, lag_ms = await self._build(asked.account, asked.tab, asked.after, asked.limit)
        return {**built.page.to_wire(), "unread": built.unread, "read_us": built.read_us, "lag_ms": lag_ms}

    async def _open(self, asker: Asker, account: object) -> Subject:
        if not isinstance(account, bytes):
            raise WireError(BAD_REQUEST, "notifications is not an account id of 34 bytes")
        self._check_owner(asker, account)
        return Subject(
            CursorKind.FOLLOW_NOTIFICATIONS,
            account,
            self._away.source(
                Followed(CursorKind.FOLLOW_NOTIFICATIONS, account, account),
                partial(self._check_owner, asker, account),
            ),
        )

    def source(self, account: bytes) -> FeedSource[Notice]:
        """The notifications of an account that this node keeps."""
        return FeedSource(_Followed(self._pages, account), self._watchers, self._wall.now_us)


class _Followed:
    """The notifications of an account, as a stream looks at them; see `live.Followed`."""

    most = bounds.NOTICES_FOLLOWED

    def __init__(self, pages: NoticePages, account: bytes) -> None:
        self._pages = pages
        self._account = account

    def marks(self) -> list[bytes]:
        return [mark(Index.NOTICES, group) for group in self._pages.groups(self._account)]

    def new(self, news: Sequence[New]) -> list[Notice] | None:
        made = (Notice.of_entry(sort_of(each.mark[1:]), *each.entry) for each in news)
        return [each for each in made if each is not None]

    async def places(self) -> list[Notice]:
        return await self._pages.listing(self._account).places(None, self.most)

    async def items(self, places: Sequence[Notice]) -> list[bytes]:
        return await self._pages.items(self._account, places)
