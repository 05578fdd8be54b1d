"""The hinter delivers what absent replicas missed, gently.

A hint is a pointer (node, cell key); the cell is read when it is sent, so a hint that waited carries the
newest state and many writes to one cell are one delivery. Handoff has its own rate, apart from foreground
replication: additive increase while a peer answers quickly, halved when it is slow or busy (AIMD, as TCP
does it). Hints too old or too many are dropped for good: repair finds what they stood for. So are those for
a node that by now is no replica of their cell, which it would refuse for ever: whoever took its slot copies
the range.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import (
    CellBatch,
    Liveness,
    Peers,
    PeerUnreachable,
    Topology,
)
from folkmoot.node.pace import Pace
from folkmoot.node.replica_results import read_joined
from folkmoot.protocol import limits
from folkmoot.protocol.errors import WireError
from folkmoot.storage.errors import StorageError, StoreCorrupt
from folkmoot.storage.transaction import Admission, WriteTransaction

log = logging.getLogger(__name__)

PACE_S = 0.05
IDLE_S = 1.0


class Hinter:
    """See the module.

    Args:
        commits: where hints are kept.
        topology, liveness, peers: see `contracts`.
        now_us: the wall clock, to age hints.
    """

    def __init__(
        self,
        commits: Commits,
        topology: Topology,
        liveness: Liveness,
        peers: Peers,
        now_us: Callable[[], int],
    ) -> None:
        self._commits = commits
        self._topology = topology
        self._liveness = liveness
        self._peers = peers
        self._now_us = now_us
        self._paces: dict[bytes, Pace] = {}
        self._delivered_to: dict[bytes, bytes] = {}
        self.delivered = 0

    async def leave(self, node_id: bytes, keys: Sequence[bytes]) -> None:
        """Keep pointers to cells that `node_id` has not confirmed."""
        now_us = self._now_us()

        def job(transaction: WriteTransaction) -> None:
            for key in keys:
                transaction.hint(node_id, key, now_us)

        await self._commits.run(job, Admission.ESSENTIAL)

    async def run(self) -> None:
        """Deliver for ever, each reachable node in turn."""
        while True:
            delivered = 0
            for node_id in self._waiting_for():
                if self._liveness.alive(node_id):
                    delivered += await self._deliver_to(node_id)
            await trio.sleep(PACE_S if delivered else IDLE_S)

    def _waiting_for(self) -> list[bytes]:
        """The nodes that hints are kept for."""
        try:
            return sorted(self._commits.store.hint_states())
        except StorageError as error:
            log.error("hints cannot be read: %s", error)
            return []

    async def _deliver_to(self, node_id: bytes) -> int:
        """Deliver one message's worth, more slowly after a failure; how many cells went."""
        pace = self._paces.setdefault(node_id, Pace())
        try:
            return await self._deliver_some(node_id, pace)
        except StoreCorrupt as error:
            log.error("hints for %s cannot be read: %s", node_id.hex()[:8], error)
        except (WireError, PeerUnreachable, StorageError) as error:
            log.info("handoff to %s waits: %s", node_id.hex()[:8], error)
        pace.failed()
        return 0

    async def _deliver_some(self, node_id: bytes, pace: Pace) -> int:
        after = self._delivered_to.pop(node_id, b"")
        hints = self._commits.store.hints_for(node_id, pace.credit, after)
        if not hints:
            return 0
        oldest_us = self._now_us() - int(limits.HINT_AGE_S * 1_000_000)
        batch, moot = self._batch(node_id, [hint.key for hint in hints if hint.since_us >= oldest_us])
        began = trio.current_time()
        damaged: Sequence[bytes] = ()
        if batch.keys:
            params = batch.to_wire()
            answer = await self._peers.call(node_id, "replica.join", params, limits.REQUEST_TIMEOUT_S)
            damaged = read_joined(answer).damaged
        pace.succeeded(trio.current_time() - began)
        if damaged:  # these wait until they are mended there; those behind them need not
            self._delivered_to[node_id] = max(batch.keys)
        settled = {*batch.keys, *moot}.difference(damaged)
        done = [hint for hint in hints if hint.key in settled or hint.since_us < oldest_us]
        await self._commits.run(lambda transaction: transaction.unhint(node_id, done), Admission.ESSENTIAL)
        delivered = len(batch.keys) - len(damaged)
        self.delivered += delivered
        return delivered

    def _batch(self, node_id: bytes, keys: Sequence[bytes]) -> tuple[CellBatch, list[bytes]]:
        """As many of the cells as fit a message, and the keys at which nothing is to be sent."""
        batch = CellBatch({})
        moot: list[bytes] = []
        size = 0
        for key in keys:
            owner = self._topology.where(key)
            if node_id not in owner.nodes():
                moot.append(key)
                continue
            try:
                cell = self._commits.store.get_cell(key)
            except StoreCorrupt as error:
                log.error("a hint is dropped: %s", error)
                cell = None
            if cell is None:
                moot.append(key)
                continue
            size += len(cell)
            if batch.keys and size > limits.REPLICATION_BATCH_BYTES:
                break
            batch.ranges[owner.id] = owner.epoch
            batch.keys.append(key)
            batch.cells.append(cell)
        return batch, moot
