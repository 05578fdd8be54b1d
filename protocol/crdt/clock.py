"""Version vectors whose actors are the author's devices.

A clock maps a device (34 bytes) to the greatest stamp known of it: it covers every dot (device, stamp) at or
below that. Devices sign both their own stamps and what they had seen, so no node can forge or lose
causality, and the vector is as long as the author has devices.

Source: D. S. Parker et al., "Detection of Mutual Inconsistency in Distributed Systems" (1983).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Clock = Mapping[bytes, int]


class Dot(NamedTuple):
    """The name of one record: which device, at which stamp (microseconds since 1970)."""

    device: bytes
    stamp: int


def covers(clock: Clock, device: bytes, stamp: int) -> bool:
    """Whether the dot (device, stamp) is at or below `clock`."""
    return clock.get(device, -1) >= stamp


def join(one: Clock, other: Clock) -> dict[bytes, int]:
    """The pointwise maximum."""
    joined = dict(one)
    for device, stamp in other.items():
        if joined.get(device, -1) < stamp:
            joined[device] = stamp
    return joined


def dominates(one: Clock, other: Clock) -> bool:
    """Whether `one` covers everything `other` covers."""
    return all(covers(one, device, stamp) for device, stamp in other.items())
