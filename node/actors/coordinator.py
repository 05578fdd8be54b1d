"""The coordinator brings a client's writes to the replicas that own them.

Any node coordinates. For each record it finds the range's owners, prefers itself, then the nearest reachable
replica, and asks that one to `put` (see `replica`). A replica that cannot be reached is passed over for the
next: what it may have done is harmless, since joining a record twice is joining it once. A range that no
replica can take answers `uncertain` with what is missing, never an error that leaves the client guessing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio
from folkmoot.node.contracts import (
    LocalReplica,
    Peers,
    PeerUnreachable,
    Put,
    PutResult,
    Topology,
    unpack_results,
)
from folkmoot.node.fitting import in_messages
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

# Of these, those after which it may still have kept what it was given.
_MAY_HAVE_KEPT = frozenset({TIMEOUT, INTERNAL})


class _Attempt:
    """One record on its way to a replica that takes it."""

    __slots__ = ("error", "owner", "put", "result", "tried", "unsure")

    def __init__(self, put: Put, owner: RangeDescriptor) -> None:
        self.put = put
        self.owner = owner
        self.tried: set[bytes] = set()
        self.error: WireError | None = None
        self.unsure = False
        self.result: PutResult | None = None


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
            puts: at most a few hundred, read, verified and judged.
            level: see the contract.

        Returns:
            One result a put, in order; never raises for what the cluster's state causes.
        """
        attempts = [_Attempt(put, self._topology.where(put.key)) for put in puts]
        waiting = attempts
        while waiting:
            await self._ask_all(self._choose(waiting), level)
            waiting = [attempt for attempt in waiting if attempt.result is None]
        return [attempt.result for attempt in attempts if attempt.result is not None]

    def _choose(self, attempts: Sequence[_Attempt]) -> dict[bytes, list[_Attempt]]:
        """Group by the next replica to ask; what has none left gets its result."""
        groups: dict[bytes, list[_Attempt]] = {}
        nearest: dict[int, list[bytes]] = {}
        for attempt in attempts:
            owner = attempt.owner
            if owner.id not in nearest:
                nearest[owner.id] = self._router.candidates(owner.slots)
            chosen = next((node for node in nearest[owner.id] if node not in attempt.tried), None)
            if chosen is None:
                attempt.result = _nobody(attempt)
            else:
                attempt.tried.add(chosen)
                groups.setdefault(chosen, []).append(attempt)
        return groups

    async def _ask_all(self, groups: Mapping[bytes, list[_Attempt]], level: Level) -> None:
        parts = [
            (node_id, part)
            for node_id, attempts in groups.items()
            for part in in_messages(attempts, lambda attempt: len(attempt.put.record.payload))
        ]
        if len(parts) == 1:
            await self._ask(*parts[0], level)
            return
        async with trio.open_nursery() as nursery:
            for node_id, part in parts:
                nursery.start_soon(self._ask, node_id, part, level)

    async def _ask(self, node_id: bytes, attempts: Sequence[_Attempt], level: Level) -> None:
        """Ask one replica; what it could not take is left without a result."""
        try:
            if node_id == self._router.node_id:
                puts = [attempt.put for attempt in attempts]
                results = await self._local.put(puts, level, self._router.region)
            else:
                results = await self._call(node_id, attempts, level)
        except PeerUnreachable:
            for attempt in attempts:
                attempt.unsure = True
            return
        except WireError as error:
            if error.kind is STALE_TOPOLOGY:
                await self._catch_up(node_id, attempts)
            for attempt in attempts:
                attempt.error = error
                attempt.unsure |= error.kind in _MAY_HAVE_KEPT
                if error.kind not in _TRY_ANOTHER:
                    attempt.result = PutResult("refused", error=error.to_wire())
            return
        for attempt, result in zip(attempts, results, strict=True):
            attempt.result = result

    async def _catch_up(self, node_id: bytes, attempts: Sequence[_Attempt]) -> None:
        """Learn the newer topology; whoever is the range's replica now may be asked, again if need be."""
        await self._topology.refresh(node_id)
        for attempt in attempts:
            owner = self._topology.where(attempt.put.key)
            if owner.epoch > attempt.owner.epoch:
                attempt.owner = owner
                attempt.tried.clear()

    async def _call(self, node_id: bytes, attempts: Sequence[_Attempt], level: Level) -> list[PutResult]:
        params = {
            "ranges": sorted({attempt.owner.id: attempt.owner.epoch for attempt in attempts}.items()),
            "puts": [
                [attempt.put.held, attempt.put.record.payload, attempt.put.record.signature]
                for attempt in attempts
            ],
            "level": level,
            "region": self._router.region,
        }
        answer = await self._peers.call(node_id, "replica.put", params, limits.REQUEST_TIMEOUT_S)
        return unpack_results(answer, [attempt.owner for attempt in attempts], self._router.region)


def _nobody(attempt: _Attempt) -> PutResult:
    """The result of a record no replica took: refused when that is certain, else uncertain."""
    slots, error = attempt.owner.slots, attempt.error
    if error is not None and not attempt.unsure:
        return PutResult("refused", error=error.to_wire())
    unreachable = WireError(
        LEVEL_UNREACHABLE,
        f"no replica of range {attempt.owner.id} answered",
        retry_after_ms=1000,
        details={
            "achieved": levels.achieved(slots, set(), ""),
            "missing": levels.missing("one", slots, set(), ""),
        },
    )
    return PutResult("uncertain", error=unreachable.to_wire())
