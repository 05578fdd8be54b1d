"""Who belongs to the cluster, as operators ask for it: `node.join`, `node.drain`, `node.decommission`,
`node.replace`, `ring.replicas`, `ring.plan`.

Each change is one step of the roster's register; what has to move because of it follows from the plan, and
movers see to it. A change that would leave too few nodes for the replicas there are to be is refused, with
the reason, before anything is decided. Asked with `dry_run`, each tells what would have to move; asked with
the `epoch` that this was told for, it refuses if the roster has changed meanwhile, and says how.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final, Protocol

from cachetools import LRUCache
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.environment import Executor
from folkmoot.node.joining.introductions import Introductions
from folkmoot.node.movement.contracts import Holder, RosterRegisters
from folkmoot.node.movement.estimates import Estimates
from folkmoot.node.movement.plan_telling import counted, told_of
from folkmoot.node.movement.progress import Progresses
from folkmoot.node.operators import operators_only
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import CONFLICT, NOT_FOUND, WireError
from folkmoot.protocol.gossip.members import Member
from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.movement import lacks_copies, survivors
from folkmoot.protocol.ring.plan import Plan, plan, replicas_of
from folkmoot.protocol.ring.roster import Epoch, NodeIdBytes, Replicas, Roster, RosterNode, Slug
from folkmoot.protocol.ring.roster_changes import (
    differences,
    with_dead,
    with_node,
    with_replicas,
    with_standing,
    without_node,
)
from folkmoot.protocol.ring.topology import Topology
from msgspec import Meta, Struct, field

log = logging.getLogger(__name__)

ROSTERS_KEPT: Final = 8
SPARES_ASKED: Final = 3
SPARE_S: Final = 2.0  # for each, so that one that is silent leaves time for the others and the decision

_Count = Annotated[int, Meta(ge=0, le=limits.SLOTS_PER_RANGE)]
Make = Callable[[Roster], Roster]
Progress = Mapping[str, Mapping[str, Any]]


class _Change(Struct):
    """`node.join`, `node.drain`, `node.decommission`: the node, and under which roster that was planned."""

    node: NodeIdBytes
    epoch: Epoch | None = None
    dry_run: bool = False


class _Replace(_Change):
    """`node.replace`: also the node that is to take the place, if it matters which, and whether what only
    dead nodes acknowledged may be lost."""

    by: NodeIdBytes | None = field(default=None, name="with")
    accept_loss: bool = False


class _SetReplicas(Struct):
    """`ring.replicas`: so many in each region, or a total."""

    replicas: _Count | Annotated[dict[Slug, _Count], Meta(max_length=limits.SLOTS_PER_RANGE)]
    epoch: Epoch | None = None
    dry_run: bool = False


class Gossip(Protocol):
    """Who there is."""

    def members(self) -> Mapping[bytes, Member]: ...

    def alive(self, node_id: bytes) -> bool: ...


class RosterMethods:
    """See the module.

    Args:
        topology, registers: see `movement.contracts`.
        gossip: see above.
        introductions: asks a node who it is.
        progresses: asks nodes how far they are.
        estimates: how much there is to move, and how long that may take.
        executor: where plans are worked out.
        founded: how many replicas the founders were configured with, of a node that is one of them.
    """

    def __init__(
        self,
        topology: Holder,
        registers: RosterRegisters,
        gossip: Gossip,
        introductions: Introductions,
        progresses: Progresses,
        estimates: Estimates,
        executor: Executor,
        founded: Replicas | None,
    ) -> None:
        self._topology = topology
        self._registers = registers
        self._gossip = gossip
        self._introductions = introductions
        self._progresses = progresses
        self._estimates = estimates
        self._executor = executor
        self._founded = founded
        self._told: LRUCache[int, Roster] = LRUCache(ROSTERS_KEPT)

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {
            "node.join": self._for_operators(self._join),
            "node.drain": self._for_operators(self._drain),
            "node.decommission": self._for_operators(self._decommission),
            "node.replace": self._for_operators(self._replace),
            "ring.replicas": self._for_operators(self._set_replicas),
            "ring.plan": self._for_operators(self._plan),
        }

    def _for_operators(self, handle: Callable[[Params], Awaitable[dict[str, Any]]]) -> Method:
        async def method(asker: Asker, params: Params) -> dict[str, Any]:
            operators_only(asker, "the roster and its plan")
            return await handle(params)

        return method

    async def admit(self, newcomer: RosterNode) -> Roster:
        """Make a node a member that an operator has let in beforehand; the roster that says so.

        Raises:
            WireError: `conflict`, `no_quorum`, `uncertain`.
        """

        def change(present: Roster) -> Roster:
            return self._checked(present, lambda roster: _with_newcomer(roster, newcomer))

        return await self._registers.change_roster(change)

    # What operators ask.

    async def _join(self, params: Params) -> dict[str, Any]:
        """Make a node that runs a member, or a member in good standing again."""
        asked = codec.shaped(params, _Change, "node.join")
        known = self._topology.current().roster.get(asked.node)
        if known is not None and known.standing == "dead":
            raise WireError(
                CONFLICT, f"{known.name} was given up for dead: start it anew on an empty data directory"
            )
        newcomer = known or await self._introductions.ask(asked.node)
        return await self._change(asked, lambda roster: with_node(roster, newcomer))

    async def _drain(self, params: Params) -> dict[str, Any]:
        """Have all ranges of a member move away; it stays one."""
        asked = codec.shaped(params, _Change, "node.drain")
        node = self._member(asked.node)
        if node.standing == "dead":
            raise WireError(
                CONFLICT, f"{node.name} was given up for dead: it keeps nothing that could be moved"
            )
        return await self._change(asked, lambda roster: with_standing(roster, asked.node, "drained"))

    async def _decommission(self, params: Params) -> dict[str, Any]:
        """Have a member leave: its ranges move away, then it is taken off the roster."""
        asked = codec.shaped(params, _Change, "node.decommission")
        node = self._member(asked.node)
        if node.standing != "dead":
            return await self._change(asked, lambda roster: with_standing(roster, asked.node, "leaving"))
        if left := len(self._topology.current().ranges.of_node(asked.node)):
            raise WireError(
                CONFLICT, f"{node.name} was given up for dead, and {left} ranges have still to be replaced"
            )
        return await self._change(asked, lambda roster: without_node(roster, asked.node))

    async def _replace(self, params: Params) -> dict[str, Any]:
        """Give a member up for dead; what it kept is made anew from the other replicas."""
        asked = codec.shaped(params, _Replace, "node.replace")
        node = self._member(asked.node)
        if node.standing != "dead" and self._gossip.alive(asked.node):
            raise WireError(
                CONFLICT, f"{node.name} is alive: decommission it, and what it keeps moves away from it"
            )
        if asked.by is not None:
            self._refuse_substitute(asked.by, node)
        newcomer = await (self._introduced(node.region) if asked.by is None else self._newcomer(asked.by))

        def make(roster: Roster) -> Roster:
            after = with_dead(roster, asked.node, accept_loss=asked.accept_loss)
            if not asked.accept_loss:
                self._refuse_loss(roster.get(asked.node) or node, after)
            if newcomer is not None and (asked.by is not None or self._planned(after).blocked):
                after = with_node(after, newcomer)
            return after

        return await self._change(asked, make)

    async def _set_replicas(self, params: Params) -> dict[str, Any]:
        """Say how many replicas there are to be."""
        asked = codec.shaped(params, _SetReplicas, "ring.replicas")
        return await self._change(asked, lambda roster: with_replicas(roster, asked.replicas))

    async def _plan(self, params: Params) -> dict[str, Any]:
        """What has still to change, and how far all nodes are with it."""
        topology = self._topology.current()
        self._told[topology.roster.epoch] = topology.roster
        found = await self._executor.run(partial(plan, topology))
        replicas = replicas_of(topology)
        progress = await self._progress()
        return {
            "epoch": topology.roster.epoch,
            "replicas": self._founded if replicas is None else replicas,
            "plan": await self._told_of(found, topology, progress),
            "progress": progress,
        }

    # How.

    def _refuse_substitute(self, node_id: bytes, dead: RosterNode) -> None:
        """Raise `WireError` if a node cannot take the place of a dead one."""
        known = self._topology.current().roster.get(node_id)
        name = node_id.hex() if known is None else known.name
        if node_id == dead.node_id:
            why = "is the one to be replaced; on an empty data directory it would be another node"
        elif known is not None and known.standing == "dead":
            why = "was given up for dead itself: start it anew on an empty data directory"
        elif known is not None and known.standing == "leaving":
            why = "is leaving the cluster; `folkmoot node join` lets it stay"
        elif not self._gossip.alive(node_id):
            why = "does not answer: start it first"
        else:
            return
        raise WireError(CONFLICT, f"{name} cannot take the place of {dead.name}: it {why}")

    def _refuse_loss(self, node: RosterNode, after: Roster) -> None:
        """Raise `WireError` if with a node too few copies of ranges go to know what was acknowledged."""
        given_up = after.given_up()
        lost = [
            owner
            for owner in self._topology.current().ranges.of_node(node.node_id)
            if lacks_copies(owner, given_up.nodes)
            # Whoever is given up already is so at the price that was accepted with another.
            and (node.standing != "dead" or given_up.lossy.isdisjoint(owner.nodes()))
        ]
        if not lost:
            return
        gone = {node_id for owner in lost for node_id in given_up.nodes.intersection(owner.nodes())}
        names = ", ".join(each.name for each in after.nodes if each.node_id in gone)
        none_left = sum(not survivors(owner, given_up.nodes) for owner in lost)
        without = f", and {counted(none_left)} no copy at all" if none_left else ""
        raise WireError(
            CONFLICT,
            f"not done: without {names}, {counted(len(lost))} would have too few copies to know all that was "
            f"acknowledged{without}. Bring one of these nodes back if that can be; if not, `folkmoot node "
            f"replace {node.name} --accept-loss` goes on with the copies that are left, and what only the "
            "dead had is lost",
            details={"lossy": len(lost), "without_copy": none_left},
        )

    async def _change(self, asked: _Change | _SetReplicas, make: Make) -> dict[str, Any]:
        """Decide on another roster, or tell what would have to move."""

        def change(present: Roster) -> Roster:
            if asked.epoch is not None and asked.epoch != present.epoch:
                raise self._outdated(asked.epoch, present)
            return self._checked(present, make)

        if asked.dry_run:
            before = self._topology.current().roster
            self._told[before.epoch] = before
            roster = change(before)
            epoch, changed = before.epoch, roster != before
        else:
            decided: list[Roster] = []  # by each attempt: what it found

            def noted(present: Roster) -> Roster:
                decided.append(present)
                return change(present)

            roster = await self._registers.change_roster(noted)
            epoch, changed = roster.epoch, roster.epoch != decided[-1].epoch
        topology = Topology(roster, self._topology.current().ranges)
        planned = await self._told_of(plan(topology), topology, await self._progress())
        return {"epoch": epoch, "changed": changed, "plan": planned}

    def _checked(self, present: Roster, make: Make) -> Roster:
        """The roster that `make` makes, one step later; the same when it makes no other.

        Raises:
            WireError: `conflict`, when it cannot be.
        """
        try:
            before = present if present.replicas is not None else replace(present, replicas=self._founded)
            made = make(before)
            if made == before:
                return present
            if made.replicas is None:
                raise self._no_goal()
            after = replace(made, epoch=present.epoch + 1)
            found = self._planned(after)
        except RingError as error:
            raise WireError(CONFLICT, str(error)) from error
        if found.blocked and not self._planned(present).blocked:
            raise WireError(
                CONFLICT,
                f"not done, because then {'; '.join(found.blocked)} "
                "(a new node: folkmoot node join; fewer replicas: folkmoot ring replicas)",
                details={"blocked": list(found.blocked)},
            )
        return after

    @staticmethod
    def _no_goal() -> WireError:
        return WireError(
            CONFLICT,
            "this node does not know how many replicas its cluster was founded with: ask a founder, or say "
            "how many there are to be (folkmoot ring replicas)",
        )

    async def _progress(self) -> dict[str, dict[str, Any]]:
        roster = self._topology.current().roster
        return await self._progresses.of(
            [node.node_id for node in roster.nodes if self._gossip.alive(node.node_id)]
        )

    async def _told_of(self, found: Plan, topology: Topology, progress: Progress) -> dict[str, Any]:
        states = {node_id: member.state.name.lower() for node_id, member in self._gossip.members().items()}
        return await told_of(found, topology, states, progress, self._estimates, self._executor)

    def _planned(self, roster: Roster) -> Plan:
        return plan(Topology(roster, self._topology.current().ranges))

    def _outdated(self, epoch: int, present: Roster) -> WireError:
        """The refusal of a change that was planned for another roster: which change came before it."""
        before = self._told.get(epoch)
        found = list(differences(before, present)) if before is not None else []
        what = "; ".join(found) or "by whom is not known here"
        return WireError(
            CONFLICT,
            f"the roster has changed from epoch {epoch} to {present.epoch} since this was planned: {what}",
            details={"epoch": present.epoch, "changes": found},
        )

    def _member(self, node_id: bytes) -> RosterNode:
        node = self._topology.current().roster.get(node_id)
        if node is None:
            raise WireError(NOT_FOUND, f"node {node_id.hex()} is not a member of the cluster")
        return node

    def _spares(self, region: str) -> list[bytes]:
        """Nodes that could take a dead one's place, the best first: its region's, drained members first."""
        roster = self._topology.current().roster
        found = []
        for node_id, member in self._gossip.members().items():
            node = roster.get(node_id)
            where = node.region if node else member.description.region if member.description else ""
            if self._gossip.alive(node_id) and (node is None or node.standing == "drained"):
                found.append((where != region, node is None, node_id))
        anywhere = isinstance(self._topology.current().roster.replicas or self._founded, int)
        return [node_id for elsewhere, _, node_id in sorted(found) if anywhere or not elsewhere]

    async def _introduced(self, region: str) -> RosterNode | None:
        """The best of the spares that says who it is, and whose name nobody on the roster has."""
        taken = {node.name: node.node_id for node in self._topology.current().roster.nodes}
        for spare in self._spares(region)[:SPARES_ASKED]:
            try:
                found = await self._newcomer(spare, SPARE_S)
            except WireError as error:
                log.warning("node %s cannot take a dead one's place: %s", spare.hex()[:8], error.message)
                continue
            if taken.get(found.name, spare) == spare:
                return found
            log.warning(
                "node %s cannot take a dead one's place: its name %s is taken", spare.hex()[:8], found.name
            )
        return None

    async def _newcomer(self, node_id: bytes, timeout_s: float = limits.REQUEST_TIMEOUT_S) -> RosterNode:
        known = self._topology.current().roster.get(node_id)
        return known or await self._introductions.ask(node_id, timeout_s)


def _with_newcomer(roster: Roster, newcomer: RosterNode) -> Roster:
    """With a newcomer; who is on the roster already stays as it stands there."""
    return roster if newcomer.node_id in roster else with_node(roster, newcomer)
