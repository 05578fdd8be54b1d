"""`feed.ranked`: a feed in the order of an algorithm, and why each post is in it.

Which algorithm is meant is found out by the node that is asked; the page is built, as of a home feed, by one
that keeps the account. That one is told the document, so that all pages are of the version that was found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable, Reading
from folkmoot.node.projections.building import Builder
from folkmoot.node.projections.serving import Lagging, lag_of
from folkmoot.node.projections.viewers import Viewers
from folkmoot.node.ranking.ranker import Asked, Ranker
from folkmoot.node.routing import Router
from folkmoot.node.rpc import Packed
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, CONFLICT, NOT_FOUND, TOO_LARGE, WireError
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.audience import PageKind
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.pages import PackedPage, array_header, pack_result
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import kind_prefix, place_prefix
from folkmoot.protocol.ranking.document import Document, parse_document, version_of
from folkmoot.protocol.ranking.position import POSITION_BYTES, Position
from folkmoot.protocol.ranking.shipped import SHIPPED
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import parse_level
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.token import Token
from msgspec import Meta, Struct

RANKED: Final = "feed.ranked"
PAGE: Final = "ranking.page"
_NO_TOKEN: Final = Token().encode()
_RETRY_MS: Final = 500
_LAST_MS: Final = limits.STAMP_MAX // 1000
_FINAL: Final = frozenset({BAD_REQUEST, TOO_LARGE})
"""What another node would answer as well."""

_Position = Annotated[bytes, Meta(min_length=POSITION_BYTES, max_length=POSITION_BYTES)]
_Version = Annotated[bytes, Meta(min_length=limits.RECORD_ID_BYTES, max_length=limits.RECORD_ID_BYTES)]
_Count = Annotated[int, Meta(ge=0, le=limits.RANKED_CANDIDATES)]


class _Page(Struct):
    """`ranking.page`: a page of a ranked feed of an account that the asked node keeps."""

    range: int
    epoch: int
    account: messages.Account
    version: _Version
    document: Any
    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_ITEMS)]
    explain: bool
    after: _Position | None = None
    viewer: messages.Account | None = None


class _LeftOut(Struct):
    """How many candidates are not in the feed, by why."""

    filtered: _Count
    failed: _Count
    per_author: _Count


class _Built(Struct):
    """The answer."""

    count: Annotated[int, Meta(ge=0, le=limits.PAGE_ITEMS)]
    items: bytes
    lag_ms: Annotated[int, Meta(ge=0)]
    as_of_ms: Annotated[int, Meta(ge=0, le=_LAST_MS)]
    left_out: _LeftOut
    unreached: Annotated[
        list[Annotated[str, Meta(max_length=limits.ALGORITHM_WORD_CHARACTERS)]],
        Meta(max_length=limits.ALGORITHM_SOURCES),
    ]
    resume: _Position | None = None


class _Chosen(NamedTuple):
    """An algorithm that was found.

    Args:
        version: names the document (32 bytes).
        wire: the document, as it is written.
        document: as it is read.
        told: what is told of it.
    """

    version: bytes
    wire: Mapping[str, Any]
    document: Document
    told: dict[str, Any]


class _Wanted(NamedTuple):
    """A page that is wanted."""

    account: bytes
    viewer: bytes | None
    limit: int
    explain: bool
    after: bytes | None


Hiding = Callable[[bytes, bytes], Awaitable[Sequence[Record]]]
"""Tells which decisions hide a version (a record id) of what has a key."""


class RankedFeeds:
    """See the module.

    Args:
        router: orders replicas by distance.
        where: the range that holds a key.
        peers: how to reach the others.
        epochs: checks claims of other nodes.
        reading: reads algorithms wherever they are kept.
        builder: puts pages together.
        viewers: what those who look block and mute.
        ranker: see there.
        lagging: how far behind projections are.
        now_us: wall time, microseconds since 1970.
        reviews: whether an account (34 bytes) may decide, and so use what is hidden.
        hiding: see there.
    """

    def __init__(
        self,
        router: Router,
        where: Callable[[bytes], RangeDescriptor],
        peers: Peers,
        epochs: EpochCheck,
        reading: Reading,
        builder: Builder,
        viewers: Viewers,
        ranker: Ranker,
        lagging: Lagging,
        now_us: Callable[[], int],
        reviews: Callable[[bytes], bool],
        hiding: Hiding,
    ) -> None:
        self._router = router
        self._where = where
        self._peers = peers
        self._epochs = epochs
        self._reading = reading
        self._builder = builder
        self._viewers = viewers
        self._ranker = ranker
        self._lagging = lagging
        self._now_us = now_us
        self._reviews = reviews
        self._hiding = hiding

    def client_methods(self) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        return {RANKED: self._ranked}

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {PAGE: self._answer_peer}

    async def _ranked(self, asker: Asker, params: Params) -> Packed:
        asked = codec.shaped(params, messages.FeedRanked, RANKED)
        if not is_account(asked.account):
            raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")
        chosen = await self._chosen(asked, asker.account)
        subject = asked.account + _named(asked.algorithm)
        after = None if asked.cursor is None else self._after(subject, asked.cursor, chosen.version)
        wanted = _Wanted(asked.account, asker.account, asked.limit, asked.explain, after)
        built = await self._page(chosen, wanted)
        cursor = None if built.resume is None else cursors.encode(CursorKind.RANKED, subject, built.resume)
        more: dict[str, Any] = {"algorithm": chosen.told, "as_of_ms": built.as_of_ms}
        if built.unreached:
            more["unreached"] = built.unreached
        if asked.explain:
            left_out = built.left_out
            more["left_out"] = {name: getattr(left_out, name) for name in left_out.__struct_fields__}
        page = PackedPage(built.count, built.items, built.resume)
        return Packed(pack_result(page, cursor, asked.token or _NO_TOKEN, built.lag_ms, more))

    async def _chosen(self, asked: messages.FeedRanked, viewer: bytes | None) -> _Chosen:
        """The algorithm that is asked for, and that whoever asks may see.

        Raises:
            WireError: `not_found`; `level_unreachable`.
        """
        named = asked.algorithm
        level = parse_level(asked.level)
        if isinstance(named, str):
            if named not in SHIPPED:
                raise WireError(
                    NOT_FOUND,
                    f"there is no algorithm {named!r}; there are {', '.join(SHIPPED)}, "
                    "and those of accounts, {account, name}",
                )
            wire, version = SHIPPED[named], _SHIPPED_VERSIONS[named]
            told: dict[str, Any] = {"name": named}
        else:
            key = kind_prefix(named.account, "algorithm") + named.name.encode()
            [data] = (await self._reading.get([key], level, Token())).cells
            record = None if data is None else Cell.decode(data).winner
            if record is None or "deleted" in record.body:
                raise WireError(NOT_FOUND, f"the account has no algorithm {named.name!r}, or none any more")
            wire, version = record.body["document"], record.id
            told = {"name": named.name, "account": named.account}
            if hiding := await self._hiding(key, version):
                if viewer is None or not (viewer == named.account or self._reviews(viewer)):
                    raise WireError(
                        NOT_FOUND, f"the algorithm {named.name!r} is hidden by a decision about it"
                    )
                told["decisions"] = [each.to_wire() for each in hiding]
        document = parse_document(wire)
        return _Chosen(version, wire, document, {**told, "version": version, "title": document.title})

    def _after(self, subject: bytes, cursor: bytes, version: bytes) -> bytes:
        """The place after which a page begins.

        Raises:
            WireError: `bad_request`, for a cursor of another feed; `conflict`, for one of another version.
        """
        data = cursors.decode(CursorKind.RANKED, subject, cursor)
        position = Position.decode(data)
        if position.as_of_ms * 1000 > self._now_us() + limits.STAMP_AHEAD_US:
            raise WireError(BAD_REQUEST, "the cursor is of a time that has yet to come")
        if not position.is_of(version):
            raise WireError(CONFLICT, "the algorithm has changed since that page; ask for the first one anew")
        return data

    async def _page(self, chosen: _Chosen, wanted: _Wanted) -> _Built:
        """A page from this node, or from the nearest one that keeps the account.

        Raises:
            WireError: `level_unreachable`; `busy` when all that can be reached have too much to do, or have
                yet to read the logs; `not_found`, when none of them has a source; what is wrong with the
                algorithm.
        """
        owner = self._where(place_prefix(wanted.account))
        failed: set[bytes] = set()
        said: WireError | None = None
        for node_id in self._router.candidates(owner.slots):
            try:
                if node_id == self._router.node_id:
                    return await self._build(chosen.version, chosen.document, wanted)
                return await self._ask(node_id, owner, chosen, wanted)
            except (WireError, PeerUnreachable) as error:
                failed.add(node_id)
                if isinstance(error, WireError):
                    if error.kind in _FINAL:
                        raise
                    if error.kind in (BUSY, NOT_FOUND):
                        said = error
        raise said or self._router.unreachable(owner.slots, "one", failed)

    async def _ask(self, node_id: bytes, owner: RangeDescriptor, chosen: _Chosen, wanted: _Wanted) -> _Built:
        params = {
            "range": owner.id,
            "epoch": owner.epoch,
            "version": chosen.version,
            "document": chosen.wire,
            **wanted._asdict(),
        }
        answer = await self._peers.call(node_id, PAGE, params, limits.REPLICA_READ_TIMEOUT_S)
        built = codec.shaped(answer, _Built, "a page of a ranked feed")
        codec.unpack(array_header(built.count) + built.items)
        return built

    async def _build(self, version: bytes, document: Document, wanted: _Wanted) -> _Built:
        lag_s = lag_of(self._lagging, place_prefix(wanted.account))
        viewer = await self._viewers.of(wanted.viewer)
        as_of_ms = None if wanted.after is None else Position.decode(wanted.after).as_of_ms
        asked = Asked(wanted.account, wanted.viewer, version)
        kept = await self._ranker.ranking(asked, document, viewer, as_of_ms)
        listing = kept.listing(explain=wanted.explain)
        page = await self._builder.page(PageKind.HOME, listing, viewer, wanted.after, wanted.limit)
        return _Built(
            page.count,
            page.items,
            int(lag_s * 1000),
            kept.as_of_ms,
            _LeftOut(**kept.left_out()),
            kept.unreached,
            page.resume,
        )

    async def _answer_peer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, _Page, PAGE)
        self._epochs.check_epochs({asked.range: asked.epoch}, [place_prefix(asked.account)])
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=_RETRY_MS)
        document = parse_document(asked.document)
        wanted = _Wanted(asked.account, asked.viewer, asked.limit, asked.explain, asked.after)
        built = await self._build(asked.version, document, wanted)
        return {**_fields(built), "left_out": _fields(built.left_out)}


_SHIPPED_VERSIONS: Final = {name: version_of(document) for name, document in SHIPPED.items()}


def _fields(struct: Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _named(algorithm: str | messages.OwnedAlgorithm) -> bytes:
    """What stands for an algorithm in the subject of a cursor."""
    if isinstance(algorithm, str):
        return algorithm.encode()
    return algorithm.account + algorithm.name.encode()
