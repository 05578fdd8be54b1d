"""Back-pressure: while what is derived falls behind what is stored, this node takes less from clients.

The log that projections read is complete, so nothing is lost by reading it late; but if posts came faster
than they can be derived for long enough, feeds would be behind by hours. So it is looked once a second how
old the oldest change in this node's own logs is that was not applied yet. Above a bound clients' records are
admitted at a rate only, and the others are answered `busy`, with when to come again: no queue grows. The rate
begins below what was applied lately. From then on it is cut while the age grows, stays while it shrinks, and
rises step by step while it is a quarter of the bound at most, until nobody is turned away any more (additive
increase, multiplicative decrease; see `pace` for the source). What was taken before the bound was reached is
still to be applied, so the age passes the bound at first, by as much as clients were faster than projections.

What was in the log before the node started (it was away, or makes everything anew) is read on at some speed,
and as long as clients bring less than that there is ever less of it: they are held to a share of it.

What other nodes send is never slowed: a replica that did not join would be repaired later, at a greater
price. Logs of others that cannot be reached do not count, for slowing clients here would not bring them back.
And a projection that does not get on at all slows nobody: what is stored is the truth, and waiting for what
is derived from it until somebody mends it would turn a broken feed into a broken node.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

import trio

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
MOMENTS: Final = 1_024
STUCK_S: Final = 30.0
RATE_MIN: Final = 10.0
INCREASE: Final = 5.0
INCREASE_SHARE: Final = 0.05
DECREASE: Final = 0.7
TARGET: Final = 0.25
CALM_TICKS: Final = 5
SMOOTHING: Final = 0.2
WAIT_MIN_MS: Final = 50
WAIT_MAX_MS: Final = 5_000


class FollowsLog(Protocol):
    """Something that follows this node's own log."""

    @property
    def applied(self) -> int:
        """How many changes it has applied; another number whenever it has got on."""
        ...

    def unread(self) -> Iterator[tuple[int, float]]:
        """Of each part of the log that has more than was applied: the last change that was, by its number,
        and when nothing was left there for the last time (trio's clock)."""
        ...


class Behind(NamedTuple):
    """How far something is behind the log that it follows.

    Args:
        age_s: how old the oldest change is that it has not applied.
        applied_per_s: how many it does, lately.
        is_old: whether that change was made before it was looked at all: its age says nothing but how long
            the node runs, and less is left however that grows.
    """

    age_s: float = 0.0
    applied_per_s: float = 0.0
    is_old: bool = False


class Throttle:
    """How many records a second are admitted; see the module. Pure: whoever asks says what time it is.

    Args:
        bound_s: how old what was not applied yet may be.

    Attributes:
        rate: records a second; None for as many as come.
        refused: how many were turned away.
    """

    def __init__(self, bound_s: float) -> None:
        self._bound_s = bound_s
        self._behind_s = 0.0
        self._tokens = 0.0
        self._at = 0.0
        self._calm = 0
        self._refused_before = 0
        self.rate: float | None = None
        self.refused = 0

    def judge(self, behind: Behind, now: float) -> None:
        """Set the rate, once a tick.

        Args:
            behind: how far what is furthest behind is.
            now: monotonic seconds.
        """
        behind_s, share = behind.age_s, max(RATE_MIN, behind.applied_per_s * DECREASE)
        grows, self._behind_s = behind_s > self._behind_s, behind_s
        turned_away, self._refused_before = self.refused > self._refused_before, self.refused
        if self.rate is None:
            if behind_s > self._bound_s:
                self.rate, self._tokens, self._at = share, 0.0, now
            return
        if behind.is_old:
            self.rate, self._calm = share, 0
            return
        self._calm = self._calm + 1 if behind_s <= self._bound_s * TARGET and not turned_away else 0
        if self._calm == CALM_TICKS:
            self.rate, self._calm = None, 0
        elif behind_s <= self._bound_s * TARGET:
            self.rate += INCREASE + self.rate * INCREASE_SHARE
        elif grows:
            self.rate = max(RATE_MIN, self.rate * DECREASE)

    def admit(self, count: int, now: float) -> int:
        """Let some records pass, if it is their turn.

        Returns:
            0 when they may; else the milliseconds after which they are to come again.
        """
        if self.rate is None:
            return 0
        self._tokens = min(self.rate * TICK_S, self._tokens + self.rate * (now - self._at))
        self._at = now
        if self._tokens >= 0.0:
            self._tokens -= count  # a request that is more than a second's share is owed by those after it
            return 0
        self.refused += count
        return int(min(WAIT_MAX_MS, max(WAIT_MIN_MS, 1000 * -self._tokens / self.rate)))


