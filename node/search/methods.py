"""`search.posts`: finding posts by their words.

What is found is a place in a listing like any other: how a post looks, and who may see it, is decided when
the page is built, as for feeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import Reading
from folkmoot.node.projections.building import Builder
from folkmoot.node.projections.listings import Place
from folkmoot.node.projections.posts import Ref
from folkmoot.node.projections.viewers import Viewers
from folkmoot.node.rpc import Packed
from folkmoot.node.search.gathering import Gathering, Wanted
from folkmoot.node.search.places import place_of, reached_at
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.accounts.handle import register_name
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.audience import PageKind
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.pages import PackedPage, array_header
from folkmoot.protocol.key import PLACE_PREFIX_BYTES
from folkmoot.protocol.projections.entries import account_of
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.search.documents import is_searchable, searchable_key
from folkmoot.protocol.search.query import parse
from folkmoot.protocol.token import Token
from folkmoot.storage.search.finding import Hit

_NO_TOKEN: Final = Token().encode()
_PARTS_MAX: Final = 8
_KEYS: Final = ("items", "cursor", "token", "lag_ms", "as_of_ms", "covered")

WithHandle = Callable[[str, str], bytes | None]
"""The account that has a handle, by the name of its register and the handle."""


class Search:
    """See the module.

    Args:
        gathering: asks all ranges.
        ranges: the range map now.
        builder: puts pages together.
        viewers: what those who look block and mute.
        reading: reads cells wherever they are kept.
        with_handle: whose handles are.
        now_us: wall time, microseconds since 1970.
    """

    def __init__(
        self,
        gathering: Gathering,
        ranges: Callable[[], RangeMap],
        builder: Builder,
        viewers: Viewers,
        reading: Reading,
        with_handle: WithHandle,
        now_us: Callable[[], int],
    ) -> None:
        self._gathering = gathering
        self._ranges = ranges
        self._builder = builder
        self._viewers = viewers
        self._reading = reading
        self._with_handle = with_handle
        self._now_us = now_us
        self._judged: tuple[RangeMap, bool] | None = None

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {"search.posts": self.posts}

    async def posts(self, asker: Asker, params: Params) -> Packed:
        """A page of the posts that meet a query."""
        asked = codec.shaped(params, messages.SearchPosts, "search.posts")
        kind, subject = CursorKind.SEARCH_BEST if asked.best else CursorKind.SEARCH, asked.query.encode()
        accounts: dict[str, bytes] = {}
        for handle, _ in parse(asked.query).handles:
            account = self._with_handle(register_name(handle), handle)
            if account is not None:
                accounts[handle] = account
        after = None if asked.cursor is None else cursors.decode(kind, subject, asked.cursor)
        as_of_ms = (self._now_us() + limits.STAMP_AHEAD_US) // 1000
        if after is not None:
            as_of_ms = reached_at(after, best=asked.best).as_of_ms or as_of_ms
        wanted = Wanted(asked.query, accounts, asked.best, as_of_ms)
        wanted.query()
        viewer = await self._viewers.of(asker.account)
        listing = _Listing(self, wanted)
        page = await self._builder.page(PageKind.TAG, listing, viewer, after, asked.limit)
        if not listing.covered:
            raise WireError(
                LEVEL_UNREACHABLE,
                "no replica of any range could be searched in time; folkmoot doctor says why",
                retry_after_ms=1000,
            )
        cursor = None if page.resume is None else cursors.encode(kind, subject, page.resume)
        return _packed(page, cursor, asked.token or _NO_TOKEN, listing, self._now_us() // 1000)

    async def gather(self, listing: _Listing, after: bytes | None, limit: int) -> list[Hit]:
        """The next hits of a listing, without those whose authors do not want to be found."""
        wanted = listing.wanted
        hit = None if after is None else reached_at(after, best=wanted.best).hit
        gathered = await self._gathering.gather(wanted, hit, limit, listing.failed)
        listing.note(gathered.covered, len(self._ranges().ranges), gathered.lag_ms)
        return gathered.hits

    async def hidden(self, hits: Sequence[Hit]) -> frozenset[bytes]:
        """The accounts among the authors of hits that do not want to be found, of those that are so large
        that their profile lies in another range than their posts: who indexes these cannot know."""
        ranges = self._ranges()
        split: dict[bytes, bytes] = {}
        for hit in hits if self._splits_accounts(ranges) else ():
            ref = _ref(hit)
            key = searchable_key(ref.author)
            if ranges.lookup(key).id != ranges.lookup(ref.key).id:
                split[key] = ref.author
        keys = list(split)[: limits.KEYS_PER_GET]
        if not keys:
            return frozenset()
        read = await self._reading.get(keys, "one", Token())
        return frozenset(
            split[key]
            for key, cell in zip(keys, read.cells, strict=True)
            if not is_searchable(None if cell is None else Cell.decode(cell))
        )

    def _splits_accounts(self, ranges: RangeMap) -> bool:
        """Whether a range begins amid the keys of an account; worked out once for each map."""
        if self._judged is None or self._judged[0] is not ranges:
            self._judged = ranges, any(len(owner.start) > PLACE_PREFIX_BYTES for owner in ranges.ranges)
        return self._judged[1]


class _Listing:
    """The hits of one search; see `listings.Listing`.

    Attributes:
        unreached: nobody, for it is told what was searched.
        wanted: what is searched for.
        failed: who did not answer.
        covered: the ranges that were searched for every part of the page.
        ranges_count: how many there are.
        lag_ms: how far behind the furthest index was.
    """

    unreached: Sequence[bytes] = ()

    def __init__(self, search: Search, wanted: Wanted) -> None:
        self._search = search
        self._begun = False
        self.wanted = wanted
        self.failed: set[bytes] = set()
        self.covered: set[int] = set()
        self.ranges_count = 0
        self.lag_ms = 0

    async def places(self, after: bytes | None, limit: int) -> list[Place]:
        """See `listings.Listing`."""
        best, as_of_ms = self.wanted.best, self.wanted.as_of_ms
        found: list[Place] = []
        for _ in range(_PARTS_MAX):
            hits = await self._search.gather(self, after, limit)
            hidden = await self._search.hidden(hits)
            places = [Place(place_of(hit, as_of_ms, best=best), _ref(hit)) for hit in hits]
            found += [each for each in places if each.ref.author not in hidden]
            if len(hits) < limit or len(found) >= limit:
                break
            after = places[-1].at
        return found[:limit]

    def note(self, covered: set[int], ranges_count: int, lag_ms: int) -> None:
        """Note what was searched for one more part of the page."""
        self.covered = self.covered & covered if self._begun else covered
        self.ranges_count = ranges_count
        self.lag_ms = max(self.lag_ms, lag_ms)
        self._begun = True


def _ref(hit: Hit) -> Ref:
    item, public = hit.member[: limits.POST_ITEM_BYTES], hit.member[limits.POST_ITEM_BYTES :]
    return Ref(account_of(public), item)


def _packed(page: PackedPage, cursor: bytes | None, token: bytes, listing: _Listing, now_ms: int) -> Packed:
    values = (
        array_header(page.count) + page.items,
        codec.pack(cursor),
        codec.pack(token),
        codec.pack(listing.lag_ms),
        codec.pack(now_ms - listing.lag_ms),
        codec.pack({"ranges": len(listing.covered), "of": listing.ranges_count}),
    )
    parts = [bytes((0x80 | len(_KEYS),))]
    for name, value in zip(_KEYS, values, strict=True):
        parts += (codec.pack(name), value)
    return Packed(b"".join(parts))
