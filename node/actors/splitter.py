"""The splitter has ranges split that have grown too large.

Each range is looked after by the node that reads for it: it weighs what it holds, and when that is more than
a range is to be, has the range split where half of it is. A range is weighed when its cells have become more
or fewer by a good part since the last time, off the event loop and with rests; none is as long as all that
this node keeps is less than one range may be. A range that is moving waits until it has moved.

If two nodes take a range for theirs to split, one of them finds it split.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.environment import Executor
from folkmoot.node.movement.contracts import Holder, Liveness
from folkmoot.node.pace import rest_s
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.key import PLACE_PREFIX_BYTES
from folkmoot.protocol.ring import epochs
from folkmoot.protocol.ring.driving import is_joint
from folkmoot.protocol.ring.epochs import Claim
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.errors import StorageError
from folkmoot.storage.store import Store
from folkmoot.storage.weighing import Weighing, Weight
from msgspec import Meta, Struct, field

log = logging.getLogger(__name__)

METHOD: Final = "range.weigh"
TIMEOUT_S: Final = 30.0  # for a range to be weighed that is many times what it may be

BUSY_RETRY_MS: Final = 2_000

LOOK_S: Final = 10.0
CHANGED: Final = 1 / 16  # of a range's cells, after which it is weighed again


class _Weighed(Struct):
    """The result of `range.weigh`."""

    cells: Annotated[int, Meta(ge=0)]
    size: Annotated[int, Meta(ge=0)] = field(name="bytes")
    middle: Annotated[bytes, Meta(max_length=PLACE_PREFIX_BYTES)] | None = None


class Splits(Protocol):
    """See `node.registers.topology`."""

    async def split_range(
        self, before: RangeDescriptor, at: bytes
    ) -> tuple[RangeDescriptor, RangeDescriptor]: ...


@dataclass(slots=True)
class SplitStatistics:
    """What has been weighed and split since the start.

    Args:
        weighed: ranges, by the node itself.
        split: ranges.
        too_large: ranges that are larger than they are to be and cannot be split, by their ids.
        reason: why the last of them could not; empty when there is none.
    """

    weighed: int
    split: int
    too_large: list[int]
    reason: str = ""


class Splitter:
    """See the module.

    Args:
        node_id: this node's.
        topology, liveness: see `movement.contracts`.
        registers: decides on splits.
        store: this node's.
        peers: see `contracts`.
        counts: whether a node's disk is known to have all that it acknowledged.
        executor: where the store is read.
        split_bytes: how large a range may be; 0 for any size.
    """

    def __init__(
        self,
        node_id: bytes,
        topology: Holder,
        liveness: Liveness,
        registers: Splits,
        store: Store,
        peers: Peers,
        counts: Callable[[bytes], bool],
        executor: Executor,
        split_bytes: int,
    ) -> None:
        self._node_id = node_id
        self._topology = topology
        self._liveness = liveness
        self._registers = registers
        self._store = store
        self._peers = peers
        self._counts = counts
        self._executor = executor
        self._split_bytes = split_bytes
        # Range id → its bounds and what was found between them.
        self._known: dict[int, tuple[tuple[bytes, bytes], Weight]] = {}
        self._asked = 0
        self._statistics = SplitStatistics(0, 0, [])

    def statistics(self) -> SplitStatistics:
        return self._statistics

    def methods(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {METHOD: self.answer}

    def known(self, owner: RangeDescriptor) -> Weight | None:
        """What a range came to when it was weighed here last; None when it was not."""
        bounds, weight = self._known.get(owner.id, (None, None))
        return weight if bounds == (owner.start, owner.end) else None

    async def count(self, owners: Sequence[RangeDescriptor]) -> list[int | None]:
        """How many cells are in some ranges now; None of those that this node does not hold."""
        view, own = self._store.view, self._node_id

        def counted() -> list[int | None]:
            return [
                view.fingerprint(owner.start, owner.end).count if own in owner.nodes() else None
                for owner in owners
            ]

        return await self._executor.run(counted)

    async def run(self) -> None:
        """Weigh and split what is this node's to split, for ever."""
        while True:
            await trio.sleep(LOOK_S)
            if self._split_bytes and self._counts(self._node_id):
                try:
                    await self._round()
                except StorageError as error:
                    log.error("ranges cannot be weighed: %s", error)

    async def answer(self, asker: bytes, params: Any) -> dict[str, Any]:
        """Weigh a range for a peer.

        Raises:
            WireError: `stale_topology`; `busy`, while others are weighed.
        """
        owner = epochs.check(self._topology.current().ranges, Claim.from_params(params))
        weight = await self._weigh_for_others(owner)
        told = {"cells": weight.cells, "bytes": weight.size}
        return told if weight.middle is None else {**told, "middle": weight.middle}

    async def ask(self, owner: RangeDescriptor) -> Weight:
        """Have a range weighed by a node that holds it, this one if it does.

        Raises:
            WireError: it could not be.
            PeerUnreachable: no node that holds it answers.
        """
        if self._node_id in owner.nodes():
            return await self._weigh_for_others(owner)
        failure: Exception = PeerUnreachable(f"no node that holds range {owner.id} can be reached")
        for node_id in owner.nodes():
            if not self._liveness.alive(node_id):
                continue
            try:
                answer = await self._peers.call(node_id, METHOD, Claim.of(owner).to_params(), TIMEOUT_S)
            except (WireError, PeerUnreachable) as error:
                failure = error
                continue
            told = codec.shaped(answer, _Weighed, f"the result of {METHOD}")
            return Weight(told.cells, told.size, told.middle)
        raise failure

    # By itself.

    async def _round(self) -> None:
        """Look at every range that this node reads for."""
        statistics = self._statistics
        statistics.too_large, statistics.reason = [], ""
        ranges = self._topology.current().ranges
        for range_id in [one for one in self._known if ranges.get(one) is None]:
            del self._known[range_id]
        if self._store.usage().live_bytes <= self._split_bytes:
            return
        for owner in ranges.of_node(self._node_id):
            if not self._reads_for(owner) or is_joint(owner):
                continue
            weight = await self._renewed(owner)
            if weight.size > self._split_bytes:
                await self._split(owner, weight)

    async def _split(self, owner: RangeDescriptor, weight: Weight) -> None:
        if weight.middle is None:
            self._note_too_large(owner, "all of it is one account's, and a bound cuts none")
            return
        try:
            left, right = await self._registers.split_range(owner, weight.middle)
        except WireError as error:
            self._note_too_large(owner, str(error))
            return
        self._statistics.split += 1
        log.info(
            "range %d has %d bytes and is split: what begins at %s is range %d",
            left.id,
            weight.size,
            right.start.hex(),
            right.id,
        )

    def _note_too_large(self, owner: RangeDescriptor, reason: str) -> None:
        self._statistics.too_large.append(owner.id)
        self._statistics.reason = f"range {owner.id}: {reason}"

    def _reads_for(self, owner: RangeDescriptor) -> bool:
        """Whether this node is the first of a range's readers that is there."""
        readers = [slot.reader for slot in owner.slots]
        there = [node for node in readers if node == self._node_id or self._liveness.alive(node)]
        return there[:1] == [self._node_id]

    async def _renewed(self, owner: RangeDescriptor) -> Weight:
        """What a range comes to; as it was, when about as many cells are in it as then."""
        known = self.known(owner)
        if known is not None:
            [cells] = await self.count([owner])
            if cells is not None and abs(cells - known.cells) <= CHANGED * known.cells:
                return known
        return await self._weigh(owner, resting=True)

    async def _weigh_for_others(self, owner: RangeDescriptor) -> Weight:
        """Weigh a range now, unless as many are weighed as may be.

        Raises:
            WireError: `busy`.
        """
        if self._asked >= limits.WEIGHINGS_AT_ONCE:
            raise WireError(
                BUSY, f"this node weighs {self._asked} ranges already", retry_after_ms=BUSY_RETRY_MS
            )
        self._asked += 1
        try:
            return await self._weigh(owner, resting=False)
        finally:
            self._asked -= 1

    async def _weigh(self, owner: RangeDescriptor, *, resting: bool) -> Weight:
        weighing = Weighing(self._store.engine, owner.start, owner.end)
        more = True
        while more:
            began = trio.current_time()
            more = await self._executor.run(weighing.step)
            if resting:
                await trio.sleep(rest_s(trio.current_time() - began))
        weight = weighing.weight()
        self._known[owner.id] = (owner.start, owner.end), weight
        self._statistics.weighed += 1
        return weight
