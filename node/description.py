"""What a node tells others of itself, by gossip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from folkmoot.node.settings import NodeConfig
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
