"""Gathering: the posts that may come into a feed, from the sources its document names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from folkmoot.node.projections import listings
from folkmoot.node.projections.feeds import Feed, Feeds
from folkmoot.node.projections.listings import Merging, Place
from folkmoot.node.projections.posts import Posts, Ref
from folkmoot.node.projections.selecting import Found, record_of
from folkmoot.node.ranking.friends import Friends
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.pages import array_header
from folkmoot.protocol.feed.viewer import Viewer
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections.entries import Index, Projection, public_of, tag_form, tag_group
from folkmoot.protocol.ranking.document import Document, Origin, Source
from folkmoot.protocol.record import Record
from folkmoot.storage import projections
from folkmoot.storage.inboxes import Shown
from folkmoot.storage.post_cache import Post
from folkmoot.storage.store import Store
from msgspec import UNSET


@dataclass(slots=True)
class Gathered:
    """The candidates of one ranking.

    Attributes:
        places: where each post stands in time, and who reposted it there; each post once.
        sources: of each post, those it came from.
        friends: by how many of the reader's friends accounts are followed.
        tags: in their form, that were looked for.
        unreached: sources that could not be asked, or not wholly.
    """

    places: dict[Ref, Place] = field(default_factory=dict)
    sources: dict[Ref, list[str]] = field(default_factory=dict)
    friends: Counter[bytes] = field(default_factory=Counter)
    tags: set[str] = field(default_factory=set)
    unreached: list[str] = field(default_factory=list)

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


class Gathering:
    """See the module.

    Args:
        store: this node's.
        posts: reads posts from wherever they are kept.
        merging: home feeds, and the latest of accounts.
        feeds: pages of tags that others keep.
        friends: see there.
    """

    def __init__(self, store: Store, posts: Posts, merging: Merging, feeds: Feeds, friends: Friends) -> None:
        self._store = store
        self._posts = posts
        self._merging = merging
        self._feeds = feeds
        self._friends = friends

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
            match source.origin:
                case Origin.FOLLOWING:
                    places = await self._merging.home(account).places(_before(until_ms), source.limit)
                case Origin.FRIENDS:
                    gathered.friends = gathered.friends or await self._friends.of(account)
                    places = await self._of_friends(account, viewer, gathered.friends, now_us, until_ms)
                case _:
                    places = await self._tagged(gathered, source, account, viewer, until_ms)
            newest = sorted(places, key=lambda place: place.at, reverse=True)
            gathered.add(source.origin, newest[: source.limit])
        return gathered

    async def _of_friends(
        self, account: bytes, viewer: Viewer, friends: Counter[bytes], now_us: int, until_ms: int | None
    ) -> list[Place]:
        """The latest posts of those whom most friends follow and the account does not."""
        ordered = sorted(friends, key=lambda each: (-friends[each], each))
        followed = self.followed(account, ordered)
        wanted = [
            each
            for each in ordered
            if each not in followed and each != viewer.account and not _unwanted(viewer, each, now_us)
        ]
        shown = await self._merging.merged(
            wanted[: limits.FRIENDS_ASKED], _before(until_ms), limits.FRIENDS_POSTS, reposts=False
        )
        return [_place(each) for latest in shown for each in latest[: limits.FRIENDS_POSTS]]

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
        for form in dict.fromkeys(forms):
            try:
                places += await self._with_tag(form, _before(until_ms), source.limit)
            except WireError:
                if source.origin not in gathered.unreached:
                    gathered.unreached.append(source.origin)
        return places

    async def _with_tag(self, form: str, before: bytes | None, limit: int) -> list[Place]:
        group = tag_group(form)
        if self._posts.keeps(group):
            return await listings.tagged(self._store, form).places(before, limit)
        limit = min(limit, limits.PAGE_ITEMS)
        page = (await self._feeds.page(Feed(CursorKind.TAG, form.encode(), group, None), before, limit)).page
        items = codec.unpack(array_header(page.count) + page.items)
        records = [Record.from_wire(item["record"]) for item in items if "record" in item]
        return [Place(each.item + public_of(each.author), Ref(each.author, each.item)) for each in records]

    async def _own_tags(self, account: bytes, viewer: Viewer) -> list[str]:
        """The tags that a reader uses most: in their own posts, and, for themselves alone, in bookmarks."""
        latest = await self._merging.merged([account], None, limits.RANKED_OWN_POSTS, reposts=False)
        refs = [Ref(each.author, each.item) for shown in latest for each in shown]
        if viewer.account == account:
            bookmarked = listings.bookmarked(self._store, account)
            refs += [place.ref for place in await bookmarked.places(None, limits.RANKED_OWN_POSTS)]
        used: Counter[str] = Counter()
        for post in (await self.read(refs)).values():
            if isinstance(post, Post) and post.frame is not None:
                tags = record_of(post.frame).body.get("tags", ())
                used.update({form for form in map(tag_form, tags) if form})
        return sorted(used, key=lambda form: (-used[form], form))[: limits.RANKED_TAGS]

    async def read(self, refs: Iterable[Ref]) -> Mapping[Ref, Found]:
        """Posts, as they are now."""
        wanted: Sequence[Ref] = list(dict.fromkeys(refs))
        found: dict[Ref, Found] = {}
        for start in range(0, len(wanted), limits.PAGE_ITEMS):
            some = wanted[start : start + limits.PAGE_ITEMS]
            found.update(zip(some, await self._posts.read(some), strict=True))
        return found


def _before(until_ms: int | None) -> bytes | None:
    """The place in a feed before which everything is that came until a time."""
    return None if until_ms is None else (until_ms + 1).to_bytes(6, "big")


def _unwanted(viewer: Viewer, account: bytes, now_us: int) -> bool:
    muted = viewer.accounts.get(account)
    return account in viewer.blocks or (muted is not None and muted.posts_until_us > now_us)


def _place(shown: Shown) -> Place:
    return Place(shown.at, Ref(shown.author, shown.item), shown.reposter)
