"""The first epoch: what every founder computes alike from the same list in its configuration."""

from __future__ import annotations

from folkmoot.node.settings import NodeConfig
from folkmoot.protocol.ring.roster import RosterNode
from folkmoot.protocol.ring.topology import Topology


def found(config: NodeConfig, service_account: bytes) -> Topology | None:
    """The topology this node starts its cluster with, or None when it is to learn one.

    Args:
        config: names the founders. A node without any that has seeds joins later; one without seeds founds
            the cluster alone.
        service_account: this node's own (34 bytes), for that last case.

    Raises:
        RingError: the founders make no roster, or are too few for `replicas`.
    """
    assert config.node.id is not None, "the node id is filled in before a node starts"
    cluster = config.cluster
    founders = [
        RosterNode(bytes.fromhex(each.id), each.name, each.region, each.capacity, each.service_account)
        for each in cluster.founders
    ]
    if not founders and not cluster.seeds:
        node_id = bytes.fromhex(config.node.id)
        founders = [RosterNode(node_id, config.node.name, config.node.region, 1.0, service_account)]
    if config.node.id not in {founder.node_id.hex() for founder in founders}:
        return None
    replicas = cluster.replicas
    if isinstance(replicas, int):
        replicas = min(replicas, len(founders))
    return Topology.bootstrap(cluster.id, founders, replicas)
