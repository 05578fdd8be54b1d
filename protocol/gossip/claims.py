"""What is said of members, this node included: who is believed, what is passed on, what is denied.

A claim that adds to the view is passed on; one that does not dies here. A suspect has a running suspicion
that ends in `dead` unless it refutes. A claim about this node that would change what others believe of it is
refuted: the incarnation is raised above the claim's, made durable, and the node describes itself anew. Raises
are spaced by a gossip interval, so that two nodes running under one id cannot chase each other at the speed
of the network.

**Whose word counts.** Datagrams are sealed with a key that all nodes share, so nothing in them proves who
speaks; a link does. Three rules follow, and no single message can do lasting harm:

- Only its node can say that a member has left. Said by another, of a member that is believed to be here, it
  is an accusation like any other: the member has the time to deny it. No word of others makes a node go.
- An accusation is of the incarnation that is known, whatever it says. Otherwise one could be made that cannot
  be denied: no incarnation is above the last.
- A description may raise what is known by a step. One that leaps is doubted, and the node itself is asked,
  over a link; what it says there of itself is believed at any height. A node that hears of itself at an
  incarnation it never used (its disk was lost, or somebody lies) climbs above it, by a step when a datagram
  says so and faster when a link does: far enough for all that ever happens, and never to the end.

That a node lost its disk and starts again below what others have heard, and that all do at once, must end
with all alive (memberlist, issues 311 and 345): hence the climbing, and that nothing but a later word of its
own is needed to come back from dead or left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from folkmoot.protocol.gossip.broadcast import BroadcastQueue
from folkmoot.protocol.gossip.events import Effect, MemberChanged, MemberForgotten, PersistIncarnation
from folkmoot.protocol.gossip.health import Health
from folkmoot.protocol.gossip.members import (
    NOWHERE,
    Description,
    Endpoint,
    Member,
    MetaValue,
    State,
    join,
)
from folkmoot.protocol.gossip.messages import Alive, Claim, Dead, Left, Suspect, encode
from folkmoot.protocol.gossip.profile import Profile
from folkmoot.protocol.gossip.suspicion import Suspicion
from folkmoot.protocol.gossip.view import View
from folkmoot.protocol.limits import (
    GOSSIP_DOUBTS,
    GOSSIP_FORGET_S,
    INCARNATION_CLIMB,
    INCARNATION_MAX,
    INCARNATION_STEP,
)


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
        self._doubted: dict[bytes, Endpoint] = {}
        self._gone_since: dict[bytes, float] = {}
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

    def trusted_others(self) -> list[Member]:
        """Those of them that are more than hearsay; when there are none, all."""
        live = self.live_others()
        return [member for member in live if self.view.trusts(member.node_id)] or live

    def lost(self) -> list[Member]:
        """Who is to be tried for ever: the dead, and members of the roster whatever was said of them."""
        return [
            member
            for member in self.view
            if member.state is State.DEAD
            or (member.state is State.LEFT and self.view.on_roster(member.node_id))
        ]

    def take_doubted(self) -> tuple[bytes, Endpoint] | None:
        """One node to be asked itself, and where it is said to be."""
        for node_id, endpoint in self._doubted.items():
            del self._doubted[node_id]
            return node_id, endpoint
        return None

    def take_roster(self, roster: frozenset[bytes]) -> None:
        """Learn who is on the roster."""
        for member in self.view.take_roster(roster):
            self._forget(member)

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

    def told(self, claim: Claim, sender: bytes, now: float) -> None:
        """Hear one claim from a datagram that `sender` seems to have sent."""
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
                known = self.view.get(subject)
                if known is not None and (sender == subject or not known.is_live):
                    self._learn(known.claimed(State.LEFT, incarnation), sender, now)
                else:
                    self.suspect(subject, incarnation, sender, now)

    def suspect(self, subject: bytes, incarnation: int, accuser: bytes, now: float) -> bool:
        """Hear, or say, that `subject` does not answer; whether that made it a suspect."""
        known = self.view.get(subject)
        if known is None or incarnation < known.incarnation:
            return False
        suspected = known.claimed(State.SUSPECT, incarnation)
        suspicion = self._suspicions.get(subject)
        if suspicion is None or suspicion.incarnation < suspected.as_described().incarnation:
            return self._learn(suspected, accuser, now)
        if suspicion.confirm(accuser):
            self.rumours.put(subject, encode(Suspect(subject, suspicion.incarnation, accuser)))
        return False

    def merge(self, members: Iterable[Member], informant: bytes, now: float) -> None:
        """Hear the whole view of a peer whom a link has proven to be `informant`.

        Of a member we believe to live, a peer's `dead` makes a suspect only: after a partition each side
        holds the other dead, and those who are here should have the time to say so.
        """
        for member in members:
            known = self.view.get(member.node_id)
            own_word = member.node_id == informant
            believed = own_word or member.state is State.ALIVE or member.node_id == self._own_id
            if known is None or believed or (member.state is State.LEFT and not known.is_live):
                self._learn(member, informant, now, linked=True)
            else:
                self._learn(member.claimed(State.ALIVE, member.described), informant, now, linked=True)
                self.suspect(member.node_id, member.incarnation, informant, now)
        self.view.prove(informant)

    def describe(self, meta: Mapping[str, MetaValue], now: float) -> None:
        """Spread other small facts about this node, unless it has said that it is gone."""
        if self.own.state is State.LEFT:
            return
        self._raise_incarnation(self.own.incarnation, replace(self.own.description, meta=dict(meta)), now)

    def leave(self) -> None:
        """Say that this node is gone."""
        self._replace_own(self.own.claimed(State.LEFT, self.own.incarnation))

    def expire(self, now: float) -> None:
        """Hold dead whoever did not refute in time, refute what had to wait, forget whoever is long gone."""
        for subject, suspicion in list(self._suspicions.items()):
            if suspicion.deadline <= now:
                dead = self.view[subject].claimed(State.DEAD, suspicion.incarnation)
                self._learn(dead, self._own_id, now)
        if self._contested is not None and self._raise_at <= now:
            self._raise_incarnation(self._contested, self.own.description, now)
        gone = self.view.gone_strangers()
        self._gone_since = {node_id: self._gone_since.get(node_id, now) for node_id in gone}
        for node_id, since in list(self._gone_since.items()):
            if since + GOSSIP_FORGET_S <= now:
                self._forget(self.view[node_id])

    def next_deadline(self) -> float:
        """Seconds, when `expire` has something to do."""
        deadlines = [suspicion.deadline for suspicion in self._suspicions.values()]
        if self._contested is not None:
            deadlines.append(self._raise_at)
        deadlines += (since + GOSSIP_FORGET_S for since in self._gone_since.values())
        return min(deadlines, default=math.inf)

    def postpone(self, seconds: float) -> None:
        """Give every suspect the time during which this node was not listening."""
        for suspicion in self._suspicions.values():
            suspicion.postpone(seconds)

    def _learn(self, member: Member, accuser: bytes, now: float, *, linked: bool = False) -> bool:
        """Join one thing known of a member into the view; whether it was new.

        Args:
            member: what was heard.
            accuser: who said it (node id).
            now: seconds.
            linked: whether a link has proven who that is.
        """
        if member.node_id == self._own_id:
            self._contest(member, now, INCARNATION_CLIMB if linked else INCARNATION_STEP)
            return False
        before = self.view.get(member.node_id)
        proven = linked and member.node_id == accuser
        in_the_way = self.view.in_the_way(member, proven=proven) if before is None else []
        if in_the_way is None:
            return False
        if member.described > (before.described if before else 0) + INCARNATION_STEP and not proven:
            self._doubt(member)
            return False
        if not self.view.join(member.as_described()):
            return False
        for other in in_the_way:
            self._forget(other)
        after = self.view[member.node_id]
        self._follow_suspicion(after, accuser, now)
        self.rumours.put(after.node_id, encode(self.message(after)))
        self._outbox.append(MemberChanged(after, before))
        return True

    def _doubt(self, member: Member) -> None:
        """Have a node asked itself whether it is as it is said to be."""
        if member.is_live and member.peer != NOWHERE and len(self._doubted) < GOSSIP_DOUBTS:
            self._doubted[member.node_id] = member.peer

    def _forget(self, member: Member) -> None:
        self.view.forget(member.node_id)
        self.rumours.drop(member.node_id)
        self._suspicions.pop(member.node_id, None)
        self._gone_since.pop(member.node_id, None)
        self._outbox.append(MemberForgotten(member))

    def _follow_suspicion(self, member: Member, accuser: bytes, now: float) -> None:
        """Keep exactly one running suspicion for each suspect, about the incarnation accused."""
        suspicion = self._suspicions.get(member.node_id)
        if member.state is not State.SUSPECT:
            self._suspicions.pop(member.node_id, None)
        elif suspicion is None or suspicion.incarnation != member.incarnation:
            self._suspicions[member.node_id] = Suspicion.begin(
                member.incarnation, accuser, self.view.live_count(), self._profile, now
            )

    def _contest(self, claimed: Member, now: float, reach: int) -> None:
        """Hear something about this node itself, and deny what would change how others see it.

        Args:
            claimed: what was heard.
            now: seconds.
            reach: how far above its own an incarnation may be that this node climbs to at once.
        """
        own = self.own
        if own.state is State.LEFT or join(own, claimed) == own:
            return
        if claimed.state is not State.ALIVE:
            self._health.shift(1)
        claimed_at = min(max(claimed.incarnation, claimed.described), own.incarnation + reach - 1)
        self._contested = max(self._contested or 0, claimed_at)
        if self._raise_at <= now:
            self._raise_incarnation(self._contested, own.description, now)

    def _raise_incarnation(self, above: int, description: Description, now: float) -> None:
        """Describe this node at an incarnation that was not used; at the last one it has no more to say."""
        before = self.own.incarnation
        incarnation = min(max(above, before, self._contested or 0) + 1, INCARNATION_MAX)
        self.refutations += self._contested is not None
        self._contested = None
        self._raise_at = now + self._profile.gossip_interval_s
        if incarnation > before:
            # What this call already queued may say the new incarnation too (an acknowledgement carries
            # rumours), so it goes in front of everything.
            self._outbox.insert(0, PersistIncarnation(incarnation))
            self._replace_own(Member.alive(self._own_id, description, incarnation))

    def _replace_own(self, own: Member) -> None:
        before = self.own
        self.view.join(own)
        self.rumours.put(self._own_id, encode(self.message(self.own)))
        self._outbox.append(MemberChanged(self.own, before))
