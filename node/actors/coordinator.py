"""The coordinator brings a client's writes to the replicas that own them.

Any node coordinates. For each record it finds the range's owners, prefers itself, then the nearest reachable
replica, and asks that one to `put` (see `replica`). A replica that cannot be reached is passed over for the
next: what it may have done is harmless, since joining a record twice is joining it once. A range that no
replica can take answers `uncertain` with what is missing, never an error that leaves the client guessing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import trio
from folkmoot.node.contracts import (
    LocalReplica,
    Peers,
    PeerUnreachable,
    Put,
    PutResult,
    Topology,
)
from folkmoot.node.routing import Router
from folkmoot.protocol import limits
from folkmoot.protocol.errors import (
    BUSY,
    DISK_FULL,
    INTERNAL,
    LEVEL_UNREACHABLE,
    SHUTTING_DOWN,
    STALE_TOPOLOGY,
    TIMEOUT,
    WireError,
)
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor

# Errors of one replica after which another may still succeed.
_TRY_ANOTHER = frozenset({BUSY, DISK_FULL, SHUTTING_DOWN, TIMEOUT, INTERNAL, STALE_TOPOLOGY})


class Coordinator:
    """See the module.

    Args:
        router: orders replicas by distance.
        topology: who owns what.
        peers: how to reach the others.
        local: this node's own replica.
    """

    def __init__(self, router: Router, topology: Topology, peers: Peers, local: LocalReplica) -> None:
        self._router = router
        self._topology = topology
        self._peers = peers
        self._local = local

    async def put(self, puts: Sequence[Put], level: Level) -> list[PutResult]:
        """Bring each record to `level`.

        Args:
            puts: at most 256, read, verified and judged.
            level: see the contract; checked by the caller.

        Returns:
            One result a put, in order; never raises for what the cluster's state causes.
        """
        results: list[PutResult | None] = [None] * len(puts)
        tried: list[set[bytes]] = [set() for _ in puts]
        errors: list[WireError | None] = [None] * len(puts)
        waiting = list(range(len(puts)))
        while waiting:
            groups: dict[bytes, list[int]] = {}
            for index in waiting:
                owner = self._topology.where(puts[index].key)
                candidates = self._router.candidates(owner.slots, tried[index])
                if candidates:
                    groups.setdefault(candidates[0], []).append(index)
                    tried[index].add(candidates[0])
                else:
                    results[index] = _nobody(owner, errors[index])
            await self._ask_all(groups, puts, level, results, errors)
            waiting = [index for index in waiting if results[index] is None]
        return [result for result in results if result is not None]

    async def _ask_all(
        self,
        groups: Mapping[bytes, list[int]],
        puts: Sequence[Put],
        level: Level,
        results: list[PutResult | None],
        errors: list[WireError | None],
    ) -> None:
        async def ask(node_id: bytes, indices: list[int]) -> None:
            try:
                answers = await self._ask(node_id, [puts[index] for index in indices], level)
            except (WireError, PeerUnreachable) as error:
                if isinstance(error, WireError) and error.kind not in _TRY_ANOTHER:
                    answers = [PutResult("refused", error=error.to_wire())] * len(indices)
                else:
                    for index in indices:
                        errors[index] = error if isinstance(error, WireError) else None
                    return
            for index, answer in zip(indices, answers, strict=True):
                results[index] = answer

        if len(groups) == 1:
            await ask(*next(iter(groups.items())))
            return
        async with trio.open_nursery() as nursery:
            for node_id, indices in groups.items():
                nursery.start_soon(ask, node_id, indices)

    async def _ask(self, node_id: bytes, puts: Sequence[Put], level: Level) -> list[PutResult]:
        if node_id == self._router.node_id:
            return await self._local.put(puts, level, self._router.region)
        try:
            return await self._call(node_id, puts, level)
        except WireError as error:
            if error.kind is not STALE_TOPOLOGY:
                raise
            await self._topology.refresh(node_id)
            return await self._call(node_id, puts, level)

    async def _call(self, node_id: bytes, puts: Sequence[Put], level: Level) -> list[PutResult]:
        owners = [self._topology.where(put.key) for put in puts]
        answer = await self._peers.call(
            node_id,
            "replica.put",
            {
                "ranges": sorted({owner.id: owner.epoch for owner in owners}.items()),
                "puts": [[put.held, put.record.payload, put.record.signature] for put in puts],
                "level": level,
                "region": self._router.region,
            },
            limits.REQUEST_TIMEOUT_S,
        )
        return [_from_wire(entry, owner) for entry, owner in zip(answer["results"], owners, strict=True)]


def _from_wire(entry: Any, owner: RangeDescriptor) -> PutResult:
    status, acks, error = entry
    return PutResult(str(status), frozenset(acks), owner.slots, error)


def _nobody(owner: RangeDescriptor, error: WireError | None) -> PutResult:
    """No replica of the range could be reached; what the last of them said goes along."""
    if error is None:
        error = WireError(
            LEVEL_UNREACHABLE,
            f"no replica of range {owner.id} can be reached from here",
            retry_after_ms=1000,
            details={
                "achieved": levels.achieved(owner.slots, set(), ""),
                "missing": levels.missing("one", owner.slots, set(), ""),
            },
        )
    return PutResult("uncertain", frozenset(), owner.slots, error.to_wire())
