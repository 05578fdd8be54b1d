"""The constants of failure detection, as three profiles, each with the formula it enters into.

LAN and WAN are memberlist's. Loopback differs where one machine differs from a network: nothing is lost and
a dead process answers every connection with a refusal, so speed comes from that evidence; but the processes
share a few cores and their event loops stall together, so silence is given *more* time, not less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_PUSH_PULL_SCALES_ABOVE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How eagerly one node watches the others. `health` stands for Lifeguard's factor, 1 when healthy.

    Args:
        name: what the configuration calls it.
        probe_interval_s: one member is probed every `probe_interval_s * health`; a probe fails at its end.
        probe_timeout_s: without an acknowledgement after `probe_timeout_s * health` others are asked to try.
        reset_timeout_s: the whole time a probe after a reset connection has: `reset_timeout_s * health`.
        indirect_probes: how many others are asked.
        suspicion_multiplier: least time from suspect to dead, with n live members:
            `suspicion_multiplier * max(1, log10(n)) * probe_interval_s`; confirmations wanted: this - 2.
        suspicion_max_multiplier: the greatest time is this many times the least.
        retransmit_multiplier: a rumour is sent `retransmit_multiplier * ceil(log10(n + 1))` times.
        gossip_interval_s: between two rounds of rumours that found no probe to ride on.
        gossip_nodes: members told in one round.
        push_pull_interval_s: between two comparisons of whole views, grown by `push_pull_interval_s(n)`.
        push_pull_timeout_s: the deadline of one request of such a comparison.
        awareness_max: health factors run from 1 to this.
        retry_interval_s: between two probes of members held dead, for ever.
        join_retry_min_s: before the second attempt to reach a seed; doubles up to the next.
        join_retry_max_s: between later attempts, for ever.
        late_grace_s: a timer served later than this says more about us than about those who did not answer.
    """

    name: str
    probe_interval_s: float
    probe_timeout_s: float
    reset_timeout_s: float
    indirect_probes: int
    suspicion_multiplier: int
    suspicion_max_multiplier: int
    retransmit_multiplier: int
    gossip_interval_s: float
    gossip_nodes: int
    push_pull_interval_s: float
    push_pull_timeout_s: float
    awareness_max: int
    retry_interval_s: float
    join_retry_min_s: float
    join_retry_max_s: float
    late_grace_s: float


LAN: Final = Profile(
    name="lan",
    probe_interval_s=1.0,
    probe_timeout_s=0.5,
    reset_timeout_s=0.4,
    indirect_probes=3,
    suspicion_multiplier=4,
    suspicion_max_multiplier=6,
    retransmit_multiplier=4,
    gossip_interval_s=0.2,
    gossip_nodes=3,
    push_pull_interval_s=30.0,
    push_pull_timeout_s=10.0,
    awareness_max=8,
    retry_interval_s=5.0,
    join_retry_min_s=0.5,
    join_retry_max_s=15.0,
    late_grace_s=0.1,
)

WAN: Final = Profile(
    name="wan",
    probe_interval_s=5.0,
    probe_timeout_s=3.0,
    reset_timeout_s=1.5,
    indirect_probes=3,
    suspicion_multiplier=6,
    suspicion_max_multiplier=6,
    retransmit_multiplier=4,
    gossip_interval_s=0.5,
    gossip_nodes=4,
    push_pull_interval_s=60.0,
    push_pull_timeout_s=30.0,
    awareness_max=8,
    retry_interval_s=15.0,
    join_retry_min_s=1.0,
    join_retry_max_s=30.0,
    late_grace_s=0.3,
)

LOOPBACK: Final = Profile(
    name="loopback",
    probe_interval_s=1.0,
    probe_timeout_s=0.5,
    reset_timeout_s=0.4,
    indirect_probes=3,
    suspicion_multiplier=4,
    suspicion_max_multiplier=6,
    retransmit_multiplier=4,
    gossip_interval_s=0.1,
    gossip_nodes=3,
    push_pull_interval_s=15.0,
    push_pull_timeout_s=5.0,
    awareness_max=8,
    retry_interval_s=1.0,
    join_retry_min_s=0.1,
    join_retry_max_s=1.0,
    late_grace_s=0.1,
)

PROFILES: Final[Mapping[str, Profile]] = {profile.name: profile for profile in (LAN, WAN, LOOPBACK)}


def push_pull_interval_s(interval_s: float, members: int) -> float:
    """Seconds between two comparisons of views: one interval more per doubling beyond 32 members."""
    if members <= _PUSH_PULL_SCALES_ABOVE:
        return interval_s
    return interval_s * (math.ceil(math.log2(members / _PUSH_PULL_SCALES_ABOVE)) + 1)


for _profile in PROFILES.values():
    assert _profile.probe_timeout_s < _profile.probe_interval_s, "others need time to try, too"
    assert _profile.reset_timeout_s < _profile.probe_interval_s, "a reset must be faster than the rotation"
    assert _profile.gossip_interval_s < _profile.probe_interval_s, "a refutation must outrun the suspicion"
