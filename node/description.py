"""What a node tells of itself: to others by gossip, and in `ready.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.data_directory import Ready
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.gossip.members import Description, Endpoint, MetaValue


def describe(
    config: NodeConfig,
    peers: Address,
    datagrams: Address,
    clients: Address,
    facts: Mapping[str, MetaValue],
    widest: Mapping[str, MetaValue],
) -> Description:
    """A node's description.

    Args:
        config: names it and its region, and the host to advertise, if that is not the bound one.
        peers, datagrams, clients: where it listens.
        facts: what it says besides.
        widest: the longest that these facts may ever come to be.

    Raises:
        WireError: `too_large`, when the widest would not fit: refused now, if it ever could be.
    """
    host = config.listen.advertise

    def told(address: Address) -> Endpoint:
        return Endpoint(host or address.host, address.port)

    name, region = config.node.name, config.node.region
    description = Description(name, region, told(peers), told(datagrams), told(clients), widest)
    description.encode()
    return replace(description, meta=facts)


def ready_of(
    config: NodeConfig, process_id: int, clients: Address, peers: Address, datagrams: Address
) -> Ready:
    """Who a node is and where it listens, for `ready.json`."""
    assert config.node.id is not None, "the node id is filled in before a node starts"
    name, region = config.node.name, config.node.region
    return Ready(
        id=config.node.id,
        name=name,
        region=region,
        pid=process_id,
        address=str(clients),
        peers=str(peers),
        datagrams=str(datagrams),
    )
