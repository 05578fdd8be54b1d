"""The mover brings every range to where the plan wants it, step by step.

Nobody leads. Each node works out the same plan from the topology, and carries out the changes that are its
own: those that bring a slot to it, and those that take its slot without another having it. What has to be
done next is worked out by `protocol.ring.movement` from the range's descriptor as decided last; the rest are
facts about that descriptor's epoch (who has fenced the older ones, from whom all was copied), gathered anew
when the epoch changes and after every restart. So a change that a crash broke off is simply gone on with, and
one that two nodes take for theirs is made once, since each step is decided by comparing and setting.

At most two ranges are under way here at a time, those that were begun first. One that cannot be brought on,
because a node it needs is away, makes way for others and is tried again after a pause that grows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final, Literal

import trio
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.environment import Executor
from folkmoot.node.movement.contracts import Copying, Fencing, Holder, Liveness, Pass, RangeRegisters
from folkmoot.node.movement.progress import MoverStatistics
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.ring.driving import driver_of, is_joint, may_begin, said_of
from folkmoot.protocol.ring.movement import (
    Change,
    Copy,
    Fence,
    Finished,
    Hand,
    Impossible,
    Propose,
    Step,
    next_step,
)
from folkmoot.protocol.ring.plan import NOTHING_TO_DO, Plan, Planner
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.ring.topology import Topology
from folkmoot.storage.errors import StorageError

log = logging.getLogger(__name__)

LOOK_S: Final = 0.25
PAUSE_S: Final = 0.1
PAUSE_MAX_S: Final = 2.0
TRIES: Final = 8
REST_S: Final = 1.0
REST_MAX_S: Final = 30.0
POLL_S: Final = 0.05
POLL_MAX_S: Final = 1.0

Doing = Literal["planned", "deciding", "fencing", "copying"]


@dataclass(slots=True)
class _Facts:
    """What is known of one epoch of a range."""

    epoch: int
    fenced: set[bytes] = field(default_factory=set)
    copied: set[bytes] = field(default_factory=set)
    session: bytes = b""


@dataclass(slots=True)
class _Work:
    """One range under way here."""

    facts: _Facts
    doing: Doing = "planned"
    donor: bytes | None = None
    copied: Pass | None = None
    tries: int = 0
    reason: str = ""

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = {"doing": self.doing}
        if self.copied is not None and self.donor is not None:
            told |= {"donor": self.donor.hex(), "cells": self.copied.cells, "bytes": self.copied.bytes}
            told |= {"blocks_done": self.copied.blocks_done, "blocks": self.copied.blocks}
        return told


@dataclass(slots=True)
class _Rest:
    """Why a range is left alone for now, and until when on trio's clock."""

    reason: str
    pause_s: float
    until: float


