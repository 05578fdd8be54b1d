"""The coordinator brings a client's writes to the replicas that own them.

Any node coordinates. For each record it finds the range's owners, prefers itself, then the nearest reachable
replica, and asks that one to `put` (see `replica`). A replica that cannot be reached is passed over for the
next: what it may have done is harmless, since joining a record twice is joining it once. For the same reason
one that is merely silent is not waited out: after a moment the next is asked as well, and the first answer is
the result. A range that no replica can take answers `uncertain` with what is missing, never an error that
leaves the client guessing.

Source: J. Dean and L. Barroso, "The tail at scale" (2013), for the hedged request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import trio
from folkmoot.node.contracts import (
    LocalReplica,
    Peers,
    PeerUnreachable,
    Put,
    PutResult,
    Settle,
    Topology,
)
from folkmoot.node.fitting import in_messages
from folkmoot.node.replica_results import unpack_results
from folkmoot.node.routing import Router
from folkmoot.protocol import limits
from folkmoot.protocol.errors import (
    BUSY,
    DISK_FULL,
    INTERNAL,
    LEVEL_UNREACHABLE,
    MEDIA_MISSING,
    SHUTTING_DOWN,
    STALE_TOPOLOGY,
    TIMEOUT,
    WireError,
)
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot

# Errors of one replica after which another may still succeed.
_TRY_ANOTHER = frozenset({BUSY, DISK_FULL, SHUTTING_DOWN, TIMEOUT, INTERNAL, STALE_TOPOLOGY, MEDIA_MISSING})

# Of these, those after which it may still have kept what it was given.
_MAY_HAVE_KEPT = frozenset({TIMEOUT, INTERNAL})


class _Attempt:
    """One record on its way to a replica that takes it."""

    __slots__ = ("asked", "changed", "error", "number", "owner", "put", "settled", "tried", "unsure")

    def __init__(self, number: int, put: Put, owner: RangeDescriptor) -> None:
        self.number = number
        self.put = put
        self.owner = owner
        self.tried: set[bytes] = set()
        self.asked = 0  # replicas that have not answered yet
        self.error: WireError | None = None
        self.unsure = False
        self.settled = False
        self.changed = False

    def told(self, result: PutResult) -> PutResult:
        """The result as the client is to see it: what one try stored is no duplicate in the next."""
        if result.status == "duplicate" and self.changed:
            return PutResult("stored", result.coverage, changed=True)
        return result


class _Goal(NamedTuple):
    """What a put is to come to.

    Args:
        level: see the contract.
        ends: on trio's clock, when no replica is waited for any more.
        settle: is told results.
    """

    level: Level
    ends: float
    settle: Settle


class _Hedge:
    """Asking the next replicas while one is silent.

    Args:
        scope: of both, to be cancelled when there is nothing left to ask for.
    """

    __slots__ = ("begun", "scope")

    def __init__(self, scope: trio.CancelScope) -> None:
        self.scope = scope
        self.begun = False


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
        self._hedges = trio.CapacityLimiter(limits.PUT_HEDGES_UNDER_WAY)

    async def put(self, puts: Sequence[Put], level: Level, settle: Settle) -> None:
        """Bring each record to `level`; never raises for what the cluster's state causes.

        Args:
            puts: at most a few hundred, read, verified and judged.
            level: see the contract.
            settle: told the result of each put as soon as it is known.
        """
        await self._bring(
            [_Attempt(number, put, self._topology.where(put.key)) for number, put in enumerate(puts)],
            _Goal(level, trio.current_time() + limits.REQUEST_TIMEOUT_S, settle),
        )

    async def _bring(self, attempts: Sequence[_Attempt], goal: _Goal) -> None:
        """Ask one replica after another until every attempt is settled, or is another task's to settle.

        Those that went to different replicas do not wait for each other.
        """
        while attempts:
            parts = self._parts(attempts, goal.settle)
            if len(parts) == 1:
                attempts = await self._ask_patiently(*parts[0], goal)
                continue
            async with trio.open_nursery() as nursery:
                for node_id, part in parts:
                    nursery.start_soon(self._bring_part, node_id, part, goal)
            return

    async def _bring_part(self, node_id: bytes, attempts: Sequence[_Attempt], goal: _Goal) -> None:
        await self._bring(await self._ask_patiently(node_id, attempts, goal), goal)

    async def _ask_patiently(
        self, node_id: bytes, attempts: Sequence[_Attempt], goal: _Goal
    ) -> list[_Attempt]:
        """Ask one replica, and after a moment's silence the next ones too; those that are still to be taken.

        This node itself is always waited for: what holds up its disk, another would not know of.
        """
        if node_id == self._router.node_id:
            return await self._ask(node_id, attempts, goal)
        left: list[_Attempt] = []
        async with trio.open_nursery() as nursery:
            hedge = _Hedge(nursery.cancel_scope)
            nursery.start_soon(self._hedge, attempts, goal, hedge)
            left = await self._ask(node_id, attempts, goal)
            if not left or not hedge.begun:
                hedge.scope.cancel()
        return _unsettled(left)

    async def _hedge(self, attempts: Sequence[_Attempt], goal: _Goal, hedge: _Hedge) -> None:
        await trio.sleep(limits.PUT_HEDGE_S)
        async with self._hedges:
            hedge.begun = True
            await self._bring(_unsettled(attempts), goal)
        if not _unsettled(attempts):
            hedge.scope.cancel()

    def _parts(self, attempts: Sequence[_Attempt], settle: Settle) -> list[tuple[bytes, Sequence[_Attempt]]]:
        """The next replica of each attempt, with what it is asked at once; what has none left is settled,
        unless one is still asked.

        What needs somebody who may not answer is asked for by itself: results come back together.
        """
        groups: dict[tuple[bytes, Sequence[Slot]], list[_Attempt]] = {}
        ranked: dict[Sequence[Slot], list[bytes]] = {}
        for attempt in attempts:
            slots = attempt.owner.slots
            nearest = ranked.get(slots)
            if nearest is None:
                nearest = ranked[slots] = self._router.candidates(slots)
            chosen = next((node for node in nearest if node not in attempt.tried), None)
            if chosen is None:
                if not attempt.asked:
                    attempt.settled = True
                    settle({attempt.number: _nobody(attempt)})
                continue
            attempt.tried.add(chosen)
            apart = chosen != self._router.node_id and not self._router.all_alive(slots)
            groups.setdefault((chosen, slots if apart else ()), []).append(attempt)
        return [
            (node_id, part)
            for (node_id, _), group in groups.items()
            for part in in_messages(group, lambda attempt: len(attempt.put.record.payload))
        ]

    async def _ask(self, node_id: bytes, attempts: Sequence[_Attempt], goal: _Goal) -> list[_Attempt]:
        """Ask one replica; those it could not take, for another to take."""
        for attempt in attempts:
            attempt.asked += 1
        try:
            await self._ask_once(node_id, attempts, goal)
        finally:
            for attempt in attempts:
                attempt.asked -= 1
        return _unsettled(attempts)

    async def _ask_once(self, node_id: bytes, attempts: Sequence[_Attempt], goal: _Goal) -> None:
        outdated: list[_Attempt] = []

        def hear(results: Mapping[int, PutResult]) -> None:
            final: dict[int, PutResult] = {}
            for number, result in results.items():
                attempt = attempts[number]
                attempt.changed |= result.changed
                if attempt.settled:
                    continue  # another answered first
                if result.status == "refused" and (refusal := _of_this_replica(result)) is not None:
                    attempt.error = refusal
                    # Of this record alone nothing was kept, unless it says who did: the slots changed then.
                    attempt.unsure |= result.coverage is not None
                    if refusal.kind is STALE_TOPOLOGY:
                        outdated.append(attempt)
                else:
                    attempt.settled = True
                    final[attempt.number] = attempt.told(result)
            goal.settle(final)

        try:
            if node_id == self._router.node_id:
                puts = [attempt.put for attempt in attempts]
                await self._local.put(puts, goal.level, self._router.region, hear)
            else:
                hear(dict(enumerate(await self._call(node_id, attempts, goal))))
        except PeerUnreachable:
            for attempt in attempts:
                attempt.unsure = True
        except WireError as error:
            if error.kind is STALE_TOPOLOGY:
                outdated = _unsettled(attempts)
            for attempt in _unsettled(attempts):
                attempt.error = error
                attempt.unsure |= error.kind in _MAY_HAVE_KEPT
                if error.kind not in _TRY_ANOTHER:
                    attempt.settled = True
                    goal.settle({attempt.number: PutResult("refused", error=error.to_wire())})
        if outdated:
            await self._catch_up(node_id, _unsettled(outdated))

    async def _catch_up(self, node_id: bytes, attempts: Sequence[_Attempt]) -> None:
        """Learn the newer topology; whoever is the range's replica now may be asked, again if need be."""
        if node_id != self._router.node_id:
            await self._topology.refresh(node_id)
        for attempt in attempts:
            owner = self._topology.where(attempt.put.key)
            if owner.epoch > attempt.owner.epoch:
                attempt.owner = owner
                attempt.tried.clear()

    async def _call(self, node_id: bytes, attempts: Sequence[_Attempt], goal: _Goal) -> list[PutResult]:
        owners = [attempt.owner for attempt in attempts]  # a hedge may learn of newer ones meanwhile
        params = {
            "ranges": sorted({owner.id: owner.epoch for owner in owners}.items()),
            "puts": [
                [attempt.put.held, attempt.put.record.payload, attempt.put.record.signature]
                for attempt in attempts
            ],
            "level": goal.level,
            "region": self._router.region,
        }
        timeout_s = max(0.0, goal.ends - trio.current_time())
        answer = await self._peers.call(node_id, "replica.put", params, timeout_s)
        return unpack_results(answer, owners, self._router.region)


def _unsettled(attempts: Sequence[_Attempt]) -> list[_Attempt]:
    return [attempt for attempt in attempts if not attempt.settled]


def _of_this_replica(result: PutResult) -> WireError | None:
    """The refusal in a result, if another replica may still take the record."""
    refusal = None if result.error is None else WireError.from_wire(result.error)
    return refusal if refusal is not None and refusal.kind in _TRY_ANOTHER else None


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
