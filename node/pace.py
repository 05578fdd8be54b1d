"""The pace of work in the background: more a message while a peer is quick, half as much when it is not.

Additive increase, multiplicative decrease, as TCP does it: several nodes that burden one another so come to
share what the foreground leaves. Source: D.-M. Chiu, R. Jain, "Analysis of the Increase and Decrease
Algorithms for Congestion Avoidance in Computer Networks" (1989).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from folkmoot.protocol import limits

CREDIT_FIRST: Final = 32
CREDIT_STEP: Final = 32
CREDIT_MAX: Final = limits.REPLICATION_BATCH_CELLS
SLOW_S: Final = 0.25
REST_MAX_S: Final = 1.0


@dataclass(slots=True)
class Pace:
    """AIMD for one peer: how many cells the next message may carry."""

    credit: int = CREDIT_FIRST

    def succeeded(self, seconds: float) -> None:
        """A message took so long, with all that was done about it."""
        if seconds > SLOW_S:
            self.failed()
        else:
            self.credit = min(self.credit + CREDIT_STEP, CREDIT_MAX)

    def failed(self) -> None:
        """A message did not come to its end."""
        self.credit = max(1, self.credit // 2)


def rest_s(seconds: float) -> float:
    """How long to rest after work that took so long: as long, so that others have at least half."""
    return min(seconds, REST_MAX_S)
