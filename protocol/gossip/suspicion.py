"""How long a suspect has to refute: long when one node accuses it, short when many do.

The timeout starts at its greatest and falls to its least as independent confirmations arrive, by the
logarithm, so that the first ones count most. A node that is slow itself accuses alone and waits long; a dead
node is accused by all and waits little.

Source: Lifeguard, section IV.B; memberlist suspicion.go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from folkmoot.protocol.gossip.profile import Profile


def suspicion_min_s(multiplier: int, members: int, probe_interval_s: float) -> float:
    """The least time from suspect to dead, in seconds, among `members` live ones."""
    return multiplier * max(1.0, math.log10(max(1, members))) * probe_interval_s


def confirmations_wanted(multiplier: int, members: int) -> int:
    """How many others must agree before the least time applies; 0 where too few others exist to agree."""
    wanted = multiplier - 2
    return wanted if members - 2 >= wanted else 0


def suspicion_timeout_s(confirmations: int, wanted: int, min_s: float, max_s: float) -> float:
    """The time from the first accusation to dead, in seconds, after `confirmations` of `wanted`."""
    if wanted < 1:
        return min_s
    share = math.log(confirmations + 1) / math.log(wanted + 1)
    return max(min_s, max_s - share * (max_s - min_s))


@dataclass(slots=True)
class Suspicion:
    """One running suspicion.

    Args:
        incarnation: of the suspect, as accused.
        accuser: who said it first (node id); never counted as its own confirmation.
        started: seconds, when we first heard.
        wanted: confirmations until the least time applies.
        min_s: the least time.
        max_s: the greatest time.
    """

    incarnation: int
    accuser: bytes
    started: float
    wanted: int
    min_s: float
    max_s: float
    confirmed_by: tuple[bytes, ...] = ()

    @classmethod
    def begin(cls, incarnation: int, accuser: bytes, members: int, profile: Profile, now: float) -> Suspicion:
        """A suspicion that starts now, among `members` live ones."""
        min_s = suspicion_min_s(profile.suspicion_multiplier, members, profile.probe_interval_s)
        return cls(
            incarnation=incarnation,
            accuser=accuser,
            started=now,
            wanted=confirmations_wanted(profile.suspicion_multiplier, members),
            min_s=min_s,
            max_s=min_s * profile.suspicion_max_multiplier,
        )

    @property
    def deadline(self) -> float:
        """Seconds, when the suspect is held dead."""
        return self.started + suspicion_timeout_s(len(self.confirmed_by), self.wanted, self.min_s, self.max_s)

    def confirm(self, accuser: bytes) -> bool:
        """Count one accuser; False when it said so before or enough have."""
        if len(self.confirmed_by) >= self.wanted or accuser == self.accuser or accuser in self.confirmed_by:
            return False
        self.confirmed_by += (accuser,)
        return True

    def postpone(self, seconds: float) -> None:
        """Give the suspect the time during which this node was not listening."""
        self.started += seconds
