"""What lets nodes in, put together: the room of the wiring in `movement.parts` that concerns it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from folkmoot.node.actors.applicant import Applicant
from folkmoot.node.actors.membership import MembershipActor
from folkmoot.node.actors.session import Method
from folkmoot.node.actors.topology import TopologyHolder
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.contracts import Peers
from folkmoot.node.environment import Environment
from folkmoot.node.joining.admitting import Admitting, Handler, Members
from folkmoot.node.joining.grant_register import GrantRegister, Registers
from folkmoot.node.joining.methods import JoinMethods
from folkmoot.node.joining.signing import Signing
from folkmoot.node.transport.interface import Address

SEEDS: Final = 5


class JoinParts:
    """See the module.

    Args:
        config, environment, registers, topology, membership, peers: the node's.
        members: puts newcomers on the roster.
    """

    def __init__(
        self,
        config: NodeConfig,
        environment: Environment,
        registers: Registers,
        topology: TopologyHolder,
        membership: MembershipActor,
        peers: Peers,
        members: Members,
    ) -> None:
        assert config.node.id is not None, "the node id is filled in before a node starts"
        self._node_id, self._membership = bytes.fromhex(config.node.id), membership
        self._mode = config.tls.mode
        executor, random = environment.executor, environment.random
        register, signing = GrantRegister(registers), Signing(config.tls, config.cluster.id)

        def now_ms() -> int:
            return environment.wall.now_us() // 1000

        self._operators = JoinMethods(
            config.cluster.id, register, signing, topology, self._own_address, executor, random, now_ms
        )
        self._admitting = Admitting(
            config,
            register,
            signing,
            members,
            topology,
            environment.secrets,
            self._seeds,
            executor,
            random,
            now_ms,
        )
        self._applicant = Applicant(self._node_id, topology, membership, peers, executor, random)

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs by itself, by name. Without certificates there are no tokens, and nobody to ask."""
        return {} if self._mode == "off" else {"applicant": self._applicant.run}

    def peer_methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return self._admitting.peer_methods()

    def client_methods(self) -> Mapping[str, Method]:
        """What operators and newcomers may ask, by name."""
        return {**self._operators.table(), **self._admitting.client_methods()}

    def _own_address(self) -> str:
        described = self._membership.members()[self._node_id].description
        assert described is not None, "a node has said who it is before it serves clients"
        return str(Address(*described.client))

    def _seeds(self) -> list[str]:
        """Peers' ports: this node's own, and some others'."""
        described: dict[bytes, Any] = {
            node_id: member.description
            for node_id, member in self._membership.members().items()
            if member.description is not None and self._membership.alive(node_id)
        }
        others = sorted(described.keys() - {self._node_id})[: SEEDS - 1]
        return [str(Address(*described[node_id].peer)) for node_id in (self._node_id, *others)]
