"""The evictor empties this node of what it no longer has a slot for.

What is left of a range after its slot has moved on may be the only copy of something: a write that this node
let in at the last moment, which nobody else was told of. So before any of it goes, all of it is compared with
the range's owners and what they lack is sent, until a majority of its slots, and of each region's, has
acknowledged everything that is whole here. Then it is erased, some cells a transaction.

Each transaction looks once more who owns the range. A range that has changed hands meanwhile is begun with
anew, and one that is this node's again, be it in a slot that moves, is left alone. Nothing has to be
remembered: after a crash what is left is found in the store, and dealt with in the same way.

Nothing new can arrive meanwhile. Cells are joined only under the epoch in force, which is looked at in the
commit itself; and what was under way when this one came into force is waited for first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import Liveness, PeerUnreachable
from folkmoot.node.environment import Executor
from folkmoot.node.exchange import Exchange
from folkmoot.node.pace import Pace, rest_s
from folkmoot.protocol import limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.ring.levels import satisfied
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap
from folkmoot.storage.erasing import Erased, erase
from folkmoot.storage.errors import DiskFull, StorageError
from folkmoot.storage.transaction import Admission, WriteTransaction

log = logging.getLogger(__name__)

PAUSE_S: Final = 1.0
RETRY_MAX_S: Final = 15.0


class Ranges(Protocol):
    """The ranges, as far as they are known here; what is seen is durable."""

    @property
    def ranges(self) -> RangeMap | None: ...

    async def wait_changed(self) -> None:
        """Wait until other ranges are known."""
        ...


class Dropping(Protocol):
    """Removes damaged cells."""

    async def drop(self, key: bytes, still: Callable[[], bool]) -> bool: ...


@dataclass(slots=True)
class EvictionStatistics:
    """What has been given away and erased since the start.

    Args:
        waiting: the ranges of which something is left here, by their ids.
        reason: why the last of them that was tried could not be erased; empty when it could.
        pushed: cells sent to owners.
        erased: cells removed.
    """

    waiting: list[int]
    reason: str = ""
    pushed: int = 0
    erased: int = 0


class _Kept(Exception):
    """A range is not erased now; the sentence says why."""


class Evictor:
    """See the module.

    Args:
        node_id: this node's.
        topology: who owns what.
        commits: the store.
        exchange: compares and sends.
        upkeep: see `Dropping`.
        liveness: see `contracts`.
        executor: where the store is looked through.
    """

    def __init__(
        self,
        node_id: bytes,
        topology: Ranges,
        commits: Commits,
        exchange: Exchange,
        upkeep: Dropping,
        liveness: Liveness,
        executor: Executor,
    ) -> None:
        self._node_id = node_id
        self._topology = topology
        self._commits = commits
        self._exchange = exchange
        self._upkeep = upkeep
        self._liveness = liveness
        self._executor = executor
        self._clean: RangeMap | None = None  # under which nothing was left
        self._statistics = EvictionStatistics([])

    def statistics(self) -> EvictionStatistics:
        return self._statistics

    def is_clean(self, ranges: RangeMap) -> bool:
        """Whether nothing was left here that is others', when last looked at by these ranges."""
        return self._clean is ranges

    async def run(self) -> None:
        """Look for leftovers whenever ranges have changed hands, and deal with them, for ever."""
        pause_s = PAUSE_S
        while True:
            ranges = self._topology.ranges
            if ranges is not None and ranges is not self._clean:
                left = await self._round(ranges)
                self._clean = None if left else ranges
                pause_s = min(2 * pause_s, RETRY_MAX_S) if left else PAUSE_S
            if self._clean is not None and self._clean is self._topology.ranges:
                await self._topology.wait_changed()
            else:
                await trio.sleep(pause_s)

    async def _round(self, ranges: RangeMap) -> bool:
        """Deal with all ranges of which something is left; whether something still is."""
        # What was let in when this node had a slot is in the store once a commit has ended that began after.
        try:
            await self._commits.run(_nothing, Admission.ESSENTIAL)
            leftovers = await self._executor.run(partial(self._leftovers, ranges))
        except (WireError, DiskFull) as error:  # which passes
            log.info("nothing can be erased now: %s", error)
            return True
        except StorageError as error:
            log.error("nothing can be erased: %s", error)
            return True
        statistics = self._statistics
        statistics.waiting, statistics.reason = [owner.id for owner in leftovers], ""
        for owner in leftovers:
            try:
                await self._give_away(owner)
                await self._erase(owner)
            except (_Kept, WireError, StorageError) as error:
                statistics.reason = f"range {owner.id}: {error}"
                log.info("what is left of range %d is kept for now: %s", owner.id, error)
            else:
                statistics.waiting.remove(owner.id)
        return bool(statistics.waiting)

    def _leftovers(self, ranges: RangeMap) -> list[RangeDescriptor]:
        return [
            owner
            for owner in ranges.ranges
            if self._node_id not in owner.nodes() and self._commits.store.holds(owner.start, owner.end)
        ]

    async def _give_away(self, owner: RangeDescriptor) -> None:
        """See that enough owners have everything that is whole here.

        Raises:
            _Kept: not enough of them do.
        """
        having: set[bytes] = set()
        reasons = []
        for node_id in owner.nodes():
            if not self._liveness.reachable(node_id):
                reasons.append(f"node {node_id.hex()[:8]} is away")
                continue
            try:
                await self._exchange.compare(
                    node_id, owner, owner.start, owner.end, pushes=partial(self._push, node_id, owner)
                )
                having.add(node_id)
            except (_Kept, WireError, PeerUnreachable) as error:
                reasons.append(f"node {node_id.hex()[:8]}: {error}")
        if not satisfied("each_quorum", owner.slots, having, ""):
            raise _Kept(f"{len(having)} of its nodes have what is left here; {'; '.join(reasons)}")

    async def _push(self, node_id: bytes, owner: RangeDescriptor, keys: Sequence[bytes]) -> None:
        """Send cells, a message at a time, with rests in between."""
        pace = Pace()
        while keys:
            began = trio.current_time()
            sent = await self._exchange.push(node_id, owner, keys[: pace.credit])
            if sent.joined.damaged:
                raise _Kept(f"{len(sent.joined.damaged)} cells are damaged there")
            if sent.cells < sent.answered:
                raise _Kept("cells that were to be sent are gone")
            self._statistics.pushed += sent.cells
            keys = keys[sent.answered :]
            took_s = trio.current_time() - began
            pace.succeeded(took_s)
            await trio.sleep(rest_s(took_s))

    async def _erase(self, owner: RangeDescriptor) -> None:
        """Remove all that is left of a range.

        Raises:
            _Kept: it has changed hands, or something has been put right that was damaged.
        """
        store = self._commits.store
        start: bytes | None = owner.start
        damaged: list[bytes] = []
        erased_before = self._statistics.erased
        while start is not None:
            began = trio.current_time()
            job = partial(self._erase_some, owner, start)
            erased = await self._commits.run(job, Admission.ESSENTIAL, rows=limits.ERASE_CELLS)
            if erased is None:
                raise _Kept("it has changed hands")
            damaged += erased.damaged
            start = erased.resume
            self._statistics.erased += erased.cells
            await trio.sleep(rest_s(trio.current_time() - began))
        for key in damaged:
            log.error("the cell at %s is damaged, and erased with what is left of its range", key.hex())
            await self._upkeep.drop(key, partial(self._is_not_ours, owner))
        if store.holds(owner.start, owner.end):
            raise _Kept("something is left that was damaged before")
        store.damage.forget(owner.start, owner.end)
        log.info("range %d is erased: %d cells", owner.id, self._statistics.erased - erased_before)

    def _erase_some(self, owner: RangeDescriptor, start: bytes, tx: WriteTransaction) -> Erased | None:
        """One transaction's worth; None when the range has changed hands."""
        return erase(tx, start, owner.end, limits.ERASE_CELLS) if self._is_not_ours(owner) else None

    def _is_not_ours(self, owner: RangeDescriptor) -> bool:
        """Whether a range is still that of others, and of the same ones."""
        ranges = self._topology.ranges
        now = ranges and ranges.get(owner.id)
        return bool(now) and now == owner and self._node_id not in owner.nodes()


def _nothing(transaction: WriteTransaction) -> None:
    """A commit is all that is wanted."""
