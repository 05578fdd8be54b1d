"""What is said of members, this node included: who is believed, what is passed on, what is denied.

A claim that adds to the view is passed on; one that does not dies here. A suspect has a running suspicion
that ends in `dead` unless it refutes. A claim about this node that would change what others believe of it is
refuted: the incarnation is raised above the claim's, made durable, and the node describes itself anew. Raises
are spaced by a gossip interval, so that two nodes running under one id cannot chase each other at the speed
of the network.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from folkmoot.protocol.gossip.broadcast import BroadcastQueue
from folkmoot.protocol.gossip.events import Effect, Expelled, MemberChanged, PersistIncarnation
from folkmoot.protocol.gossip.health import Health
from folkmoot.protocol.gossip.members import (
    INCARNATION_MAX,
    NOBODY,
    Description,
    Member,
    MetaValue,
    State,
    View,
    join,
)
from folkmoot.protocol.gossip.messages import Alive, Claim, Dead, Left, Suspect, encode
from folkmoot.protocol.gossip.profile import Profile
from folkmoot.protocol.gossip.suspicion import Suspicion


class Claims:
    """The view of one node, the suspicions in it, and the rumours about it.

    Args:
        own: this node, at an incarnation that is durable.
        profile: the constants.
        health: told when this node had to refute, which is a sign that it answers late.
        outbox: where effects are put.
    """

    def __init__(self, own: Member, profile: Profile, health: Health, outbox: list[Effect]) -> None:
        self.view = View(own)
        self.rumours = BroadcastQueue()
        self.refutations = 0
        self._own_id = own.node_id
        self._profile = profile
        self._health = health
        self._outbox = outbox
        self._suspicions: dict[bytes, Suspicion] = {}
        self._contested: int | None = None
        self._raise_at = -math.inf
        self.rumours.put(own.node_id, encode(self.message(own)))

    @property
    def own(self) -> Member:
        """This node as it wants to be known."""
        return self.view[self._own_id]

    def live_others(self) -> list[Member]:
        """The other members that may answer, in the order in which they were met."""
        return [member for member in self.view if member.is_live and member.node_id != self._own_id]

    def message(self, member: Member) -> Claim:
        """What this node says of `member`."""
        match member.state:
            case State.ALIVE:
                return Alive(member.node_id, member.incarnation, member.description)
            case State.SUSPECT:
                suspicion = self._suspicions.get(member.node_id)
                accuser = suspicion.accuser if suspicion else self._own_id
                return Suspect(member.node_id, member.incarnation, accuser)
            case State.DEAD:
                return Dead(member.node_id, member.incarnation, self._own_id)
            case State.LEFT:
                return Left(member.node_id, member.incarnation)

    def told(self, claim: Claim, now: float) -> None:
        """Hear one claim from gossip."""
        match claim:
            case Alive(subject, incarnation, description):
                self._learn(Member.alive(subject, description, incarnation), self._own_id, now)
            case Suspect(subject, incarnation, accuser):
                self.suspect(subject, incarnation, accuser, now)
            case Dead(subject, incarnation, accuser):
                known = self.view.get(subject)
                if known is not None:
                    self._learn(known.claimed(State.DEAD, incarnation), accuser, now)
            case Left(subject, incarnation):
                known = self.view.get(subject) or Member.alive(subject, NOBODY, 0)
                self._learn(known.claimed(State.LEFT, incarnation), self._own_id, now)

    def suspect(self, subject: bytes, incarnation: int, accuser: bytes, now: float) -> bool:
        """Hear, or say, that `subject` does not answer; whether that made it a suspect."""
        known = self.view.get(subject)
        if known is None or incarnation < known.incarnation:
            return False
        suspicion = self._suspicions.get(subject)
        if suspicion is None or suspicion.incarnation < incarnation:
            return self._learn(known.claimed(State.SUSPECT, incarnation), accuser, now)
        if suspicion.confirm(accuser):
            self.rumours.put(subject, encode(Suspect(subject, incarnation, accuser)))
        return False

    def merge(self, members: Iterable[Member], informant: bytes, now: float) -> None:
        """Hear a peer's whole view.

        Of a member we believe to live, a peer's `dead` makes a suspect only: after a partition each side
        holds the other dead, and those who are here should have the time to say so.
        """
        for member in members:
            accused = member.state in (State.SUSPECT, State.DEAD)
            if not accused or member.node_id == self._own_id or self.view.get(member.node_id) is None:
                self._learn(member, informant, now)
                continue
            self._learn(member.claimed(State.ALIVE, member.described), informant, now)
            self.suspect(member.node_id, member.incarnation, informant, now)

    def describe(self, meta: Mapping[str, MetaValue], now: float) -> None:
        """Spread other small facts about this node."""
        self._raise_incarnation(self.own.incarnation, replace(self.own.description, meta=dict(meta)), now)

    def leave(self) -> None:
        """Say that this node is gone for good."""
        self._replace_own(self.own.claimed(State.LEFT, self.own.incarnation))

    def expire(self, now: float) -> None:
        """Hold dead whoever did not refute in time, and refute what had to wait."""
        for subject, suspicion in list(self._suspicions.items()):
            if suspicion.deadline <= now:
                dead = self.view[subject].claimed(State.DEAD, suspicion.incarnation)
                self._learn(dead, self._own_id, now)
        if self._contested is not None and self._raise_at <= now:
            self._raise_incarnation(self._contested, self.own.description, now)

    def next_deadline(self) -> float:
        """Seconds, when `expire` has something to do."""
        deadlines = [suspicion.deadline for suspicion in self._suspicions.values()]
        if self._contested is not None:
            deadlines.append(self._raise_at)
        return min(deadlines, default=math.inf)

    def postpone(self, seconds: float) -> None:
        """Give every suspect the time during which this node was not listening."""
        for suspicion in self._suspicions.values():
            suspicion.postpone(seconds)

    def _learn(self, member: Member, accuser: bytes, now: float) -> bool:
        """Join one thing known of a member into the view; whether it was new."""
        if member.node_id == self._own_id:
            self._contest(member, now)
            return False
        before = self.view.get(member.node_id)
        if not self.view.join(member):
            return False
        after = self.view[member.node_id]
        self._follow_suspicion(after, accuser, now)
        self.rumours.put(after.node_id, encode(self.message(after)))
        self._outbox.append(MemberChanged(after, before))
        return True

    def _follow_suspicion(self, member: Member, accuser: bytes, now: float) -> None:
        """Keep exactly one running suspicion for each suspect, about the incarnation accused."""
        suspicion = self._suspicions.get(member.node_id)
        if member.state is not State.SUSPECT:
            self._suspicions.pop(member.node_id, None)
        elif suspicion is None or suspicion.incarnation != member.incarnation:
            self._suspicions[member.node_id] = Suspicion.begin(
                member.incarnation, accuser, self.view.live_count(), self._profile, now
            )

    def _contest(self, claimed: Member, now: float) -> None:
        """Hear something about this node itself, and deny what would change how others see it."""
        own = self.own
        if own.state is State.LEFT or join(own, claimed) == own:
            return
        if claimed.state is State.LEFT:
            self._replace_own(own.claimed(State.LEFT, claimed.incarnation))
            self._outbox.append(Expelled())
            return
        if claimed.state is not State.ALIVE:
            self._health.shift(1)
        self._contested = max(self._contested or 0, claimed.incarnation, claimed.described)
        if self._raise_at <= now:
            self._raise_incarnation(self._contested, own.description, now)

    def _raise_incarnation(self, above: int, description: Description, now: float) -> None:
        incarnation = min(max(above, self.own.incarnation, self._contested or 0) + 1, INCARNATION_MAX)
        self.refutations += self._contested is not None
        self._contested = None
        self._raise_at = now + self._profile.gossip_interval_s
        # What this call already queued may say the new incarnation too (an acknowledgement carries rumours),
        # so it goes in front of everything.
        self._outbox.insert(0, PersistIncarnation(incarnation))
        self._replace_own(Member.alive(self._own_id, description, incarnation))

    def _replace_own(self, own: Member) -> None:
        before = self.own
        self.view.join(own)
        self.rumours.put(self._own_id, encode(self.message(self.own)))
        self._outbox.append(MemberChanged(self.own, before))
