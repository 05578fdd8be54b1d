"""What clients can follow of projections: home feeds and tags that this node keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from folkmoot.node.actors.session import Asker
from folkmoot.node.environment import WallClock
from folkmoot.node.live.contracts import Open, Subject
from folkmoot.node.projections import listings
from folkmoot.node.projections.building import Builder
from folkmoot.node.projections.listings import Listing, Merging, Place
from folkmoot.node.projections.live import FeedSource
from folkmoot.node.projections.posts import Posts
from folkmoot.node.projections.serving import Lagging, lag_of
from folkmoot.node.projections.viewers import Viewers
from folkmoot.node.projections.watchers import New, Watchers, mark
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.feed.audience import PageKind
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections.entries import Index, tag_form, tag_group
from folkmoot.storage import inboxes
from folkmoot.storage.store import Store


class FeedStreams:
    """See the module.

    Args:
        store: this node's.
        posts: says what this node keeps.
        merging, viewers, builder: what pages are built with, too.
        watchers: wake streams.
        lagging: how far behind projections are.
        wall: dates cursors.
    """

    def __init__(
        self,
        store: Store,
        posts: Posts,
        merging: Merging,
        viewers: Viewers,
        builder: Builder,
        watchers: Watchers,
        lagging: Lagging,
        wall: WallClock,
    ) -> None:
        self._store = store
        self._posts = posts
        self._merging = merging
        self._viewers = viewers
        self._builder = builder
        self._watchers = watchers
        self._lagging = lagging
        self._wall = wall

    def opens(self) -> Mapping[str, Open]:
        """By the key in `what`."""
        return {"home": self._home, "tag": self._tag}

    async def _home(self, asker: Asker, account: object) -> Subject:
        if not isinstance(account, bytes) or not is_account(account):
            raise WireError(BAD_REQUEST, "home is not an account id of 34 bytes")
        self._check(place_prefix(account))
        home = self._merging.home(account)

        def place(each: New) -> Place | None:
            found = listings.place_of(inboxes.of_entry(*each.entry))
            is_merged = each.mark == mark(Index.MERGED, place_prefix(found.reposter or found.ref.author))
            return None if is_merged and self._is_long_past(found) else found

        def marks() -> Iterable[bytes]:
            merged = (mark(Index.MERGED, place_prefix(each)) for each in home.merged())
            return [mark(Index.INBOX, place_prefix(account)), *merged]

        return Subject(
            CursorKind.FOLLOW_HOME, account, self._source(PageKind.HOME, home, marks, place, asker)
        )

    async def _tag(self, asker: Asker, tag: object) -> Subject:
        assert isinstance(tag, str), "its shape was checked"
        form = tag_form(tag)
        if not form:
            raise WireError(BAD_REQUEST, "the tag has no characters besides its sign")
        group = tag_group(form)
        self._check(group)
        tagged = listings.tagged(self._store, form)

        def place(each: New) -> Place:
            return listings.by_item(*each.entry)

        source = self._source(PageKind.TAG, tagged, lambda: [mark(Index.TAGGED, group)], place, asker)
        return Subject(CursorKind.FOLLOW_TAG, form.encode(), source)

    def _is_long_past(self, place: Place) -> bool:
        """Whether a merged author's post that something is told of was there before; then it was edited."""
        dated_us = 1000 * int.from_bytes(place.at[:6], "big")
        return dated_us < self._wall.now_us() - int(limits.FOLLOW_FEED_LATE_S * 1e6)

    def _source(
        self,
        kind: PageKind,
        listing: Listing,
        marks: Callable[[], Iterable[bytes]],
        place: Callable[[New], Place | None],
        asker: Asker,
    ) -> FeedSource[Place]:
        followed = FeedOfPosts(kind, listing, marks, place, asker.account, self._viewers, self._builder)
        return FeedSource(followed, self._watchers, self._wall.now_us)

    def _check(self, group: bytes) -> None:
        """Refuse what this node does not keep, or has not read all logs for."""
        if not self._posts.keeps(group):
            raise WireError(
                LEVEL_UNREACHABLE,
                "this node does not keep that feed: follow it at one of the nodes that `cluster.where` names",
                retry_after_ms=1000,
            )
        lag_of(self._lagging, group)


class FeedOfPosts:
    """A feed of posts, as a stream looks at it; see `live.Followed`.

    Args:
        kind: of the feed.
        listing: the feed.
        marks: what is to be waited for.
        place: where something stands that has come; None when it is not to be told.
        viewer: who looks (34 bytes); None for nobody in particular.
        viewers, builder: see there.
    """

    most = limits.FOLLOW_FEED_ROWS
    is_looked_at = False

    def __init__(
        self,
        kind: PageKind,
        listing: Listing,
        marks: Callable[[], Iterable[bytes]],
        place: Callable[[New], Place | None],
        viewer: bytes | None,
        viewers: Viewers,
        builder: Builder,
    ) -> None:
        self._kind = kind
        self._listing = listing
        self._viewer = viewer
        self._viewers = viewers
        self._builder = builder
        self._place = place
        self.marks = marks

    def new(self, news: Sequence[New]) -> list[Place] | None:
        if not all(each.entry.member for each in news):  # the inbox is not all there is to look at any more
            return None
        return [place for each in news if (place := self._place(each)) is not None]

    async def places(self) -> list[Place]:
        return await self._listing.places(None, self.most)

    async def items(self, places: Sequence[Place]) -> list[bytes]:
        return await self._builder.items(self._kind, await self._viewers.of(self._viewer), places)
