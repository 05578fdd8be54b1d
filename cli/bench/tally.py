"""What a run of load has seen: answers by status, refusals by name, and how late each answer came."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

ACKNOWLEDGED: Final = ("stored", "duplicate", "held")
SHARES: Final[Mapping[str, float]] = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of some ascending values lie; NaN of none."""
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread_ms(latencies_s: Sequence[float]) -> dict[str, float]:
    """Percentiles and maximum in milliseconds; empty when there are no latencies."""
    if not latencies_s:
        return {}
    ordered = sorted(latencies_s)
    spread = {name: percentile(ordered, share) for name, share in SHARES.items()} | {"max": ordered[-1]}
    return {name: round(value_s * 1000, 3) for name, value_s in spread.items()}


@dataclass(slots=True)
class LoadTally:
    """The figures of one run.

    Args:
        statuses: posts by what became of them.
        failed: requests that got no result, by the error's name.
        put_s, page_s: seconds from when a request was due to its answer, in order of answers.
        unanswered: requests that were due and had no answer, or were not even sent, when patience ended.
        last_s: when the last answer came, on trio's clock.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    put_s: array[float] = field(default_factory=lambda: array("d"))
    page_s: array[float] = field(default_factory=lambda: array("d"))
    unanswered: int = 0
    last_s: float = 0.0

    @property
    def acknowledged(self) -> int:
        """Posts that the cluster promised to keep."""
        return sum(self.statuses[status] for status in ACKNOWLEDGED)

    @property
    def clean(self) -> bool:
        """Whether every request was answered, and every post acknowledged."""
        return not self.unanswered and not self.failed and self.acknowledged == self.statuses.total()

    def summary(self, seconds: float) -> dict[str, Any]:
        """For `--json`.

        Args:
            seconds: from the first request to the last answer.
        """
        return {
            "seconds": round(seconds, 3),
            "acknowledged": self.acknowledged,
            "posts_per_s": round(self.acknowledged / seconds, 1) if seconds else 0.0,
            "pages": len(self.page_s),
            "pages_per_s": round(len(self.page_s) / seconds, 1) if seconds else 0.0,
            "statuses": dict(self.statuses),
            "failed": dict(self.failed),
            "unanswered": self.unanswered,
            "put_ms": spread_ms(self.put_s),
            "page_ms": spread_ms(self.page_s),
        }
