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
from folkmoot.node.projections.watchers import Watchers, mark
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.feed.audience import PageKind
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections.entries import Index, tag_form, tag_group
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

        def marks() -> Iterable[bytes]:
            merged = (mark(Index.MERGED, place_prefix(each)) for each in home.merged())
            return [mark(Index.INBOX, place_prefix(account)), *merged]

        return Subject(CursorKind.FOLLOW_HOME, account, self._source(PageKind.HOME, home, marks, asker))

    async def _tag(self, asker: Asker, tag: object) -> Subject:
        assert isinstance(tag, str), "its shape was checked"
        form = tag_form(tag)
        if not form:
            raise WireError(BAD_REQUEST, "the tag has no characters besides its sign")
        group = tag_group(form)
        self._check(group)
        tagged = listings.tagged(self._store, form)
        source = self._source(PageKind.TAG, tagged, lambda: [mark(Index.TAGGED, group)], asker)
        return Subject(CursorKind.FOLLOW_TAG, form.encode(), source)

    def _source(
        self, kind: PageKind, listing: Listing, marks: Callable[[], Iterable[bytes]], asker: Asker
    ) -> FeedSource[Place]:
        followed = _Followed(kind, listing, marks, asker.account, self._viewers, self._builder)
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


class _Followed:
    """A feed of posts, as a stream looks at it; see `live.Followed`.

    Args:
        kind: of the feed.
        listing: the feed.
        marks: what is to be waited for.
        viewer: who looks (34 bytes); None for nobody in particular.
        viewers, builder: see there.
    """

    most = limits.FOLLOW_FEED_ROWS

    def __init__(
        self,
        kind: PageKind,
        listing: Listing,
        marks: Callable[[], Iterable[bytes]],
        viewer: bytes | None,
        viewers: Viewers,
        builder: Builder,
    ) -> None:
        self._kind = kind
        self._listing = listing
        self._viewer = viewer
        self._viewers = viewers
        self._builder = builder
        self.marks = marks

    async def places(self) -> list[Place]:
        return await self._listing.places(None, self.most)

    async def items(self, places: Sequence[Place]) -> list[bytes]:
        return await self._builder.items(self._kind, await self._viewers.of(self._viewer), places)
