"""Whole nodes in one trio run: the production daemon over loopback sockets, each with its own LMDB.

What a test breaks here it breaks as the world would: a node is cut off at once, a link by a planted fault, a
disk by what is written to it behind the node's back.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import trio
from folkmoot.node.certificates import create_ca, create_node
from folkmoot.node.commits import Commits
from folkmoot.node.daemon import RunningNode, serve
from folkmoot.node.data_directory import DataDirectory
from folkmoot.node.environment import Disk, Environment, WallClock
from folkmoot.node.settings import (
    ClusterSection,
    FaultsSection,
    Founder,
    GossipSection,
    ListenSection,
    NodeConfig,
    NodeSection,
    OperatorsSection,
    Section,
    TlsSection,
)
from folkmoot.node.system import machine_environment
from folkmoot.node.transport.faults import Fault
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.session import Session, open_session
from folkmoot.protocol.gossip.members import State
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import kind_prefix
from folkmoot.protocol.record import Record
from folkmoot.storage.interface import Table
from folkmoot.storage.rows import row_cell
from folkmoot.storage.store import Owner
from folkmoot.storage.transaction import Admission

from tests.waiting import until

CLUSTER = "town"
READY_S = 20.0

_item_numbers = itertools.count(1)

Key = tuple[bytes, str, bytes]


class Author:
    """An account that writes, with a clock that never stands still.

    Args:
        number: names it; the same number is the same account.
    """

    def __init__(self, number: int) -> None:
        self.device = KeyPair(number.to_bytes(32, "big"))
        self.account = self.device.account
        self._stamps = itertools.count(time.time_ns() // 1000)

    def item(self) -> bytes:
        """A fresh post's item."""
        return make_uuid7(time.time_ns() // 1_000_000, next(_item_numbers))

    def record(self, kind: str, item: bytes, body: dict[str, Any], **more: Any) -> Record:
        return Record.sign(self.device, kind=kind, item=item, body=body, stamp=next(self._stamps), **more)

    def post(self, text: str = "hello", item: bytes | None = None) -> Record:
        return self.record("post", item or self.item(), {"text": text})

    def deletion(self, of: Record) -> Record:
        return self.record("post", of.item, {"deleted": True})


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
    def parts(self) -> Any:
        """The node's insides, for what no client and no peer can ask."""
        return self.running._parts

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
            clients=_address(ready.address), peers=_address(ready.peers), datagrams=_address(ready.datagrams)
        )
        self.config = msgspec.structs.replace(self.config, listen=listen)


def _unhint(transaction: Any, node_id: bytes, hints: Any) -> None:
    transaction.unhint(node_id, hints)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host, int(port))


