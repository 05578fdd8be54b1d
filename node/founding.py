"""The first epoch: what every founder computes alike from the same list in its configuration."""

from __future__ import annotations

from folkmoot.node.settings import NodeConfig
from folkmoot.protocol.ring.roster import Roster, RosterNode


def founding_roster(config: NodeConfig, service_account: bytes) -> Roster:
    """The roster at epoch 1.

    Args:
        config: names the founders; without any, this node founds the cluster alone.
        service_account: this node's own (34 bytes), for that case.

    Raises:
        RingError: two founders share an id or a name.
    """
    assert config.node.id is not None, "the node id is filled in before a node starts"
    founders = tuple(
        RosterNode(
            bytes.fromhex(founder.id),
            founder.name,
            founder.region,
            founder.capacity,
            founder.service_account,
        )
        for founder in config.cluster.founders
    )
    alone = RosterNode(
        bytes.fromhex(config.node.id), config.node.name, config.node.region, 1.0, service_account
    )
    return Roster(1, config.cluster.id, founders or (alone,))
