"""Failure detection: whose turn it is to be probed, and what silence or an answer means.

A broken connection starts a probe that asks the member and some others together and has a short deadline; its
failure is sent to every member directly, so that a killed process is known within one round trip instead of
some rounds. The dead are probed for ever, with the accusation enclosed, so that a returned node learns what
it must refute.
"""

from __future__ import annotations

import math
from random import Random

from folkmoot.protocol.gossip.claims import Claims
from folkmoot.protocol.gossip.health import Health, probe_failure_delta
from folkmoot.protocol.gossip.members import Endpoint, Member, State
from folkmoot.protocol.gossip.messages import Ack, Nack, Ping, PingRequest, encode
from folkmoot.protocol.gossip.probe import Probe, Probes, Purpose, Relay, Rotation
from folkmoot.protocol.gossip.profile import Profile
from folkmoot.protocol.gossip.speaker import Speaker

_NACK_SHARE = 0.8  # of the probe timeout: the nack must arrive before the requester gives up (Lifeguard IV.A)


class Prober:
    """The probes of one node.

    Args:
        claims: the view, and where suspicions go.
        speaker: sends pings and accusations.
        health: stretches the timeouts; told how probes end.
        profile: the constants.
        random: shuffles the rounds and chooses relays.
        now: seconds; the first turn comes within one probe interval.
    """

    def __init__(
        self, claims: Claims, speaker: Speaker, health: Health, profile: Profile, random: Random, now: float
    ) -> None:
        self._claims = claims
        self._speaker = speaker
        self._health = health
        self._profile = profile
        self._random = random
        self._probes = Probes(random)
        self._rounds = {Purpose.ROTATION: Rotation(random), Purpose.RETRY: Rotation(random)}
        self._heard_on_stream: dict[bytes, float] = {}
        # At random, so that nodes started together do not stay in step.
        self._probe_at = now + random.random() * profile.probe_interval_s
        self._retry_at = math.inf

    def __len__(self) -> int:
        return len(self._probes)

    def next_deadline(self) -> float:
        """Seconds, when `finish` or `take_turns` has something to do."""
        return min(self._probe_at, self._retry_at, self._probes.next_deadline())

    def schedule(self, now: float) -> None:
        """Let the timer for the lost run only while there are any."""
        if not self._claims.lost():
            self._retry_at = math.inf
        elif self._retry_at == math.inf:
            self._retry_at = now + self._profile.retry_interval_s

    def postpone(self, seconds: float) -> None:
        """Give every probe the time during which this node was not listening."""
        self._probes.postpone(seconds)

    def welcome(self, node_id: bytes) -> None:
        """Let a new member have its turn in the round under way."""
        self._rounds[Purpose.ROTATION].add(node_id)

    def forget(self, node_id: bytes) -> None:
        """Keep nothing about a node that is known no longer."""
        self._heard_on_stream.pop(node_id, None)

    def observe_stream(self, node_id: bytes, now: float) -> None:
        """Bytes came in from a member by another way: as good as an answer to a probe under way."""
        self._heard_on_stream[node_id] = now

    def take_turns(self, now: float) -> None:
        """Start the probes whose turn has come."""
        if now >= self._probe_at:
            whole_s = self._profile.probe_interval_s * self._health.factor
            self._probe_at = now + whole_s
            self._probe_next(Purpose.ROTATION, self._claims.live_others(), now, whole_s)
        if now >= self._retry_at:
            whole_s = self._profile.retry_interval_s
            self._retry_at = now + whole_s
            self._probe_next(Purpose.RETRY, self._claims.lost(), now, whole_s)

    def probe_after_reset(self, member: Member, now: float) -> None:
        """Probe a member whose connection broke, unless that is under way already."""
        if not member.is_live or self._probes.is_probing(member.node_id, Purpose.RESET):
            return
        whole_s = self._profile.reset_timeout_s * self._health.factor
        probe = self._probes.start(member, Purpose.RESET, now, math.inf, whole_s)
        self._ping(member, probe)
        self._ask_others(probe)

    def accuse(self, target: bytes, incarnation: int, now: float, *, flood: bool) -> None:
        """Suspect a member on this node's own evidence, and let it know at once."""
        if not self._claims.suspect(target, incarnation, self._claims.own.node_id, now):
            return
        member = self._claims.view[target]
        self._speaker.send(target, member.datagram, [encode(self._claims.message(member))])
        if flood:
            self._speaker.flood(member)

    def finish(self, now: float) -> None:
        """End the waits that are over: ask others, accuse, or tell a requester that there is no answer."""
        for probe in self._probes.take_indirect(now):
            if self._showed_life(probe):
                self._probes.forget(probe)
                self._health.shift(-1)
            elif probe.purpose is Purpose.ROTATION:
                self._ask_others(probe)
        for probe in self._probes.take_failed(now):
            if not self._showed_life(probe):
                self._fail(probe, now)
        for relay in self._probes.take_nacks(now):
            nack = encode(Nack(relay.requester_sequence))
            self._speaker.send(relay.requester, relay.requester_endpoint, [nack])

    def acknowledged(self, sequence: int, sender: bytes) -> None:
        """End the probe that an acknowledgement answers, or pass it on to whom we asked for."""
        answered = self._probes.acknowledged(sequence, sender)
        if isinstance(answered, Probe):
            self._health.shift(-1)
        elif answered is not None:
            ack = encode(Ack(answered.requester_sequence))
            self._speaker.send(answered.requester, answered.requester_endpoint, [ack])

    def nacked(self, sequence: int, sender: bytes) -> None:
        """Note that a relay lives but had no answer."""
        self._probes.nacked(sequence, sender)

    def relay(self, request: PingRequest, requester: bytes, endpoint: Endpoint, now: float) -> None:
        """Ping a member for `requester`, who waits at `endpoint`."""
        member = self._claims.view.get(request.target)
        if member is None or member == self._claims.own:
            return
        nack_at = now + _NACK_SHARE * self._profile.probe_timeout_s
        relay = self._probes.relay(request.target, requester, endpoint, request.sequence, nack_at)
        if relay is not None:
            self._ping(member, relay)

    def _probe_next(self, purpose: Purpose, eligible: list[Member], now: float, whole_s: float) -> None:
        target = self._rounds[purpose].next([member.node_id for member in eligible])
        if target is None or self._probes.is_probing(target, purpose):
            return
        member = self._claims.view[target]
        direct_s = self._profile.probe_timeout_s * self._health.factor
        self._ping(member, self._probes.start(member, purpose, now, direct_s, whole_s))

    def _showed_life(self, probe: Probe) -> bool:
        return self._heard_on_stream.get(probe.target, -math.inf) >= probe.started

    def _fail(self, probe: Probe, now: float) -> None:
        if probe.purpose is Purpose.ROTATION:
            self._health.shift(probe_failure_delta(len(probe.relays), len(probe.nacks)))
        if probe.purpose is not Purpose.RETRY:
            self.accuse(probe.target, probe.incarnation, now, flood=probe.purpose is Purpose.RESET)

    def _ask_others(self, probe: Probe) -> None:
        others = [member for member in self._claims.trusted_others() if member.node_id != probe.target]
        asked = self._random.sample(others, min(self._profile.indirect_probes, len(others)))
        probe.relays = tuple(member.node_id for member in asked)
        for member in asked:
            request = encode(PingRequest(probe.sequence, probe.target))
            self._speaker.send(member.node_id, member.datagram, [request])

    def _ping(self, member: Member, probe: Probe | Relay) -> None:
        """Ping, enclosing what this node holds against the member, so that it can refute in its answer."""
        messages = [encode(Ping(probe.sequence, member.node_id))]
        if member.state is not State.ALIVE:
            messages.append(encode(self._claims.message(member)))
        self._speaker.send(member.node_id, member.datagram, messages)