class Mover:
    """See the module.

    Args:
        node_id: this node's.
        topology, registers, fences, copier, liveness: see `movement.contracts`.
        counts: whether a node's disk is known to have all that it acknowledged.
        executor: where plans are worked out.
        random: draws session ids and pauses.
    """

    def __init__(
        self,
        node_id: bytes,
        topology: Holder,
        registers: RangeRegisters,
        fences: Fencing,
        copier: Copying,
        liveness: Liveness,
        counts: Callable[[bytes], bool],
        executor: Executor,
        random: Random,
    ) -> None:
        self._node_id = node_id
        self._topology = topology
        self._registers = registers
        self._fences = fences
        self._copier = copier
        self._liveness = liveness
        self._counts = counts
        self._executor = executor
        self._random = random
        self._planner = Planner()
        self._planned: tuple[Topology | None, Plan] = (None, NOTHING_TO_DO)
        self._work: dict[int, _Work] = {}
        self._resting: dict[int, _Rest] = {}
        self._done = self._cells = self._cell_bytes = 0
        self._busy_s = 0.0

    def statistics(self) -> MoverStatistics:
        plan_now = self._planned[1]
        stuck = {range_id: rest.reason for range_id, rest in self._resting.items()}
        return MoverStatistics(
            self._done,
            sum(self._is_mine(changes[0]) for changes in plan_now.changes.values()),
            {range_id: work.told() for range_id, work in self._work.items()},
            self._cells,
            self._cell_bytes,
            self._busy_s,
            {range_id: reason for range_id, reason in stuck.items() if range_id in plan_now.changes},
        )

    async def run(self) -> None:
        """Carry out what is this node's, for ever."""
        try:
            async with trio.open_nursery() as nursery:
                looked = trio.current_time()
                while True:
                    plan = await self._plan()
                    for range_id in self._next(plan):
                        self._work[range_id] = _Work(_Facts(0))
                        nursery.start_soon(self._carry, range_id)
                    if plan.changes or self._work or self._planned[0] is not self._topology.current():
                        await trio.sleep(LOOK_S)
                    else:
                        await self._topology.wait_changed()
                    now = trio.current_time()
                    self._busy_s += now - looked if self._work else 0.0
                    looked = now
        finally:
            self._work.clear()

    # What is to be done.

    async def _plan(self) -> Plan:
        """The plan for the topology as it is now."""
        topology = self._topology.current()
        if self._planned[0] is not topology:
            self._planned = topology, await self._executor.run(partial(self._planner.plan, topology))
        return self._planned[1]

    def _next(self, wanted: Plan) -> Sequence[int]:
        """The ranges to begin with now: those that are moving already come first."""
        if not self._counts(self._node_id):
            return []
        now = trio.current_time()
        topology = self._topology.current()
        ranges, given_up = topology.ranges, topology.roster.given_up()
        for range_id in [one for one in self._resting if one not in wanted.changes]:
            del self._resting[range_id]
        fit = []
        for range_id, changes in wanted.changes.items():
            descriptor, rest = ranges.get(range_id), self._resting.get(range_id)
            if range_id in self._work or descriptor is None or (rest is not None and now < rest.until):
                continue
            if self._is_mine(changes[0]) and may_begin(changes[0], descriptor, given_up, self._is_here):
                fit.append((not is_joint(descriptor), range_id))
        return [range_id for _, range_id in sorted(fit)[: limits.MOVES_AT_ONCE - len(self._work)]]

    def _is_mine(self, change: Change) -> bool:
        return driver_of(change, self._topology.current().roster, self._is_here) == self._node_id

    def _is_here(self, node_id: bytes) -> bool:
        return node_id == self._node_id or self._liveness.alive(node_id)

    # Doing it.

    async def _carry(self, range_id: int) -> None:
        """Bring one range on for as long as that is this node's to do, and possible."""
        work = self._work[range_id]
        try:
            while work.tries < TRIES:
                found = await self._step_of(range_id, work)
                if found is None:
                    self._resting.pop(range_id, None)
                    return
                change, descriptor, step = found
                if await self._try(change, descriptor, step, work):
                    work.tries = 0
                    continue
                work.tries += 1
                longest = min(PAUSE_S * 2**work.tries, PAUSE_MAX_S)
                await trio.sleep(self._random.uniform(0.5, 1.0) * longest)
            self._rest(range_id, work.reason)
        finally:
            del self._work[range_id]

    async def _step_of(self, range_id: int, work: _Work) -> tuple[Change, RangeDescriptor, Step] | None:
        """What brings a range on; None when nothing is left for this node to do about it."""
        changes = (await self._plan()).changes.get(range_id)
        topology = self._topology.current()
        descriptor = topology.ranges.get(range_id)
        if not changes or descriptor is None or not self._is_mine(changes[0]):
            return None
        if work.facts.epoch != descriptor.epoch:
            work.facts = _Facts(descriptor.epoch)
            work.copied = work.donor = None
        return changes[0], descriptor, self._next_of(changes[0], descriptor, work.facts)

    def _next_of(self, change: Change, descriptor: RangeDescriptor, facts: _Facts) -> Step:
        given_up = self._topology.current().roster.given_up()
        return next_step(change, descriptor, fenced=facts.fenced, copied=facts.copied, given_up=given_up)

    async def _try(self, change: Change, descriptor: RangeDescriptor, step: Step, work: _Work) -> bool:
        """Take a step; whether that brought the range on. If not, the work says why."""
        try:
            match step:
                case Propose():
                    work.doing = "deciding"
                    await self._decide(change, descriptor, step.descriptor)
                case Fence():
                    work.doing = "fencing"
                    await self._fence(change, descriptor, step.nodes, work)
                case Copy():
                    work.doing = "copying"
                    await self._copy(descriptor, step.donors, work)
                case Hand():
                    work.doing = "copying"
                    await self._hand(change, descriptor, step, work)
                case Impossible():
                    work.reason, work.tries = step.reason, TRIES
                case Finished():
                    work.reason = "the plan is behind"
        except WireError as error:
            work.reason = error.message
            return False
        except (PeerUnreachable, StorageError) as error:
            work.reason = str(error)
            return False
        return not isinstance(step, Impossible | Finished)

    async def _decide(self, change: Change, before: RangeDescriptor, after: RangeDescriptor) -> None:
        """Have a descriptor follow the one that the step was worked out from, unless another does."""
        decided = await self._registers.change_range(
            before.id, lambda present: after if present == before else present
        )
        if decided == after and isinstance(next_step(change, after), Finished):
            self._done += 1
            log.info("range %d: %s", after.id, said_of(change, self._topology.current().roster))

    async def _fence(
        self, change: Change, descriptor: RangeDescriptor, nodes: Sequence[bytes], work: _Work
    ) -> None:
        """Ask nodes for their fences, until enough of them are up.

        Raises:
            WireError: too few are.
        """

        def is_enough() -> bool:
            return not isinstance(self._next_of(change, descriptor, work.facts), Fence)

        async with trio.open_nursery() as nursery:

            async def ask(node_id: bytes) -> None:
                if await self._fences.ask(node_id, descriptor.id, descriptor.epoch):
                    work.facts.fenced.add(node_id)
                if is_enough():
                    nursery.cancel_scope.cancel()

            for node_id in nodes:
                nursery.start_soon(ask, node_id)
        if not is_enough():
            missing = sorted(set(nodes) - work.facts.fenced)
            names = ", ".join(self._name(node_id) for node_id in missing)
            raise WireError(BAD_REQUEST, f"{names} did not fence what is older than epoch {descriptor.epoch}")

    async def _copy(self, descriptor: RangeDescriptor, donors: Sequence[bytes], work: _Work) -> None:
        """Copy a range from one node after the other.

        Raises:
            WireError: a pass failed; the next one is another session.
        """
        for donor in donors:
            self._check_whole(donor)
        for donor in donors:
            await self._pass(descriptor, self._node_id, donor, work)
            work.facts.copied.add(donor)

    async def _hand(self, change: Change, descriptor: RangeDescriptor, step: Hand, work: _Work) -> None:
        """Have nodes copy what a slot has that is to be dropped, until enough of them have.

        Raises:
            WireError: too few could; the last one's reason.
            PeerUnreachable: likewise.
        """
        failure: Exception | None = None
        for recipient in step.recipients:
            try:
                for donor in step.donors:
                    if donor != recipient:
                        await self._pass(descriptor, recipient, donor, work)
            except (WireError, PeerUnreachable) as error:
                failure = error
                continue
            work.facts.copied.add(recipient)
            if not isinstance(self._next_of(change, descriptor, work.facts), Hand):
                return
        raise failure or WireError(BAD_REQUEST, "too few nodes are left to copy what is dropped")

    async def _pass(self, descriptor: RangeDescriptor, recipient: bytes, donor: bytes, work: _Work) -> None:
        """Have a node copy a range from another, and wait until it has.

        Raises:
            WireError: the pass failed; the next one is another session.
            PeerUnreachable: who is to copy cannot be asked.
        """
        self._check_whole(donor)
        if not work.facts.session:
            work.facts.session = self._random.randbytes(limits.COPY_SESSION_BYTES)
        work.donor, pause_s = donor, POLL_S
        before_cells = before_bytes = 0
        while True:
            told = await self._copier.ask(
                recipient, descriptor.id, descriptor.epoch, work.facts.session, donor
            )
            work.copied = told
            self._cells += told.cells - before_cells
            self._cell_bytes += told.bytes - before_bytes
            before_cells, before_bytes = told.cells, told.bytes
            if told.state != "running":
                break
            await trio.sleep(pause_s)
            pause_s = min(2 * pause_s, POLL_MAX_S)
        if told.state == "failed":
            work.facts.session = b""
            raise WireError(BAD_REQUEST, f"copying from {self._name(donor)}: {told.reason}")
        self._check_whole(donor)

    def _check_whole(self, donor: bytes) -> None:
        """Raise `WireError` unless what a donor has is all that it acknowledged."""
        if not self._counts(donor):
            raise WireError(BAD_REQUEST, f"whether {self._name(donor)} has all it acknowledged is unproven")

    def _rest(self, range_id: int, reason: str) -> None:
        """Let others have their turn."""
        before = self._resting.get(range_id)
        if before is None or before.reason != reason:
            log.warning("range %d cannot be moved for now: %s", range_id, reason)
        pause_s = REST_S if before is None else min(2 * before.pause_s, REST_MAX_S)
        self._resting[range_id] = _Rest(reason, pause_s, trio.current_time() + pause_s)

    def _name(self, node_id: bytes) -> str:
        node = self._topology.current().roster.get(node_id)
        return node_id.hex()[:8] if node is None else node.name
