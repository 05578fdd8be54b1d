"""The membership actor: one task that feeds the gossip core and carries out its effects, in order.

Everything that happens reaches the core through this task: opened datagrams and push-pull traffic through a
bounded mailbox that sheds when full, evidence from peer links through a control lane that holds each event
once and is served first. Only two observations bypass it, because they change nothing but a number: bytes
seen on a stream, and the lag of the event loop.

Order of effects: what must be durable is stored before anything of the same call is sent, and a push-pull is
answered after that.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from types import MappingProxyType
from typing import Protocol

import trio
from folkmoot.node.environment import WallClock
from folkmoot.node.gossip_port import GossipPort, GossipTraffic
from folkmoot.node.standing.boot_numbers import Numbers, next_numbers
from folkmoot.node.transport.interface import Address, Datagrams
from folkmoot.protocol.errors import BUSY, FolkmootError, WireError
from folkmoot.protocol.gossip import events, push_pull
from folkmoot.protocol.gossip.members import NOWHERE, Description, Endpoint, Member, MetaValue, State
from folkmoot.protocol.gossip.membership import Membership, MembershipStatistics
from folkmoot.protocol.gossip.profile import Profile
from folkmoot.protocol.gossip.seal import KeyRing, Opener, Sealer
from folkmoot.protocol.limits import GOSSIP_MAIL

log = logging.getLogger(__name__)

_LEAVE_GOSSIP_ROUNDS = 3


class Surroundings(Protocol):
    """What of its environment a membership uses."""

    @property
    def wall(self) -> WallClock: ...

    @property
    def random(self) -> Random: ...


AskPeer = Callable[[Address, bytes | None, bytes], Awaitable[push_pull.Answer]]


class _Asked:
    """A peer's push-pull request on its way through the mailbox, and the place for its answer."""

    def __init__(self, request: push_pull.Request) -> None:
        self.event = events.PushPullAsked(request)
        self.answered = trio.Event()
        self.answer = b""


