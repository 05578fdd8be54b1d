"""One node of a town, and the directories, keys and configurations of them all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import trio
from folkmoot.node.certificates import create_ca, create_node
from folkmoot.node.commits import Commits
from folkmoot.node.configuration.setting import Section
from folkmoot.node.configuration.settings import (
    ClusterSection,
    FaultsSection,
    Founder,
    GossipSection,
    ListenSection,
    NodeConfig,
    NodeSection,
    OperatorsSection,
    TlsSection,
)
from folkmoot.node.daemon import NodeParts, RunningNode, serve
from folkmoot.node.data_directory import DataDirectory
from folkmoot.node.environment import Disk, Environment, WallClock
from folkmoot.node.system import machine_environment
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.gossip.members import State
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.ring.roster import Roster
from folkmoot.storage.interface import Table
from folkmoot.storage.rows import row_cell
from folkmoot.storage.store import Owner
from folkmoot.storage.transaction import Admission

from tests.node.people import OPERATOR
from tests.waiting import until

CLUSTER = "town"
READY_S = 20.0


class _WatchedDisk:
    """Opens the store as the real disk does, and lets the test have it too."""

    def __init__(self, disk: Disk, opened: Callable[[Commits], None]) -> None:
        self._disk = disk
        self._opened = opened

    def open(self, directory: Path, owner: Owner) -> Commits:
        commits = self._disk.open(directory, owner)
        self._opened(commits)
        return commits


class _WrongClock:
    """The wall clock of a machine that nobody set."""

    def __init__(self, wall: WallClock, off_us: int) -> None:
        self._wall = wall
        self._off_us = off_us

    def now_us(self) -> int:
        return self._wall.now_us() + self._off_us


class Node:
    """One node of a town, running or not.

    Attributes:
        clock_off_us: by how much its wall clock is ahead of this machine's when it is next started.
        config: what it is started with; may be replaced while it is stopped.
        environment: its outside world since it was last started.
        commits: its store; closed when it is stopped.
    """

    environment: Environment
    commits: Commits

    def __init__(self, config: NodeConfig) -> None:
        assert config.node.id is not None
        self.config = config
        self.id = bytes.fromhex(config.node.id)
        self.name = config.node.name
        self.region = config.node.region
        self.clock_off_us = 0
        self._running: RunningNode | None = None
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    @property
    def running(self) -> RunningNode:
        assert self._running is not None, f"{self.name} is not running"
        return self._running

    @property
    def started(self) -> bool:
        """Whether it serves clients."""
        return self._running is not None

    @property
    def parts(self) -> NodeParts:
        """The node's insides, for what no client and no peer can ask."""
        return self.running._parts

    @property
    def roster(self) -> Roster:
        """The members, as it knows them."""
        return self.parts.topology.current().roster

    @property
    def ranges(self) -> RangeMap:
        """Who owns what, as it knows it."""
        return self.parts.topology.current().ranges

    @property
    def address(self) -> str:
        """The clients' port."""
        return self.running.ready.address

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be this node until stopped."""
        self._scope, self._ended = trio.CancelScope(), trio.Event()
        environment = machine_environment(self.config)
        disk = _WatchedDisk(environment.disk, partial(setattr, self, "commits"))
        wall = _WrongClock(environment.wall, self.clock_off_us)
        self.environment = dataclasses.replace(environment, disk=disk, wall=wall)
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._running = await nursery.start(partial(serve, self.config, self.environment))
                    self._remember_ports(self._running)
                    task_status.started()
        finally:
            self._running = None
            self._ended.set()

    async def stop(self) -> None:
        """Cut it off in the middle of whatever it does."""
        self._scope.cancel()
        await self._ended.wait()

    def knows_alive(self, others: Iterable[Node]) -> bool:
        """Whether its gossip holds all of the others alive."""
        members = self.parts.membership.members()
        return all(other.id in members and members[other.id].state is State.ALIVE for other in others)

    def counts(self, others: Iterable[Node]) -> bool:
        """Whether by its knowledge all of the others fill their slots."""
        return all(self.parts.standing.counts(other.id) for other in others)

    def holds_dead(self, other: Node) -> bool:
        members = self.parts.membership.members()
        return other.id in members and members[other.id].state is State.DEAD

    def cell(self, record: Record) -> bytes | None:
        """What its store has at the record's key."""
        return self.commits.store.get_cell(record.key)

    def cells(self) -> dict[bytes, bytes]:
        """Everything in its store."""
        with self.commits.store.engine.begin() as transaction:
            return {key: row_cell(key, row) for key, row in transaction.scan(Table.CELLS)}

    async def plant(self, *records: Record) -> None:
        """Write into its store behind its back, as no coordinator would: nobody else hears of it."""
        await self.commits.run(
            lambda transaction: [transaction.put_record(record) for record in records], Admission.ESSENTIAL
        )

    async def forget_hints(self) -> None:
        """Lose every hint it keeps, once nothing is on its way that may yet become one."""
        statistics = self.parts.replicator.statistics
        await until(lambda: not any(statistics().queued.values()), what="replication to come to rest")
        store = self.commits.store
        for node_id in store.hint_states():
            hints = store.hints_for(node_id, 100_000)
            await self.commits.run(partial(_unhint, node_id=node_id, hints=hints), Admission.ESSENTIAL)

    def _remember_ports(self, running: RunningNode) -> None:
        """Ask for the same ports at the next start, as the command does."""
        ready = running.ready
        listen = ListenSection(
            clients=address_of(ready.address),
            peers=address_of(ready.peers),
            datagrams=address_of(ready.datagrams),
        )
        self.config = msgspec.structs.replace(self.config, listen=listen)


