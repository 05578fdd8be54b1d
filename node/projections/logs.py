"""The logs that projections follow: this node's own, and other nodes' for ranges that it has no slot for.

What is read of a range is read at one replica, the nearest, for as long as it is there. Each replica has its
own log with its own positions, so who turns to another one reads that from the beginning, and so once more
who goes back to the first: what was seen is seen again, and applying it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, NamedTuple

from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable
from folkmoot.node.environment import Executor
from folkmoot.node.projections.stretches import Stretch
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BUSY, STALE_TOPOLOGY, WireError
from folkmoot.protocol.key import parse_key, place_prefix
from folkmoot.protocol.projections import bounds
from folkmoot.protocol.projections.entries import Projection
from folkmoot.protocol.projections.facts import Facts, facts_log, is_projected
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap
from folkmoot.storage.inboxes import Shown
from folkmoot.storage.latest import latest_of, places_of
from folkmoot.storage.projecting import Batch, Changed, read_batch
from folkmoot.storage.projections import generation_of
from folkmoot.storage.store import LOG_ID_BYTES, Store
from msgspec import Meta, Struct

CHANGES: Final = "projection.changes"
LATEST: Final = "projection.latest"

_LogId = Annotated[bytes, Meta(min_length=LOG_ID_BYTES, max_length=LOG_ID_BYTES)]
_Position = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Key = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
_Bound = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
_At = Annotated[bytes, Meta(min_length=48, max_length=48)]


class _Wanted(Struct, array_like=True):
    """One lane of a range. `positions` are where the asker has come to in logs, by their ids; in others it
    begins at the beginning."""

    range: int
    epoch: int
    lane: Annotated[int, Meta(ge=0, lt=limits.LANES)]
    positions: Annotated[dict[_LogId, _Position], Meta(max_length=limits.PROJECTION_LOGS)]


class _Changes(Struct):
    """`projection.changes`: what changed of some ranges in the answering node's log."""

    wanted: Annotated[list[_Wanted], Meta(max_length=limits.PROJECTED_CHANGES)]


class _Told(Struct, array_like=True):
    """What is to be known of each cell that has changed, and how far the log was read."""

    changed: Annotated[list[tuple[_Position, _Key, Facts]], Meta(max_length=limits.PROJECTED_CHANGES)]
    reached: _Position
    head: _Position


class _Changed(Struct):
    """The answer: for each lane of a range what was told, or nil where nothing can be told now."""

    log: _LogId
    told: Annotated[list[_Told | None], Meta(max_length=limits.PROJECTED_CHANGES)]


class _Latest(Struct):
    """`projection.latest`: the latest posts and reposts of an account; with `deleted` those before a place,
    also posts that were deleted."""

    range: int
    epoch: int
    account: messages.Account
    limit: Annotated[int, Meta(ge=1, le=limits.PROJECTED_LATEST)]
    deleted: bool = False
    before: _At | None = None


_Item = Annotated[bytes, Meta(min_length=limits.POST_ITEM_BYTES, max_length=limits.POST_ITEM_BYTES)]


class _LatestTold(Struct):
    """The answer, and as of when it is all there was (wall time, microseconds since 1970)."""

    as_of_us: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)]
    shown: Annotated[
        list[tuple[_At, messages.Account, _Item, messages.Account | None]],
        Meta(max_length=limits.PROJECTED_LATEST),
    ]


Unread = tuple[Stretch, Mapping[bytes, int]]
"""A stretch, and how far logs of it have been read, by their ids."""


class Read(NamedTuple):
    """What was read of a stretch.

    Args:
        log_id: of which log.
        batch: what it said.
    """

    log_id: bytes
    batch: Batch


class Latest(NamedTuple):
    """The latest posts and reposts of an account.

    Args:
        shown: as they are shown in feeds.
        as_of_us: everything is among them that was there then (wall time, microseconds since 1970).
    """

    shown: list[Shown]
    as_of_us: int


