"""Whether one model is better than another at the same texts, some of which weigh more than others.

Both are measured at the same texts, so what is uncertain is drawn anew for both at once: texts are drawn with
replacement, whole groups of those that belong together, and the difference is worked out each time (the
paired bootstrap, Efron and Tibshirani 1993, chapter 13). What 95 of a hundred drawings lie between is its
interval. Who judged the texts is not drawn: the interval takes what they said for true.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import fsum
from random import Random
from typing import Final, NamedTuple

from folkmoot.protocol.moderation.statistics.proportions import CONFIDENCE, Interval

DRAWINGS: Final = 400


class Measured(NamedTuple):
    """What was found of one model.

    Args:
        auc: the area under the ROC curve (see `auc`), a text counting for what it weighs.
        macro_f1: the mean of the F1 of both classes, likewise.
    """

    auc: float
    macro_f1: float


class Compared(NamedTuple):
    """What was found of two models.

    Args:
        current, challenger: of each.
        auc, macro_f1: how much greater the challenger's is, and within what that may lie.
    """

    current: Measured
    challenger: Measured
    auc: tuple[float, Interval]
    macro_f1: tuple[float, Interval]

    @property
    def is_better(self) -> bool:
        """Whether the challenger tells texts apart better beyond chance, and decides no worse as far as is
        known."""
        return self.auc[1].low > 0.0 and self.macro_f1[1].high >= 0.0


class Both(NamedTuple):
    """One text.

    Args:
        so: whether it is.
        weight: how much it counts; over 0.
        group: what it belongs together with.
        current, challenger: how far each model sees it on the side of what is so; above 0 it says that it is.
    """

    so: bool
    weight: float
    group: Hashable
    current: float
    challenger: float


def compare(texts: Sequence[Both], random: Random) -> Compared:
    """Compare two models.

    Args:
        texts: of both classes.
        random: seeded.
    """
    groups: dict[Hashable, list[int]] = {}
    for at, text in enumerate(texts):
        groups.setdefault(text.group, []).append(at)
    names = list(groups)
    orders = [
        sorted(range(len(texts)), key=lambda at: texts[at].current),
        sorted(range(len(texts)), key=lambda at: texts[at].challenger),
    ]
    whole = [text.weight for text in texts]
    current, challenger = (_measured(texts, whole, order, which) for which, order in enumerate(orders))
    differences: list[tuple[float, float]] = []
    for _ in range(DRAWINGS):
        weights = [0.0] * len(texts)
        for _ in names:
            for at in groups[names[int(random.random() * len(names))]]:
                weights[at] += whole[at]
        one, other = (_measured(texts, weights, order, which) for which, order in enumerate(orders))
        differences.append((other.auc - one.auc, other.macro_f1 - one.macro_f1))
    aucs, f1s = (sorted(each) for each in zip(*differences, strict=True))
    return Compared(
        current,
        challenger,
        (challenger.auc - current.auc, _middle(aucs)),
        (challenger.macro_f1 - current.macro_f1, _middle(f1s)),
    )


def _measured(texts: Sequence[Both], weights: Sequence[float], order: Sequence[int], which: int) -> Measured:
    """Of one model, given the texts in the order of its scores; ties count half."""
    below = right = up = down = 0.0
    tied_up = tied_down = 0.0
    score_before: float | None = None
    counts = [[0.0, 0.0], [0.0, 0.0]]  # by what is so, and by what is said
    for at in order:
        text, weight = texts[at], weights[at]
        score = text.challenger if which else text.current
        if score != score_before:
            right += tied_up * (below + tied_down / 2.0)
            below += tied_down
            tied_up = tied_down = 0.0
            score_before = score
        if text.so:
            tied_up += weight
            up += weight
        else:
            tied_down += weight
            down += weight
        counts[text.so][score > 0.0] += weight
    right += tied_up * (below + tied_down / 2.0)
    area = right / (up * down) if up and down else 0.5
    return Measured(area, fsum(_f1(counts, side) for side in (0, 1)) / 2.0)


def _f1(counts: Sequence[Sequence[float]], side: int) -> float:
    hits = 2.0 * counts[side][side]
    whole = hits + counts[side][1 - side] + counts[1 - side][side]
    return hits / whole if whole else 0.0


def _middle(values: Sequence[float]) -> Interval:
    """What the middle values lie between."""
    cut = int(len(values) * (1.0 - CONFIDENCE) / 2.0)
    return Interval(values[cut], values[-1 - cut])
