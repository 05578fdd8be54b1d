"""Every setting of a node, each a sentence.

A setting is a field of a section, and its metadata say what it means, in what unit, why it has its default,
and whether a change is applied by a reload (SIGHUP) or only by a restart. Nothing else in the program
repeats any of that; as a table they are in `settings_table`. How values are read and checked is the business
of `reading` and `values`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from folkmoot.node.configuration.cache_section import CacheSection
from folkmoot.node.configuration.feeds_section import FeedsSection
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.node.configuration.media_section import MediaSection
from folkmoot.node.configuration.screening_section import ScreeningSection
from folkmoot.node.configuration.search_section import SearchSection
from folkmoot.node.configuration.setting import (
    LOOPBACK_ANY,
    NODE_ID,
    SLUG,
    AccountId,
    ByteSize,
    HostName,
    Section,
    setting,
)
from folkmoot.node.transport.interface import Address
from folkmoot.protocol import limits


class NodeSection(Section, frozen=True, kw_only=True):
    """Who this node is and where it keeps its things."""

    name: Annotated[
        str, setting("What people call this node.", why="Logs and `status` are read by people.", pattern=SLUG)
    ]
    region: Annotated[
        str,
        setting(
            "Where it stands; replicas are spread over regions.",
            why="One region needs no thought; name them when there are two.",
            pattern=SLUG,
        ),
    ] = "local"
    id: Annotated[
        str | None,
        setting(
            "The node id, 32 hexadecimal digits.",
            why="Unset: `node.id` in the data directory, which `init` writes; an id moves with its data.",
            pattern=NODE_ID,
        ),
    ] = None
    capacity: Annotated[
        float,
        setting(
            "Its share of the ranges once it joins, relative to others'.",
            why="Equal nodes. A founder's stands in the list of founders.",
            gt=0,
            le=1000,
        ),
    ] = 1.0
    data: Annotated[
        Path,
        setting(
            "The directory of node id, keys, store and `ready.json`.",
            why="Beside the configuration file, so that one directory holds one node.",
        ),
    ] = Path()


class Founder(Section, frozen=True, kw_only=True):
    """A founding member: every founder lists the same ones, and so computes the same first epoch."""

    id: Annotated[str, setting("Its node id.", why="Ownership is by id.", pattern=NODE_ID)]
    name: Annotated[str, setting("Its name.", why="The first roster shows names.", pattern=SLUG)]
    region: Annotated[str, setting("Its region.", why="Placement needs it.", pattern=SLUG)]
    service_account: Annotated[
        AccountId, setting("The account it signs labels with.", why="Nodes verify each other's labels.")
    ]
    capacity: Annotated[
        float,
        setting("Its share of the ranges.", why="Equal nodes.", unit="relative to the others", gt=0, le=1000),
    ] = 1.0


class ClusterSection(Section, frozen=True, kw_only=True):
    """Which cluster this node belongs to, and how to find it."""

    id: Annotated[
        str,
        setting(
            "The cluster's name; nodes of another cluster are refused.",
            why="Required: a default would let strangers meet.",
            pattern=SLUG,
        ),
    ]
    seeds: Annotated[
        tuple[Address, ...],
        setting(
            "Peers' ports of nodes to ask first.",
            why="None is right for the first node; later ones also remember whom they met.",
        ),
    ] = ()
    founders: Annotated[
        tuple[Founder, ...],
        setting(
            "The members the cluster starts with, the same list on each of them.",
            why="Empty means that this node founds the cluster alone.",
        ),
    ] = ()
    replicas: Annotated[
        int | dict[str, int],
        setting(
            "How many copies each range has: a number, or one per region.",
            why="Three survive one loss; fewer nodes than that keep one copy each.",
            unit="copies",
        ),
    ] = 3
    ranges: Annotated[
        int,
        setting(
            "How many ranges the cluster begins with: 1, 2, 4, 8, 16, 32 or 64, the same on every founder.",
            why="Fine enough to deal out evenly; ranges that grow are split.",
            ge=1,
            le=limits.RANGES_INITIAL,
        ),
    ] = limits.RANGES_INITIAL
    proof_wait: Annotated[
        float,
        setting(
            "How long a node that starts waits for a majority of the other replicas to say that its disk is "
            "not an old copy, before it believes its disk all the same.",
            why="With too few up nobody could write any more; longer is safer where more may be lost.",
            unit="seconds",
            ge=0,
        ),
    ] = 10.0
    refound: Annotated[
        bool,
        setting(
            "Start with the founders' topology in place of the one this node keeps.",
            why="False: only for recovering, on all nodes at once, from a topology that cannot be used.",
        ),
    ] = False


class ListenSection(Section, frozen=True, kw_only=True):
    """The ports; port 0 lets the kernel choose, and a restart prefers the ports it had."""

    clients: Annotated[
        Address, setting("The clients' port.", why="Loopback: safe until certificates exist.")
    ] = LOOPBACK_ANY
    peers: Annotated[Address, setting("The peers' port.", why="Loopback: safe until certificates exist.")] = (
        LOOPBACK_ANY
    )
    datagrams: Annotated[
        Address | None,
        setting("The gossip port (UDP).", why="Unset: the host of `listen.peers`, a port of the kernel's."),
    ] = None
    advertise: Annotated[
        HostName | None,
        setting(
            "The host other nodes are told to dial.",
            why="Unset: the bound host; needed when that is a wildcard such as 0.0.0.0.",
        ),
    ] = None


class TlsSection(Section, frozen=True, kw_only=True):
    """Certificates, made by `folkmoot cert`."""

    mode: Annotated[
        Literal["mutual", "off"],
        setting(
            "`mutual`: TLS 1.3, nodes prove themselves to each other; `off`: plain, on loopback only.",
            why="A cluster port without certificates is open to anyone who finds it.",
        ),
    ] = "mutual"
    ca: Annotated[
        Path, setting("The cluster's CA certificate.", why="Where `folkmoot cert create-ca` puts it.")
    ] = Path("tls/ca.crt")
    certificate: Annotated[
        Path, setting("This node's certificate.", why="Where `folkmoot cert create-node` puts it.")
    ] = Path("tls/node.crt")
    key: Annotated[
        Path, setting("The key of that certificate.", why="Where `folkmoot cert create-node` puts it.")
    ] = Path("tls/node.key")
    ca_key: Annotated[
        Path,
        setting(
            "The CA's key, on a node that is to let others in with join tokens; looked for each time.",
            why="No file by default: whoever holds that key can make nodes, and only growing needs it.",
        ),
    ] = Path("tls/ca.key")


class GossipSection(Section, frozen=True, kw_only=True):
    """Failure detection."""

    profile: Annotated[
        Literal["lan", "wan", "loopback"],
        setting("Which timings to use.", why="Between machines of one site."),
    ] = "lan"
    keys_file: Annotated[
        Path | None,
        setting(
            "The key ring that seals gossip, the sealing key first.",
            why="Unset: `keys/gossip.ring` in the data directory, where `init` puts it.",
            applies="reload",
        ),
    ] = None


class StoreSection(Section, frozen=True, kw_only=True):
    """What is kept."""

    disk_cap: Annotated[
        ByteSize,
        setting(
            "The most the store may hold; clients' writes are refused at 90 % of it, deletes are not.",
            why="A full disk loses more than a refused write.",
            unit="bytes",
            ge=16 << 20,
        ),
    ] = ByteSize(10 << 30)
    scrub_hours: Annotated[
        float,
        setting(
            "In how long the whole store is read once, to find what the disk has lost; 0 for never.",
            why="A day: a copy that is lost is found long before the others are likely to be.",
            unit="hours",
            ge=0,
        ),
    ] = 24.0


class RingSection(Section, frozen=True, kw_only=True):
    """Who keeps what."""

    split_bytes: Annotated[
        ByteSize,
        setting(
            "A range that this node reads for and that is larger is split in two; 0 for never.",
            why="So much moves between two machines in a minute, and can be spread over more of them.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(512 << 20)


class FaultsSection(Section, frozen=True, kw_only=True):
    """Faults on purpose, for tests."""

    enabled: Annotated[
        bool,
        setting(
            "Whether operators may cut, delay and lose messages on this node's links.",
            why="Off: only clusters made to be broken should be breakable.",
        ),
    ] = False


class OperatorsSection(Section, frozen=True, kw_only=True):
    """Who may give orders."""

    accounts: Annotated[
        tuple[AccountId, ...],
        setting("Accounts whose `auth` makes them operators.", why="None until named.", applies="reload"),
    ] = ()


class LogSection(Section, frozen=True, kw_only=True):
    """What is written to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        setting("The least severity that is written.", why="Quiet when all is well.", applies="reload"),
    ] = "info"
    json: Annotated[
        bool | None,
        setting("One JSON object a line.", why="Unset: yes, unless standard error is a terminal."),
    ] = None


class NodeConfig(Section, frozen=True, kw_only=True):
    """The whole configuration of a node; paths are absolute."""

    node: NodeSection
    cluster: ClusterSection
    listen: ListenSection = ListenSection()
    tls: TlsSection = TlsSection()
    gossip: GossipSection = GossipSection()
    store: StoreSection = StoreSection()
    ring: RingSection = RingSection()
    gate: GateSection = GateSection()
    feeds: FeedsSection = FeedsSection()
    search: SearchSection = SearchSection()
    media: MediaSection = MediaSection()
    screening: ScreeningSection = ScreeningSection()
    cache: CacheSection = CacheSection()
    faults: FaultsSection = FaultsSection()
    operators: OperatorsSection = OperatorsSection()
    log: LogSection = LogSection()
