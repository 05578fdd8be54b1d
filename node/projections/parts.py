"""What a node has for projections, put together: the room of the wiring in `daemon` that concerns them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

import trio
from folkmoot.node.accounts.parts import AccountParts
from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.actors.projector import Projector
from folkmoot.node.actors.replica import Replica
from folkmoot.node.actors.session import Immediate, Method
from folkmoot.node.contracts import FeedReading, Reading
from folkmoot.node.live.contracts import Open
from folkmoot.node.moderation.parts import ModerationParts
from folkmoot.node.projections.answers import Answers
from folkmoot.node.projections.authors import AuthorPages
from folkmoot.node.projections.away import Away
from folkmoot.node.projections.building import Builder
from folkmoot.node.projections.definitions import Defining
from folkmoot.node.projections.feeds import Feeds
from folkmoot.node.projections.generations import Generations
from folkmoot.node.projections.hosting import NUMBER_BYTES, Followed, Hosting
from folkmoot.node.projections.labelled import Labelled
from folkmoot.node.projections.listings import Merging
from folkmoot.node.projections.live import FeedSource
from folkmoot.node.projections.logs import Logs
from folkmoot.node.projections.merging import Accounts
from folkmoot.node.projections.methods import ProjectionMethods
from folkmoot.node.projections.notice_pages import NoticePages
from folkmoot.node.projections.notifications import Notifications
from folkmoot.node.projections.posts import Posts
from folkmoot.node.projections.pressure import FollowsLog, Pressure
from folkmoot.node.projections.selecting import Selection
from folkmoot.node.projections.streams import FeedStreams
from folkmoot.node.projections.viewers import Viewers
from folkmoot.node.projections.watchers import Watchers
from folkmoot.node.ranking.parts import Around, RankingParts
from folkmoot.node.routing import Router
from folkmoot.node.search.parts import SearchParts
from folkmoot.node.search.scattering import Scatter
from folkmoot.node.wired import Wired
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.storage.bounded import CacheFigures
from folkmoot.storage.inboxes import Bounds
from folkmoot.storage.shown import Sizes

Handler = Callable[[bytes, Any], Awaitable[Any]]


class Keeping(Wired, Protocol):
    """What projections rest on besides: see `daemon`."""

    router: Router
    replica: Replica
    accounts: AccountParts
    gatekeeper: Gatekeeper
    moderation: ModerationParts


class ProjectionParts:
    """See the module.

    Attributes:
        projector: see there.
        search: finding posts.
        generations: which rows are read, and which are built.
        pressure: slows clients while these are too far behind.
        away, hosting: what is followed at other nodes, and by them.

    Args:
        wired: the node's.
        reading: reads cells wherever they are kept.
    """

    def __init__(self, wired: Keeping, reading: Reading) -> None:
        environment, commits, topology = wired.environment, wired.commits, wired.topology
        store, where, wall = commits.store, topology.where, environment.wall
        trusted, reviews = topology.service_accounts, wired.moderation.deciders.reviews
        router, epochs, links, feeds = wired.router, wired.replica, wired.links, wired.config.feeds

        def ranges() -> RangeMap:
            return topology.current().ranges

        def as_of_us() -> int:
            lag_s = self.projector.lag_s()
            return 0 if lag_s is None else wall.now_us() - int(lag_s * 1e6)

        cache = wired.config.cache
        store.shown.bound(Sizes(cache.posts, cache.pages, cache.profiles, cache.homes))
        logs = Logs(store, router, links, epochs, ranges, environment.executor, as_of_us)
        self.generations = Generations(commits)
        bounds = Bounds(feeds.followers_max, feeds.inbox_rows, feeds.notice_rows)
        watchers = Watchers()
        made = self.generations, ranges, bounds, wall, watchers
        self.projector = Projector(wired.node_id, commits, logs, *made)
        posts = Posts(store, router, ranges, links, epochs, trusted)
        viewers = Viewers(store, router, where, links, epochs, wall.now_us, trio.current_time, cache.viewers)
        labelled = Labelled(store, router, ranges, links, epochs, posts, trusted)
        defining = Defining(posts, reading, wired.gatekeeper.labels, trio.current_time)
        selection = Selection(posts, reading, labelled, defining, wall.now_us, reviews)
        builder = Builder(posts, selection, cache.seen_pages)
        accounts = Accounts(store, logs, environment.executor, trio.current_time)
        merging = Merging(store, accounts, environment.executor)
        near = store, router, where, links, epochs
        answers = Answers(*near, posts, self.projector)
        self._feeds = Feeds(*near, reading, builder, viewers, merging, answers, self.projector)
        self._follow(wired, posts, FeedStreams(store, merging, viewers, builder, watchers, wall))
        self._viewers, self._builder, self._defining = viewers, builder, defining
        judged = self.projector, reviews, wired.moderation.hiding
        around = Around(*near, reading, environment.executor, trusted, wall.now_us, *judged)
        ranking = RankingParts(around, posts, builder, viewers, merging, self._feeds, cache.rankings)
        self._cached = viewers, builder, ranking, defining
        pages = NoticePages(store, posts, selection, viewers, trusted, wall.now_us)
        self._notifications = Notifications(
            router, where, links, epochs, pages, self.away, watchers, self.projector, wall
        )
        handles, scatter = wired.accounts.keys.with_handle, Scatter(router, links, ranges)
        self.search = SearchParts(wired, scatter, builder, viewers, reading, handles)
        followed: dict[str, FollowsLog] = {"projections": self.projector, "search": self.search.indexer}
        self.pressure = Pressure(lambda: store.sequence, followed, feeds.lag_max_s)
        self._served = self._feeds, ranking, self._notifications, self.search
        self._asked_by_peers = (logs, posts, answers, viewers, labelled, self.hosting, *self._served)
        rebuilt = self.projector, self.generations, self.search.indexer, self.pressure
        self._methods = ProjectionMethods(*rebuilt)

    def _follow(self, wired: Keeping, posts: Posts, streams: FeedStreams) -> None:
        """What is followed: here, here for other nodes, and at other nodes."""
        self._streams, router = streams, wired.router
        number = partial(wired.environment.random.randbytes, NUMBER_BYTES)
        self.away = Away(
            router, wired.topology.where, wired.links, self._source, posts.keeps, self.projector, number
        )
        self.hosting = Hosting(self._source, wired.replica, lambda: router.counts_itself, self.projector)

    def peer_methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {
            name: handler for each in self._asked_by_peers for name, handler in each.peer_methods().items()
        }

    def client_methods(self) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        tables = [each.client_methods() for each in (*self._served, self._defining)]
        return {name: each for one in (*tables, self._methods.table()) for name, each in one.items()}

    def author_pages(self, feeds: FeedReading) -> AuthorPages:
        """Authors' pages as those who look see them, of what `feeds` reads."""
        return AuthorPages(feeds, self._viewers, self._builder)

    def immediate(self) -> Mapping[str, Immediate]:
        """Methods that can often be answered at once, by name."""
        return self._feeds.immediate()

    def opens(self) -> Mapping[str, Open]:
        """What clients can follow, by the key in `what`."""
        return {**self.away.opens(), **self._notifications.opens()}

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs by itself, by name."""
        return {
            "projector": self.projector.run,
            "backfiller": self.projector.backfiller.run,
            "indexer": self.search.indexer.run,
            "pressure": self.pressure.run,
            "away": self.away.run,
        }

    def _source(self, followed: Followed) -> FeedSource[Any]:
        """What this node tells of a feed that it keeps."""
        match followed.kind:
            case CursorKind.FOLLOW_HOME:
                return self._streams.home(followed.subject, followed.viewer)
            case CursorKind.FOLLOW_TAG:
                return self._streams.tag(followed.subject.decode(), followed.viewer)
        return self._notifications.source(followed.subject)

    def caches(self) -> dict[str, CacheFigures]:
        """What is remembered for feeds, by name."""
        return {name: figures for each in self._cached for name, figures in each.caches().items()}

    def status(self) -> dict[str, Any]:
        """How far projections have come on this node."""
        return self._methods.status()
