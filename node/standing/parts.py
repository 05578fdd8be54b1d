"""How a node's standing is put together: what it is told of the topology and of gossip."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from folkmoot.node.actors.rebuilder import Rebuilder
from folkmoot.node.actors.recollection import Recollection
from folkmoot.node.actors.repairer import Repairer
from folkmoot.node.actors.standing import Cluster, Standing
from folkmoot.node.standing.records import StandingRecords
from folkmoot.node.wired import Wired
from folkmoot.protocol.ring.ranges import RangeDescriptor


class Parts(Wired, Protocol):
    """The parts of a node that its standing rests on."""

    @property
    def repairer(self) -> Repairer:
        """Put together later."""
        ...


def standing_of(parts: Parts) -> tuple[Standing, Recollection]:
    """The standing of a node, and what it remembers of the others'."""
    topology, config = parts.topology, parts.config

    def ranges() -> Iterable[Collection[bytes]]:
        return () if topology.ranges is None else [owner.nodes() for owner in topology.ranges.ranges]

    def names() -> Mapping[bytes, str]:
        return {} if topology.roster is None else {node.node_id: node.name for node in topology.roster.nodes}

    def given_up() -> Collection[bytes]:
        return () if topology.roster is None else topology.roster.given_up().nodes

    async def reconcile(node_id: bytes, owner: RangeDescriptor) -> bool:
        return await parts.repairer.reconcile(node_id, owner)

    records = StandingRecords(parts.commits)
    recollection = Recollection(records, names, parts.links)
    standing = Standing(
        parts.node_id,
        config.node.name,
        str(config.node.data),
        records,
        recollection,
        Cluster(ranges, names, parts.membership.reachable, given_up),
        parts.links,
        Rebuilder(
            parts.node_id,
            lambda: topology.ranges,
            parts.registers.topology.read_all,
            reconcile,
            parts.membership,
        ),
        parts.environment.random.randbytes,
        parts.membership.boot,
        config.cluster.proof_wait,
        parts.registers.acceptor.give_up,
    )
    recollection.follow(standing.statement)
    return standing, recollection
