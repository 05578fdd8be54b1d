"""The daemon: the one file in which all parts of a node meet.

Read it to see who is handed what. Starting: open the store, bind the three ports, learn the topology, begin
to gossip, and only then serve clients. Stopping is the reverse, each step with a deadline. What is
acknowledged is on disk, so a node may also simply be killed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

import trio
from folkmoot.node.account_records import AccountRecords
from folkmoot.node.accounts.parts import AccountParts
from folkmoot.node.actors.coordinator import Coordinator
from folkmoot.node.actors.feed_reader import FeedReader
from folkmoot.node.actors.hinter import Hinter
from folkmoot.node.actors.intake import Intake
from folkmoot.node.actors.membership import MembershipActor
from folkmoot.node.actors.mender import Mender
from folkmoot.node.actors.peer_links import PeerLinks
from folkmoot.node.actors.peer_service import PeerService
from folkmoot.node.actors.reader import Reader
from folkmoot.node.actors.repairer import Repairer
from folkmoot.node.actors.replica import Replica
from folkmoot.node.actors.replicator import Replicator
from folkmoot.node.actors.scrubber import Scrubber
from folkmoot.node.actors.seat_keeper import META_KEY as SEATS_META_KEY
from folkmoot.node.actors.session import Method, Offer, Sessions
from folkmoot.node.actors.topology import META_KEY, TopologyHolder
from folkmoot.node.actors.watcher import Watcher
from folkmoot.node.cluster_view import ClusterView
from folkmoot.node.commits import Commits
from folkmoot.node.community.parts import CommunityParts
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.data_directory import Ready
from folkmoot.node.debug_methods import DebugMethods
from folkmoot.node.description import describe, ready_of
from folkmoot.node.environment import Environment
from folkmoot.node.fault_methods import FaultMethods
from folkmoot.node.figures import figures
from folkmoot.node.founding import found
from folkmoot.node.joining.seeds import Joining
from folkmoot.node.live.parts import LiveParts
from folkmoot.node.media.parts import MediaParts
from folkmoot.node.methods import Identity, Methods
from folkmoot.node.metrics.methods import MetricsMethods
from folkmoot.node.metrics.registry import Registry
from folkmoot.node.metrics.sources import measured
from folkmoot.node.moderation.parts import ModerationParts, gatekeeper_of
from folkmoot.node.moderation.quota import rates_of
from folkmoot.node.movement.parts import MovementParts
from folkmoot.node.projections.parts import ProjectionParts
from folkmoot.node.push_pulls import PUSH_PULL, PushPulls
from folkmoot.node.registers.parts import RegisterParts
from folkmoot.node.remembered import Remembered
from folkmoot.node.restore_methods import RestoreMethods
from folkmoot.node.routing import Router
from folkmoot.node.rpc import run_link
from folkmoot.node.standing.parts import standing_of
from folkmoot.node.supervisor import supervise
from folkmoot.node.transport.interface import Accepted, Address, Datagrams, Listener
from folkmoot.node.upkeep import Upkeep
from folkmoot.protocol import limits
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import PATIENT
from folkmoot.protocol.connection import Params, Request
from folkmoot.protocol.gossip.members import Description, MetaValue
from folkmoot.protocol.gossip.profile import PROFILES
from folkmoot.protocol.gossip.seal import KeyRing
from folkmoot.protocol.ring.topology import WIDEST
from folkmoot.storage.store import Owner

log = logging.getLogger(__name__)

GOODBYE_S = 3.0
DRAIN_S = 10.0


class RunningNode:
    """A node that serves.

    Attributes:
        ready: who it is and where it listens.
    """

    def __init__(self, ready: Ready, parts: _Parts) -> None:
        self.ready = ready
        self._parts = parts

    async def drain(self) -> None:
        """Take no new clients, say goodbye to those there are, and let what was accepted finish.

        A node that is not on the roster then tells the others that it is gone: nobody has to look for it.
        """
        await self._parts.client_listener.aclose()
        self._parts.sessions.say_goodbye()
        with trio.move_on_after(GOODBYE_S):
            await self._parts.sessions.wait_empty()
        with trio.move_on_after(GOODBYE_S):
            await self._parts.leave_unless_a_member()

    async def reload(self, config: NodeConfig) -> None:
        """Apply what a reload can change (see `settings`), or raise FolkmootError and change nothing."""
        self._parts.reload(config)


async def serve(
    config: NodeConfig,
    environment: Environment,
    *,
    task_status: trio.TaskStatus[RunningNode] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a node until cancelled.

    Args:
        config: complete, the node id included.
        environment: the node's outside world.
        task_status: told the running node once it serves clients.

    Raises:
        FolkmootError: it cannot start; the sentence says what to do.
    """
    assert config.node.id is not None, "the node id is filled in before a node starts"
    owner = Owner(bytes.fromhex(config.node.id), config.cluster.id)
    commits = environment.disk.open(config.node.data, owner)
    try:
        network, listen = environment.network, config.listen
        clients = await network.listen_clients(listen.clients)
        peers = await network.listen_peers(listen.peers)
        datagrams = await network.open_datagrams(listen.datagrams or Address(listen.peers.host, 0))
        try:
            await _Parts(config, environment, commits, clients, peers, datagrams).run(task_status)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + DRAIN_S):
                await clients.aclose()
                await peers.aclose()
                await datagrams.aclose()
    finally:
        await commits.aclose()


