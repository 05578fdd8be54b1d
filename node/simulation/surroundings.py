"""The small parts of a simulated node's environment: its wall clock, its executor, its keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import trio
from folkmoot.protocol.identity import KeyPair

T = TypeVar("T")

EPOCH_US: Final = 1_800_000_000_000_000  # virtual time 0 on the wall
SKEW_US_MAX: Final = 200_000


class SimulatedWallClock:
    """A wall clock that is off.

    Args:
        skew_us: always by so much, in microseconds.

    Attributes:
        jump_us: for a while by so much more.
    """

    def __init__(self, skew_us: int) -> None:
        self.skew_us = skew_us
        self.jump_us = 0
        self._drifted_us = 0.0
        self._permille = 0.0
        self._since_s = 0.0

    def drift(self, permille: float) -> None:
        """Run so much too fast from now on, or too slow; what it is off by until then remains."""
        now_s = trio.current_time()
        self._drifted_us += (now_s - self._since_s) * 1_000 * self._permille
        self._permille, self._since_s = permille, now_s

    def set_right(self) -> None:
        """Run as it should, and be where it would be if it always had."""
        self._drifted_us = self._permille = 0.0

    def now_us(self) -> int:
        """See `environment.WallClock`."""
        now_s = trio.current_time()
        drifted_us = self._drifted_us + (now_s - self._since_s) * 1_000 * self._permille
        return EPOCH_US + int(now_s * 1_000_000 + drifted_us) + self.skew_us + self.jump_us


class InlineExecutor:
    """Runs work at once: threads would race virtual time."""

    async def run(self, work: Callable[[], T]) -> T:
        """See `environment.Executor`."""
        await trio.lowlevel.checkpoint()
        return work()

    def spent_s(self) -> float:
        """See `environment.Executor`."""
        return 0.0


@dataclass(frozen=True, slots=True)
class SimulatedSecrets:
    """A node's keys.

    Args:
        key: the service account's.
        ring: the cluster's gossip keys.
    """

    key: KeyPair
    ring: tuple[bytes, ...]

    def service(self) -> KeyPair:
        """See `environment.Secrets`."""
        return self.key

    def gossip_ring(self) -> tuple[bytes, ...]:
        """See `environment.Secrets`."""
        return self.ring
