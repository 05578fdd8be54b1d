"""How long something takes, when some of it is not done yet.

What still waits has waited at least so long; leaving it out would make whoever never gets to an end look
fast.
So: the median of Kaplan and Meier (1958), its interval that of Brookmeyer and Crowley (1982, Biometrics
38:29) on the log-log scale, and Mantel's log-rank test (1966) of whether two groups wait alike. Times are
counted in steps of an eighth of an octave, which is 9 %, so that a count of them stays small and can be added
up wherever they were taken; intervals reach to the far ends of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import erfc, exp, inf, log, log2, sqrt
from typing import Final

from folkmoot.protocol.moderation.statistics.proportions import CONFIDENCE, Interval, standard_score

STEPS_PER_OCTAVE: Final = 8
LAST_STEP: Final = 256
"""The step in which everything is that takes longer than 136 years."""

_HALF: Final = 0.5
_ENOUGH: Final = 10  # of whom none has ended: then, with 95 % confidence, fewer than half will have

Steps = Mapping[int, int]


def step_of(seconds: float) -> int:
    """The step of a time; what is under a second counts as one."""
    return min(int(STEPS_PER_OCTAVE * log2(max(seconds, 1.0))), LAST_STEP)


def start_of(step: int) -> float:
    """The shortest time of a step, in seconds."""
    return float(2.0 ** (step / STEPS_PER_OCTAVE))


@dataclass(frozen=True, slots=True)
class Waits:
    """How long some waited.

    Args:
        ended: by step, how many came to an end then.
        lasting: by step, how many had waited so long when they were looked at.
    """

    ended: Steps = field(default_factory=dict)
    lasting: Steps = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.ended.values()) + sum(self.lasting.values())

    def plus(self, other: Waits) -> Waits:
        """Both together."""
        return Waits(_added(self.ended, other.ended, 1), _added(self.lasting, other.lasting, 1))

    def minus(self, part: Waits) -> Waits:
        """Those that are not in a part of them."""
        return Waits(_added(self.ended, part.ended, -1), _added(self.lasting, part.lasting, -1))


@dataclass(frozen=True, slots=True)
class Median:
    """The time by which half have come to an end.

    Args:
        value: in seconds; infinite when fewer than half have.
        interval: in seconds.
    """

    value: float
    interval: Interval


def median(waits: Waits, confidence: float = CONFIDENCE) -> Median:
    """The median time, with its interval; from 1 second to infinity when nothing is known.

    Where so few have ended that the low end is not reached, it is what ten at least have waited.
    """
    z = standard_score(confidence)
    left, surviving, hazard = waits.count, 1.0, 0.0
    value = low = high = inf
    waited = 1.0
    for step in sorted({*waits.ended, *waits.lasting}):
        waited = start_of(step) if left >= _ENOUGH else waited
        done = waits.ended.get(step, 0)
        if done:
            surviving *= 1.0 - done / left
            hazard += done / (left * (left - done)) if done < left else inf
            below, above = _log_log(surviving, hazard, z)
            low = min(low, start_of(step)) if below <= _HALF else low
            value = (
                min(value, start_of(step) * 2.0 ** (0.5 / STEPS_PER_OCTAVE)) if surviving <= _HALF else value
            )
            high = min(high, start_of(step + 1)) if above <= _HALF else high
        left -= done + waits.lasting.get(step, 0)
    return Median(value, Interval(waited if low == inf else low, high))


def ratio_of_medians(one: Median, other: Median) -> Interval:
    """The interval of the quotient of two independent medians, `one` over `other`.

    From the intervals of both, on the scale of logarithms (Zou and Donner 2008, Statistics in Medicine
    27:1693).
    """
    if one.value == inf or other.value == inf:
        # A median that was not reached is at least the low end of its interval.
        low = one.interval.low / other.interval.high if other.interval.high != inf else 0.0
        high = one.interval.high / other.interval.low
        return Interval(low, high)
    below = sqrt(log(one.value / one.interval.low) ** 2 + _log_of(other.interval.high / other.value) ** 2)
    above = sqrt(_log_of(one.interval.high / one.value) ** 2 + log(other.value / other.interval.low) ** 2)
    quotient = log(one.value / other.value)
    return Interval(exp(quotient - below), exp(quotient + above) if above != inf else inf)


def wait_p(one: Waits, other: Waits) -> float:
    """How likely waits that differ at least so are when both groups wait alike (log-rank test, two-sided).

    1 when nothing can be said.
    """
    left, left_others = one.count, other.count
    surplus = variance = 0.0
    for step in sorted({*one.ended, *one.lasting, *other.ended, *other.lasting}):
        done, done_others = one.ended.get(step, 0), other.ended.get(step, 0)
        ends, all_left = done + done_others, left + left_others
        if ends and all_left > 1:
            share = left / all_left
            surplus += done - ends * share
            variance += ends * share * (1.0 - share) * (all_left - ends) / (all_left - 1)
        left -= done + one.lasting.get(step, 0)
        left_others -= done_others + other.lasting.get(step, 0)
    return erfc(abs(surplus) / sqrt(2.0 * variance)) if variance > 0.0 else 1.0


def _log_log(surviving: float, hazard: float, z: float) -> tuple[float, float]:
    """The interval of a share that is left, which cannot leave [0, 1]."""
    if surviving <= 0.0:
        return 0.0, 0.0
    if hazard == 0.0:
        return 1.0, 1.0
    reach = z * sqrt(hazard) / -log(surviving)
    return surviving ** exp(min(reach, 700.0)), surviving ** exp(-reach)


def _log_of(value: float) -> float:
    return inf if value == inf else log(value)


def _added(one: Steps, other: Steps, sign: int) -> dict[int, int]:
    sums = {step: one.get(step, 0) + sign * other.get(step, 0) for step in {**one, **other}}
    return {step: count for step, count in sums.items() if count > 0}