class _Parts:
    """Everything a node consists of, put together."""

    def __init__(
        self,
        config: NodeConfig,
        environment: Environment,
        commits: Commits,
        client_listener: Listener,
        peer_listener: Listener,
        datagrams: Datagrams,
    ) -> None:
        assert config.node.id is not None
        self.config = config
        self.environment = environment
        self.commits = commits
        self.client_listener = client_listener
        self.peer_listener = peer_listener
        self.datagrams = datagrams
        self.node_id = bytes.fromhex(config.node.id)
        self.service = environment.secrets.service()
        self.ring = KeyRing(environment.secrets.gossip_ring())
        self.remembered = Remembered(commits)
        self.told: dict[str, MetaValue] = {}
        self.metrics = Registry()
        self._join_the_cluster()
        self._keep_cells()
        self._mend_cells()
        self._serve_clients()

    def _join_the_cluster(self) -> None:
        """Membership, links and topology: who is there, how to reach them, who owns what."""
        config, environment = self.config, self.environment
        self.links = PeerLinks(environment.network)
        self.joining = Joining(config.cluster.seeds)
        self.push_pulls = PushPulls(self.links, self.joining, environment.wall)
        kept = None if config.cluster.refound else self.remembered.topology()
        self.founded = found(config, self.service.account)
        self.registers = RegisterParts(
            self.node_id, self.founded, self.commits, self.links, environment.random, self._announce_seats
        )
        self.topology = TopologyHolder(
            config.cluster.id,
            kept or self.founded,
            self.remembered.keep_topology,
            self.links,
            self._announce_topology,
            self.registers.topology.decided,
        )
        self.membership = MembershipActor(
            environment=environment,
            cluster=config.cluster.id,
            node_id=self.node_id,
            description=self._description(),
            datagrams=self.datagrams,
            ring=self.ring,
            profile=PROFILES[config.gossip.profile],
            seeds=[*config.cluster.seeds, *self.remembered.addresses()],
            load=self.remembered.numbers,
            store=self.remembered.keep_numbers,
            ask_peer=self.push_pulls.ask,
        )
        self.links.follow(self.membership, self.membership)
        self.push_pulls.follow(self.membership)
        self.registers.follow(self.topology, self.membership)
        self.standing, self.recollection = standing_of(self)
        self.accounts, self.gatekeeper = AccountParts(self), gatekeeper_of(config, environment)
        self.community = CommunityParts(self, self.gatekeeper, self._tell)
        self.moderation = ModerationParts(self, self.community.roles, self.gatekeeper)
        region, gossip = config.node.region, self.membership
        self.router = Router(self.node_id, region, self.topology, gossip, self.standing.counts)

    def _keep_cells(self) -> None:
        """Replica, replication, hints and repair: what this node keeps, and how it stays equal to others."""
        environment, wall = self.environment, self.environment.wall
        self.hinter = Hinter(self.commits, self.topology, self.membership, self.links, wall.now_us)
        self.replicator = Replicator(self.links, self.topology, self.hinter.leave, self.standing)
        kept = self.node_id, self.commits, self.topology, self.membership, self.replicator
        self.replica = Replica(*kept, environment.executor, wall, self.topology.service_accounts)
        self.upkeep, self.live = Upkeep(self.commits, environment.executor), LiveParts(self)
        self.repairer = Repairer(
            self.node_id,
            lambda: self.topology.current().ranges,
            self.commits.store.view,
            self.replica,
            self.upkeep,
            self.topology,
            self.membership,
            self.links,
            environment.executor,
            environment.random,
            limits.REPAIR_INTERVAL_S,
            self.live.proofs,
        )
        self._move_cells()
        own, executor, topology = self.replica, environment.executor, self.topology
        self.records = AccountRecords(self.router, topology, self.links, own, self.commits.store)
        self.reader = Reader(self.router, topology, self.links, own)
        self.projections, self.media = ProjectionParts(self, self.reader), MediaParts(self)
        self.live.opens.update(self.projections.opens())
        others = {PUSH_PULL: self.push_pulls.answer, **topology.methods(), **self.repairer.methods()}
        others |= self.accounts.peer_methods(self.router, self.standing, own)
        rooms = self.movement, self.records, self.projections, self.media, self.registers, self.community
        others |= {name: answer for each in rooms for name, answer in each.peer_methods().items()}
        others |= self.moderation.peer_methods(self.router, self.reader, own)
        others |= {**self.recollection.methods(), **self.live.begin(self.router, topology)}
        self.peer_service = PeerService(own, own, topology, executor, self.standing, others)
        self.watcher = Watcher(
            self.membership,
            on_roster=self._on_roster,
            returned=self._member_returned,
            keep_addresses=self.remembered.keep_addresses,
        )

    def _move_cells(self) -> None:
        """What brings ranges to where they are to be: see `movement.parts`."""
        counts, is_founder = self.standing.counts, self.founded is not None
        kept = self.replica, self.upkeep
        self.movement: MovementParts = MovementParts(self, *kept, is_founder=is_founder, counts=counts)

    def _mend_cells(self) -> None:
        """What finds and puts right what this node's disk has lost."""
        commits, executor, wall = self.commits, self.environment.executor, self.environment.wall
        hours, upkeep = self.config.store.scrub_hours, self.upkeep
        self.mender = Mender(self.node_id, commits.store, upkeep, self.remembered, self.topology, self.links)
        self.scrubber = Scrubber(commits, upkeep, self.remembered, executor, wall, hours)

    def _serve_clients(self) -> None:
        """Gate, coordination, reads and sessions: what clients see."""
        config, environment = self.config, self.environment
        wall, executor, keys = environment.wall, environment.executor, self.accounts.keys
        coordinator = Coordinator(self.router, self.topology, self.links, self.replica)
        gate = self.accounts.key_gate(coordinator, config.gate.cut_off_hours)
        reader, projections = self.reader, self.projections
        self.intake = Intake(
            *(wall, executor, self.gatekeeper, coordinator, gate, self.service, trio.current_time),
            *(projections.pressure.admit, self.moderation.deciders.refusal, self.moderation.drawing.judged),
        )
        feeds = FeedReader(self.router, self.topology, self.links, self.replica, reader)
        me = Identity.of(config, self.node_id, environment.versions)
        told, seats, members = partial(figures, self), self.registers.acceptor, self.membership.members
        view = ClusterView(config.cluster, self.topology, seats, members, self.standing.state_of, told)
        now_ms, roles_of, reviews = self._now_ms, self.community.roles.of, self.moderation.deciders.reviews
        methods = Methods(me, reader, projections.author_pages(feeds), keys, roles_of, now_ms, view)
        debug = DebugMethods(self.commits.store, lambda: self.topology.current().ranges)
        restoring = RestoreMethods(self.router, reader, self.topology, self.links, self.replica, executor)
        table: dict[str, Method] = {**methods.table(), **debug.table(), **restoring.table()}
        rooms = self.registers, self.movement, self.community, projections
        table |= {name: method for each in rooms for name, method in each.client_methods().items()}
        table |= self.records.client_methods(reader)
        table |= self.accounts.client_methods(reader, feeds, reviews, self.gatekeeper)
        self.metrics.add(partial(measured, self))
        table |= {**self.media.client_methods(keys), **MetricsMethods(self.metrics, executor).table()}
        table |= self.moderation.client_methods(self.intake, coordinator, gate)
        if config.faults.enabled:
            table |= FaultMethods(environment.faults).table()
        immediate = {**methods.immediate(), **projections.immediate()}
        refusal, streams = self.movement.refusal, self.live.subscriptions
        offer = Offer(methods.hello, immediate, table, self.intake, now_ms, refusal, streams)
        self.sessions = Sessions(offer, partial(environment.random.randbytes, limits.CHALLENGE_BYTES))
        keys.watch(self.sessions.forget_revoked)
        self.community.watch(self.sessions.look_at_roles)

    async def run(self, task_status: trio.TaskStatus[RunningNode]) -> None:
        """Start everything, in order; end when one part fails beyond repair."""
        await self.remembered.begin_boot(self.membership.boot)
        await self.gatekeeper.open()
        await self.community.open()
        await self.accounts.gate.open()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.commits.watch)
            await nursery.start(self.links.run)
            for actor in (self.replicator, self.peer_service, self.intake):
                await nursery.start(actor.run)
            await self.registers.begin(nursery, forget=self.config.cluster.refound)
            nursery.start_soon(self.peer_listener.serve, self._serve_peer)
            await nursery.start(self.standing.run, [*self.config.cluster.seeds, *self.remembered.addresses()])
            await self.topology.begin()
            await nursery.start(self.membership.run)
            nursery.start_soon(supervise, "topology", partial(self.topology.follow, self.membership))
            await self.joining.wait(self.topology.wait_learned)
            own: dict[str, Any] = {"watcher": self.watcher.run, "hinter": self.hinter.run}
            own |= {"repairer": self.repairer.run, "mender": self.mender.run, "scrubber": self.scrubber.run}
            own |= {**self.community.actors(), **self.moderation.actors()}
            for parts in (self.movement, self.accounts, self.projections, self.live, self.media):
                own |= parts.actors()
            for name, child in own.items():
                nursery.start_soon(supervise, name, child)
            nursery.start_soon(self.client_listener.serve, self.sessions.serve)
            task_status.started(RunningNode(self._ready(), self))

    async def leave_unless_a_member(self) -> None:
        """Tell the others that this node is gone, unless it is on the roster: then it is missed."""
        if not self._on_roster(self.node_id):
            await self.membership.leave()

    def reload(self, config: NodeConfig) -> None:
        """Apply what a reload can change."""
        keys = self.environment.secrets.gossip_ring()  # first: it may be unreadable
        self.gatekeeper.reconfigure(config.gate.policy, rates_of(config.gate))
        self.media.reload(config)
        self.ring.replace(keys)
        self.community.reconfigure(config.operators.accounts)

    async def _serve_peer(self, accepted: Accepted) -> None:
        node_id = accepted.node_id
        assert node_id is not None, "the peers' port knows who calls"

        async def answer(link: Link, method: str, params: Params) -> Any:
            return await self.peer_service.answer(node_id, method, params)

        def take_joins(link: Link, requests: list[Request]) -> list[Request]:
            self.membership.stream_alive(node_id)
            self.recollection.hear_requests(node_id, requests)
            return self.peer_service.take_joins(link, requests)

        link = await run_link(accepted.stream, answer, take_batch=take_joins, settings=PATIENT)
        if link.ended is None or link.ended.goodbye is None:
            self.membership.connection_reset(node_id)

    def _announce_topology(self, summary: bytes) -> None:
        self._tell({META_KEY: summary})
        if (roster := self.topology.roster) is not None:
            self.membership.learn_roster(frozenset(node.node_id for node in roster.nodes))

    def _announce_seats(self, number: int) -> None:
        self._tell({SEATS_META_KEY: number})

    def _tell(self, facts: Mapping[str, MetaValue]) -> None:
        """Have gossip say more of this node."""
        self.told = {**self.told, **facts}
        self.membership.update_meta(self.told)

    def _on_roster(self, node_id: bytes) -> bool:
        """Whether a node is on the roster; as long as this one knows none, anyone may be."""
        return self.topology.roster is None or node_id in self.topology.roster

    def _member_returned(self, node_id: bytes) -> None:
        self.links.forgive(node_id)
        self.standing.wake()
        self.repairer.has_returned(node_id)
        self.mender.has_returned(node_id)
        self.accounts.follower.look_now()

    def _now_ms(self) -> int:
        return self.environment.wall.now_us() // 1000

    def _description(self) -> Description:
        ports = (self.peer_listener.address, self.datagrams.address, self.client_listener.address)
        widest: dict[str, MetaValue] = {META_KEY: WIDEST.encode(), SEATS_META_KEY: limits.CONFIGURATION_MAX}
        return describe(self.config, *ports, self.told, {**widest, **CommunityParts.WIDEST})

    def _ready(self) -> Ready:
        ports = (self.client_listener.address, self.peer_listener.address, self.datagrams.address)
        return ready_of(self.config, self.environment.process_id, *ports)
