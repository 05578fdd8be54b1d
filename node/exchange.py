"""The exchange: two nodes find out in which cells of a slice they differ, and cells go to and fro.

Which keys differ is worked out by `protocol.sync.reconcile`; here its frames travel, and what they bring to
light is fetched and joined, or sent. Who repairs wants both, who copies only fetches, who gives away only
sends. Every message is bounded and names the epoch that all of it is done under.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

from folkmoot.node.contracts import CellBatch, Joined, LocalReplica, Peers, PeerUnreachable
from folkmoot.node.environment import Executor
from folkmoot.node.fitting import fitting
from folkmoot.node.replica_results import read_joined
from folkmoot.protocol import codec, limits
from folkmoot.protocol.ring.epochs import Claim
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.sync.reconcile import Initiator
from folkmoot.protocol.sync.view import View
from msgspec import Meta, Struct

Handle = Callable[[Sequence[bytes]], Awaitable[None]]
"""What is done about the keys of cells that one side lacks, at most some thousands."""


class _Stepped(Struct):
    """The answer to `sync.step`: one frame."""

    frame: bytes


class _Fetched(Struct):
    """The answer to `sync.fetch`: the first of the cells."""

    cells: Annotated[list[bytes | None], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]


class Exchanged(NamedTuple):
    """What one message carried.

    Args:
        answered: of how many of the keys, from the first on, it was about.
        cells: how many cells there were at those.
        cell_bytes: of these together, as they travel.
        joined: what became of them where they went.
    """

    answered: int
    cells: int
    cell_bytes: int
    joined: Joined


class Exchange:
    """See the module.

    Args:
        view: this node's leaves.
        local: this node's replica.
        peers: see `contracts`.
        executor: where frames are worked out, because a heavy account takes a while to be read.
    """

    def __init__(self, view: View, local: LocalReplica, peers: Peers, executor: Executor) -> None:
        self._view = view
        self._local = local
        self._peers = peers
        self._executor = executor

    async def compare(
        self,
        node_id: bytes,
        owner: RangeDescriptor,
        start: bytes,
        end: bytes,
        *,
        needs: Handle | None = None,
        pushes: Handle | None = None,
    ) -> bool:
        """Compare a slice of a range with what another node has of it.

        Args:
            node_id: the other.
            owner: the range.
            start, end: the slice; an empty `end` is the end of the key space.
            needs: told the keys at which the other has what this node has not; None if that is no matter.
            pushes: told the keys at which this node has what the other has not; a key can be in both.

        Returns:
            Whether there was anything to tell.

        Raises:
            WireError, PeerUnreachable: it did not come to its end.
            StorageError: what this node says of the slice is damaged.
        """
        told = False
        claim = Claim.of(owner).to_params()
        initiator = await self._executor.run(partial(Initiator, self._view, start, end))
        while query := initiator.next_query():
            answer = await self._call(node_id, "sync.step", {**claim, "frame": query.frame})
            frame = codec.shaped(answer, _Stepped, "the answer to sync.step").frame
            found = await self._executor.run(partial(initiator.receive, self._view, query, frame))
            for keys, handle in ((found.needs, needs), (found.pushes, pushes)):
                if keys and handle is not None:
                    told = True
                    await handle(keys)
        return told

    async def fetch(self, node_id: bytes, owner: RangeDescriptor, keys: Sequence[bytes]) -> Exchanged:
        """Fetch and join the first of some cells of a range, as many as fit a message.

        Raises:
            WireError, PeerUnreachable: nothing is known to be kept.
        """
        params = {**Claim.of(owner).to_params(), "keys": list(keys)}
        answer = await self._call(node_id, "sync.fetch", params)
        cells = codec.shaped(answer, _Fetched, "the answer to sync.fetch").cells
        if not cells or len(cells) > len(keys):
            raise PeerUnreachable(
                f"node {node_id.hex()[:8]} sent {len(cells)} cells of {len(keys)} asked for"
            )
        batch = _batch(owner, keys, cells)
        joined = await self._local.join(batch)
        return Exchanged(len(cells), len(batch.keys), batch.cell_bytes, joined)

    async def push(self, node_id: bytes, owner: RangeDescriptor, keys: Sequence[bytes]) -> Exchanged:
        """Send the first of some cells of a range, as many as fit a message, to be joined and made durable.

        Raises:
            WireError: one of them cannot be read here, or is refused there.
            PeerUnreachable: what the other did is not known.
        """
        cells = fitting_cells(self._local.read(keys))
        batch = _batch(owner, keys, cells)
        joined = Joined(0)
        if batch.keys:
            joined = read_joined(await self._call(node_id, "replica.join", batch.to_wire()))
        return Exchanged(len(cells), len(batch.keys), batch.cell_bytes, joined)

    async def _call(self, node_id: bytes, method: str, params: Mapping[str, Any]) -> Any:
        return await self._peers.call(node_id, method, params, limits.REQUEST_TIMEOUT_S)


def fitting_cells(cells: list[bytes | None]) -> list[bytes | None]:
    """The first of the cells that fit a message together; at least one."""
    return cells[: fitting(len(cell or b"") for cell in cells)]


def _batch(owner: RangeDescriptor, keys: Sequence[bytes], cells: Sequence[bytes | None]) -> CellBatch:
    """The cells there are, under their keys."""
    batch = CellBatch({owner.id: owner.epoch})
    for key, cell in zip(keys, cells, strict=False):
        if cell is not None:
            batch.keys.append(key)
            batch.cells.append(cell)
    return batch
