"""What a node has for ranked feeds, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple

import trio
from folkmoot.node.actors.session import Method
from folkmoot.node.contracts import EpochCheck, Peers, Reading
from folkmoot.node.environment import Executor
from folkmoot.node.projections.building import Builder
from folkmoot.node.projections.feeds import Feeds
from folkmoot.node.projections.listings import Merging
from folkmoot.node.projections.posts import Posts
from folkmoot.node.projections.serving import Lagging
from folkmoot.node.projections.viewers import Viewers
from folkmoot.node.ranking.feeds import Hiding, RankedFeeds
from folkmoot.node.ranking.friends import Friends
from folkmoot.node.ranking.gathering import Gathering
from folkmoot.node.ranking.neighbours import Neighbours
from folkmoot.node.ranking.ranker import Ranker
from folkmoot.node.routing import Router
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.store import Store


class Around(NamedTuple):
    """What ranked feeds rest on: see the parameters of `Feeds`, `Posts`, `Merging` and `RankedFeeds`."""

    store: Store
    router: Router
    where: Callable[[bytes], RangeDescriptor]
    peers: Peers
    epochs: EpochCheck
    reading: Reading
    executor: Executor
    trusted: Callable[[], Collection[bytes]]
    now_us: Callable[[], int]
    lagging: Lagging
    reviews: Callable[[bytes], bool]
    hiding: Hiding


class RankingParts:
    """See the module.

    Args:
        around: see there.
        posts, builder, viewers, merging, feeds: those of other feeds.
        kept_bytes: what rankings that are kept take at most.
    """

    def __init__(
        self,
        around: Around,
        posts: Posts,
        builder: Builder,
        viewers: Viewers,
        merging: Merging,
        feeds: Feeds,
        kept_bytes: int,
    ) -> None:
        store, router, where, peers, epochs, reading, executor, trusted, now_us, lagging, reviews, hiding = (
            around
        )
        self._friends = Friends(store, router, where, peers, epochs, executor, trio.current_time)
        gathering = Gathering(store, posts, merging, feeds, self._friends, Neighbours(executor), lagging)
        ranker = Ranker(gathering, executor, trusted, now_us, trio.current_time, kept_bytes)
        self.caches = ranker.caches
        self._feeds = RankedFeeds(
            *(router, where, peers, epochs, reading, builder, viewers, ranker, lagging, now_us),
            reviews,
            hiding,
        )

    def client_methods(self) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        return self._feeds.client_methods()

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {**self._friends.peer_methods(), **self._feeds.peer_methods()}
