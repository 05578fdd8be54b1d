"""The repairer keeps replicas equal without being asked.

Every few seconds a node compares, with one other replica in turn, the aggregates of the ranges both hold:
one message, answered from block sums that the writing transactions keep. Ranges that differ are reconciled
(see `protocol.sync.reconcile`): what this node lacks is fetched and joined, what the other lacks is sent.
Writes in flight make aggregates differ for a moment; reconciling is then cheap, because little differs. A
node that comes back is compared with at once. Hints and read repair only make any of this rarer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Annotated, Any, Protocol

import trio
from folkmoot.node.contracts import Liveness, LocalReplica, Peers, PeerUnreachable, Recounting, Topology
from folkmoot.node.environment import Executor
from folkmoot.node.exchange import Exchange, fitting_cells
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    BAD_SIGNATURE,
    INTERNAL,
    NOT_CANONICAL,
    STALE_TOPOLOGY,
    TOO_LARGE,
    WireError,
)
from folkmoot.protocol.ring import epochs
from folkmoot.protocol.ring.epochs import Claim
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap
from folkmoot.protocol.sync.frames import Print
from folkmoot.protocol.sync.reconcile import respond
from folkmoot.protocol.sync.view import View
from folkmoot.storage.errors import StorageError
from msgspec import Meta, Struct

log = logging.getLogger(__name__)

Handler = Callable[[bytes, Params], Any]


class Proving(Protocol):
    """Keeps what passes have proven: that the other side has all that this node had when they began."""

    def begin(self) -> int:
        """To be given to `equal` at the end."""
        ...

    def equal(self, node_id: bytes, ranges: Iterable[int], begun: int) -> None:
        """Ranges (by id) were found equal, or made equal."""
        ...


# What is wrong with the cells of one range, here or there: the other ranges are none the worse for it.
_OF_ONE_RANGE = {BAD_REQUEST, BAD_SIGNATURE, INTERNAL, NOT_CANONICAL, TOO_LARGE}


# So often a range may be found to differ with nothing to exchange before this node's own sums are doubted.
UNEXPLAINED_MAX = 3


class _Compare(Struct):
    """`sync.compare`: one side's aggregates of the ranges both hold."""

    ranges: Annotated[list[tuple[int, int, int, bytes]], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]


class _Step(Struct):
    """`sync.step`: one reconciliation frame about one range."""

    range: int
    epoch: int
    frame: bytes


class _Fetch(Struct):
    """`sync.fetch`: the cells at some keys of one range, as many as fit a message."""

    range: int
    epoch: int
    keys: Annotated[list[bytes], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]


class _Compared(Struct):
    """The answer to `sync.compare`: the ranges that differ."""

    different: Annotated[list[int], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]


@dataclass(slots=True)
class RepairStatistics:
    """Counts since the start.

    Args:
        comparisons: with how many replicas aggregates were compared.
        mismatches: ranges that differed.
        fetched, pushed: cells that moved.
        equal_at: node id → monotonic seconds at which all shared ranges were last found equal.
    """

    comparisons: int
    mismatches: int
    fetched: int
    pushed: int
    equal_at: dict[bytes, float]


