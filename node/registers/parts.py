"""What a node has for registers, put together: the room of the wiring in `daemon` that concerns them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any

import trio
from folkmoot.node.actors.acceptor import Acceptor
from folkmoot.node.actors.membership import MembershipActor
from folkmoot.node.actors.registrar import Registrar
from folkmoot.node.actors.seat_keeper import SeatKeeper
from folkmoot.node.actors.session import Method
from folkmoot.node.actors.topology import TopologyHolder
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import Peers
from folkmoot.node.registers.methods import RegisterMethods
from folkmoot.node.registers.seat_calls import SeatCalls
from folkmoot.node.registers.topology import TopologyRegisters
from folkmoot.node.supervisor import supervise
from folkmoot.protocol.ring.topology import Topology

Handler = Callable[[bytes, Any], Awaitable[Any]]


class RegisterParts:
    """See the module.

    Attributes:
        acceptor: this node's seat.
        registrar: reads and changes registers.
        topology: the roster and the ranges as registers.

    Args:
        node_id: this node's (16 bytes).
        founded: the founders' topology, of a node that is one of them.
        commits, peers, random: see `Acceptor` and `Registrar`.
        announce: spreads the number of the configuration this node knows.
    """

    _keeper: SeatKeeper

    def __init__(
        self,
        node_id: bytes,
        founded: Topology | None,
        commits: Commits,
        peers: Peers,
        random: Random,
        announce: Callable[[int], None],
    ) -> None:
        self._node_id = node_id
        self._founders = [] if founded is None else [node.node_id for node in founded.roster.nodes]
        self._peers = peers
        self._random = random
        calls = SeatCalls(node_id, peers)
        self.registrar = Registrar(node_id, calls, random)
        self.acceptor = Acceptor(node_id, commits, random, calls.seen_of, announce)
        calls.follow(self.acceptor)
        self.registrar.follow(self.acceptor)
        self.topology = TopologyRegisters(self.registrar)

    def follow(self, holder: TopologyHolder, membership: MembershipActor) -> None:
        """Say, before they run, who keeps the topology and who is there."""
        self.topology.follow(holder)
        self._keeper = SeatKeeper(
            self._node_id,
            self._founders,
            self.acceptor,
            self.registrar,
            holder,
            membership,
            self._peers,
            self._random,
        )

    async def begin(self, nursery: trio.Nursery, *, forget: bool) -> None:
        """Open the seat, and start what runs by itself; see `Acceptor.open`."""
        await self.acceptor.open(forget=forget)
        await nursery.start(self.registrar.run)
        nursery.start_soon(supervise, "seats", self._keeper.run)

    def peer_methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return self.acceptor.methods()

    def client_methods(self) -> Mapping[str, Method]:
        """What operators may ask, by name."""
        return RegisterMethods(self.registrar, self._keeper).table()
