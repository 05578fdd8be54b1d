"""The replicator streams whole cells to the other replicas, one bounded stream a peer.

Several puts share a message: a sender takes whatever waits for its peer, up to a message's worth, so the
cost of a message is spread over many posts and nothing waits for a timer. The window bounds what is queued
and in flight together; when it is full a put waits a moment, and then what did not fit becomes hints. A
message that fails becomes hints too: a hint is a pointer, the cell itself is in the store already.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import trio
from folkmoot.node.contracts import (
    CellBatch,
    Joined,
    Peers,
    PeerUnreachable,
    Tally,
    Topology,
    read_joined,
)
from folkmoot.protocol import limits
from folkmoot.protocol.errors import STALE_TOPOLOGY, WireError
from folkmoot.storage.errors import StorageError

log = logging.getLogger(__name__)

OFFER_WAIT_S = 1.0
MESSAGES_IN_FLIGHT = 8

LeaveHints = Callable[[bytes, Sequence[bytes]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ReplicatorStatistics:
    """What the replicator has done since it began.

    Args:
        sent: cells acknowledged by peers.
        hinted: cells that became hints.
        unhinted: cells for which not even hints could be left; repair finds them.
        queued: cells now queued or in flight, a peer.
    """

    sent: int
    hinted: int
    unhinted: int
    queued: dict[bytes, int]


class _Stream:
    """What waits for one peer, and who is bringing it there."""

    __slots__ = ("cells", "queue", "room", "senders", "starting")

    def __init__(self) -> None:
        self.queue: deque[tuple[CellBatch, Tally]] = deque()
        self.cells = 0  # queued and in flight
        self.senders = 0  # at most one message of each is in flight
        self.starting = False  # a sender is about to take what waits
        self.room = trio.lowlevel.ParkingLot()

    def has_room(self, cells: int) -> bool:
        """Whether so many more fit the window; what is larger than the window fits when it is empty."""
        return self.cells == 0 or self.cells + cells <= limits.REPLICATION_WINDOW_CELLS


class Replicator:
    """See the module.

    Args:
        peers: how to reach them.
        topology: whose epochs a message carries.
        leave_hints: keeps pointers to cells for a node.
    """

    def __init__(self, peers: Peers, topology: Topology, leave_hints: LeaveHints) -> None:
        self._peers = peers
        self._topology = topology
        self._leave_hints = leave_hints
        self._streams: dict[bytes, _Stream] = {}
        self._nursery: trio.Nursery | None = None
        self._sent = 0
        self._hinted = 0
        self._unhinted = 0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the senders until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def offer(self, node_id: bytes, batch: CellBatch, tally: Tally) -> list[CellBatch]:
        """Queue `batch` for `node_id`, in parts that fit a message; the tally hears of each part.

        Returns:
            The parts for which the window has no room; they are to be offered again by `offer_late`.
        """
        stream = self._stream(node_id)
        late = []
        for part in _parts(batch):
            tally.expect(node_id)
            if stream.has_room(len(part.keys)):
                self._queue(node_id, stream, part, tally)
            else:
                late.append(part)
        return late

    async def offer_late(self, node_id: bytes, part: CellBatch, tally: Tally) -> None:
        """Queue a part as soon as there is room; leave hints when there is none within a second.

        Who puts waits for this, and so feels a slow peer, but only so long.
        """
        stream = self._stream(node_id)
        with trio.move_on_after(OFFER_WAIT_S):
            while not stream.has_room(len(part.keys)):
                await stream.room.park()
            self._queue(node_id, stream, part, tally)
            return
        await self._give_up(node_id, [(part, tally)])

    def _queue(self, node_id: bytes, stream: _Stream, part: CellBatch, tally: Tally) -> None:
        stream.cells += len(part.keys)
        stream.queue.append((part, tally))
        self._wake(node_id, stream)

    def statistics(self) -> ReplicatorStatistics:
        return ReplicatorStatistics(
            self._sent,
            self._hinted,
            self._unhinted,
            {node: stream.cells for node, stream in self._streams.items()},
        )

    def _stream(self, node_id: bytes) -> _Stream:
        stream = self._streams.get(node_id)
        if stream is None:
            stream = self._streams[node_id] = _Stream()
        return stream

    def _wake(self, node_id: bytes, stream: _Stream) -> None:
        """Start a sender, unless one is about to take what waits or as many as may be are under way."""
        if stream.queue and not stream.starting and stream.senders < MESSAGES_IN_FLIGHT:
            assert self._nursery is not None, "the replicator was asked before it ran"
            stream.starting = True
            stream.senders += 1
            self._nursery.start_soon(self._send, node_id, stream)

    async def _send(self, node_id: bytes, stream: _Stream) -> None:
        """Send one message after another, each with what has gathered, until nothing waits."""
        stream.starting = False
        try:
            while stream.queue:
                taken = _take(stream)
                self._wake(node_id, stream)  # for what did not fit
                await self._send_one(node_id, stream, taken)
        finally:
            stream.senders -= 1

    async def _send_one(self, node_id: bytes, stream: _Stream, taken: _Taken) -> None:
        try:
            joined = await self._deliver(node_id, taken.message)
        except (WireError, PeerUnreachable):
            await self._give_up(node_id, taken.parts)
        else:
            self._sent += len(taken.message.keys) - len(joined.damaged)
            damaged = set(joined.damaged)
            unkept = [part for part in taken.parts if damaged and not damaged.isdisjoint(part[0].keys)]
            for part in taken.parts:
                if part not in unkept:
                    part[1].settle(node_id, acknowledged=True)
            if unkept:
                await self._give_up(node_id, unkept, damaged)
        finally:
            stream.cells -= len(taken.message.keys)
            stream.room.unpark_all()

    async def _deliver(self, node_id: bytes, message: CellBatch) -> Joined:
        try:
            return await self._join(node_id, message)
        except WireError as error:
            if error.kind is not STALE_TOPOLOGY:
                raise
            await self._topology.refresh(node_id)
            message.ranges = self._epochs(message.keys)
            return await self._join(node_id, message)

    def _epochs(self, keys: Sequence[bytes]) -> dict[int, int]:
        owners = map(self._topology.where, keys)
        return {descriptor.id: descriptor.epoch for descriptor in owners}

    async def _join(self, node_id: bytes, message: CellBatch) -> Joined:
        params = message.to_wire()
        return read_joined(await self._peers.call(node_id, "replica.join", params, limits.REQUEST_TIMEOUT_S))

    async def _give_up(
        self, node_id: bytes, parts: Sequence[tuple[CellBatch, Tally]], only: AbstractSet[bytes] | None = None
    ) -> None:
        """Leave hints; where even that fails, repair will find what is missing.

        Args:
            parts: what was not acknowledged.
            only: the keys that were not kept, where the others were.
        """
        keys = [key for part, _ in parts for key in part.keys if only is None or key in only]
        try:
            await self._leave_hints(node_id, keys)
            self._hinted += len(keys)
        except (WireError, StorageError) as error:
            self._unhinted += len(keys)
            log.warning("%d cells for %s are left to repair: %s", len(keys), node_id.hex()[:8], error)
        finally:
            for _, tally in parts:
                tally.settle(node_id, acknowledged=False)


class _Taken:
    """Parts of several puts that travel in one message."""

    __slots__ = ("message", "parts")

    def __init__(self, parts: list[tuple[CellBatch, Tally]]) -> None:
        self.parts = parts
        self.message = CellBatch({})
        for part, _ in parts:
            self.message.ranges.update(part.ranges)
            self.message.keys.extend(part.keys)
            self.message.cells.extend(part.cells)


def _take(stream: _Stream) -> _Taken:
    parts = [stream.queue.popleft()]
    cells, size = len(parts[0][0].keys), parts[0][0].cell_bytes
    while stream.queue:
        part = stream.queue[0][0]
        cells, size = cells + len(part.keys), size + part.cell_bytes
        if cells > limits.REPLICATION_BATCH_CELLS or size > limits.REPLICATION_BATCH_BYTES:
            break
        parts.append(stream.queue.popleft())
    return _Taken(parts)


def _parts(batch: CellBatch) -> list[CellBatch]:
    """Split into parts that each fit a message; a batch that fits is its own only part."""
    if (
        len(batch.keys) <= limits.REPLICATION_BATCH_CELLS
        and batch.cell_bytes <= limits.REPLICATION_BATCH_BYTES
    ):
        return [batch]
    parts: list[CellBatch] = []
    part = CellBatch(batch.ranges)
    size = 0
    for key, cell in zip(batch.keys, batch.cells, strict=True):
        full = len(part.keys) == limits.REPLICATION_BATCH_CELLS
        if part.keys and (full or size + len(cell) > limits.REPLICATION_BATCH_BYTES):
            parts.append(part)
            part, size = CellBatch(batch.ranges), 0
        part.keys.append(key)
        part.cells.append(cell)
        size += len(cell)
    return [*parts, part]
