"""The parts of a node that its other parts rest on, as `daemon` puts them together first."""

from __future__ import annotations

from typing import Protocol

from folkmoot.node.actors.membership import MembershipActor
from folkmoot.node.actors.peer_links import PeerLinks
from folkmoot.node.actors.topology import TopologyHolder
from folkmoot.node.commits import Commits
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.environment import Environment
from folkmoot.node.registers.parts import RegisterParts
from folkmoot.protocol.identity import KeyPair


class Wired(Protocol):
    """Who the node is and what it stands on: its store, the others, and what is agreed upon with them.

    Attributes:
        config: complete, the node id included.
        service: what the node signs with what it says itself.
    """

    node_id: bytes
    config: NodeConfig
    environment: Environment
    commits: Commits
    service: KeyPair
    registers: RegisterParts
    topology: TopologyHolder
    membership: MembershipActor
    links: PeerLinks