class MembershipActor:
    """One node's membership, running.

    Args:
        environment: wall clock (for the boot number) and random generator.
        cluster: the cluster's id; datagrams of another one do not open.
        node_id: 16 bytes.
        description: what this node says of itself, with the addresses others are to use.
        datagrams: the bound gossip port.
        ring: the gossip keys; replace its keys to rotate.
        profile: the timings.
        seeds: peers' ports to ask first.
        load: the numbers of earlier boots, or None at the first.
        store: makes the numbers durable before it returns.
        ask_peer: carries an encoded push-pull request to a peer and returns the answer, which is proven to
            come from the node it names; raises `FolkmootError` when there is no such answer. With node id
            None whoever is at the address may give it.
    """

    def __init__(
        self,
        *,
        environment: Surroundings,
        cluster: str,
        node_id: bytes,
        description: Description,
        datagrams: Datagrams,
        ring: KeyRing,
        profile: Profile,
        seeds: Sequence[Address],
        load: Callable[[], Numbers | None],
        store: Callable[[Numbers], Awaitable[None]],
        ask_peer: AskPeer,
    ) -> None:
        self._profile = profile
        self._store = store
        self._ask_peer = ask_peer
        self._numbers = next_numbers(load(), environment.wall.now_us())
        self._core = Membership(
            Member.alive(node_id, description, self._numbers.incarnation),
            [Endpoint(*seed) for seed in seeds],
            profile,
            environment.random,
            trio.current_time(),
        )
        self._port = GossipPort(
            datagrams,
            Sealer(ring, cluster, node_id, self._numbers.boot),
            Opener(ring, cluster),
            environment.random,
        )
        self._control: dict[events.Event, None] = {}
        self._meta: Mapping[str, MetaValue] | None = None
        self._roster: frozenset[bytes] | None = None
        self._roster_is_new = False
        self._mail: deque[events.Event | _Asked] = deque()
        self._woken = trio.Event()
        self._changed = trio.Event()
        self._left = trio.Event()
        self._version = 0
        self._members: Mapping[bytes, Member] | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Gossip until cancelled."""
        # After a failure this runs again, perhaps with an incarnation that could not be stored then.
        self._numbers = replace(self._numbers, incarnation=self.own.incarnation)
        await self._store(self._numbers)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._port.receive, self._mail_nowait)
            task_status.started()
            while True:
                await self._turn(nursery)

    # What the rest of the node asks.

    @property
    def own(self) -> Member:
        """This node as it wants to be known."""
        return self._core.own

    @property
    def boot(self) -> int:
        """The number of this boot."""
        return self._numbers.boot

    @property
    def version(self) -> int:
        """Counts the changes of `members()`."""
        return self._version

    async def wait_changed(self, seen: int) -> int:
        """Wait until `version` is no longer `seen`, and return it; changes in between are seen as one."""
        while self._version == seen:
            await self._changed.wait()
        return self._version

    def members(self) -> Mapping[bytes, Member]:
        """Every member ever heard of by node id, this one included; a snapshot that never changes."""
        if self._members is None:
            self._members = MappingProxyType({member.node_id: member for member in self._core})
        return self._members

    def alive(self, node_id: bytes) -> bool:
        """Whether a node is held alive and is not suspected."""
        member = self._core.get(node_id)
        return member is not None and member.state is State.ALIVE

    def reachable(self, node_id: bytes) -> bool:
        """Whether a node is held alive, or is merely suspected."""
        member = self._core.get(node_id)
        return member is not None and member.is_live

    def address_of(self, node_id: bytes) -> Address | None:
        """Where a node's peers' port was said to be; None when that is unknown, or a stranger has left."""
        member = self._core.get(node_id)
        if member is None or member.peer == NOWHERE:
            return None
        if member.state is State.LEFT and not self.on_roster(node_id):
            return None
        return Address(*member.peer)

    def on_roster(self, node_id: bytes) -> bool:
        """Whether a node is a member by agreement, as far as that is known here."""
        return self._roster is not None and node_id in self._roster

    def has_spoken(self, node_id: bytes) -> bool:
        """Whether a node has proven over a link that it is there."""
        return self._core.has_spoken(node_id)

    def trusts(self, node_id: bytes) -> bool:
        """Whether a node is more than hearsay: see `gossip.view`."""
        return self._core.trusts(node_id)

    def neighbours(self, count: int) -> list[bytes]:
        """Up to `count` live members that come after this one in the circle of ids, none of them hearsay."""
        own = self.own.node_id
        others = sorted(
            member.node_id
            for member in self._core
            if member.is_live and member.node_id != own and self.trusts(member.node_id)
        )
        after = [node_id for node_id in others if node_id > own]
        return (after + others)[: min(count, len(others))]

    def statistics(self) -> tuple[MembershipStatistics, GossipTraffic]:
        """The core's figures, and the traffic's."""
        return self._core.statistics(), replace(self._port.traffic)

    # What the rest of the node reports.

    def connection_reset(self, node_id: bytes) -> None:
        """A peer link broke without goodbye."""
        self._control_nowait(events.ConnectionReset(node_id))

    def connection_refused(self, node_id: bytes) -> None:
        """Nobody listens on a peer's port."""
        self._control_nowait(events.ConnectionRefused(node_id))

    def stream_alive(self, node_id: bytes) -> None:
        """Bytes came in on a peer link."""
        self._core.observe_stream(node_id, trio.current_time())

    def update_meta(self, meta: Mapping[str, MetaValue]) -> None:
        """Spread other small facts about this node; only the latest of quick updates is spread.

        Raises:
            WireError: `too_large`, when they do not fit into a datagram.
        """
        replace(self.own.description, meta=meta).encode()
        self._meta = dict(meta)
        self._woken.set()

    def learn_roster(self, roster: frozenset[bytes]) -> None:
        """Hear who the members are by agreement (node ids)."""
        self._roster, self._roster_is_new = roster, True
        self._woken.set()

    async def leave(self) -> None:
        """Say goodbye, until the next start: tell every member directly, and let the news spread a moment."""
        self._control_nowait(events.LeaveAsked())
        await self._left.wait()
        await trio.sleep(_LEAVE_GOSSIP_ROUNDS * self._profile.gossip_interval_s)

    async def handle_push_pull(self, request: push_pull.Request) -> bytes:
        """The encoded answer to a request that is proven to come from the node it names.

        Raises:
            WireError: `busy`, when this node has too much to do.
        """
        asked = _Asked(request)
        if not self._mail_nowait(asked):
            raise WireError(BUSY, "this node has too much gossip waiting", retry_after_ms=1_000)
        with trio.move_on_after(self._profile.push_pull_timeout_s):
            await asked.answered.wait()
            return asked.answer
        raise WireError(BUSY, "this node's membership did not answer in time", retry_after_ms=1_000)

    # How it runs.

    def _control_nowait(self, event: events.Event) -> None:
        self._control[event] = None
        self._woken.set()

    def _mail_nowait(self, mail: events.Event | _Asked) -> bool:
        if len(self._mail) >= GOSSIP_MAIL:
            return False
        self._mail.append(mail)
        self._woken.set()
        return True

    async def _turn(self, nursery: trio.Nursery) -> None:
        """Wait for something to do and do it: evidence, then mail, then what time asks for."""
        due_s = self._core.next_deadline()
        with trio.move_on_at(due_s):
            await self._woken.wait()
        if (late_s := trio.current_time() - due_s) >= 0:
            self._core.observe_lag(late_s)
        self._woken = trio.Event()
        waiting: list[events.Event | _Asked] = list(self._control)
        self._control.clear()
        if self._meta is not None:
            waiting.append(events.MetaUpdated(self._meta))
            self._meta = None
        if self._roster is not None and self._roster_is_new:
            waiting.append(events.RosterLearned(self._roster))
            self._roster_is_new = False
        waiting += self._mail
        self._mail.clear()
        for mail in waiting:
            event = mail.event if isinstance(mail, _Asked) else mail
            effects = self._core.handle(event, trio.current_time())
            await self._perform(effects, mail if isinstance(mail, _Asked) else None, nursery)
            if isinstance(mail, events.LeaveAsked):
                self._left.set()
        if self._core.next_deadline() <= trio.current_time():
            await self._perform(self._core.tick(trio.current_time()), None, nursery)

    async def _perform(
        self, effects: list[events.Effect], asked: _Asked | None, nursery: trio.Nursery
    ) -> None:
        for effect in effects:
            match effect:
                case events.PersistIncarnation(incarnation):
                    await self._store(replace(self._numbers, incarnation=incarnation))
                    self._numbers = replace(self._numbers, incarnation=incarnation)
                case events.SendDatagram():
                    self._assert_durable()
                    await self._port.send(effect)
                case events.StartPushPull():
                    self._assert_durable()
                    nursery.start_soon(self._ask, effect)
                case events.AnswerPushPull(answer):
                    self._assert_durable()
                    assert asked is not None, "an answer to a request nobody made"
                    asked.answer = push_pull.encode(answer)
                    self._port.traffic.sent_bytes += len(asked.answer)
                    asked.answered.set()
                case events.MemberChanged(member, before):
                    self._publish(member, before)
                case events.MemberForgotten():
                    self._wake_watchers()

    def _assert_durable(self) -> None:
        assert self._core.own.incarnation <= self._numbers.incarnation, "persist, then send"

    async def _ask(self, effect: events.StartPushPull) -> None:
        """Carry one push-pull request to a peer and its outcome to the mailbox."""
        payload = push_pull.encode(effect.request)
        self._port.traffic.sent_bytes += len(payload)
        outcome: events.Event = events.PushPullFailed(effect.endpoint)
        try:
            with trio.move_on_after(self._profile.push_pull_timeout_s):
                answer = await self._ask_peer(Address(*effect.endpoint), effect.node_id, payload)
                outcome = events.PushPullAnswered(effect.endpoint, answer)
        except FolkmootError as error:
            log.debug("push-pull with %s: %s", Address(*effect.endpoint), error)
        finally:
            # There is always room for it: the core starts few requests, and waits for each outcome.
            self._mail.append(outcome)
            self._woken.set()

    def _publish(self, member: Member, before: Member | None) -> None:
        self._wake_watchers()
        if before is None or before.state is not member.state:
            was = before.state.name.lower() if before else "unknown"
            log.info(
                "%s (%s) is %s, was %s", member.name, member.node_id.hex(), member.state.name.lower(), was
            )

    def _wake_watchers(self) -> None:
        self._members = None
        self._version += 1
        self._changed.set()
        self._changed = trio.Event()
