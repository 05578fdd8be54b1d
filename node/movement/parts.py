"""What moves ranges, put together: the room of the wiring in `daemon` that concerns it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from folkmoot.node.actors.copier import Copier
from folkmoot.node.actors.evictor import Evictor
from folkmoot.node.actors.leaver import Leaver
from folkmoot.node.actors.mover import Mover
from folkmoot.node.actors.session import Method
from folkmoot.node.actors.splitter import Splitter
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.contracts import LocalReplica
from folkmoot.node.environment import Environment
from folkmoot.node.exchange import Exchange
from folkmoot.node.joining.introductions import Introductions
from folkmoot.node.joining.parts import JoinParts
from folkmoot.node.movement.estimates import Estimates
from folkmoot.node.movement.fences import Fences
from folkmoot.node.movement.progress import Progresses
from folkmoot.node.movement.ring_methods import RingMethods
from folkmoot.node.movement.roster_methods import RosterMethods
from folkmoot.node.upkeep import Upkeep
from folkmoot.node.wired import Wired
from folkmoot.protocol.errors import SHUTTING_DOWN, WireError
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.ring.roster import RosterNode

Handler = Callable[[bytes, Any], Awaitable[Any]]


class MovementParts:
    """See the module.

    Attributes:
        fences, copier, evictor, mover, splitter: see there.

    Args:
        wired, replica, upkeep: the node's.
        is_founder: whether what its configuration says of replicas is what the cluster was founded with.
        counts: whether a node's disk is known to have all that it acknowledged.
    """

    def __init__(
        self,
        wired: Wired,
        replica: LocalReplica,
        upkeep: Upkeep,
        *,
        is_founder: bool,
        counts: Callable[[bytes], bool],
    ) -> None:
        config, environment, registers = wired.config, wired.environment, wired.registers
        topology, membership, links = wired.topology, wired.membership, wired.links
        node_id, commits, executor = wired.node_id, wired.commits, environment.executor
        store = commits.store
        decided, most = registers.topology, config.ring.split_bytes
        own = _as_member(config, environment)
        self._own, self._topology, self._acceptor = own, topology, registers.acceptor
        exchange = Exchange(store.view, replica, links, executor)
        self.fences = Fences(node_id, topology, commits, links)
        self.copier = Copier(node_id, topology, exchange, store.damage, links)
        self.evictor = Evictor(node_id, topology, commits, exchange, upkeep, membership, executor)
        self.mover = Mover(
            node_id,
            topology,
            decided,
            self.fences,
            self.copier,
            membership,
            counts,
            executor,
            environment.random,
        )
        self.splitter = Splitter(node_id, topology, membership, decided, store, links, counts, executor, most)
        self.leaves_nothing: list[Callable[[], bool]] = []
        self._leaver = Leaver(node_id, topology, decided, membership, self._is_clean, self._holds_seat)
        self._introductions = Introductions(own, links)
        self._progresses = Progresses(node_id, self._progress, links)
        self.estimates = Estimates(node_id, topology, membership, store, links, executor)
        told = self._introductions, self._progresses, self.estimates
        founded = config.cluster.replicas if is_founder else None
        self._methods = RosterMethods(topology, decided, membership, *told, executor, founded)
        self._ring_methods = RingMethods(topology, decided, self.splitter)
        self._joins = JoinParts(
            config, environment, registers.registrar, topology, membership, links, self._methods
        )

    def _is_clean(self, ranges: RangeMap) -> bool:
        return self.evictor.is_clean(ranges) and all(each() for each in self.leaves_nothing)

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs by itself, by name."""
        return {
            "copier": self.copier.run,
            "evictor": self.evictor.run,
            "mover": self.mover.run,
            "splitter": self.splitter.run,
            "leaver": self._leaver.run,
            **self._joins.actors(),
        }

    def peer_methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        told = self._introductions, self._progresses, self.estimates
        asked = (self.fences, self.copier, self.splitter, *told)
        own = {name: handler for part in asked for name, handler in part.methods().items()}
        return {**own, **self._joins.peer_methods()}

    def client_methods(self) -> Mapping[str, Method]:
        """What operators may ask, and newcomers, by name."""
        return {**self._methods.table(), **self._ring_methods.table(), **self._joins.client_methods()}

    def refusal(self) -> WireError | None:
        """Why this node serves nobody, if it does not: it was given up for dead, and came back."""
        roster = self._topology.roster
        node = None if roster is None else roster.get(self._own.node_id)
        if node is None or node.standing != "dead":
            return None
        return WireError(
            SHUTTING_DOWN,
            f"{node.name} was given up for dead: it gives away what only it may have, and serves nobody any "
            "more; when `folkmoot node show` says that nothing is left, stop it, and start it on "
            "an empty data directory if it is to join again",
            retry_after_ms=1000,
        )

    def _progress(self) -> dict[str, Any]:
        """How far this node is with what moves, and with leaving."""
        left = self.evictor.statistics()
        leaving = {"leftovers": len(left.waiting), "leftovers_reason": left.reason}
        return {
            **self.mover.statistics().to_wire(),
            **leaving,
            "seat": self._holds_seat(self._own.node_id),
        }

    def _holds_seat(self, node_id: bytes) -> bool:
        known = self._acceptor.configuration
        return known is None or any(seat.node == node_id for seat in known.all_seats)


def _as_member(config: NodeConfig, environment: Environment) -> RosterNode:
    """This node as it would stand on the roster."""
    assert config.node.id is not None, "the node id is filled in before a node starts"
    node_id, node = bytes.fromhex(config.node.id), config.node
    return RosterNode(node_id, node.name, node.region, node.capacity, environment.secrets.service().account)