class Pressure:
    """See the module. `run` must be running.

    Args:
        sequence: the number of the store's latest change.
        followed: what follows its log, by name.
        bound_s: see `Throttle`; 0 to slow nobody.
    """

    def __init__(
        self, sequence: Callable[[], int], followed: Mapping[str, FollowsLog], bound_s: float
    ) -> None:
        self._sequence = sequence
        self._followed = followed
        self._bound_s = bound_s
        self._throttle = Throttle(bound_s)
        self._moments: deque[tuple[float, int]] = deque(maxlen=MOMENTS)
        self._moved: dict[str, tuple[int, float]] = {}
        self._speeds: dict[str, float] = {}
        self._behind = Behind()
        self._stuck: list[str] = []

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            await trio.sleep(TICK_S)
            self.look()

    def admit(self, count: int) -> int:
        """Let some of a client's records pass; see `Throttle.admit`."""
        return self._throttle.admit(count, trio.current_time()) if self._bound_s else 0

    def look(self) -> None:
        """See how far behind each is, and set the rate."""
        now = trio.current_time()
        self._moments.append((now, self._sequence()))
        worst = Behind()
        stuck: list[str] = []
        for name, each in self._followed.items():
            before, moved_at = self._moved.get(name, (each.applied, now))
            got_on = each.applied - before
            speed = self._speeds.get(name, 0.0)
            self._speeds[name] = speed = speed + SMOOTHING * (max(0, got_on) / TICK_S - speed)
            behind = self._behind_of(each, speed, now)
            if got_on or behind.age_s <= self._bound_s:
                moved_at = now
            self._moved[name] = each.applied, moved_at
            if now - moved_at >= STUCK_S:
                stuck.append(name)
            elif behind.age_s > worst.age_s:
                worst = behind
        for name in set(stuck).difference(self._stuck):
            log.error("%s does not get on, and slows nobody down any more: see why", name)
        self._stuck, self._behind = stuck, worst
        was, slowed = self._throttle.rate, self._throttle
        slowed.judge(worst, now)
        if (was is None) != (slowed.rate is None):
            log.warning("clients are %s", "let in freely again" if slowed.rate is None else "slowed down")

    def _behind_of(self, followed: FollowsLog, speed: float, now: float) -> Behind:
        oldest, first = now, self._moments[0][1]
        is_old = False
        for position, current_at in followed.unread():
            made_at = max(current_at, self._made_at(position))
            if made_at < oldest:
                oldest, is_old = made_at, position < first and made_at <= self._moments[0][0]
        return Behind(now - oldest, speed, is_old)

    def _made_at(self, number: int) -> float:
        """When a change was made, as far back as it was looked."""
        low, high = 0, len(self._moments)
        while low < high:
            middle = (low + high) // 2
            if self._moments[middle][1] < number:
                low = middle + 1
            else:
                high = middle
        return self._moments[min(low, len(self._moments) - 1)][0]

    def status(self) -> dict[str, Any]:
        """What `cluster.status` tells of it."""
        rate = self._throttle.rate
        return {
            "behind_ms": int(self._behind.age_s * 1000),
            "admitted_per_s": None if rate is None else round(rate, 1),
            "refused": self._throttle.refused,
            "stuck": self._stuck,
        }
