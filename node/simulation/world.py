"""A world: nodes that run the production daemon on simulated time, network and disks.

Nothing of a node is replaced but its `Environment`. A crash is what a power cut is: the network and the disk
stop first, in the middle of whatever they did, and only then is the process cancelled, so that nothing it
does while it dies can be seen from outside.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, TypeVar

import trio
from folkmoot import configs
from folkmoot.node import daemon
from folkmoot.node.config_values import read_address
from folkmoot.node.environment import Environment
from folkmoot.node.founding import found
from folkmoot.node.settings import (
    AccountId,
    ClusterSection,
    Founder,
    GateSection,
    GossipSection,
    ListenSection,
    NodeConfig,
    NodeSection,
    TlsSection,
)
from folkmoot.node.simulation.disk import SimulatedDisk
from folkmoot.node.simulation.links import Delay
from folkmoot.node.simulation.network import HostNetwork, SimulatedNetwork
from folkmoot.node.simulation.trace import Trace
from folkmoot.node.simulation.witness import Witness
from folkmoot.node.transport.faults import LinkFaults
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.ring.ranges import RangeMap

T = TypeVar("T")

REGIONS: Final = ("eu", "us", "ap")
EPOCH_US: Final = 1_800_000_000_000_000  # virtual time 0 on the wall
SKEW_US_MAX: Final = 200_000
NEAR: Final = Delay(0.0005, 0.001)
FAR: Final = Delay(0.02, 0.02)
DEATH_S_MAX: Final = 60.0
FIXED_PORTS: Final = 2
POLICY: Final = Path(configs.__file__).parent / "policies" / "strict.toml"
LOG = logging.getLogger("folkmoot")

_running_in: contextvars.ContextVar[SimulatedNode | None] = contextvars.ContextVar("node", default=None)


class SimulatedWallClock:
    """A wall clock that is off.

    Args:
        skew_us: always by so much, in microseconds.

    Attributes:
        jump_us: for a while by so much more.
    """

    def __init__(self, skew_us: int) -> None:
        self.skew_us = skew_us
        self.jump_us = 0

    def now_us(self) -> int:
        """See `environment.WallClock`."""
        return EPOCH_US + int(trio.current_time() * 1_000_000) + self.skew_us + self.jump_us


class InlineExecutor:
    """Runs work at once: threads would race virtual time."""

    async def run(self, work: Callable[[], T]) -> T:
        """See `environment.Executor`."""
        await trio.lowlevel.checkpoint()
        return work()


@dataclass(frozen=True, slots=True)
class SimulatedSecrets:
    """A node's keys.

    Args:
        key: the service account's.
        ring: the cluster's gossip keys.
    """

    key: KeyPair
    ring: tuple[bytes, ...]

    def service(self) -> KeyPair:
        """See `environment.Secrets`."""
        return self.key

    def gossip_ring(self) -> tuple[bytes, ...]:
        """See `environment.Secrets`."""
        return self.ring


@dataclass(slots=True, eq=False)
class SimulatedNode:
    """One node, through all its boots.

    Attributes:
        up: whether its daemon runs (it may not serve yet).
        clients, peers: where it serves clients and peers; None while it does not.
        boots: how often it was started.
        running: the daemon of the latest boot that served.
    """

    name: str
    host: str
    node_id: bytes
    region: str
    config: NodeConfig
    secrets: SimulatedSecrets
    wall: SimulatedWallClock
    disk: SimulatedDisk
    up: bool = False
    clients: Address | None = None
    peers: Address | None = None
    boots: int = 0
    running: daemon.RunningNode | None = None
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)


class World:
    """See the module; made by `running`.

    Args:
        seed: decides everything.
        node_count: at least 1; regions are given round robin.
        nursery: where nodes and disks run.
    """

    def __init__(self, seed: str, node_count: int, nursery: trio.Nursery) -> None:
        self.seed = seed
        self.trace = Trace()
        self.witness = Witness()
        self.errors: list[str] = []
        self.network = SimulatedNetwork(self.random("network"), self.trace, self._delay_of)
        self._nursery = nursery
        self._serving = trio.lowlevel.ParkingLot()
        self._regions: dict[str, str] = {}
        self.nodes = self._make_nodes(node_count)
        self.ranges = self._make_ranges()

    @classmethod
    @asynccontextmanager
    async def running(cls, seed: str, node_count: int) -> AsyncIterator[World]:
        """A world whose nodes are started, and crashed at the end."""
        async with trio.open_nursery() as nursery:
            world = cls(seed, node_count, nursery)
            nursery.start_soon(world.network.run)
            with _errors_into(world.errors):
                for node in world.nodes:
                    world.start(node)
                yield world
                await world._stop()
                nursery.cancel_scope.cancel()

    def random(self, tag: str) -> Random:
        """A generator of its own for whatever `tag` names."""
        return Random(f"{self.seed}/{tag}")  # noqa: S311 - repeatable on purpose

    def start(self, node: SimulatedNode) -> None:
        """Boot a node whose earlier boot has ended."""
        assert not node.up, f"{node.name} is up already"
        node.up = True
        node.boots += 1
        node.scope, node.ended = trio.CancelScope(), trio.Event()
        self.trace.note(f"boot {node.name} {node.boots}")
        self._nursery.start_soon(self._run, node, self.network.boot(node.host, node.node_id))

    def crash(self, node: SimulatedNode) -> None:
        """Cut a node's power."""
        assert node.up, f"{node.name} is down already"
        node.up = False
        node.clients = node.peers = None
        self.trace.note(f"crash {node.name}")
        self.network.crash(node.host)
        node.disk.crash()
        node.scope.cancel()

    async def stop(self, node: SimulatedNode) -> None:
        """Stop a node in good order, as a signal does."""
        assert node.up and node.running is not None, f"{node.name} does not run"
        self.trace.note(f"stop {node.name}")
        node.clients = node.peers = None
        with trio.fail_after(DEATH_S_MAX):
            await node.running.drain()
            node.scope.cancel()
            await node.ended.wait()
        if node.up:  # and no crash overtook it
            node.up = False
            self.network.crash(node.host)

    async def restart(self, node: SimulatedNode) -> None:
        """Boot a node that is down again, once its tasks are gone."""
        with trio.fail_after(DEATH_S_MAX):
            await node.ended.wait()
        self.start(node)

    async def wait_serving(self, nodes: Sequence[SimulatedNode], within_s: float) -> None:
        """Wait until all of these serve clients.

        Raises:
            trio.TooSlowError: one of them does not in time.
        """
        with trio.fail_after(within_s):
            while any(node.clients is None for node in nodes):
                await self._serving.park()

    def replicas_of(self, key: bytes) -> list[SimulatedNode]:
        """The nodes that hold the range of `key`."""
        wanted = self.ranges.lookup(key).nodes()
        return [node for node in self.nodes if node.node_id in wanted]

    async def _stop(self) -> None:
        """Crash what is up, and wait until nothing of it runs: disks work until then."""
        for node in self.nodes:
            if node.up:
                self.crash(node)
        with trio.fail_after(DEATH_S_MAX):
            for node in self.nodes:
                await node.ended.wait()

    async def _run(self, node: SimulatedNode, network: HostNetwork) -> None:
        _running_in.set(node)
        environment = Environment(
            wall=node.wall,
            random=self.random(f"{node.name}/{node.boots}"),
            network=network,
            disk=node.disk,
            executor=InlineExecutor(),
            secrets=node.secrets,
            faults=LinkFaults(self.random(f"{node.name}/{node.boots}/faults")),
            process_id=node.boots,
        )
        scope, ended = node.scope, node.ended
        try:
            with scope:
                async with trio.open_nursery() as nursery:
                    serving = await nursery.start(partial(daemon.serve, node.config, environment))
                    node.running = serving
                    node.clients = read_address(serving.ready.address)
                    node.peers = read_address(serving.ready.peers)
                    self._serving.unpark_all()
        except Exception as error:
            # What a dying process raises is nobody's business; a living one has no reason to.
            if not scope.cancel_called:
                self.errors.append(f"{node.name} ended: {error!r}")
                self.crash(node)
        finally:
            ended.set()

    def _delay_of(self, source: str, target: str) -> Delay:
        """Hosts without a region (clients) are near everyone."""
        here, there = self._regions.get(source), self._regions.get(target)
        return NEAR if here is None or there is None or here == there else FAR

    def _make_nodes(self, count: int) -> list[SimulatedNode]:
        random = self.random("cluster")
        ring = (random.randbytes(32),)
        founders: list[Founder] = []
        secrets: list[SimulatedSecrets] = []
        for index in range(count):
            secrets.append(SimulatedSecrets(KeyPair(random.randbytes(SEED_BYTES)), ring))
            founders.append(
                Founder(
                    id=random.randbytes(16).hex(),
                    name=f"n{index + 1}",
                    region=REGIONS[index % len(REGIONS)],
                    service_account=AccountId(secrets[index].key.account),
                )
            )
        return [self._make_node(index, tuple(founders), secrets[index], random) for index in range(count)]

    def _make_node(
        self, index: int, founders: tuple[Founder, ...], secrets: SimulatedSecrets, random: Random
    ) -> SimulatedNode:
        founder = founders[index]
        host = host_of(index)
        self._regions[host] = founder.region
        wall = SimulatedWallClock(random.randint(-SKEW_US_MAX, SKEW_US_MAX))

        def crash() -> None:
            self.crash(node)

        disk = SimulatedDisk(
            founder.name,
            self.random(f"{founder.name}/disk"),
            self.trace,
            self.witness,
            self._nursery,
            crash,
        )
        config = _config(index, founders)
        node = SimulatedNode(
            founder.name, host, bytes.fromhex(founder.id), founder.region, config, secrets, wall, disk
        )
        return node

    def _make_ranges(self) -> RangeMap:
        """The map every founder computes; it does not change before topology moves by consensus."""
        node = self.nodes[0]
        topology = found(node.config, node.secrets.key.account)
        assert topology is not None, "every simulated node is a founder"
        return topology.ranges


