"""How sure a share is, when so many of so many were counted; and whether two shares differ.

Normal approximations around the share itself (Wald) promise 95 % and keep 80 % of it near 0 and 1, which is
where moderation lives. So: Wilson's score interval (Wilson 1927) where an interval is to be right on average,
and the exact one of Clopper and Pearson (1934) where it must never promise too much, as a threshold that
removes posts has to. Differences are Newcombe's hybrid score interval (Newcombe 1998, Statistics in Medicine
17:873, method 10), ratios the same idea for quotients (Donner and Zou 2012, Statistical Methods in Medical
Research 21:347, MOVER-R). All are closed forms, or bisections to the last bit: no table, no library.
"""

from __future__ import annotations

from functools import lru_cache
from math import erfc, exp, inf, lgamma, log, log1p, sqrt
from typing import Final, NamedTuple

CONFIDENCE: Final = 0.95
"""What every interval promises unless it is asked for another."""

_TINY: Final = 1e-300
_BISECTIONS: Final = 200
_FRACTIONS: Final = 10_000


class Interval(NamedTuple):
    """What a figure may well be, in the light of what was counted."""

    low: float
    high: float


class Share(NamedTuple):
    """A part that was counted; no whole numbers where it follows from a weighted sample (see `weighted`).

    Args:
        hits: how many had it; 0 to `of`.
        of: how many were looked at.
    """

    hits: float
    of: float

    @property
    def value(self) -> float:
        """The share itself; 0 when nothing was looked at."""
        return self.hits / self.of if self.of else 0.0


@lru_cache(maxsize=16)
def standard_score(confidence: float = CONFIDENCE) -> float:
    """How many standard deviations a two-sided normal interval reaches: 1.96 for 0.95.

    Args:
        confidence: between 0 and 1, both excluded.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"a confidence lies between 0 and 1, and {confidence} does not")
    low, high = 0.0, 40.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if erfc(middle / sqrt(2.0)) > 1.0 - confidence:
            low = middle
        else:
            high = middle
    return high


def wilson(share: Share, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a share; [0, 1] when nothing was looked at."""
    hits, of = _checked(share)
    if not of:
        return Interval(0.0, 1.0)
    z = standard_score(confidence)
    spread = z * sqrt(z * z / 4.0 + hits * (of - hits) / of)
    middle = hits + z * z / 2.0
    low = 0.0 if hits == 0 else (middle - spread) / (of + z * z)
    high = 1.0 if hits == of else (middle + spread) / (of + z * z)
    return Interval(low, high)


def clopper_pearson(share: Share, confidence: float = CONFIDENCE) -> Interval:
    """The exact interval of a share: its low end is never too high more often than it says.

    A bound on one side with confidence c is that end of the interval with confidence 2c - 1.
    """
    hits, of = _checked(share)
    if not of:
        return Interval(0.0, 1.0)
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if hits == 0 else _beta_quantile(tail, hits, of - hits + 1)
    high = 1.0 if hits == of else _beta_quantile(1.0 - tail, hits + 1, of - hits)
    return Interval(low, high)


def newcombe(one: Share, other: Share, confidence: float = CONFIDENCE) -> Interval:
    """The interval of the difference between two independent shares, `one` less `other`."""
    first, second = wilson(one, confidence), wilson(other, confidence)
    difference = one.value - other.value
    below = sqrt((one.value - first.low) ** 2 + (second.high - other.value) ** 2)
    above = sqrt((first.high - one.value) ** 2 + (other.value - second.low) ** 2)
    return Interval(difference - below, difference + above)


def ratio(one: Share, other: Share, confidence: float = CONFIDENCE) -> Interval:
    """The interval of the quotient of two independent shares, `one` over `other`.

    From 0 to infinity when it can be anything.
    """
    first, second = wilson(one, confidence), wilson(other, confidence)
    p, q = one.value, other.value
    product = p * q
    below = product * product - first.low * second.high * (2 * p - first.low) * (2 * q - second.high)
    above = product * product - first.high * second.low * (2 * p - first.high) * (2 * q - second.low)
    # The low root in the form that stays finite when `other` may be more than twice what was counted.
    under, over = product + sqrt(max(0.0, below)), second.low * (2 * q - second.low)
    low = first.low * (2 * p - first.low) / under if under > 0.0 else 0.0
    high = (product + sqrt(max(0.0, above))) / over if over > 0.0 else inf
    return Interval(low, high)


def difference_p(one: Share, other: Share) -> float:
    """How likely shares at least this far apart are when they are the same (two-sided pooled score test).

    1 when nothing can be said.
    """
    (hits, of), (others, of_others) = _checked(one), _checked(other)
    if not of or not of_others:
        return 1.0
    pooled = (hits + others) / (of + of_others)
    variance = pooled * (1.0 - pooled) * (1.0 / of + 1.0 / of_others)
    if variance <= 0.0:
        return 1.0
    return erfc(abs(one.value - other.value) / sqrt(2.0 * variance))


def benjamini_hochberg(p_values: list[float]) -> list[float]:
    """Each p-value adjusted for how many there are, in the order given.

    Calling all differences real whose adjusted value is at most q keeps the expected share of false ones
    among them below q (Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57:289).
    """
    count = len(p_values)
    adjusted = [1.0] * count
    least = 1.0
    for rank, at in sorted(enumerate(sorted(range(count), key=p_values.__getitem__), 1), reverse=True):
        least = min(least, p_values[at] * count / rank)
        adjusted[at] = least
    return adjusted


def _checked(share: Share) -> Share:
    if not 0 <= share.hits <= share.of:
        raise ValueError(f"{share.hits} of {share.of} is no share")
    return share


def _beta_quantile(probability: float, a: float, b: float) -> float:
    """Where the beta distribution has `probability` to its left."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if beta_distribution(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def beta_distribution(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22).

    Args:
        x: 0 to 1.
        a, b: over 0.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction, evaluated forwards (Lentz 1976, kept off 0)."""
    c, d = 1.0, 1.0 / _kept_off_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _FRACTIONS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for part in (even, odd):
            d = 1.0 / _kept_off_zero(1.0 + part * d)
            c = _kept_off_zero(1.0 + part / c)
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value


def _kept_off_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
