"""A world: nodes that run the production daemon on simulated time, network and disks.

Nothing of a node is replaced but its `Environment`. A crash is what a power cut is: the network and the disk
stop first, in the middle of whatever they did, and only then is the process cancelled, so that nothing it
does while it dies can be seen from outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

import trio
from folkmoot.node import daemon
from folkmoot.node.configuration.values import read_address
from folkmoot.node.environment import Environment
from folkmoot.node.simulation.coverage import Coverage
from folkmoot.node.simulation.determinism import Freezer, frozen_by
from folkmoot.node.simulation.disk import SimulatedDisk
from folkmoot.node.simulation.files import SimulatedFiles
from folkmoot.node.simulation.layout import (
    FEEDS,
    Member,
    delay_between,
    elsewhere,
    lay_out,
    ranges_of,
    successor,
)
from folkmoot.node.simulation.links import Delay
from folkmoot.node.simulation.logged_errors import Process, errors_into, running_in
from folkmoot.node.simulation.network import HostNetwork, SimulatedNetwork
from folkmoot.node.simulation.next_version import NEXT_VERSION, NextVersionNetwork
from folkmoot.node.simulation.ownership import newest_ranges
from folkmoot.node.simulation.surroundings import SKEW_US_MAX, InlineExecutor, SimulatedWallClock
from folkmoot.node.simulation.trace import Trace
from folkmoot.node.simulation.wiretap import Tap
from folkmoot.node.simulation.witness import Witness
from folkmoot.node.standing.lives import NodeCloned
from folkmoot.node.transport.faults import LinkFaults
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.messages import VERSIONS
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.storage.errors import StorageError
from folkmoot.storage.memory_engine import MemoryEngine

DEATH_S_MAX: Final = 60.0
NOTICED_S: Final = 1.0
"""Until an operator sees that a process has ended by itself."""


@dataclass(slots=True, eq=False)
class SimulatedNode:
    """One node, through all its boots.

    Attributes:
        member: who it is.
        wall, disk: outlive its crashes.
        up: whether its daemon runs (it may not serve yet).
        clients, peers: where it serves clients and peers; None while it does not.
        boots: how often it was started.
        running: the daemon of the latest boot that served.
        versions: of the contract on the wire, those that it speaks from its next boot on.
        lost: whether it is gone for good, disk and all.
        freezer: holds all tasks of its daemon, and of its disk, when it is frozen.
    """

    member: Member
    wall: SimulatedWallClock
    disk: SimulatedDisk
    up: bool = False
    clients: Address | None = None
    peers: Address | None = None
    boots: int = 0
    running: daemon.RunningNode | None = None
    versions: tuple[int, int] = VERSIONS
    lost: bool = False
    freezer: Freezer = field(default_factory=Freezer)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)

    @property
    def name(self) -> str:
        """As in its configuration."""
        return self.member.name

    @property
    def host(self) -> str:
        """Its address."""
        return self.member.host

    @property
    def node_id(self) -> bytes:
        """16 bytes."""
        return self.member.node_id


class World:
    """See the module; made by `running`.

    Args:
        seed: decides everything.
        node_count: at least 1; regions are given round robin.
        nursery: where nodes and disks run.

    Attributes:
        versions_agreed: (highest offered, agreed upon) → how many connections of clients.
        errors: what living nodes logged as errors, or ended with.
        expected_errors: what such a sentence says when it was made to happen.
        disks_lost: whether what only one disk had may be lost.
        copies: second processes of nodes.
        feeds: the settings of feeds.
        gone: nodes that were lost; others are in their places among `nodes`.
    """

    def __init__(self, seed: str, node_count: int, nursery: trio.Nursery) -> None:
        self.seed = seed
        self.trace = Trace()
        self.witness = Witness()
        self.coverage = Coverage()
        self.versions_agreed: Counter[tuple[int, int]] = Counter()
        self.errors: list[str] = []
        self.expected_errors: set[str] = set()
        self.disks_lost = False
        self.copies: list[SimulatedNode] = []
        self.gone: list[SimulatedNode] = []
        self._over = False
        self.network = SimulatedNetwork(self.random("network"), self.trace, self._delay_of, self._tap_at)
        self._nursery = nursery
        self._serving = trio.lowlevel.ParkingLot()
        random = self.random("cluster")
        self.feeds = self.random("feeds").choice(FEEDS)
        members = lay_out(random, node_count, self.feeds)
        self._regions = {member.host: member.region for member in members}
        skews_us = [random.randint(-SKEW_US_MAX, SKEW_US_MAX) for _ in members]
        self.nodes = [
            self._make_node(member, skew_us, member.name)
            for member, skew_us in zip(members, skews_us, strict=True)
        ]
        self._founded = ranges_of(members[0])

    @classmethod
    @asynccontextmanager
    async def running(cls, seed: str, node_count: int) -> AsyncIterator[World]:
        """A world whose nodes are started, and crashed at the end, however it comes."""
        async with trio.open_nursery() as nursery:
            world = cls(seed, node_count, nursery)
            with errors_into(world.errors):
                for node in world.nodes:
                    world.start(node)
                try:
                    yield world
                finally:
                    # Even when a run fails: nobody may be left waiting for a disk that is cancelled.
                    world._cut_power()
                await world._ended()
                nursery.cancel_scope.cancel()

    @property
    def ranges(self) -> RangeMap:
        """Who owns what now."""
        return newest_ranges(self._founded, [node.disk.engine for node in self.nodes])

    def unexpected_errors(self) -> tuple[str, ...]:
        """The errors of living nodes, but for those that were made to happen."""
        return tuple(
            error for error in self.errors if not any(said in error for said in self.expected_errors)
        )

    def wall_clocks(self) -> dict[str, int]:
        """What each node's wall clock says now, microseconds since 1970, by the node's name."""
        return {node.name: node.wall.now_us() for node in self.nodes}

    def services(self) -> dict[str, bytes]:
        """The account that each node signs labels with, by the node's name; of lost ones, too."""
        return {node.name: node.member.secrets.key.account for node in (*self.nodes, *self.gone)}

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
        self.thaw(node)

    def freeze(self, node: SimulatedNode, *, machine: bool) -> None:
        """Stop a node as it is, until it is thawed: by SIGSTOP, by a pause of its virtual machine.

        Then it goes on with what it was at, knows what it knew, and is late with everything; no timer waits
        for it. A crash thaws it, too, for its tasks have to end.

        Args:
            node: one that is up and not frozen.
            machine: whether its kernel stops as well, so that nothing reaches it. Else streams are accepted
                and fill up, and datagrams wait for it, as far as there is room.
        """
        self.trace.note(f"freeze {node.name}")
        node.freezer.freeze()
        if machine:
            self.network.links.freeze(node.host)

    def thaw(self, node: SimulatedNode) -> None:
        """Let a node go on, if it is frozen."""
        if node.freezer.frozen:
            self.trace.note(f"thaw {node.name}")
            node.freezer.thaw()
            self.network.links.thaw(node.host)

    def clone(self, node: SimulatedNode, copy: MemoryEngine, files: SimulatedFiles) -> SimulatedNode:
        """Boot a second process of a node on a copy of its disk, on a host of its own."""
        number = len(self.copies) + 1
        member = elsewhere(node.member, f"127.0.2.{number}")
        self._regions[member.host] = member.region
        clone = self._make_node(member, node.wall.skew_us, f"{node.name}-copy-{number}")
        clone.disk.engine, clone.disk.files = copy, files
        self.copies.append(clone)
        self.start(clone)
        return clone

    def lose(self, node: SimulatedNode) -> None:
        """Take a node away for good, disk and all."""
        self.trace.note(f"lose {node.name}")
        self.disks_lost = True
        node.lost = True
        if node.up:
            self.crash(node)
        self.witness.forget(node.disk.node)

    def succeed(self, number: int) -> SimulatedNode:
        """Boot a new node in the place of a lost one: at its address, its disk empty, unknown to all."""
        lost = self.nodes[number]
        assert lost.lost, f"{lost.name} is not lost"
        self.gone.append(lost)
        generation = sum(gone.host == lost.host for gone in self.gone) + 1
        random = self.random(f"{lost.host}/{generation}")
        member = successor(lost.member, random, f"n{number + 1}-{generation}")
        node = self._make_node(member, random.randint(-SKEW_US_MAX, SKEW_US_MAX), member.name)
        self.nodes[number] = node
        self.start(node)
        return node

    async def stop(self, node: SimulatedNode) -> None:
        """Stop a node in good order, as a signal does; one that is frozen notices it when it is thawed."""
        assert node.up and node.running is not None, f"{node.name} does not run"
        boot = node.boots
        await node.freezer.wait_thawed()
        if not node.up or node.boots != boot:
            return
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

    def _cut_power(self) -> None:
        """Crash what is up, for good."""
        self._over = True
        for node in (*self.nodes, *self.copies):
            if node.up:
                self.crash(node)

    async def _ended(self) -> None:
        """Wait until nothing of any node runs: disks work until then."""
        with trio.fail_after(DEATH_S_MAX):
            for node in (*self.nodes, *self.copies, *self.gone):
                await node.ended.wait()

    async def _run(self, node: SimulatedNode, network: HostNetwork) -> None:
        running_in.set(Process(node.name, lambda: node.up))
        frozen_by.set(node.freezer)
        environment = Environment(
            wall=node.wall,
            random=self.random(f"{node.disk.node}/{node.boots}"),
            network=NextVersionNetwork(network) if node.versions[1] == NEXT_VERSION else network,
            disk=node.disk,
            indexes=node.disk.indexes,
            searches=InlineExecutor(),
            executor=InlineExecutor(),
            secrets=node.member.secrets,
            faults=LinkFaults(self.random(f"{node.disk.node}/{node.boots}/faults")),
            process_id=node.boots,
            versions=node.versions,
            media=node.disk.media(node.member.config.media),
        )
        scope, ended = node.scope, node.ended
        try:
            with scope:
                async with trio.open_nursery() as nursery:
                    serving = await nursery.start(partial(daemon.serve, node.member.config, environment))
                    node.running = serving
                    node.clients = read_address(serving.ready.address)
                    node.peers = read_address(serving.ready.peers)
                    self._serving.unpark_all()
        except Exception as error:
            # What a dying process raises is nobody's business; a living one has no reason to.
            if not scope.cancel_called:
                if self.copies and is_all(error, NodeCloned):
                    self.trace.note(f"refused {node.disk.node}")
                    if node not in self.copies:
                        self._nursery.start_soon(self._start_again, node)
                elif node.disk.has_failed and is_all(error, StorageError):
                    self.trace.note(f"stopped {node.disk.node}")
                else:
                    self.errors.append(f"{node.name} ended: {error!r}")
                self.crash(node)
        finally:
            ended.set()

    async def _start_again(self, node: SimulatedNode) -> None:
        """Boot the process that ended because a copy was accepted, once an operator has seen that.

        While the copy runs that would be in vain: who ends that one boots the node as well.
        """
        await trio.sleep(NOTICED_S)
        copied = any(copy.up and copy.node_id == node.node_id for copy in self.copies)
        if not (copied or node.up or node.lost or self._over):
            self.start(node)

    def _tap_at(self, host: str) -> Tap:
        """Listens in on what other nodes ask the process on a host."""
        node = next(node for node in (*self.nodes, *self.copies) if node.host == host)
        return Tap(node.disk.node, self.witness)

    def _delay_of(self, source: str, target: str) -> Delay:
        return delay_between(self._regions.get(source), self._regions.get(target))

    def _make_node(self, member: Member, skew_us: int, disk_name: str) -> SimulatedNode:
        def crash() -> None:
            self.crash(node)

        disk = SimulatedDisk(
            disk_name,
            self.random(f"{disk_name}/disk"),
            self.trace,
            self.witness,
            self._nursery,
            crash,
        )
        node = SimulatedNode(member, SimulatedWallClock(skew_us), disk)
        return node


def is_all(error: BaseException, kind: type[Exception]) -> bool:
    """Whether a process ended because of errors of one kind alone."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_all(each, kind) for each in error.exceptions)
    return isinstance(error, kind)
