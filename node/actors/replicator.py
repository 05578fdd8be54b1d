"""The replicator streams whole cells to the other replicas, one bounded stream a peer.

Several puts share a message: one takes whatever waits for its peer, up to a message's worth, so the cost of a
message is spread over many posts and nothing waits for a timer. A message costs no task: it leaves with what
was offered, and its answer is heard where it is read. The window bounds what is queued
and in flight together; when it is full a put waits a moment, and then what did not fit becomes hints. A
message that fails becomes hints too: a hint is a pointer, the cell itself is in the store already.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import trio
from folkmoot.node.contracts import (
    CellBatch,
    Joined,
    LinkedPeers,
    PeerUnreachable,
    Tally,
    Topology,
)
from folkmoot.node.overdue import Overdue
from folkmoot.node.replica_results import read_joined
from folkmoot.protocol import limits
from folkmoot.protocol.client.link_terms import Reply, result_of
from folkmoot.protocol.errors import STALE_TOPOLOGY, FolkmootError, WireError
from folkmoot.storage.errors import StorageError

log = logging.getLogger(__name__)

JOIN: Final = "replica.join"
OFFER_WAIT_S: Final = 1.0
MESSAGES_IN_FLIGHT: Final = 8
CATCH_UPS_MOST: Final = 4

LeaveHints = Callable[[bytes, Sequence[bytes]], Awaitable[None]]


class Standing(Protocol):
    """Whose acknowledgements count."""

    @property
    def mark(self) -> list[int]:
        """What this node tells with every message: see `protocol.standing`."""
        ...

    def acknowledged(self, node_id: bytes, joined: Joined) -> bool:
        """Whether a peer's answer to a join counts."""
        ...


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
    """What waits for one peer, and what is under way there."""

    __slots__ = ("cells", "node_id", "queue", "room", "under_way")

    def __init__(self, node_id: bytes) -> None:
        self.node_id = node_id
        self.queue: deque[tuple[CellBatch, Tally]] = deque()
        self.cells = 0  # queued and under way
        self.under_way = 0  # messages
        self.room = trio.lowlevel.ParkingLot()

    def has_room(self, cells: int) -> bool:
        """Whether so many more fit the window; what is larger than the window fits when it is empty."""
        return self.cells == 0 or self.cells + cells <= limits.REPLICATION_WINDOW_CELLS


