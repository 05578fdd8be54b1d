"""Who is told what, in which datagram: answers with rumours beside them, gossip rounds, and floods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from folkmoot.protocol.gossip.broadcast import retransmit_limit
from folkmoot.protocol.gossip.claims import Claims
from folkmoot.protocol.gossip.events import Effect, SendDatagram
from folkmoot.protocol.gossip.members import Endpoint, Member
from folkmoot.protocol.gossip.messages import encode
from folkmoot.protocol.gossip.profile import Profile
from folkmoot.protocol.gossip.seal import PAYLOAD_BYTES


class Speaker:
    """Composes this node's datagrams.

    Args:
        claims: the view, and the rumours that ride along.
        profile: the constants.
        random: chooses whom a gossip round tells.
        outbox: where effects are put.
    """

    def __init__(self, claims: Claims, profile: Profile, random: Random, outbox: list[Effect]) -> None:
        self._claims = claims
        self._profile = profile
        self._random = random
        self._outbox = outbox
        self._gossiped_at = -math.inf
        self._gossip_at = math.inf

    @property
    def next_deadline(self) -> float:
        """Seconds, when `gossip` has something to tell; infinite when there is nothing to say or nobody."""
        return self._gossip_at

    def send(self, node_id: bytes, endpoint: Endpoint, messages: Sequence[bytes]) -> None:
        """Send messages, with as many rumours as fit beside them; nothing when there are neither."""
        limit = retransmit_limit(self._profile.retransmit_multiplier, self._claims.view.live_count())
        rumours = self._claims.rumours.take(PAYLOAD_BYTES - sum(map(len, messages)), limit)
        payload = b"".join([*messages, *(rumour for rumour in rumours if rumour not in messages)])
        if payload:
            self._outbox.append(SendDatagram(node_id, endpoint, payload))

    def flood(self, member: Member) -> None:
        """Tell every other live member directly what is claimed of one."""
        claim = encode(self._claims.message(member))
        for other in self._claims.live_others():
            if other.node_id != member.node_id:
                self._outbox.append(SendDatagram(other.node_id, other.datagram, claim))

    def gossip(self, now: float) -> None:
        """Hold a round of rumours, if one is due."""
        if now < self._gossip_at:
            return
        self._gossiped_at, self._gossip_at = now, math.inf
        live = self._claims.trusted_others()
        for member in self._random.sample(live, min(self._profile.gossip_nodes, len(live))):
            self.send(member.node_id, member.datagram, [])

    def schedule(self, now: float) -> None:
        """Let the next round wait for nothing but its interval, and only while there is something to say."""
        if not self._claims.rumours or not self._claims.live_others():
            self._gossip_at = math.inf
        elif self._gossip_at == math.inf:
            self._gossip_at = max(now, self._gossiped_at + self._profile.gossip_interval_s)
