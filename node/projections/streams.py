"""What clients can follow of projections: home feeds and tags that this node keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from folkmoot.node.environment import WallClock
from folkmoot.node.projections import listings
from folkmoot.node.projections.building import Builder
from folkmoot.node.projections.listings import Listing, Merging, Place
from folkmoot.node.projections.live import FeedSource
from folkmoot.node.projections.viewers import Viewers
from folkmoot.node.projections.watchers import New, Watchers, mark
from folkmoot.protocol import limits
from folkmoot.protocol.feed.audience import PageKind
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections.entries import Index, tag_group
from folkmoot.storage import inboxes
from folkmoot.storage.store import Store


class FeedStreams:
    """See the module.

    Args:
        store: this node's.
        merging, viewers, builder: what pages are built with, too.
        watchers: wake streams.
        wall: dates cursors.
    """

    def __init__(
        self,
        store: Store,
        merging: Merging,
        viewers: Viewers,
        builder: Builder,
        watchers: Watchers,
        wall: WallClock,
    ) -> None:
        self._store = store
        self._merging = merging
        self._viewers = viewers
        self._builder = builder
        self._watchers = watchers
        self._wall = wall

    def home(self, account: bytes, viewer: bytes | None) -> FeedSource[Place]:
        """The home feed of an account that this node keeps, as a viewer sees it."""
        home = self._merging.home(account)

        def place(each: New) -> Place | None:
            found = listings.place_of(inboxes.of_entry(*each.entry))
            is_merged = each.mark == mark(Index.MERGED, place_prefix(found.reposter or found.ref.author))
            return None if is_merged and self._is_long_past(found) else found

        def marks() -> Iterable[bytes]:
            merged = (mark(Index.MERGED, place_prefix(each)) for each in home.merged())
            return [mark(Index.INBOX, place_prefix(account)), *merged]

        return self._source(PageKind.HOME, home, marks, place, viewer)

    def tag(self, form: str, viewer: bytes | None) -> FeedSource[Place]:
        """The posts with a tag that this node keeps, as a viewer sees them."""
        group, tagged = tag_group(form), listings.tagged(self._store, form)

        def place(each: New) -> Place:
            return listings.by_item(*each.entry)

        return self._source(PageKind.TAG, tagged, lambda: [mark(Index.TAGGED, group)], place, viewer)

    def _is_long_past(self, place: Place) -> bool:
        """Whether a merged author's post that something is told of was there before; then it was edited."""
        return 1000 * place.dated_ms < self._wall.now_us() - int(limits.FOLLOW_FEED_LATE_S * 1e6)

    def _source(
        self,
        kind: PageKind,
        listing: Listing,
        marks: Callable[[], Iterable[bytes]],
        place: Callable[[New], Place | None],
        viewer: bytes | None,
    ) -> FeedSource[Place]:
        followed = FeedOfPosts(kind, listing, marks, place, viewer, self._viewers, self._builder)
        return FeedSource(followed, self._watchers, self._wall.now_us)


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
