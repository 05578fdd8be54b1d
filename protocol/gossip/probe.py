"""Probes under way: whom we asked, by when an answer is due, and whom we asked to ask.

A probe passes through two waits. Until `direct_until` only the target was pinged; then some others are asked
to ping it, and until `until` an acknowledgement by either way counts. A relay answers a request in our place
in time or says that it got no answer, which tells a dead target from a deaf relay.

Source: SWIM, sections 3.1 and 4.3 (round robin over a shuffled list); Lifeguard, section IV.A (nack).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from folkmoot.protocol.gossip.members import Endpoint, Member
from folkmoot.protocol.limits import GOSSIP_RELAYS

_SEQUENCES = 2**16


class Purpose(enum.Enum):
    """Why a member is probed, which decides what its silence means."""

    ROTATION = enum.auto()  # its turn: silence makes it suspect
    RESET = enum.auto()  # its connection broke: silence makes it suspect at once, and all are told
    RETRY = enum.auto()  # it is held dead: silence means nothing new


@dataclass(slots=True)
class Probe:
    """One member asked whether it lives at `incarnation`; times in seconds."""

    sequence: int
    target: bytes
    incarnation: int
    purpose: Purpose
    started: float
    direct_until: float
    until: float
    relays: tuple[bytes, ...] = ()
    nacks: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Relay:
    """One member asked on behalf of another node; `nack_at` in seconds."""

    sequence: int
    target: bytes
    requester: bytes
    requester_endpoint: Endpoint
    requester_sequence: int
    nack_at: float


class Rotation:
    """Round robin over a shuffled list: every member has its turn before anyone has a second one."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._waiting: list[bytes] = []

    def add(self, node_id: bytes) -> None:
        """Put a new member at a random place of the current round."""
        self._waiting.insert(self._random.randint(0, len(self._waiting)), node_id)

    def next(self, eligible: Collection[bytes]) -> bytes | None:
        """Whose turn it is among `eligible`, in an order that does not depend on hashing."""
        for _ in range(2):
            while self._waiting:
                node_id = self._waiting.pop()
                if node_id in eligible:
                    return node_id
            self._waiting = list(eligible)
            self._random.shuffle(self._waiting)
        return None


class Probes:
    """The probes and relays under way, by sequence number.

    Args:
        random: draws where the sequence numbers start, so that an answer to an earlier boot fits no probe.
    """

    def __init__(self, random: Random) -> None:
        self._sequence = random.randrange(_SEQUENCES)
        self._probes: dict[int, Probe] = {}
        self._relays: dict[int, Relay] = {}

    def __len__(self) -> int:
        return len(self._probes)

    def is_probing(self, target: bytes, purpose: Purpose) -> bool:
        """Whether such a probe of `target` is under way."""
        return any(probe.target == target and probe.purpose is purpose for probe in self._probes.values())

    def start(self, member: Member, purpose: Purpose, now: float, direct_s: float, whole_s: float) -> Probe:
        """A new probe of `member` whose two waits end `direct_s` and `whole_s` seconds from now."""
        probe = Probe(
            self._next_sequence(),
            member.node_id,
            member.incarnation,
            purpose,
            now,
            now + direct_s,
            now + whole_s,
        )
        self._probes[probe.sequence] = probe
        return probe

    def relay(
        self, target: bytes, requester: bytes, endpoint: Endpoint, sequence: int, nack_at: float
    ) -> Relay | None:
        """A new relay for `requester`'s probe `sequence`; None when too many are under way."""
        if len(self._relays) >= GOSSIP_RELAYS:
            return None
        relay = Relay(self._next_sequence(), target, requester, endpoint, sequence, nack_at)
        self._relays[relay.sequence] = relay
        return relay

    def acknowledged(self, sequence: int, sender: bytes) -> Probe | Relay | None:
        """End what `sender`'s acknowledgement answers, and return it; None when it fits nothing."""
        probe = self._probes.get(sequence)
        if probe is not None and (sender == probe.target or sender in probe.relays):
            return self._probes.pop(sequence)
        relay = self._relays.get(sequence)
        if relay is not None and sender == relay.target:
            return self._relays.pop(sequence)
        return None

    def nacked(self, sequence: int, sender: bytes) -> None:
        """Note that a relay lives but had no answer."""
        probe = self._probes.get(sequence)
        if probe is not None and sender in probe.relays and sender not in probe.nacks:
            probe.nacks += (sender,)

    def forget(self, probe: Probe) -> None:
        """End a probe whose target showed life by another way."""
        del self._probes[probe.sequence]

    def take_indirect(self, now: float) -> list[Probe]:
        """Probes whose first wait is over; each is returned once."""
        over = [probe for probe in self._probes.values() if probe.direct_until <= now]
        for probe in over:
            probe.direct_until = math.inf
        return over

    def take_failed(self, now: float) -> list[Probe]:
        """Probes that nobody answered; they are over."""
        failed = [probe for probe in self._probes.values() if probe.until <= now]
        for probe in failed:
            del self._probes[probe.sequence]
        return failed

    def take_nacks(self, now: float) -> list[Relay]:
        """Relays whose requester must be told that there is no answer; an answer may no longer come."""
        over = [relay for relay in self._relays.values() if relay.nack_at <= now]
        for relay in over:
            del self._relays[relay.sequence]
        return over

    def next_deadline(self) -> float:
        """Seconds, when one of the `take_` methods has something to return."""
        waits = [min(probe.direct_until, probe.until) for probe in self._probes.values()]
        return min([*waits, *(relay.nack_at for relay in self._relays.values())], default=math.inf)

    def postpone(self, seconds: float) -> None:
        """Give every probe the time during which this node was not listening."""
        for probe in self._probes.values():
            probe.direct_until += seconds
            probe.until += seconds

    def _next_sequence(self) -> int:
        while True:
            self._sequence = (self._sequence + 1) % _SEQUENCES
            if self._sequence not in self._probes and self._sequence not in self._relays:
                return self._sequence