class Repairer:
    """See the module.

    Args:
        node_id: this node's.
        ranges: the range map now.
        view: this node's leaves.
        local: this node's replica, which joins what is fetched.
        upkeep: works out wrong sums anew.
        topology, liveness, peers: see `contracts`.
        executor: where frames are worked out, because a heavy account takes a while to be read.
        random: spreads the comparisons of nodes that started together.
        interval_s: how long it takes to compare with every other replica once.
        proving: keeps what is proven.
    """

    def __init__(
        self,
        node_id: bytes,
        ranges: Callable[[], RangeMap],
        view: View,
        local: LocalReplica,
        upkeep: Recounting,
        topology: Topology,
        liveness: Liveness,
        peers: Peers,
        executor: Executor,
        random: Random,
        interval_s: float,
        proving: Proving,
    ) -> None:
        self._node_id = node_id
        self._ranges = ranges
        self._proving = proving
        self._view = view
        self._local = local
        self._upkeep = upkeep
        self._topology = topology
        self._liveness = liveness
        self._peers = peers
        self._executor = executor
        self._exchange = Exchange(view, local, peers, executor)
        self._random = random
        self._interval_s = interval_s
        self._returned: dict[bytes, None] = {}
        self._unexplained: dict[int, int] = {}
        self._wake = trio.Event()
        self._statistics = RepairStatistics(0, 0, 0, 0, {})

    def statistics(self) -> RepairStatistics:
        return self._statistics

    def methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {"sync.compare": self.compare, "sync.step": self.step, "sync.fetch": self.fetch}

    def has_returned(self, node_id: bytes) -> None:
        """A node that was away is back: compare with it first, and now."""
        self._returned[node_id] = None
        self._wake.set()

    async def run(self) -> None:
        """Compare for ever: with who has returned at once, else with the next replica in turn."""
        turn: list[bytes] = []
        while True:
            turn = turn or self._others()
            pause_s = self._interval_s / max(1, len(self._others()))
            with trio.move_on_after(pause_s * self._random.uniform(0.5, 1.0)):
                await self._wake.wait()
            self._wake = trio.Event()
            chosen = [*self._returned, *turn[:1]]
            turn = turn[1:]
            self._returned.clear()
            for node_id in dict.fromkeys(chosen):
                if self._liveness.reachable(node_id):
                    await self._repair_with(node_id)

    async def _repair_with(self, node_id: bytes) -> None:
        try:
            await self.repair(node_id)
        except StorageError as error:
            log.error("nothing can be repaired with %s: %s", node_id.hex()[:8], error)
        except (WireError, PeerUnreachable) as error:
            log.info("repair with %s waits: %s", node_id.hex()[:8], error)
            if isinstance(error, WireError) and error.kind is STALE_TOPOLOGY:
                await self._topology.refresh(node_id)

    async def repair(self, node_id: bytes) -> int:
        """Make this node and `node_id` equal in every range both hold; returns how many differed.

        Raises:
            WireError, PeerUnreachable: it did not come to its end, or the peer does not speak as it should;
                the next one goes on.
            StorageError: what this node says of its ranges is damaged.
        """
        shared = [owner for owner in self._ranges().of_node(self._node_id) if node_id in owner.nodes()]
        if not shared:
            return 0
        begun = self._proving.begin()
        # Not on the event loop: of a block that a range's bound cuts, cells are read.
        prints = await self._executor.run(lambda: [self._print(owner) for owner in shared])
        asked = [(owner.id, owner.epoch, *own.to_wire()) for owner, own in zip(shared, prints, strict=True)]
        answer = await self._call(node_id, "sync.compare", {"ranges": asked})
        told = codec.shaped(answer, _Compared, "the answer to sync.compare")
        different = set(told.different) & {owner.id for owner in shared}
        self._statistics.comparisons += 1
        self._statistics.mismatches += len(different)
        equal = [owner.id for owner in shared if owner.id not in different]
        for range_id in equal:
            self._unexplained.pop(range_id, None)
        try:
            for owner in shared:
                if owner.id in different and await self._reconcile_range(node_id, owner):
                    equal.append(owner.id)
        finally:
            self._proving.equal(node_id, equal, begun)
        if not different:
            self._statistics.equal_at[node_id] = trio.current_time()
        return len(different)

    async def _reconcile_range(self, node_id: bytes, owner: RangeDescriptor) -> bool:
        """Reconcile one range; what is damaged in it, here or there, keeps no other from being repaired.

        Returns:
            Whether it was reconciled.

        Raises:
            WireError, PeerUnreachable: there is no point in going on to the next.
        """
        try:
            moved = await self.reconcile(node_id, owner)
        except (WireError, StorageError) as error:
            if isinstance(error, WireError) and error.kind not in _OF_ONE_RANGE:
                raise
            log.error("range %d cannot be repaired with %s: %s", owner.id, node_id.hex()[:8], error)
            return False
        await self._explain(owner, moved=moved)
        return True

    async def _explain(self, owner: RangeDescriptor, *, moved: bool) -> None:
        """Doubt our own sums of a range that differs time and again though its cells do not.

        Once is nothing: a write in flight may have arrived meanwhile.
        """
        if moved:
            self._unexplained.pop(owner.id, None)
            return
        self._unexplained[owner.id] = self._unexplained.get(owner.id, 0) + 1
        if self._unexplained[owner.id] >= UNEXPLAINED_MAX:
            del self._unexplained[owner.id]
            wrong = await self._upkeep.recount(owner.start, owner.end)
            if wrong:
                log.error("%d sums of range %d were wrong and are worked out anew", wrong, owner.id)

    async def reconcile(self, node_id: bytes, owner: RangeDescriptor) -> bool:
        """Exchange what one side has and the other has not; whether there was anything."""
        return await self._exchange.compare(
            node_id,
            owner,
            owner.start,
            owner.end,
            needs=partial(self._fetch, node_id, owner),
            pushes=partial(self._push, node_id, owner),
        )

    async def _fetch(self, node_id: bytes, owner: RangeDescriptor, keys: Sequence[bytes]) -> None:
        while keys:
            brought = await self._exchange.fetch(node_id, owner, keys[: limits.REPLICATION_BATCH_CELLS])
            self._statistics.fetched += brought.joined.changed
            keys = keys[brought.answered :]

    async def _push(self, node_id: bytes, owner: RangeDescriptor, keys: Sequence[bytes]) -> None:
        while keys:
            sent = await self._exchange.push(node_id, owner, keys[: limits.REPLICATION_BATCH_CELLS])
            self._statistics.pushed += sent.cells
            keys = keys[sent.answered :]

    async def compare(self, node_id: bytes, params: Params) -> dict[str, Any]:
        """Which of the asker's aggregates differ from ours."""
        asked = codec.shaped(params, _Compare, "sync.compare")
        ranges, begun = self._ranges(), self._proving.begin()
        owners = [epochs.check(ranges, Claim(range_id, epoch)) for range_id, epoch, _, _ in asked.ranges]
        own = await self._executor.run(lambda: [self._logged_print(owner) for owner in owners])
        told = [Print(count, digest) for _, _, count, digest in asked.ranges]
        different = [
            owner.id for owner, mine, theirs in zip(owners, own, told, strict=True) if mine != theirs
        ]
        self._proving.equal(node_id, {owner.id for owner in owners}.difference(different), begun)
        return {"different": different}

    async def step(self, node_id: bytes, params: Params) -> dict[str, Any]:
        """Answer one reconciliation frame."""
        asked = codec.shaped(params, _Step, "sync.step")
        owner = epochs.check(self._ranges(), Claim(asked.range, asked.epoch))
        answer = partial(respond, self._view, owner.start, owner.end, asked.frame)
        with _logged_here(owner):
            return {"frame": await self._executor.run(answer)}

    async def fetch(self, node_id: bytes, params: Params) -> dict[str, Any]:
        """Give cells; fewer than were asked for when a message would not hold them."""
        asked = codec.shaped(params, _Fetch, "sync.fetch")
        epochs.check(self._ranges(), Claim(asked.range, asked.epoch))
        return {"cells": fitting_cells(self._local.read(asked.keys))}

    def _print(self, owner: RangeDescriptor) -> Print:
        return Print.of(self._view.fingerprint(owner.start, owner.end))

    def _logged_print(self, owner: RangeDescriptor) -> Print:
        with _logged_here(owner):
            return self._print(owner)

    def _others(self) -> list[bytes]:
        """The nodes this one shares ranges with, in an order of its own."""
        mine = self._ranges().of_node(self._node_id)
        others = sorted({node for owner in mine for node in owner.nodes()} - {self._node_id})
        self._random.shuffle(others)
        return others

    async def _call(self, node_id: bytes, method: str, params: Mapping[str, Any]) -> Any:
        return await self._peers.call(node_id, method, params, limits.REQUEST_TIMEOUT_S)


@contextmanager
def _logged_here(owner: RangeDescriptor) -> Iterator[None]:
    """Say in this node's own log what is damaged: the asker hears of it, and its log is another machine's."""
    try:
        yield
    except StorageError as error:
        log.error("range %d cannot be compared: %s", owner.id, error)
        raise
