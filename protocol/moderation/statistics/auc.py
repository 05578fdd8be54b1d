"""How well scores put what is so above what is not: the area under the ROC curve.

It is the chance that a positive chosen at random scores above a negative chosen at random, ties counting
half (Hanley and McNeil 1982), so that it needs no threshold and does not care how rare positives are. Its
interval is that of DeLong et al. (1988, Biometrics 44:837), computed from ranks (Sun and Xu 2014, IEEE Signal
Processing Letters 21:1389), on the logit scale, where it cannot leave [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import NamedTuple

from folkmoot.protocol.moderation.statistics.proportions import CONFIDENCE, Interval, standard_score


class Area(NamedTuple):
    """An area under the curve and how sure it is."""

    value: float
    interval: Interval


def auc(scores: Sequence[float], positive: Sequence[bool], confidence: float = CONFIDENCE) -> Area | None:
    """The area under the ROC curve; None when all are positive, or none is.

    Args:
        scores: higher means more likely positive.
        positive: for each of them, what is so.
    """
    ups = [score for score, so in zip(scores, positive, strict=True) if so]
    downs = [score for score, so in zip(scores, positive, strict=True) if not so]
    if not ups or not downs:
        return None
    together = _midranks(ups + downs)
    # Of each positive, the share of negatives below it; of each negative, the share of positives above it.
    of_ups = [
        (all_rank - own) / len(downs)
        for all_rank, own in zip(together[: len(ups)], _midranks(ups), strict=True)
    ]
    of_downs = [
        1.0 - (all_rank - own) / len(ups)
        for all_rank, own in zip(together[len(ups) :], _midranks(downs), strict=True)
    ]
    area = sum(of_ups) / len(ups)
    variance = _variance(of_ups) / len(ups) + _variance(of_downs) / len(downs)
    return Area(area, _on_the_logit_scale(area, sqrt(variance), confidence))


def _midranks(values: Sequence[float]) -> list[float]:
    """The rank of each from 1, the mean rank for those that are equal."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for at in order[start:end]:
            ranks[at] = (start + 1 + end) / 2.0
        start = end
    return ranks


def _variance(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.25  # the most it can be, where nothing was learnt of it
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _on_the_logit_scale(area: float, deviation: float, confidence: float) -> Interval:
    if not 0.0 < area < 1.0:
        return Interval(area, area) if deviation == 0.0 else Interval(0.0, 1.0)
    middle = log(area / (1.0 - area))
    reach = standard_score(confidence) * deviation / (area * (1.0 - area))
    return Interval(1.0 / (1.0 + exp(min(reach - middle, 700.0))), 1.0 / (1.0 + exp(-middle - reach)))
