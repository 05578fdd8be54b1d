"""The mender puts whole cells in the place of damaged ones, from what the other replicas hold.

Until that is done this node does not answer for a damaged cell, and so counts for nothing where it is read.
To take anybody's older state in its place would undo that: a write acknowledged by this node and one other
would then be known to one alone. So as many of the others must answer as meet every quorum that this node may
have been part of: of N slots with quorums of Q, N - Q + 1. With three copies that is both others.

What only this node has cannot be mended, and what was acknowledged at `one` or `local_quorum` may have been:
it is said in the log and in `status` for as long as it is so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated, Final, Protocol

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable, Topology, nodes_of
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.ring.levels import majority
from folkmoot.storage.damage import Damage
from msgspec import Meta, Struct

log = logging.getLogger(__name__)

PAUSE_S: Final = 1.0
RETRY_S: Final = 10.0


class _Cells(Struct):
    """The answer to `replica.read` of one key."""

    cells: Annotated[list[bytes | None], Meta(min_length=1, max_length=1)]


class Mending(Protocol):
    """Takes what other replicas hold in the place of a damaged cell."""

    async def mend(self, key: bytes, states: Sequence[bytes]) -> None: ...


class Mender:
    """See the module.

    Args:
        node_id: this node's.
        damage: which cells are damaged.
        replica: this node's own.
        topology, peers: see `contracts`.
    """

    def __init__(
        self, node_id: bytes, damage: Damage, replica: Mending, topology: Topology, peers: Peers
    ) -> None:
        self._node_id = node_id
        self._damage = damage
        self._replica = replica
        self._topology = topology
        self._peers = peers
        self._not_before: dict[bytes, float] = {}

    async def run(self) -> None:
        """Mend what is found damaged, for ever."""
        while True:
            damaged = self._damage.keys
            self._not_before = {key: at for key, at in self._not_before.items() if key in damaged}
            for key in damaged:
                if trio.current_time() >= self._not_before.get(key, 0.0):
                    await self._try(key)
            await trio.sleep(PAUSE_S)

    async def _try(self, key: bytes) -> None:
        try:
            sentence = await self._mend(key)
        except (WireError, PeerUnreachable) as error:
            sentence = str(error)
        if sentence is None:
            log.warning("the cell at %s was damaged and is whole again", key.hex())
            return
        if key not in self._not_before:
            log.error("the cell at %s is damaged and cannot be mended now: %s", key.hex(), sentence)
        self._not_before[key] = trio.current_time() + RETRY_S

    async def _mend(self, key: bytes) -> str | None:
        """Mend one cell; None, or why that is not possible."""
        owner = self._topology.where(key)
        others = [node for node in nodes_of(owner.slots) if node != self._node_id]
        needed = len(owner.slots) - majority(len(owner.slots)) + 1
        params = {"ranges": [(owner.id, owner.epoch)], "keys": [key]}
        told: list[bytes | None] = []
        for node_id in others:
            try:
                answer = await self._peers.call(
                    node_id, "replica.read", params, limits.REPLICA_READ_TIMEOUT_S
                )
                told += codec.shaped(answer, _Cells, "the answer to replica.read").cells
            except (WireError, PeerUnreachable) as error:
                log.debug("%s does not say what it has: %s", node_id.hex()[:8], error)
        if len(told) < needed:
            return f"{len(told)} of the other replicas answered, and {needed} are needed"
        states = [cell for cell in told if cell is not None]
        if not states:
            return "no other replica has it"
        await self._replica.mend(key, states)
        return None