class Replicator:
    """See the module. `run` must be running.

    Args:
        peers: how to reach them.
        topology: whose epochs a message carries.
        leave_hints: keeps pointers to cells for a node.
        standing: see `Standing`.
    """

    def __init__(
        self, peers: LinkedPeers, topology: Topology, leave_hints: LeaveHints, standing: Standing
    ) -> None:
        self._peers = peers
        self._standing = standing
        self._topology = topology
        self._leave_hints = leave_hints
        self._streams: dict[bytes, _Stream] = {}
        self._offered: dict[_Stream, None] = {}
        self._overdue = Overdue(limits.REQUEST_TIMEOUT_S)
        self._nursery: trio.Nursery | None = None
        self._sent = 0
        self._hinted = 0
        self._unhinted = 0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own what takes more than one turn, and give up what is never answered, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await self._overdue.run()
            finally:
                self._nursery = None  # it takes no more tasks, though answers may still come

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
                self._queue(stream, part, tally)
            else:
                late.append(part)
        return late

    async def offer_late(self, node_id: bytes, part: CellBatch, tally: Tally) -> None:
        """Queue a part as soon as there is room; leave hints when there is none within a second.

        Who puts waits for this, and so feels a slow peer, but only so long: not for the hints. A part that
        the tally expects is to be accounted for, so being cancelled does not break this off.
        """
        stream = self._stream(node_id)
        with trio.CancelScope(shield=True):
            with trio.move_on_after(OFFER_WAIT_S):
                while not stream.has_room(len(part.keys)):
                    await stream.room.park()
                self._queue(stream, part, tally)
                self._send(stream)
                return
        self._later(self._give_up, node_id, [(part, tally)])

    def send(self) -> None:
        """Have what was offered leave now."""
        offered, self._offered = self._offered, {}
        for stream in offered:
            self._send(stream)

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
            stream = self._streams[node_id] = _Stream(node_id)
        return stream

    def _queue(self, stream: _Stream, part: CellBatch, tally: Tally) -> None:
        stream.cells += len(part.keys)
        stream.queue.append((part, tally))
        self._offered[stream] = None

    def _send(self, stream: _Stream) -> None:
        """Send what waits, as many messages as may be under way."""
        while stream.queue and stream.under_way < MESSAGES_IN_FLIGHT:
            taken = _take(stream)
            stream.under_way += 1
            if not self._submit(stream, taken):
                self._later(self._carry, stream, taken)

    def _submit(self, stream: _Stream, taken: _Taken) -> bool:
        """Send a message without a task, if there is a link with room for it.

        Its answer is heard by the task that reads it: an acknowledgement waits for no turn of the loop.
        """

        def heard(reply: Reply) -> None:
            self._overdue.forget(taken)
            try:
                joined = read_joined(result_of(reply))
            except FolkmootError as error:
                self._failed(stream, taken, error)
            else:
                self._kept(stream, taken, joined)

        forget = self._peers.submit(stream.node_id, JOIN, self._params(taken.message), heard)
        if forget is not None:
            self._overdue.watch(taken, partial(self._unanswered, stream, taken, forget))
        return forget is not None

    def _unanswered(self, stream: _Stream, taken: _Taken, forget: Callable[[], None]) -> None:
        forget()
        self._later(self._abandon, stream, taken, taken.parts)

    def _failed(self, stream: _Stream, taken: _Taken, error: FolkmootError) -> None:
        if isinstance(error, WireError) and error.kind is STALE_TOPOLOGY:
            self._later(self._catch_up, stream, taken)
        else:
            self._later(self._abandon, stream, taken, taken.parts)

    def _kept(
        self,
        stream: _Stream,
        taken: _Taken,
        joined: Joined,
        parts: Sequence[tuple[CellBatch, Tally]] | None = None,
    ) -> None:
        """End a message that was acknowledged.

        Args:
            parts: those of the message's that were in it when it was; None for all.
        """
        kept = taken.parts if parts is None else parts
        self._sent += sum(len(part.keys) for part, _ in kept) - len(joined.damaged)
        damaged = set(joined.damaged)
        acknowledged = self._standing.acknowledged(stream.node_id, joined)
        unkept = [part for part in kept if damaged and not damaged.isdisjoint(part[0].keys)]
        for part in kept:
            if part not in unkept:
                part[1].settle(stream.node_id, acknowledged=acknowledged)
        if unkept:
            self._later(self._abandon, stream, taken, unkept, damaged)
        else:
            self._landed(stream, taken)

    def _landed(self, stream: _Stream, taken: _Taken) -> None:
        stream.cells -= len(taken.message.keys)
        stream.under_way -= 1
        stream.room.unpark_all()
        self._send(stream)

    def _later(self, carry: Callable[..., Awaitable[None]], *args: object) -> None:
        """Have a task do it; nothing is left to do once the node ends."""
        if self._nursery is not None:
            self._nursery.start_soon(carry, *args)

    # What takes more than one turn.

    async def _carry(self, stream: _Stream, taken: _Taken) -> None:
        """Deliver one message by a link that may have to be dialled first."""
        try:
            joined = await self._join(stream.node_id, taken.message)
        except (WireError, PeerUnreachable) as error:
            if isinstance(error, WireError) and error.kind is STALE_TOPOLOGY:
                await self._catch_up(stream, taken)
            else:
                await self._abandon(stream, taken, taken.parts)
        else:
            self._kept(stream, taken, joined)

    async def _catch_up(self, stream: _Stream, taken: _Taken) -> None:
        """Learn the newer epochs, and send again what has the same slots under them.

        While many ranges move, the next epoch may come before what was sent under the last one arrives. What
        never meets the same epoch is for whoever put it to put again, as is what has other slots by now.
        """
        parts = taken.parts
        for _ in range(CATCH_UPS_MOST):
            await self._topology.refresh(stream.node_id)
            parts = self._of_same_slots(stream, parts)
            try:
                joined = await self._join(stream.node_id, _Taken(parts).message) if parts else Joined(0)
            except (WireError, PeerUnreachable) as error:
                if isinstance(error, WireError) and error.kind is STALE_TOPOLOGY:
                    continue
                await self._abandon(stream, taken, parts)
            else:
                self._kept(stream, taken, joined, parts)
            return
        for _, tally in parts:
            tally.outdate(stream.node_id)
        self._landed(stream, taken)

    def _of_same_slots(
        self, stream: _Stream, parts: Sequence[tuple[CellBatch, Tally]]
    ) -> list[tuple[CellBatch, Tally]]:
        """The parts that are to go to the slots they were meant for, under today's epochs."""
        same: list[tuple[CellBatch, Tally]] = []
        for part, tally in parts:
            owners = {owner.id: owner for owner in map(self._topology.where, part.keys)}
            if all(owner.slots == tally.slots for owner in owners.values()):
                part.ranges = {owner.id: owner.epoch for owner in owners.values()}
                same.append((part, tally))
            else:
                tally.outdate(stream.node_id)
        return same

    async def _join(self, node_id: bytes, message: CellBatch) -> Joined:
        params = self._params(message)
        return read_joined(await self._peers.call(node_id, JOIN, params, limits.REQUEST_TIMEOUT_S))

    def _params(self, message: CellBatch) -> dict[str, Any]:
        return {**message.to_wire(), "mark": self._standing.mark}

    async def _abandon(
        self,
        stream: _Stream,
        taken: _Taken,
        parts: Sequence[tuple[CellBatch, Tally]],
        only: AbstractSet[bytes] | None = None,
    ) -> None:
        """End a message of which these parts, or these keys of them, were not kept."""
        try:
            await self._give_up(stream.node_id, parts, only)
        finally:
            self._landed(stream, taken)

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
            for part, tally in parts:
                damaged = [key for key in part.keys if only is not None and key in only]
                tally.settle(node_id, acknowledged=only is not None, damaged=damaged)


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
