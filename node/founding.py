"""The first epoch: what every founder computes alike from the same list in its configuration."""

from __future__ import annotations

from collections.abc import Iterator

from folkmoot.node.configuration.reading import LoadedConfig
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.protocol.errors import FolkmootError
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
        alone = config.node
        founders = [RosterNode(node_id, alone.name, alone.region, alone.capacity, service_account)]
    if config.node.id not in {founder.node_id.hex() for founder in founders}:
        return None
    replicas = cluster.replicas
    if isinstance(replicas, int):
        replicas = min(replicas, len(founders))
    return Topology.bootstrap(cluster.id, founders, replicas, cluster.ranges)


def founding_problems(loaded: LoadedConfig, service_account: bytes) -> Iterator[str]:
    """Why the cluster cannot be founded as the configuration asks.

    Args:
        loaded: the node id included.
        service_account: the node's own (34 bytes).
    """
    where, wanted = loaded.sources["cluster.replicas"], loaded.config.cluster.replicas
    try:
        topology = found(loaded.config, service_account)
    except FolkmootError as error:
        yield f"{where}: cluster.founders and cluster.replicas make no cluster: {error}"
        return
    if topology is None or not isinstance(wanted, int) or where == "default":
        return
    # Founding takes as many copies as there are nodes; whoever asked for more is to know that they get fewer.
    if wanted > len(topology.roster.nodes):
        yield (
            f"{where}: cluster.replicas: {wanted} copies of everything need as many founders, and there are "
            f"{len(topology.roster.nodes)}; add founders, or leave it unset for 3 or as many as there are"
        )