def host_of(index: int) -> str:
    """The host of node number `index`, from 0."""
    return f"127.0.1.{index + 1}"


def _config(index: int, founders: tuple[Founder, ...]) -> NodeConfig:
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
            seeds=seeds,
            founders=founders,
            replicas=dict.fromkeys(regions, 1) if len(regions) == len(REGIONS) else len(founders),
        ),
        listen=ListenSection(
            clients=Address(host, 7000 if fixed else 0),
            peers=Address(host, 7001 if fixed else 0),
            datagrams=Address(host, 7002 if fixed else 0),
        ),
        tls=TlsSection(mode="off"),
        gossip=GossipSection(profile="lan"),
        gate=GateSection(policy=POLICY, account_rate=60_000.0, account_burst=60_000, address_rate=60_000.0),
    )


@contextmanager
def _errors_into(errors: list[str]) -> Iterator[None]:
    """Collect errors that are logged, and nothing else of the log."""
    collector = _ErrorCollector(errors)
    before = LOG.level, LOG.propagate
    LOG.addHandler(collector)
    LOG.setLevel(logging.ERROR)
    LOG.propagate = False
    try:
        yield
    finally:
        LOG.setLevel(before[0])
        LOG.propagate = before[1]
        LOG.removeHandler(collector)


class _ErrorCollector(logging.Handler):
    """Collects what living nodes log as errors: production code logs its bugs and goes on."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors
        self._format = logging.Formatter("%(name)s: %(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        node = _running_in.get()
        if node is None or node.up:
            name = "?" if node is None else node.name
            self._errors.append(f"{name} logged: {self._format.format(record)}")
