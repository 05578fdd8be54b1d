"""Gathering: the posts that may come into a feed, from the sources its document names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import trio
from folkmoot.node.projections import listings
from folkmoot.node.projections.feeds import Feed, Feeds
from folkmoot.node.projections.listings import Merging, Place, place_of
from folkmoot.node.projections.posts import Posts, Ref
from folkmoot.node.projections.selecting import Found
from folkmoot.node.projections.serving import Lagging
from folkmoot.node.ranking.friends import Followed, Friends
from folkmoot.node.ranking.neighbours import Neighbours
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import NOT_FOUND, WireError
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.pages import array_header
from folkmoot.protocol.feed.viewer import Viewer
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections.entries import Index, Projection, public_of, tag_form, tag_group
from folkmoot.protocol.ranking.document import Document, Origin, Source
from folkmoot.protocol.record import Record
from folkmoot.storage import projections
from folkmoot.storage.shown_post import Post
from folkmoot.storage.store import Store
from msgspec import UNSET

_FRIENDS_POSTS: Final = 20  # of each of them, the latest
_OWN_POSTS: Final = 50  # of a reader, the latest, which say what they like


@dataclass(slots=True)
class Gathered:
    """The candidates of one ranking.

    Attributes:
        places: where each post stands in time, and who reposted it there; each post once.
        sources: of each post, those it came from.
        friends_followed: whom the reader's friends follow; None where nobody asked.
        tags: in their form, that were looked for.
        unreached: sources that could not be asked, or not wholly.
        nearness: of posts, how near they are in meaning to what the reader writes.
    """

    places: dict[Ref, Place] = field(default_factory=dict)
    sources: dict[Ref, list[str]] = field(default_factory=dict)
    friends_followed: Followed | None = None
    tags: set[str] = field(default_factory=set)
    unreached: list[str] = field(default_factory=list)
    nearness: dict[Ref, float] = field(default_factory=dict)

    @property
    def friends(self) -> Counter[bytes]:
        """By how many of the reader's friends accounts are followed."""
        return Counter() if self.friends_followed is None else self.friends_followed.by

    def add(self, origin: str, places: Iterable[Place]) -> None:
        """Take posts of a source, as long as there is room."""
        for place in places:
            known = self.sources.get(place.ref)
            if known is None:
                if len(self.places) >= limits.RANKED_CANDIDATES:
                    continue
                known = self.sources[place.ref] = []
                self.places[place.ref] = place
            if origin not in known:
                known.append(origin)

    def note_unreached(self, *origins: str) -> None:
        """Some of what a source would give could not be asked for."""
        self.unreached += [each for each in dict.fromkeys(origins) if each not in self.unreached]


