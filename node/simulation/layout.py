"""Who the nodes of a simulated cluster are, and how each is configured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from folkmoot import configs
from folkmoot.node.configuration.feeds_section import FeedsSection
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.node.configuration.media_section import MediaSection
from folkmoot.node.configuration.setting import AccountId, ByteSize
from folkmoot.node.configuration.settings import (
    ClusterSection,
    Founder,
    GossipSection,
    ListenSection,
    NodeConfig,
    NodeSection,
    OperatorsSection,
    TlsSection,
)
from folkmoot.node.founding import found
from folkmoot.node.simulation.links import Delay
from folkmoot.node.simulation.surroundings import SimulatedSecrets
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.ring.ranges import RangeMap

OPERATOR: Final = KeyPair(bytes(range(SEED_BYTES)))
"""Whoever runs simulated clusters; what only operators may ask is asked under this key."""

REGIONS: Final = ("eu", "us", "ap")
NEAR: Final = Delay(0.0005, 0.001)
FAR: Final = Delay(0.02, 0.02)
FIXED_PORTS: Final = 2
RANGES: Final = 16  # of four lanes each, so that a node that goes has a quarter as many to move
PROOF_WAIT_S: Final = 3_600.0  # nobody believes an unproven disk: any two failures may come together
FEEDS: Final = (FeedsSection(followers_max=2, inbox_rows=12), FeedsSection())
"""So small that a few people come to the bounds, or as operators have them."""
MEDIA: Final = MediaSection(
    quota=ByteSize(1 << 20),
    cache=ByteSize(768 << 10),
    cache_hours=20 / 3600,
    upload_hours=20 / 3600,
    unused_hours=8 / 3600,
    grace_hours=10 / 3600,
    sweep_minutes=8 / 60,
)
"""So short and small that people live to see what is given up, and come to their quota."""
POLICY: Final = Path(configs.__file__).parent / "policies" / "strict.toml"


@dataclass(frozen=True, slots=True)
class Member:
    """One node's fixed properties.

    Args:
        host: its address; a name of its own on loopback, where no certificates are asked for.
        config: complete.
        secrets: its keys.
    """

    host: str
    config: NodeConfig
    secrets: SimulatedSecrets

    @property
    def name(self) -> str:
        """The node's name: `n1`, `n2`, …"""
        return self.config.node.name

    @property
    def region(self) -> str:
        """Where it stands."""
        return self.config.node.region

    @property
    def node_id(self) -> bytes:
        """16 bytes."""
        assert self.config.node.id is not None
        return bytes.fromhex(self.config.node.id)


def lay_out(random: Random, count: int, feeds: FeedsSection) -> list[Member]:
    """A cluster of `count` founders, region by region in turn."""
    ring = (random.randbytes(32),)
    secrets = [SimulatedSecrets(KeyPair(random.randbytes(SEED_BYTES)), ring) for _ in range(count)]
    founders = tuple(
        Founder(
            id=random.randbytes(16).hex(),
            name=f"n{index + 1}",
            region=REGIONS[index % len(REGIONS)],
            service_account=AccountId(each.key.account),
        )
        for index, each in enumerate(secrets)
    )
    return [Member(host_of(index), _config(index, founders, feeds), secrets[index]) for index in range(count)]


def ranges_of(member: Member) -> RangeMap:
    """The map every founder computes."""
    topology = found(member.config, member.secrets.key.account)
    assert topology is not None, "every simulated node is a founder"
    return topology.ranges


def delay_between(one: str | None, other: str | None) -> Delay:
    """The delay of a healthy link between two regions; clients, who have none, are near everyone."""
    return NEAR if one is None or other is None or one == other else FAR


def elsewhere(member: Member, host: str) -> Member:
    """The same node on another host, its ports new."""
    anywhere = Address(host, 0)
    listen = ListenSection(clients=anywhere, peers=anywhere, datagrams=anywhere)
    return Member(host, msgspec.structs.replace(member.config, listen=listen), member.secrets)


def successor(member: Member, random: Random, name: str) -> Member:
    """Another node in the place of one that is gone: at its address and in its region, to be let in."""
    config = member.config
    node = msgspec.structs.replace(config.node, name=name, id=random.randbytes(16).hex(), data=Path(name))
    seeds = config.cluster.seeds or tuple(Address(host_of(index), 7001) for index in range(FIXED_PORTS))
    cluster = msgspec.structs.replace(config.cluster, seeds=seeds)
    secrets = SimulatedSecrets(KeyPair(random.randbytes(SEED_BYTES)), member.secrets.ring)
    return Member(member.host, msgspec.structs.replace(config, node=node, cluster=cluster), secrets)


def host_of(index: int) -> str:
    """The host of node number `index`, from 0."""
    return f"127.0.1.{index + 1}"


def _config(index: int, founders: tuple[Founder, ...], feeds: FeedsSection) -> NodeConfig:
    """The configuration of one node. The first two have fixed ports, the others new ones at every boot."""
    founder = founders[index]
    host = host_of(index)
    fixed = index < FIXED_PORTS
    regions = sorted({each.region for each in founders})
    seeds = tuple(Address(host_of(at), 7001) for at in range(min(FIXED_PORTS, len(founders))) if at != index)
    return NodeConfig(
        node=NodeSection(name=founder.name, region=founder.region, id=founder.id, data=Path(founder.name)),
        cluster=ClusterSection(
            id="simulated",
            proof_wait=PROOF_WAIT_S,
            seeds=seeds,
            founders=founders,
            ranges=RANGES,
            replicas=dict.fromkeys(regions, 1) if len(regions) == len(REGIONS) else len(founders),
        ),
        listen=ListenSection(
            clients=Address(host, 7000 if fixed else 0),
            peers=Address(host, 7001 if fixed else 0),
            datagrams=Address(host, 7002 if fixed else 0),
        ),
        tls=TlsSection(mode="off"),
        operators=OperatorsSection(accounts=(AccountId(OPERATOR.account),)),
        gossip=GossipSection(profile="lan"),
        feeds=feeds,
        media=MEDIA,
        gate=GateSection(policy=POLICY, account_rate=60_000.0, account_burst=60_000, address_rate=60_000.0),
    )
