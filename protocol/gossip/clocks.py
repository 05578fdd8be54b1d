"""Whether this node's clock strays from its peers': the median of all clocks, by what peers said of theirs.

Each answer that carries the peer's time is a sample: the peer's clock was somewhere between the asking and
the answer, so half of the time between is the error (F. Cristian, "Probabilistic clock synchronization",
1989). Samples are kept against the monotonic clock, which nobody sets. The median is taken of the newest
sample of each peer and of this node's own clock, so that of three nodes one that is wrong makes nobody else
doubt; where just as many clocks say one thing as the other, as two nodes must, both doubt themselves.

A sample from before this node's clock was set, or its machine slept, says nothing any more.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from folkmoot.protocol.limits import GOSSIP_CLOCKS

SAMPLE_AGE_S: Final = 600.0
ERROR_US_MAX: Final = 250_000
SET_US: Final = 250_000  # a greater change between wall and monotonic clock is no drift
STRAY_US: Final = 500_000
HEALED_US: Final = 400_000  # so that a clock at the edge does not come and go


class _Sample(NamedTuple):
    """Of one peer's clock.

    Args:
        taken_s: when, on the monotonic clock.
        ahead_us: how far the peer's clock was ahead of the monotonic one.
        own_us: how far this node's own clock was then.
    """

    taken_s: float
    ahead_us: int
    own_us: int


class ClockVerdict(NamedTuple):
    """What is known of this node's clock.

    Args:
        ahead_us: how far it is ahead of the median, negative when it is behind; None when nobody told.
        peers: whose clocks were compared with.
        strays: whether that is too far; as it was last known, when nobody told.
    """

    ahead_us: int | None
    peers: int
    strays: bool


class Clocks:
    """See the module."""

    def __init__(self) -> None:
        self._samples: dict[bytes, _Sample] = {}
        self._strays = False

    def heard(self, node_id: bytes, time_us: int, own_us: int, asked_s: float, now: float) -> None:
        """A peer has told its time.

        Args:
            node_id: the peer's.
            time_us: its clock, in microseconds since 1970.
            own_us: this node's clock now.
            asked_s, now: the monotonic clock when it was asked, and now, in seconds.
        """
        if (now - asked_s) / 2 * 1_000_000 > ERROR_US_MAX:
            return
        self._samples.pop(node_id, None)
        if len(self._samples) >= GOSSIP_CLOCKS:
            del self._samples[next(iter(self._samples))]  # the oldest
        middle_us = _us((asked_s + now) / 2)
        self._samples[node_id] = _Sample(now, time_us - middle_us, own_us - _us(now))

    def judge(self, own_us: int, now: float) -> ClockVerdict:
        """Compare this node's clock with the others.

        Args:
            own_us: this node's clock, in microseconds since 1970.
            now: the monotonic clock, in seconds.
        """
        own_ahead_us = own_us - _us(now)
        self._samples = {
            node_id: sample
            for node_id, sample in self._samples.items()
            if now - sample.taken_s <= SAMPLE_AGE_S and abs(own_ahead_us - sample.own_us) <= SET_US
        }
        if not self._samples:
            return ClockVerdict(None, 0, self._strays)
        others = sorted([0, *(sample.ahead_us - own_ahead_us for sample in self._samples.values())])
        median_us = max(others[(len(others) - 1) // 2], others[len(others) // 2], key=abs)
        self._strays = abs(median_us) > (HEALED_US if self._strays else STRAY_US)
        return ClockVerdict(-median_us, len(self._samples), self._strays)


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)
