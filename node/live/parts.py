"""What a node has for live streams, put together: the room of the wiring in `daemon` that concerns them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from folkmoot.node.actors.session import Asker
from folkmoot.node.contracts import Topology
from folkmoot.node.live.contracts import Open, Subject
from folkmoot.node.live.log_service import LogService
from folkmoot.node.live.log_source import LogSource, Slice, all_of, posts_of
from folkmoot.node.live.messages import CHANGES
from folkmoot.node.live.moments import Moments
from folkmoot.node.live.proofs import Proofs
from folkmoot.node.live.range_log import RangeLog
from folkmoot.node.live.subscriptions import Subscriptions
from folkmoot.node.live.tails import Tails
from folkmoot.node.routing import Router
from folkmoot.node.wired import Wired
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.identity import is_account

_RANGE_BYTES = 8

Handler = Callable[[bytes, Any], Awaitable[Any]]


class LiveStatistics(NamedTuple):
    """What is followed now.

    Attributes:
        subscriptions: of clients.
        logs: of ranges, here and at other nodes, that have somebody waiting at their end.
    """

    subscriptions: int
    logs: int


class LiveParts:
    """See the module.

    Attributes:
        proofs: what repair proves; kept for those who go on from another replica's log.
        ranges: reads change logs, here and at other nodes.
        opens: what clients can follow, by the key in `what`; other parts may add to it.
        tails: wake who follows.
        subscriptions: the streams of clients.

    Args:
        wired: the node's.
    """

    def __init__(self, wired: Wired) -> None:
        wall, store = wired.environment.wall, wired.commits.store
        self.proofs = Proofs(lambda: store.sequence, wall)
        self.opens: dict[str, Open] = {"author": self._author, "range": self._range}
        self.subscriptions = Subscriptions(self.opens)
        self._wired = wired
        self._moments = Moments(wired.commits, wall)

    def begin(self, router: Router, topology: Topology) -> Mapping[str, Handler]:
        """Say who is asked for what; what other nodes may ask, by name."""
        wired, moments = self._wired, self._moments
        trusted, counts = wired.topology.service_accounts, lambda: router.counts_itself
        service = LogService(
            wired.node_id,
            wired.commits,
            wired.topology,
            moments,
            self.proofs,
            wired.environment.wall,
            trusted,
            counts,
        )
        self.ranges = RangeLog(router, topology, wired.links, service)
        self.tails = Tails(wired.node_id, self.ranges, wired.topology)
        return {CHANGES: service.answer_peer}

    def statistics(self) -> LiveStatistics:
        return LiveStatistics(self.subscriptions.count, self.tails.followed)

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What is to be run, by name."""
        return {"tails": self.tails.run}

    async def _author(self, asker: Asker, account: object) -> Subject:
        if not is_account(account):
            raise WireError(BAD_REQUEST, "author is not an account id of 34 bytes")
        assert isinstance(account, bytes)
        return Subject(
            CursorKind.FOLLOW_AUTHOR, account, self._source(posts_of(account, self._wired.topology))
        )

    async def _range(self, asker: Asker, range_id: object) -> Subject:
        assert isinstance(range_id, int), "its shape was checked"
        followed = all_of(range_id, self._wired.topology)
        followed()  # there is such a range
        return Subject(
            CursorKind.FOLLOW_RANGE, range_id.to_bytes(_RANGE_BYTES, "big"), self._source(followed)
        )

    def _source(self, followed: Callable[[], Slice]) -> LogSource:
        return LogSource(followed, self.ranges, self.tails, self._wired.environment.wall)
