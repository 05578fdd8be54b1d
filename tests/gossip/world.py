"""Whole clusters of membership cores on virtual time, connected by messages in memory.

Nodes are named by short strings. Every datagram is really encoded and decoded and counted at its sealed
size; every call's effects are checked against the promised order. `transcript` holds one readable line a
datagram or push-pull, for tests that tell a conversation.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable
from random import Random

from folkmoot.protocol.gossip import events, messages, push_pull, seal
from folkmoot.protocol.gossip.members import Description, Endpoint, Member, State
from folkmoot.protocol.gossip.membership import Membership
from folkmoot.protocol.gossip.profile import LOOPBACK, Profile

LATENCY_S = 0.0005
PEER, DATAGRAM, CLIENT = 1, 2, 3


def node_id(name: str) -> bytes:
    return name.encode().ljust(16, b".")


def name_of(identifier: bytes) -> str:
    return identifier.rstrip(b".").decode()


def description(name: str, host: str | None = None) -> Description:
    at = host or name
    return Description(name, "eu", Endpoint(at, PEER), Endpoint(at, DATAGRAM), Endpoint(at, CLIENT), {})


class Node:
    """One running core with what survives its crash."""

    def __init__(self, core: Membership, host: str) -> None:
        self.core = core
        self.host = host
        self.running = True
        self.sent_bytes = 0
        self.stalled_until = 0.0
        self.forgotten: list[str] = []
        self.changes: list[events.MemberChanged] = []
        self.wake_at = math.inf


class World:
    """A cluster, its network and its clock."""

    def __init__(self, seed: int = 1, profile: Profile = LOOPBACK, loss: float = 0.0) -> None:
        self.random = Random(seed)
        self.profile = profile
        self.loss = loss
        self.now = 0.0
        self.nodes: dict[str, Node] = {}
        self.hosts: dict[str, str] = {}
        self.durable: dict[str, int] = {}
        self.islands: list[set[str]] = []
        self.transcript: list[str] = []
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    # What tests do.

    def start(self, name: str, seeds: Iterable[str] = (), *, host: str | None = None) -> Node:
        """Start (or restart) a node above the incarnation it last made durable."""
        incarnation = self.durable.get(name, 0) + 1
        self.durable[name] = incarnation
        own = Member.alive(node_id(name), description(name, host), incarnation)
        addresses = [Endpoint(seed, PEER) for seed in seeds]
        core = Membership(own, addresses, self.profile, Random(f"{self.random.random()}/{name}"), self.now)
        node = self.nodes[name] = Node(core, host or name)
        self.hosts[node.host] = name
        self._arm(name)
        return node

    def start_all(self, names: Iterable[str]) -> None:
        """Start nodes together, the first one being everybody's seed, and wait until all know all."""
        names = list(names)
        for name in names:
            self.start(name, names[:1])
        self.run_until(lambda: self.complete(names), 5.0)

    def kill(self, name: str, *, resets: bool = True) -> None:
        """SIGKILL: the process is gone, and the kernel resets its connections."""
        self.nodes[name].running = False
        if resets:
            for other in self.running():
                self.reset(other, name)

    def reset(self, observer: str, name: str) -> None:
        """The kernel resets the observer's connection to a node."""
        self.later(0.001, lambda: self.tell(observer, events.ConnectionReset(node_id(name))))

    def partition(self, *islands: Iterable[str]) -> None:
        self.islands = [set(island) for island in islands]

    def heal(self) -> None:
        self.islands = []

    def tell(self, name: str, event: events.Event) -> None:
        """Give a node an event now."""
        self._when_responsive(name, self.nodes[name], lambda node: node.core.handle(event, self.now))

    def run(self, seconds: float) -> None:
        self.run_until(lambda: False, seconds, required=False)

    def run_until(self, condition: Callable[[], bool], seconds: float, *, required: bool = True) -> float:
        """Let time pass until the condition holds; how long that took."""
        began, end = self.now, self.now + seconds
        while not condition():
            if not self._agenda or self._agenda[0][0] > end:
                self.now = end
                assert not required, f"not reached within {seconds} s"
                break
            self.now, _, action = heapq.heappop(self._agenda)
            action()
        return self.now - began

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now + seconds, next(self._order), action))

    # What tests ask.

    def running(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.running]

    def sees(self, observer: str, subject: str) -> State | None:
        member = self.nodes[observer].core.get(node_id(subject))
        return member.state if member else None

    def complete(self, names: Iterable[str]) -> bool:
        names = list(names)
        return all(self.sees(one, other) is State.ALIVE for one in names for other in names)

    def agree(self) -> bool:
        """Whether all running nodes have equal views."""
        return len({self.nodes[name].core.digest() for name in self.running()}) == 1

    def changes(self, state: State) -> list[tuple[str, str]]:
        """Who ever saw whom in that state, in the order of observers."""
        return [
            (name, name_of(change.member.node_id))
            for name, node in self.nodes.items()
            for change in node.changes
            if change.member.state is state
        ]

    # How it works.

    def _arm(self, name: str) -> None:
        node = self.nodes[name]
        deadline = node.core.next_deadline()
        if not node.running or deadline == node.wake_at or deadline == math.inf:
            return
        node.wake_at = deadline
        self.later(max(0.0, deadline - self.now), lambda: self._wake(name, node, deadline))

    def _wake(self, name: str, node: Node, deadline: float) -> None:
        if node.wake_at != deadline:
            return
        if node.stalled_until > self.now:
            self.later(node.stalled_until - self.now, lambda: self._wake(name, node, deadline))
            return
        node.wake_at = math.inf
        self._when_responsive(name, node, lambda node: node.core.tick(self.now))

    def _when_responsive(self, name: str, node: Node, call: Callable[[Node], list[events.Effect]]) -> None:
        if not node.running or self.nodes[name] is not node:
            return
        if node.stalled_until > self.now:
            self.later(node.stalled_until - self.now, lambda: self._when_responsive(name, node, call))
            return
        self._perform(name, node, call(node))
        self._arm(name)

    def _perform(self, name: str, node: Node, effects: list[events.Effect]) -> None:
        for position, effect in enumerate(effects):
            match effect:
                case events.PersistIncarnation(incarnation):
                    assert position == 0, "what is made durable stands first"
                    assert incarnation > self.durable[name]
                    self.durable[name] = incarnation
                case events.SendDatagram(target, endpoint, payload):
                    self._send(name, node, target, endpoint, payload)
                case events.StartPushPull(_, endpoint, request):
                    self._push_pull(name, node, endpoint, request)
                case events.MemberChanged():
                    node.changes.append(effect)
                case events.MemberForgotten(member):
                    node.forgotten.append(name_of(member.node_id))
                case events.AnswerPushPull():
                    raise AssertionError("an answer nobody asked for")

    def _connected(self, one: str, other: str) -> bool:
        island = next((island for island in self.islands if one in island), None)
        return island is None or other in island

    def _send(self, name: str, node: Node, target: bytes, endpoint: Endpoint, payload: bytes) -> None:
        assert 0 < len(payload) <= seal.PAYLOAD_BYTES
        assert endpoint.port == DATAGRAM
        spoken = messages.decode(payload)
        for message in spoken:
            if isinstance(message, messages.Alive) and message.subject == node_id(name):
                assert message.incarnation <= self.durable[name], (
                    "spoke of an incarnation before it was durable"
                )
        node.sent_bytes += len(payload) + seal.OVERHEAD_BYTES
        said = ", ".join(_said(message) for message in spoken)
        self.transcript.append(f"{self.now:.3f} {name} → {name_of(target)}: {said}")
        receiver = self.hosts.get(endpoint.host)
        if receiver is None or not self._connected(name, receiver) or self.random.random() < self.loss:
            return
        event = events.DatagramReceived(node_id(name), Endpoint(node.host, DATAGRAM), spoken)
        self.later(LATENCY_S, lambda: self.tell(receiver, event))

    def _push_pull(self, name: str, node: Node, endpoint: Endpoint, request: push_pull.Request) -> None:
        self.transcript.append(f"{self.now:.3f} {name} → {endpoint.host}: {type(request).__name__.lower()}")
        receiver = self.hosts.get(endpoint.host)
        payload = push_pull.encode(request)
        reached = receiver is not None and self.nodes[receiver].running and self._connected(name, receiver)
        if receiver is None or not reached:
            self.later(LATENCY_S, lambda: self.tell(name, events.PushPullFailed(endpoint)))
            return
        node.sent_bytes += len(payload)
        self.later(2 * LATENCY_S, lambda: self._answer(receiver, name, endpoint, payload))

    def _answer(self, receiver: str, requester: str, endpoint: Endpoint, payload: bytes) -> None:
        node = self.nodes[receiver]
        if not node.running:
            self.tell(requester, events.PushPullFailed(endpoint))
            return
        if node.stalled_until > self.now:
            self.later(
                node.stalled_until - self.now, lambda: self._answer(receiver, requester, endpoint, payload)
            )
            return
        effects = node.core.handle(events.PushPullAsked(push_pull.decode_request(payload)), self.now)
        answers = [effect for effect in effects if isinstance(effect, events.AnswerPushPull)]
        assert len(answers) == 1
        effects.remove(answers[0])
        self._perform(receiver, node, effects)
        self._arm(receiver)
        encoded = push_pull.encode(answers[0].answer)
        node.sent_bytes += len(encoded)
        event = events.PushPullAnswered(endpoint, push_pull.decode_answer(encoded))
        self.later(LATENCY_S, lambda: self.tell(requester, event))


def _said(message: messages.Message) -> str:
    match message:
        case messages.Ping(_, target):
            return f"ping {name_of(target)}"
        case messages.PingRequest(_, target):
            return f"ping-request {name_of(target)}"
        case messages.Ack():
            return "ack"
        case messages.Nack():
            return "nack"
        case messages.Suspect(subject, incarnation, accuser):
            return f"suspect {name_of(subject)}@{incarnation} by {name_of(accuser)}"
        case messages.Dead(subject, incarnation, accuser):
            return f"dead {name_of(subject)}@{incarnation} by {name_of(accuser)}"
        case messages.Left(subject, incarnation):
            return f"left {name_of(subject)}@{incarnation}"
        case messages.Alive(subject, incarnation, _):
            return f"alive {name_of(subject)}@{incarnation}"