class Gathering:
    """See the module.

    Args:
        store: this node's.
        posts: reads posts from wherever they are kept.
        merging: home feeds, and the latest of accounts.
        feeds: pages of tags that others keep.
        friends, neighbours: see there.
        lagging: how far projections are.
    """

    def __init__(
        self,
        store: Store,
        posts: Posts,
        merging: Merging,
        feeds: Feeds,
        friends: Friends,
        neighbours: Neighbours,
        lagging: Lagging,
    ) -> None:
        self._store = store
        self._lagging = lagging
        self._posts = posts
        self._merging = merging
        self._feeds = feeds
        self._friends = friends
        self._neighbours = neighbours

    async def gather(
        self, document: Document, account: bytes, viewer: Viewer, now_us: int, until_ms: int | None
    ) -> Gathered:
        """What may come into a feed.

        Args:
            document: which sources.
            account: whose feed, which this node keeps (34 bytes).
            viewer: who looks.
            now_us: microseconds since 1970.
            until_ms: what came into the feed later is left out; milliseconds since 1970.
        """
        gathered = Gathered()
        for source in document.sources:
            try:
                places = await self._from(source, gathered, account, viewer, now_us, until_ms)
            except WireError as error:
                if source.optional and error.kind is NOT_FOUND:
                    continue
                raise
            gathered.add(source.origin, places[: source.limit])
        return gathered

    async def _from(
        self,
        source: Source,
        gathered: Gathered,
        account: bytes,
        viewer: Viewer,
        now_us: int,
        until_ms: int | None,
    ) -> list[Place]:
        """The posts of one source, those first that are to be taken first.

        Raises:
            WireError: `not_found`: this node does not have the source.
        """
        match source.origin:
            case Origin.FOLLOWING:
                home = self._merging.home(account)
                places = await home.places(_before(until_ms), source.limit)
                if home.unreached:
                    gathered.note_unreached(source.origin)
                return places
            case Origin.FRIENDS:
                return _newest(await self._of_friends(gathered, source, account, viewer, now_us, until_ms))
            case Origin.TAGS:
                return _newest(await self._tagged(gathered, source, account, viewer, until_ms))
            case Origin.SIMILAR:
                pool = await self._of_friends(gathered, source, account, viewer, now_us, until_ms)
                pool += await self._tagged(gathered, source, account, viewer, until_ms)
                return await self._nearest(gathered, account, _newest(pool)[: limits.RANKED_CANDIDATES])
        raise WireError(NOT_FOUND, f"this node has no source {source.origin!r}")

    async def _of_friends(
        self,
        gathered: Gathered,
        source: Source,
        account: bytes,
        viewer: Viewer,
        now_us: int,
        until_ms: int | None,
    ) -> list[Place]:
        """The latest posts of those whom most friends follow and the account does not."""
        if gathered.friends_followed is None:
            gathered.friends_followed = await self._friends.of(account)
        friends = gathered.friends
        ordered = sorted(friends, key=lambda each: (-friends[each], each))
        followed = self.followed(account, ordered)
        wanted = [
            each
            for each in ordered
            if each not in followed and each != viewer.account and not _unwanted(viewer, each, now_us)
        ]
        latest = await self._merging.latest(
            wanted[: limits.FRIENDS_ASKED], _before(until_ms), _FRIENDS_POSTS, reposts=False
        )
        if latest.unreached or not gathered.friends_followed.is_all:
            gathered.note_unreached(source.origin)
        return [place_of(each) for shown in latest.shown for each in shown]

    def followed(self, account: bytes, others: Iterable[bytes]) -> set[bytes]:
        """Those of others whom an account follows that this node keeps."""
        generation, public = self._store.live[Projection.FOLLOWERS], public_of(account)
        with self._store.engine.begin() as transaction:
            return {
                other
                for other in others
                if projections.has(transaction, Index.FOLLOWERS, generation, place_prefix(other), public)
            }

    async def _tagged(
        self, gathered: Gathered, source: Source, account: bytes, viewer: Viewer, until_ms: int | None
    ) -> list[Place]:
        """The latest posts with the tags of a source; without any, with those of the reader."""
        if source.tags is UNSET:
            forms = await self._own_tags(account, viewer)
        else:
            forms = [form for form in map(tag_form, source.tags) if form]
        gathered.tags.update(forms)
        places: list[Place] = []

        async def ask(form: str) -> None:
            try:
                places.extend(await self._with_tag(form, _before(until_ms), source.limit))
            except WireError:
                gathered.note_unreached(source.origin)

        async with trio.open_nursery() as nursery:
            for form in dict.fromkeys(forms):
                nursery.start_soon(ask, form)
        return places

    async def _with_tag(self, form: str, before: bytes | None, limit: int) -> list[Place]:
        group = tag_group(form)
        if self._posts.keeps(group) and self._lagging.covers(group):
            return await listings.tagged(self._store, form).places(before, limit)
        limit = min(limit, limits.PAGE_ITEMS)
        page = (await self._feeds.page(Feed(CursorKind.TAG, form.encode(), group, None), before, limit)).page
        items = codec.unpack(array_header(page.count) + page.items)
        records = [Record.from_wire(item["record"]) for item in items if "record" in item]
        return [Place(each.item + public_of(each.author), Ref(each.author, each.item)) for each in records]

    async def _nearest(self, gathered: Gathered, account: bytes, places: Sequence[Place]) -> list[Place]:
        """Those of some posts that are near in meaning to what a reader writes, the nearest first."""
        own = [body["text"] for body in await self._bodies(await self._own_posts(account)) if body["text"]]
        found = await self.read(place.ref for place in places)
        standing = [
            (place, post.record.body.get("text", ""))
            for place in places
            if isinstance(post := found[place.ref], Post) and post.frame is not None
        ]
        nearness = await self._neighbours.nearness(own, [text for _, text in standing])
        for (place, _), each in zip(standing, nearness, strict=True):
            gathered.nearness[place.ref] = each
        near = [place for place, _ in standing if gathered.nearness[place.ref] > 0.0]
        return sorted(near, key=lambda place: (gathered.nearness[place.ref], place.at), reverse=True)

    async def _own_tags(self, account: bytes, viewer: Viewer) -> list[str]:
        """The tags that a reader uses most: in their own posts, and, for themselves alone, in bookmarks."""
        refs = await self._own_posts(account)
        if viewer.account == account:
            bookmarked = listings.bookmarked(self._store, account)
            refs += [place.ref for place in await bookmarked.places(None, _OWN_POSTS)]
        used: Counter[str] = Counter()
        for body in await self._bodies(refs):
            used.update({form for form in map(tag_form, body.get("tags", ())) if form})
        return sorted(used, key=lambda form: (-used[form], form))[: limits.RANKED_TAGS]

    async def _own_posts(self, account: bytes) -> list[Ref]:
        """The latest posts of an account."""
        latest = await self._merging.latest([account], None, _OWN_POSTS, reposts=False)
        return [Ref(each.author, each.item) for shown in latest.shown for each in shown]

    async def _bodies(self, refs: Iterable[Ref]) -> list[dict[str, Any]]:
        """What posts say that stand."""
        found = (await self.read(refs)).values()
        return [post.record.body for post in found if isinstance(post, Post) and post.frame is not None]

    async def read(self, refs: Iterable[Ref]) -> Mapping[Ref, Found]:
        """Posts, as they are now."""
        wanted: Sequence[Ref] = list(dict.fromkeys(refs))
        found: dict[Ref, Found] = {}
        for start in range(0, len(wanted), limits.PAGE_ITEMS):
            some = wanted[start : start + limits.PAGE_ITEMS]
            found.update(zip(some, await self._posts.read(some), strict=True))
        return found


def _newest(places: Iterable[Place]) -> list[Place]:
    return sorted(places, key=lambda place: place.at, reverse=True)


def _before(until_ms: int | None) -> bytes | None:
    """The place in a feed before which everything is that came until a time."""
    return None if until_ms is None else (until_ms + 1).to_bytes(6, "big")


def _unwanted(viewer: Viewer, account: bytes, now_us: int) -> bool:
    muted = viewer.accounts.get(account)
    return account in viewer.blocks or (muted is not None and muted.posts_until_us > now_us)
