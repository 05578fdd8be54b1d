"""The membership state machine: who is probed when, what is answered, and when views are compared.

Once every probe interval a node pings the next member of a shuffled round. One that stays silent is pinged
through others, and after that it is a *suspect*: everyone hears of it, itself first, and unless it refutes
with a raised incarnation it is held *dead*. News rides on the pings and acknowledgements that flow anyway;
between those a short gossip round carries what is left, and when there is no news nothing is sent.

Four things go beyond SWIM. A broken connection starts a probe with a short deadline, a refused one is
evidence enough, and such a suspicion is sent to every member directly. The dead are probed for ever; whoever
speaks while held suspect or dead is told so, and refutes. Whole views are compared over TCP, a digest first,
so that what rumours missed is found. And a timer that fires late is taken as this node's own failing: what
was due gets the lost time back.

Whom a node knows is bounded (`view`), and what it believes depends on who says it (`claims`): what comes by
datagram is hearsay, what comes over a link is its node's own word.

The driver calls `handle` for each event and `tick` at `next_deadline`, and carries out the effects in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from folkmoot.protocol.gossip import events
from folkmoot.protocol.gossip.claims import Claims
from folkmoot.protocol.gossip.events import Effect, Event, StartPushPull
from folkmoot.protocol.gossip.health import Health
from folkmoot.protocol.gossip.members import Endpoint, Member, State, digest
from folkmoot.protocol.gossip.messages import (
    Ack,
    Alive,
    Dead,
    Left,
    Message,
    Nack,
    Ping,
    PingRequest,
    Suspect,
    encode,
)
from folkmoot.protocol.gossip.prober import Prober
from folkmoot.protocol.gossip.profile import Profile, push_pull_interval_s
from folkmoot.protocol.gossip.push_pull import Answer, Compare, Equal, Exchange, Request, Whole
from folkmoot.protocol.gossip.seeds import Seeds
from folkmoot.protocol.gossip.speaker import Speaker

_PUSH_PULLS_TOGETHER = 3


@dataclass(frozen=True, slots=True)
class MembershipStatistics:
    """What an operator sees of one node's membership.

    Args:
        alive, suspect, dead, left: members in that state, this node included.
        incarnation: this node's own.
        refutations: accusations of this node that it had to deny since its boot.
        health_factor: what its timeouts are multiplied by; 1 is healthy.
        lag_s: the decaying peak of its event loop's lag.
        rumours: claims waiting to be told.
        probes: under way.
        joined: whether some seed has answered since its boot.
    """

    alive: int
    suspect: int
    dead: int
    left: int
    incarnation: int
    refutations: int
    health_factor: int
    lag_s: float
    rumours: int
    probes: int
    joined: bool


class Membership:
    """One node's part in the gossip.

    Args:
        own: this node as it announces itself, at an incarnation that is durable and above all earlier ones.
        seeds: where to look for others.
        profile: the constants.
        random: a generator of this node's own.
        now: seconds, by the clock of all later calls.
    """

    def __init__(
        self, own: Member, seeds: Sequence[Endpoint], profile: Profile, random: Random, now: float
    ) -> None:
        self._id = own.node_id
        self._profile = profile
        self._random = random
        self._outbox: list[Effect] = []
        self._health = Health(profile.awareness_max, profile.probe_timeout_s)
        self._claims = Claims(own, profile, self._health, self._outbox)
        self._seeds = Seeds([seed for seed in seeds if seed != own.peer], own.node_id, profile, now)
        self._speaker = Speaker(self._claims, profile, random, self._outbox)
        self._prober = Prober(self._claims, self._speaker, self._health, profile, random, now)
        self._asking: dict[Endpoint, Request] = {}
        self._doubting: Endpoint | None = None
        self._tell_again_at: dict[bytes, float] = {}
        # At random, so that nodes started together do not stay in step.
        self._compare_at = now + random.random() * profile.push_pull_interval_s

    def __iter__(self) -> Iterator[Member]:
        """Every member ever heard of, this node included."""
        return iter(self._claims.view)

    @property
    def own(self) -> Member:
        """This node as it wants to be known."""
        return self._claims.own

    def get(self, node_id: bytes) -> Member | None:
        """What is known of a node, if anything."""
        return self._claims.view.get(node_id)

    def has_spoken(self, node_id: bytes) -> bool:
        """Whether a node has proven over a link that it is there."""
        return self._claims.view.has_spoken(node_id)

    def trusts(self, node_id: bytes) -> bool:
        """Whether a node is more than hearsay; see `view`."""
        return self._claims.view.trusts(node_id)

    def digest(self) -> bytes:
        """16 bytes that are equal for two nodes with equal views."""
        return self._claims.view.digest()

    def statistics(self) -> MembershipStatistics:
        """See `MembershipStatistics`."""
        states = [member.state for member in self]
        return MembershipStatistics(
            alive=states.count(State.ALIVE),
            suspect=states.count(State.SUSPECT),
            dead=states.count(State.DEAD),
            left=states.count(State.LEFT),
            incarnation=self.own.incarnation,
            refutations=self._claims.refutations,
            health_factor=self._health.factor,
            lag_s=self._health.lag_s,
            rumours=len(self._claims.rumours),
            probes=len(self._prober),
            joined=self._seeds.joined,
        )

    def observe_stream(self, node_id: bytes, now: float) -> None:
        """Bytes came in on the peer link from `node_id`: as good as an acknowledgement of a running probe."""
        if self.get(node_id) is not None:
            self._prober.observe_stream(node_id, now)

    def observe_lag(self, lag_s: float) -> None:
        """This process's event loop ran `lag_s` late."""
        self._health.observe_lag(lag_s)

    def next_deadline(self) -> float:
        """Seconds, when `tick` has something to do; infinite when nothing is ever due."""
        if self.own.state is State.LEFT:
            return self._speaker.next_deadline
        return min(
            self._compare_at,
            self._speaker.next_deadline,
            self._seeds.next_deadline,
            self._prober.next_deadline(),
            self._claims.next_deadline(),
        )

    def tick(self, now: float) -> list[Effect]:
        """Do what is due."""
        late = now - self.next_deadline()
        if late > self._profile.late_grace_s:
            self._prober.postpone(late)
            self._claims.postpone(late)
        if self.own.state is not State.LEFT:
            self._prober.finish(now)
            self._claims.expire(now)
            self._prober.take_turns(now)
            self._ask_seeds(now)
            self._compare_in_turn(now)
        self._speaker.gossip(now)
        return self._finish(now)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        match event:
            case events.DatagramReceived():
                self._on_datagram(event, now)
            case events.ConnectionReset(node_id) | events.ConnectionRefused(node_id):
                self._on_broken_connection(event, node_id, now)
            case events.PushPullAsked(request):
                self._outbox.append(events.AnswerPushPull(self._answer(request, now)))
            case events.PushPullAnswered(endpoint, answer):
                self._on_answer(endpoint, answer, now)
            case events.PushPullFailed(endpoint):
                self._take_request(endpoint)
            case events.MetaUpdated(meta):
                self._claims.describe(meta, now)
            case events.RosterLearned(roster):
                self._claims.take_roster(roster)
            case events.LeaveAsked():
                self._claims.leave()
                self._speaker.flood(self.own)
        return self._finish(now)

    def _finish(self, now: float) -> list[Effect]:
        """End one call: set the timers that run only while there is something to do."""
        self._ask_doubted()
        effects = self._outbox[:]
        self._outbox.clear()
        for effect in effects:
            if isinstance(effect, events.MemberChanged) and effect.before is None:
                self._prober.welcome(effect.member.node_id)
            elif isinstance(effect, events.MemberForgotten):
                self._prober.forget(effect.member.node_id)
                self._tell_again_at.pop(effect.member.node_id, None)
        self._speaker.schedule(now)
        self._prober.schedule(now)
        return effects

    def _on_broken_connection(
        self, event: events.ConnectionReset | events.ConnectionRefused, node_id: bytes, now: float
    ) -> None:
        member = self.get(node_id)
        if member is None or node_id == self._id or self.own.state is State.LEFT:
            return
        if isinstance(event, events.ConnectionReset):
            self._prober.probe_after_reset(member, now)
        elif member.is_live:
            self._prober.accuse(node_id, member.incarnation, now, flood=True)

    # Datagrams.

    def _on_datagram(self, event: events.DatagramReceived, now: float) -> None:
        """Take in claims first, so that answers already carry their consequences."""
        if event.sender == self._id or self.own.state is State.LEFT:
            return
        known = self.get(event.sender)
        for message in event.messages:
            if isinstance(message, Alive | Suspect | Dead | Left):
                self._claims.told(message, event.sender, now)
        replies: list[bytes] = []
        for message in event.messages:
            replies += self._converse(message, event, now)
        if self._should_tell(event, now):
            self._tell_again_at[event.sender] = now + self._profile.gossip_interval_s
            replies.append(encode(self._claims.message(self._claims.view[event.sender])))
        if replies:
            self._speaker.send(event.sender, event.source, replies)
        sender = self.get(event.sender)
        if known is not None and not known.is_live and sender is not None and sender.is_live:
            self._compare(sender)

    def _converse(self, message: Message, event: events.DatagramReceived, now: float) -> list[bytes]:
        """The reply to one message, and what it asks for besides."""
        match message:
            case Ping(sequence, target) if target == self._id:
                return [encode(Ack(sequence))]
            case PingRequest():
                self._prober.relay(message, event.sender, event.source, now)
            case Ack(sequence):
                self._prober.acknowledged(sequence, event.sender)
            case Nack(sequence):
                self._prober.nacked(sequence, event.sender)
            case _:
                pass
        return []

    def _should_tell(self, event: events.DatagramReceived, now: float) -> bool:
        """Whether the sender must hear what is said of it: it is accused, or announced itself outdated.

        At most once a gossip interval: two nodes that suspect each other would otherwise answer answers.
        """
        held = self.get(event.sender)
        if held is None or now < self._tell_again_at.get(event.sender, now):
            return False
        if held.state is not State.ALIVE:
            return True
        return any(
            isinstance(message, Alive)
            and message.subject == event.sender
            and (message.incarnation, message.description) != (held.described, held.description)
            for message in event.messages
        )

    # Whole views.

    def _ask_seeds(self, now: float) -> None:
        if now < self._seeds.next_deadline:
            return
        live = self._claims.live_others()
        endpoints = {member.peer for member in live}
        for endpoint in self._seeds.take_due(now, endpoints, {member.node_id for member in live}):
            self._ask(None, endpoint, Exchange(self._id, tuple(self)))

    def _compare_in_turn(self, now: float) -> None:
        if now < self._compare_at:
            return
        live = self._claims.live_others()
        self._compare_at = now + push_pull_interval_s(self._profile.push_pull_interval_s, len(live) + 1)
        if live:
            self._compare(self._random.choice(self._claims.trusted_others()))

    def _compare(self, member: Member) -> None:
        if len(self._asking) < _PUSH_PULLS_TOGETHER:
            self._ask(member.node_id, member.peer, Compare(self._id, self.digest()))

    def _ask_doubted(self) -> None:
        """Ask one of those of whom others say too much, over a link, for its own word."""
        if self._doubting is not None or (doubted := self._claims.take_doubted()) is None:
            return
        node_id, endpoint = doubted
        if endpoint not in self._asking:
            self._doubting = endpoint
            self._ask(node_id, endpoint, Compare(self._id, self.digest()))

    def _take_request(self, endpoint: Endpoint) -> Request | None:
        """End the wait for an answer at `endpoint`, and return what was asked there."""
        if endpoint == self._doubting:
            self._doubting = None
        return self._asking.pop(endpoint, None)

    def _ask(self, node_id: bytes | None, endpoint: Endpoint, request: Request) -> None:
        if endpoint not in self._asking:
            self._asking[endpoint] = request
            self._outbox.append(StartPushPull(node_id, endpoint, request))

    def _answer(self, request: Request, now: float) -> Answer:
        """Answer a peer; a node that announces itself here is announced to everyone."""
        self._claims.view.prove(request.node_id)
        if isinstance(request, Compare):
            theirs = request.digest
        else:
            known = self.get(request.node_id)
            self._claims.merge(request.members, request.node_id, now)
            announced = self.get(request.node_id)
            if announced != known and announced is not None and announced.state is State.ALIVE:
                self._speaker.flood(announced)
            theirs = digest(request.members)
        if theirs == self.digest():
            return Equal(self._id)
        return Whole(self._id, tuple(self))

    def _on_answer(self, endpoint: Endpoint, answer: Answer, now: float) -> None:
        request = self._take_request(endpoint)
        if request is None:
            return
        self._seeds.answered(endpoint, answer.node_id)
        self._claims.view.prove(answer.node_id)
        if isinstance(answer, Whole) and answer.node_id != self._id:
            self._claims.merge(answer.members, answer.node_id, now)
            if isinstance(request, Compare) and digest(answer.members) != self.digest():
                self._ask(answer.node_id, endpoint, Exchange(self._id, tuple(self)))
        self.observe_stream(answer.node_id, now)
