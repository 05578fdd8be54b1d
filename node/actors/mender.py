"""The mender puts whole cells in the place of damaged ones, from what the other replicas hold.

Until that is done this node does not answer for a damaged cell, and so counts for nothing where it is read.
To take anybody's older state in its place would undo that: a write acknowledged by this node and one other
would then be known to one alone. So as many of the others must answer as meet every quorum that this node
may have been part of: of N slots with quorums of Q, N - Q + 1. With three copies that is both others.

Nor may they be asked too soon. A write that this node had kept before the damage may still be on its way to
the others, and be acknowledged by one of them, and so by a quorum, after that one was asked. From when
damage is met nothing more is kept at the cell, and every put is reported within half of a request's time. So
the others are asked only after that: each has then what a quorum of it and this node acknowledged. What is
written later counts on others than this node, and is joined when it arrives.

What only this node has cannot be mended, and what was acknowledged at `one` or `local_quorum` may have been:
it is said in the log and in `status` for as long as it is so, and tried again ever more rarely, and at once
when a node comes back. What is damaged is remembered across restarts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, NamedTuple, Protocol

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable, Topology, nodes_of
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.ring.levels import majority
from folkmoot.storage.errors import StorageError
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

log = logging.getLogger(__name__)

PAUSE_S: Final = 1.0
TURN_KEYS: Final = 32  # then it looks what is new, which comes before what was tried in vain
RETRY_S: Final = 10.0
RETRY_DOUBLINGS: Final = 6
RETRY_MAX_S: Final = 600.0


class _Cells(Struct):
    """The answer to `replica.read` of one key."""

    cells: Annotated[list[bytes | None], Meta(min_length=1, max_length=1)]


class Mending(Protocol):
    """Puts this node's store right."""

    async def mend(self, key: bytes, states: Sequence[bytes]) -> None:
        """Take what other replicas hold in the place of a damaged cell."""
        ...

    async def drop_stray(self, key: bytes) -> bool:
        """Remove what stands damaged where this node never had a cell; whether it did so."""
        ...


class Memory(Protocol):
    """Keeps which cells are damaged."""

    def damage(self) -> list[bytes]: ...

    async def keep_damage(self, keys: Iterable[bytes]) -> None: ...


class _Attempts(NamedTuple):
    """How often a cell was tried in vain, and from when on it is tried again, in monotonic seconds."""

    failed: int
    not_before: float


class Mender:
    """See the module.

    Args:
        node_id: this node's.
        store: which cells are damaged.
        upkeep: puts them right.
        memory: keeps which they are.
        topology, peers: see `contracts`.
    """

    def __init__(
        self,
        node_id: bytes,
        store: Store,
        upkeep: Mending,
        memory: Memory,
        topology: Topology,
        peers: Peers,
    ) -> None:
        self._node_id = node_id
        self._store = store
        self._damage = store.damage
        self._upkeep = upkeep
        self._memory = memory
        self._topology = topology
        self._peers = peers
        self._attempts: dict[bytes, _Attempts] = {}
        self._kept: list[bytes] = []

    def has_returned(self, node_id: bytes) -> None:
        """A node that was away is back: it may have what could not be mended."""
        now = trio.current_time()
        for key, attempts in self._attempts.items():
            if attempts.failed:
                self._attempts[key] = _Attempts(0, min(attempts.not_before, now))

    async def run(self) -> None:
        """Mend what is found damaged, for ever."""
        self._remember()
        while True:
            damaged = self._damage.keys
            await self._keep(sorted(damaged))
            soonest = trio.current_time() + limits.MEND_QUIET_S
            self._attempts = {key: self._attempts.get(key, _Attempts(0, soonest)) for key in damaged}
            now = trio.current_time()
            for key in [key for key in damaged if now >= self._attempts[key].not_before][:TURN_KEYS]:
                await self._try(key)
            await trio.sleep(PAUSE_S)

    def _remember(self) -> None:
        """Take up the cells that were damaged when this node stopped, if they still are."""
        try:
            self._kept = self._memory.damage()
        except StorageError as error:
            log.error("which cells were damaged is to be found out again: %s", error)
            return
        for key in self._kept:
            try:
                self._store.get_cell(key)
            except StorageError as error:
                self._damage.note(error)

    async def _keep(self, damaged: list[bytes]) -> None:
        if damaged == self._kept:
            return
        try:
            await self._memory.keep_damage(damaged)
            self._kept = damaged
        except (WireError, StorageError) as error:
            log.warning("which cells are damaged is not kept: %s", error)

    async def _try(self, key: bytes) -> None:
        try:
            sentence = await self._mend(key)
        except (WireError, PeerUnreachable, StorageError) as error:
            sentence = str(error)
        if sentence is None:
            log.warning("the cell at %s was damaged and is whole again", key.hex())
            return
        failed = self._attempts[key].failed
        if not failed:
            log.error("the cell at %s is damaged and cannot be mended now: %s", key.hex(), sentence)
        pause_s = min(RETRY_S * 2.0 ** min(failed, RETRY_DOUBLINGS), RETRY_MAX_S)
        self._attempts[key] = _Attempts(failed + 1, trio.current_time() + pause_s)
        self._damage.tried_in_vain(key)

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
        if states:
            await self._upkeep.mend(key, states)
        elif not await self._upkeep.drop_stray(key):
            return "no other replica has it"
        return None