class Logs:
    """See the module.

    Attributes:
        own_log: the name of this node's log (see `facts.facts_log`).

    Args:
        store: this node's.
        router: orders replicas by distance.
        peers: how to reach the others.
        epochs: checks claims of other nodes.
        ranges: the range map now.
        executor: where logs are read.
        as_of_us: the wall time as of which this node's projections are complete.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        peers: Peers,
        epochs: EpochCheck,
        ranges: Callable[[], RangeMap],
        executor: Executor,
        as_of_us: Callable[[], int],
    ) -> None:
        self.own_log = facts_log(store.log_id)
        self._as_of_us = as_of_us
        self._ranges = ranges
        self._store = store
        self._router = router
        self._peers = peers
        self._epochs = epochs
        self._executor = executor
        self._followed: dict[int, bytes] = {}
        self._failed: dict[int, bytes] = {}

    def is_own(self, stretch: Stretch) -> bool:
        """Whether this node's own log is read for it."""
        router = self._router
        return any(slot.reader == router.node_id for slot in stretch.owner.slots) and router.counts_itself

    async def read_own(
        self, wanted: Sequence[tuple[Stretch, int]], most: int, without: Container[int]
    ) -> list[Batch]:
        """The next changes of stretches that this node's own log is read for, each after a position; of the
        first of them, as soon as these are many.

        Args:
            most: changes in all.
            without: kinds of cells that are passed over, as bytes of keys.
        """

        def read() -> list[Batch]:
            found: list[Batch] = []
            left = most
            for stretch, after in wanted:
                if left <= 0:
                    break
                found.append(self._read(stretch, after, bounds.LOG_ROWS_READ, True, left, without))
                left -= len(found[-1].changed)
            return found

        return await self._executor.run(read)

    def divided(self, wanted: Sequence[Unread]) -> Iterator[tuple[bytes, Sequence[Unread]]]:
        """Whom to ask for stretches of which this node has no slot: nodes, each with as many as it can be
        asked for at once. Of what nobody is there for, nothing."""
        by_node: dict[bytes, list[Unread]] = {}
        for each in wanted:
            replicas = self._replicas(each[0])
            if replicas:
                by_node.setdefault(replicas[0], []).append(each)
        for node_id, some in by_node.items():
            for start in range(0, len(some), limits.PROJECTED_CHANGES):
                yield node_id, some[start : start + limits.PROJECTED_CHANGES]

    async def ask(self, node_id: bytes, wanted: Sequence[Unread]) -> list[tuple[Stretch, Read]]:
        """The next changes of stretches, as one other node tells them; none when it tells nothing, and then
        others are asked next time."""
        try:
            return await self._ask(node_id, wanted)
        except (WireError, PeerUnreachable):
            for stretch, _ in wanted:
                self._followed.pop(stretch.owner.id, None)
                self._failed[stretch.owner.id] = node_id
            return []

    def _replicas(self, stretch: Stretch) -> list[bytes]:
        """Whom to ask: the one that was asked last, if it is still there; then the nearest; last the one that
        did not answer."""
        own, owner = self._router.node_id, stretch.owner
        last, failed = self._followed.get(owner.id), self._failed.get(owner.id)
        there = self._router.candidates(owner.slots, {own})
        return sorted(there, key=lambda node: (node == failed, node != last))

    def _read(
        self,
        stretch: Stretch,
        after: int,
        rows: int,
        private: bool,
        most: int | None = None,
        without: Container[int] = (),
    ) -> Batch:
        owner, engine = stretch.owner, self._store.engine
        between = owner.start, owner.end
        return read_batch(
            engine, stretch.lane, after, rows, *between, private=private, most=most, without=without
        )

    async def _ask(self, node_id: bytes, wanted: Sequence[Unread]) -> list[tuple[Stretch, Read]]:
        asked = [
            (stretch.owner.id, stretch.owner.epoch, stretch.lane, _newest(positions))
            for stretch, positions in wanted
        ]
        answer = await self._peers.call(node_id, CHANGES, {"wanted": asked}, limits.REPLICA_READ_TIMEOUT_S)
        told = codec.shaped(answer, _Changed, "changes of ranges")
        found: list[tuple[Stretch, Read]] = []
        for (stretch, _), each in zip(wanted, told.told, strict=False):
            if each is None:
                self._failed[stretch.owner.id] = node_id
                continue
            self._followed[stretch.owner.id] = node_id
            changed = [
                Changed(position, key, facts)
                for position, key, facts in each.changed
                if stretch.owner.covers(key) and parse_key(key) and is_projected(key)
            ]
            found.append((stretch, Read(told.log, Batch(changed, each.reached, each.head))))
        return found

    def keeps(self, account: bytes) -> bool:
        """Whether what an account writes is read in this node's own store."""
        return self.is_own(Stretch(self._ranges().lookup(place_prefix(account)), 0))

    async def latest_elsewhere(self, account: bytes, limit: int) -> Latest | None:
        """The latest posts and reposts of an account that other nodes keep; None when none can be asked."""
        return await self._ask_latest(account, {"limit": limit})

    async def places_elsewhere(self, account: bytes, limit: int, before: bytes | None) -> list[Shown] | None:
        """The next posts and reposts of such an account before a place in a feed, also posts that were
        deleted; fewer than `limit` at the end, and None when no node can be asked."""
        told = await self._ask_latest(account, {"limit": limit, "deleted": True, "before": before})
        if told is None:
            return None
        # It goes into the feed as it is: so it has to be of this account, and in order.
        own = [each for each in told.shown if each.by == account and (before is None or each.at < before)]
        return sorted(own, key=lambda each: each.at, reverse=True)[:limit]

    async def _ask_latest(self, account: bytes, more: Mapping[str, Any]) -> Latest | None:
        owner = self._ranges().lookup(place_prefix(account))
        for node_id in self._replicas(Stretch(owner, 0)):
            params = {"range": owner.id, "epoch": owner.epoch, "account": account, **more}
            try:
                answer = await self._peers.call(node_id, LATEST, params, limits.REPLICA_READ_TIMEOUT_S)
                told = codec.shaped(answer, _LatestTold, "the latest of an account")
            except (WireError, PeerUnreachable):
                continue
            return Latest([Shown(*shown) for shown in told.shown], told.as_of_us)
        return None

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {CHANGES: self._answer_changes, LATEST: self._answer_latest}

    async def _answer_changes(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, _Changes, CHANGES)
        self._check_counts()
        told = await self._executor.run(partial(self._changes, asked.wanted))
        return {"log": self.own_log, "told": told}

    def _changes(self, wanted: Sequence[_Wanted]) -> list[Any]:
        """What to tell of each; of those there is no room for, nothing."""
        told: list[Any] = []
        room, room_bytes = limits.PROJECTED_CHANGES, limits.PROJECTED_BYTES
        for each in wanted:
            try:
                owner = self._own_range(each.range, each.epoch)
            except WireError:
                told.append(None)
                continue
            if room <= 0 or room_bytes <= 0:
                break
            after = each.positions.get(self.own_log, 0)
            batch = self._read(Stretch(owner, each.lane), after, limits.PROJECTED_CHANGES, private=False)
            changed: list[Any] = []
            for change in batch.changed:
                if room_bytes <= 0:
                    break
                changed.append((change.position, change.key, change.facts.to_wire()))
                room_bytes -= len(change.key) + change.facts.weight
            told.append((changed, batch.position_after(len(changed)), batch.head))
            room -= len(changed)
        return told

    async def _answer_latest(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, _Latest, LATEST)
        self._epochs.check_epochs({asked.range: asked.epoch}, [place_prefix(asked.account)])
        self._check_counts()
        as_of_us = self._as_of_us()
        shown = await self._executor.run(partial(self._own_latest, asked))
        return {"shown": [tuple(each) for each in shown], "as_of_us": as_of_us}

    def _own_range(self, range_id: int, epoch: int) -> RangeDescriptor:
        """A range this node has a slot of, when the asker knows it as it is.

        Raises:
            WireError: `stale_topology`.
        """
        owner = self._ranges().get(range_id)
        if owner is None:
            raise WireError(STALE_TOPOLOGY, f"range {range_id} is not known here", retry_after_ms=250)
        self._epochs.check_epochs({range_id: epoch}, [owner.start])
        return owner

    def _check_counts(self) -> None:
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)

    def _own_latest(self, asked: _Latest) -> list[Shown]:
        with self._store.engine.begin() as transaction:
            reposted = generation_of(transaction, Projection.REPOSTS).live
            if asked.deleted:
                return places_of(transaction, reposted, asked.account, asked.limit, asked.before)
            return latest_of(transaction, reposted, asked.account, asked.limit)


def _newest(positions: Mapping[bytes, int]) -> dict[bytes, int]:
    """The positions to ask with: of logs that were read so long ago that there are too many, not all."""
    return dict(list(positions.items())[-limits.PROJECTION_LOGS :])
