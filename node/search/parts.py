"""What a node has for finding posts, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio
from folkmoot.node.actors.indexer import Indexer
from folkmoot.node.actors.session import Method
from folkmoot.node.contracts import Reading
from folkmoot.node.projections.building import Builder
from folkmoot.node.projections.viewers import Viewers
from folkmoot.node.search.gathering import Gathering
from folkmoot.node.search.methods import Search, WithHandle
from folkmoot.node.search.scattering import Scatter
from folkmoot.node.search.trending import Terms, Trending
from folkmoot.node.wired import Wired
from folkmoot.protocol.ring.ranges import RangeMap

_HOUR_MS = 3_600_000


class SearchParts:
    """See the module.

    Attributes:
        indexer: see there.

    Args:
        wired: the node's.
        scatter: asks few nodes that keep all ranges together.
        builder, viewers: what pages are built with.
        reading: reads cells wherever they are kept.
        with_handle: whose handles are.
    """

    def __init__(
        self,
        wired: Wired,
        scatter: Scatter,
        builder: Builder,
        viewers: Viewers,
        reading: Reading,
        with_handle: WithHandle,
    ) -> None:
        environment, topology, settings = wired.environment, wired.topology, wired.config.search
        wall = environment.wall

        def ranges() -> RangeMap:
            return topology.current().ranges

        self.indexer = Indexer(
            wired.commits,
            environment.indexes,
            environment.executor,
            environment.searches,
            topology.service_accounts,
            enabled=settings.enabled,
        )
        self._gathering = Gathering(scatter, self.indexer)
        terms = Terms(int(settings.trend_hours * _HOUR_MS), settings.trend_authors)
        self._trending = Trending(scatter, ranges, self.indexer, terms, wall.now_us, trio.current_time)
        self._search = Search(self._gathering, ranges, builder, viewers, reading, with_handle, wall.now_us)

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {**self._gathering.peer_methods(), **self._trending.peer_methods()}

    def client_methods(self) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        return {**self._search.table(), **self._trending.table()}