class Client:
    """A connection to one node that says exactly what a test tells it to: nothing is tried twice.

    Args:
        session: greeted.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    async def call(self, method: str, **params: Any) -> Any:
        return await self.session.link.call(method, params, timeout_s=READY_S)

    async def put(
        self, *records: Record, level: str = "quorum", token: bytes | None = None
    ) -> tuple[list[dict[str, Any]], bytes]:
        """The results, and the token."""
        params: dict[str, Any] = {"records": [record.to_wire() for record in records], "level": level}
        answer = await self.call("record.put", **params, **({} if token is None else {"token": token}))
        return answer["results"], answer["token"]

    async def put_one(self, record: Record, level: str = "quorum") -> dict[str, Any]:
        """The one result."""
        [result], _ = await self.put(record, level=level)
        return result

    async def get(self, record: Record, level: str = "one", **more: Any) -> dict[str, Any] | None:
        """The cell a record belongs to."""
        key = [record.place, record.kind, record.item]
        cells: list[dict[str, Any] | None] = (await self.call("record.get", keys=[key], level=level, **more))[
            "cells"
        ]
        return cells[0]

    async def feed(self, account: bytes, level: str = "quorum") -> list[dict[str, Any]]:
        """The items of the first page."""
        items: list[dict[str, Any]] = (await self.call("feed.author", account=account, level=level))["items"]
        return items

    async def auth(self, author: Author) -> dict[str, Any]:
        return await self.session.authenticate(author.device, author.account)


class Town:
    """A cluster of nodes in this run.

    Args:
        nodes: laid out, not running.
        ca: the CA's certificate; None with TLS off.
        nursery: where nodes run.
    """

    def __init__(self, nodes: Sequence[Node], ca: Path | None, nursery: trio.Nursery) -> None:
        self.nodes = list(nodes)
        self._dialler = Dialler(ca)
        self.nursery = nursery

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    async def start(self, *nodes: Node) -> None:
        """Start some nodes, or all, and wait until all that run know each other."""
        for node in nodes or self.nodes:
            seeds = tuple(_address(other.running.ready.peers) for other in self.running())
            cluster = msgspec.structs.replace(node.config.cluster, seeds=seeds)
            node.config = msgspec.structs.replace(node.config, cluster=cluster)
            with trio.fail_after(READY_S):
                await self.nursery.start(node.run)
        await self.all_alive()

    def running(self) -> list[Node]:
        return [node for node in self.nodes if node.started]

    async def all_alive(self) -> None:
        """Wait until every running node holds every other one alive."""
        running = self.running()
        await until(
            lambda: all(node.knows_alive(running) for node in running),
            what="the nodes to know each other",
            within_s=READY_S,
        )

    async def restart(self, node: Node) -> None:
        await node.stop()
        await self.start(node)

    def cut(self, one: Node, other: Node) -> None:
        """Let nothing pass between two nodes, either way."""
        one.environment.faults.set(other.id, Fault(cut=True))
        other.environment.faults.set(one.id, Fault(cut=True))

    def heal(self) -> None:
        """Mend every link."""
        for node in self.running():
            node.environment.faults.clear()

    def replicas_of(self, account: bytes) -> list[Node]:
        """The nodes that keep an account, by the topology of the first that runs."""
        view = self.running()[0].parts.topology
        by_id = {node.id: node for node in self.nodes}
        owner = view.where(kind_prefix(account, "post"))
        return [by_id[node_id] for node_id in owner.nodes()]

    @asynccontextmanager
    async def client(self, node: Node) -> AsyncIterator[Client]:
        """A connection to a node."""
        async with trio.open_nursery() as nursery:
            yield Client(
                await open_session(nursery, self._dialler, Endpoint.parse(node.address), client="test/1")
            )
            nursery.cancel_scope.cancel()


OPERATOR = Author(2**200)


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
    laid = []
    for founder, home in zip(founders, homes, strict=True):
        if tls:
            create_node(directory / "ca", home.path / "tls", CLUSTER, founder.id)
        files = home.path / "tls"
        laid.append(
            Node(
                NodeConfig(
                    node=NodeSection(name=founder.name, region=founder.region, id=founder.id, data=home.path),
                    cluster=ClusterSection(id=CLUSTER, founders=tuple(founders), replicas=replicas),
                    tls=TlsSection(
                        mode="mutual" if tls else "off",
                        ca=files / "ca.crt",
                        certificate=files / "node.crt",
                        key=files / "node.key",
                    ),
                    gossip=GossipSection(profile="loopback"),
                    faults=FaultsSection(enabled=True),
                    operators=OperatorsSection(accounts=(OPERATOR.account,)),  # type: ignore[arg-type]
                    **sections,  # type: ignore[arg-type]
                )
            )
        )
    return laid, ca


@asynccontextmanager
async def founded(directory: Path, **shape: Any) -> AsyncIterator[Town]:
    """A running cluster; see `lay_out` for its shape. Ends with all its nodes cut off."""
    nodes, ca = lay_out(directory, **shape)
    async with trio.open_nursery() as nursery:
        town = Town(nodes, ca, nursery)
        try:
            await town.start()
            yield town
        finally:
            nursery.cancel_scope.cancel()
