"""The topology actor: who owns what, as this node knows it, and where newer parts come in.

A topology changes in one way only: `adopt` takes parts of a higher epoch, makes the result durable, and then
lets it be seen here and in gossip, in that order. Parts are made by registers (`node.registers.topology`).
It learns that there are some from gossip, whose members each say in a few bytes what they have, and from
requests that were answered `stale_topology`; either way it asks the peer for exactly what is newer, and
believes what the registers say of that. Only a node that knows no topology yet takes a peer's word.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, STALE_TOPOLOGY, WireError
from folkmoot.protocol.gossip.members import Member
from folkmoot.protocol.ring.errors import RingError, blame_peer
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap
from folkmoot.protocol.ring.roster import Roster
from folkmoot.protocol.ring.topology import (
    NOTHING,
    Have,
    News,
    Summary,
    Topology,
    in_conflict,
    should_fetch,
)
from folkmoot.storage.errors import StorageError

log = logging.getLogger(__name__)

METHOD: Final = "topology.fetch"

# The key under which a member's gossip carries its encoded `Summary`.
META_KEY: Final = "topology"

RETRY_S: Final = 1.0

_PAGES_MAX: Final = limits.RANGES // limits.TOPOLOGY_REPLY_RANGES + 1

Handler = Callable[[bytes, Any], Awaitable[Any]]


class Gossip(Protocol):
    """What is known of members, and when it changes."""

    def members(self) -> Mapping[bytes, Member]: ...

    def has_spoken(self, node_id: bytes) -> bool:
        """Whether a node has proven over a link that it is there; of others there may be any number."""
        ...

    async def wait_changed(self, seen: int) -> int: ...


@dataclass(frozen=True, slots=True)
class TopologyStatistics:
    """How this node came to know what it knows.

    Args:
        fetches: asked of peers.
        adopted: times something newer was taken.
        conflicts: node ids of peers whose topology of the same epochs is another one.
    """

    fetches: int
    adopted: int
    conflicts: frozenset[bytes]


class TopologyHolder:
    """See the module.

    Args:
        cluster: the cluster's id; parts of another are refused.
        topology: what this node kept, or bootstrapped as a founder; None when it must first learn it.
        save: makes an encoded topology durable before it returns.
        peers: see `contracts`.
        announce: spreads an encoded `Summary` by gossip.
        decided: given what this node has and what a peer calls newer, what of it was agreed upon; raises
            `WireError` when that cannot be told now.
    """

    def __init__(
        self,
        cluster: str,
        topology: Topology | None,
        save: Callable[[bytes], Awaitable[None]],
        peers: Peers,
        announce: Callable[[bytes], None],
        decided: Callable[[Topology, News], Awaitable[News]],
    ) -> None:
        if topology is not None and topology.roster.cluster != cluster:
            raise RingError(
                f"the data directory holds the topology of cluster {topology.roster.cluster!r} and the "
                f"configuration says {cluster!r}: use the directory or the configuration of one of them"
            )
        self._cluster = cluster
        self._current = topology
        self._accepted = topology
        self._save = save
        self._peers = peers
        self._announce = announce
        self._decided = decided
        self._learned = trio.Event()
        self._changed = trio.Event()
        if topology is not None:
            self._learned.set()
        self._refreshing: dict[bytes, trio.Event] = {}
        self._conflicts: dict[bytes, tuple[Summary, Summary]] = {}
        self._answered: dict[bytes, tuple[Summary, Summary]] = {}
        self._labellers: tuple[Roster, frozenset[bytes]] | None = None  # worked out once a roster
        self._fetches = 0
        self._adopted = 0

    # What the rest of the node asks.

    @property
    def roster(self) -> Roster | None:
        """The members; None until the topology is learned."""
        return self._current.roster if self._current is not None else None

    @property
    def ranges(self) -> RangeMap | None:
        """Who owns what; None until the topology is learned."""
        return self._current.ranges if self._current is not None else None

    @property
    def summary(self) -> Summary:
        """What gossip is to say of it."""
        return self._current.summary if self._current is not None else NOTHING

    async def wait_learned(self) -> Topology:
        """Wait until there is a topology, and return it."""
        await self._learned.wait()
        return self.current()

    async def wait_changed(self) -> None:
        """Wait until something newer is adopted."""
        await self._changed.wait()

    def current(self) -> Topology:
        """The topology.

        Raises:
            WireError: `stale_topology`, until it is learned.
        """
        if self._current is None:
            raise WireError(STALE_TOPOLOGY, "this node has not learned the topology yet", retry_after_ms=500)
        return self._current

    def service_accounts(self) -> frozenset[bytes]:
        """The accounts (34 bytes) with which the cluster's nodes sign their labels.

        Raises:
            WireError: `stale_topology`, until the topology is learned.
        """
        roster = self.current().roster
        if self._labellers is None or self._labellers[0] is not roster:
            self._labellers = roster, frozenset(node.service_account for node in roster.nodes)
        return self._labellers[1]

    def where(self, key: bytes) -> RangeDescriptor:
        """The range that holds `key`."""
        return self.current().ranges.lookup(key)

    def is_news(self, range_id: int, epoch: int) -> bool:
        """Whether a range is known here only at older epochs, or not at all."""
        known = self.current().ranges.get(range_id)
        return known is None or known.epoch < epoch

    def region_of(self, node_id: bytes) -> str:
        """The region of a member; empty for a node that is not on the roster."""
        node = self.current().roster.get(node_id)
        return node.region if node is not None else ""

    def statistics(self) -> TopologyStatistics:
        return TopologyStatistics(self._fetches, self._adopted, frozenset(self._conflicts))

    # What peers ask.

    def methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {METHOD: self.fetch}

    async def fetch(self, node_id: bytes, params: Any) -> dict[str, Any]:
        """Give the parts that are newer than the asker's."""
        return News.for_asker(self._current, codec.shaped(params, Have, METHOD)).to_wire()

    # How it comes to know more.

    async def begin(self) -> None:
        """Make what this node starts with durable, then let others know of it."""
        if self._current is not None:
            await self._save(self._current.encode())
            self._announce(self._current.summary.encode())

    async def follow(self, gossip: Gossip) -> None:
        """Ask every member that seems to know something newer, for ever."""
        seen = -1
        while True:
            waiting = self._to_ask(gossip)
            with trio.move_on_after(RETRY_S if waiting else float("inf")):
                seen = await gossip.wait_changed(seen)
            for node_id, theirs in self._to_ask(gossip).items():
                if node_id not in self._to_ask(gossip):
                    continue  # what the one before said was enough
                if await self._learn_from(node_id):
                    self._answered[node_id] = (self.summary, theirs)

    async def refresh(self, node_id: bytes) -> None:
        """Take what `node_id` has and this node has not; when that fails, gossip will try again.

        Calls at the same time about the same peer are one.
        """
        await self._learn_from(node_id)

    async def _learn_from(self, node_id: bytes) -> bool:
        """See `refresh`; whether the peer has said what it has to say, so that asking again cannot help."""
        under_way = self._refreshing.get(node_id)
        if under_way is not None:
            await under_way.wait()
            return False
        finished = self._refreshing[node_id] = trio.Event()
        try:
            news = await self._ask(node_id)
            known = self._current
            await self.adopt(news if known is None else await self._decided(known, news))
            self._note_conflict(node_id, news.summary)
        except (WireError, PeerUnreachable, StorageError) as error:
            log.warning("could not learn the topology from node %s: %s", node_id.hex(), error)
            return isinstance(error, WireError) and error.kind is BAD_REQUEST
        finally:
            del self._refreshing[node_id]
            finished.set()
        return True

    async def adopt(self, news: News) -> bool:
        """Take what is newer: durable first, then seen. Whether anything was.

        Raises:
            WireError: `bad_request`, when the parts do not fit; nothing was taken.
        """
        accepted = news.joined_to(self._accepted, self._cluster)
        if accepted is None or accepted is self._current:
            return False
        # All that could fail because of what a peer sent comes before anything is kept: what is on disk is
        # read, and told, at every start.
        with blame_peer():
            encoded, summary = accepted.encode(), accepted.summary.encode()
        # Saves keep their order, and each holds all accepted before it, so the last one saved has it all.
        self._accepted = accepted
        await self._save(encoded)
        self._adopted += 1
        if self._current is None or _newer(accepted, self._current):
            self._current = accepted
            self._announce(summary)
            self._learned.set()
            self._changed.set()
            self._changed = trio.Event()
        return True

    async def _ask(self, node_id: bytes) -> News:
        """All that a peer has to tell, page by page."""
        self._fetches += 1
        have = Have.of(self._current)
        news = await self._page(node_id, have)
        for _ in range(_PAGES_MAX):
            if not news.more:
                break
            news = news.followed_by(await self._page(node_id, have.with_news(news)))
        return news

    async def _page(self, node_id: bytes, have: Have) -> News:
        answer = await self._peers.call(node_id, METHOD, have.to_params(), limits.REQUEST_TIMEOUT_S)
        return News.from_wire(answer)

    def _to_ask(self, gossip: Gossip) -> dict[bytes, Summary]:
        """The live members worth asking, each with what its gossip says; those that have spoken come first.

        Only members of the roster and those that have spoken are, once there is a roster: asking whoever
        gossip tells of would keep this node busy with nodes that do not exist.
        """
        found = {}
        members = sorted(gossip.members().items(), key=lambda item: (not gossip.has_spoken(item[0]), item[0]))
        for node_id, member in members:
            if self.roster is not None and node_id not in self.roster and not gossip.has_spoken(node_id):
                continue
            theirs = _summary_of(member)
            asked = (self.summary, theirs) in (self._conflicts.get(node_id), self._answered.get(node_id))
            if member.is_live and not asked and should_fetch(self.summary, theirs):
                found[node_id] = theirs
        return found

    def _note_conflict(self, node_id: bytes, theirs: Summary) -> None:
        """Remember, and say once, that a peer's topology was made separately: asking again cannot help."""
        self._conflicts.pop(node_id, None)
        if theirs != NOTHING and in_conflict(self.summary, theirs):
            self._conflicts[node_id] = (self.summary, theirs)
            log.error(
                "node %s has another topology at the same epochs: the founders or replicas in its "
                "configuration differ from this node's; correct them and start the wrong one on a new "
                "data directory",
                node_id.hex(),
            )


def _newer(one: Topology, other: Topology) -> bool:
    """Of two topologies accepted one after the other, whether `one` is the later."""
    mine, theirs = one.summary, other.summary
    return (mine.roster_epoch, mine.ranges_epoch) > (theirs.roster_epoch, theirs.ranges_epoch)


def _summary_of(member: Member) -> Summary:
    """What a member's gossip says; a garbled summary says nothing."""
    try:
        return Summary.decode(member.meta.get(META_KEY))
    except WireError:
        return NOTHING