def _unhint(transaction: Any, node_id: bytes, hints: Any) -> None:
    transaction.unhint(node_id, hints)


def address_of(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host, int(port))


def lay_out(
    directory: Path,
    *,
    nodes: int = 3,
    regions: Sequence[str] = ("eu", "us", "ap"),
    replicas: int | dict[str, int] = 3,
    tls: bool = False,
    **sections: Section,
) -> tuple[list[Node], Path | None]:
    """Data directories, keys, certificates and configurations of a cluster.

    Args:
        directory: an empty one.
        nodes: how many.
        regions: dealt out to the nodes in turn.
        replicas: see the setting.
        tls: whether nodes and clients speak TLS.
        sections: further sections of every node's configuration.
    """
    source, ring, founders, homes = Random(str(directory)), None, [], []
    for number in range(nodes):
        home = DataDirectory(directory / f"node-{number + 1}")
        home.create(source, ring)
        ring = home.gossip_ring_file
        homes.append(home)
        founders.append(
            Founder(
                id=home.node_id(),
                name=f"node-{number + 1}",
                region=regions[number % len(regions)],
                service_account=home.service_key().account,  # type: ignore[arg-type]
            )
        )
    ca = create_ca(directory / "ca", CLUSTER) if tls else None
    cluster = ClusterSection(id=CLUSTER, founders=tuple(founders), replicas=replicas)
    laid = []
    for founder, home in zip(founders, homes, strict=True):
        if tls:
            create_node(directory / "ca", home.path / "tls", CLUSTER, founder.id)
        node = NodeSection(name=founder.name, region=founder.region, id=founder.id, data=home.path)
        laid.append(Node(_config(node, cluster, tls, sections)))
    return laid, ca


def _config(
    node: NodeSection, cluster: ClusterSection, tls: bool, sections: Mapping[str, Section]
) -> NodeConfig:
    files = node.data / "tls"
    return NodeConfig(
        node=node,
        cluster=cluster,
        tls=TlsSection(
            mode="mutual" if tls else "off",
            ca=files / "ca.crt",
            certificate=files / "node.crt",
            key=files / "node.key",
            ca_key=node.data.parent / "ca" / "ca.key",
        ),
        gossip=GossipSection(profile="loopback"),
        faults=FaultsSection(enabled=True),
        operators=OperatorsSection(accounts=(OPERATOR.account,)),  # type: ignore[arg-type]
        **sections,  # type: ignore[arg-type]
    )
