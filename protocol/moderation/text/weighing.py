"""What each of some lessons weighs, and that nobody outweighs the others.

At first each weighs as many posts as it stands for. Then what comes of one reviewer, is by one author, or is
one text over and over, is cut until it is at most a *share* of what is left. Cutting is all that is done, so
whoever adds to a flood adds nothing. Where there are too few to share, with k of them each may have 2 / (k +
1), which is about twice an equal part; one alone has all.

Cutting weights to a bound that is itself a share of what is left is a fixed point, T = share · Σ min(weight,
T), which is found exactly, by sorting. One sort of cut makes the others' bounds smaller, so they are repeated
until nothing changes, reviewers last. Sums are exact (`fsum`), so that no order of lessons changes a bit of
them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations
from math import fsum
from typing import Final, NamedTuple

from folkmoot.protocol.moderation.flood import Phrases
from folkmoot.protocol.moderation.text.lessons import Lesson

_ROUNDS: Final = 64
_ENOUGH: Final = 1e-6
_PHRASES: Final = 8  # what a long text is compared by; see `flood`
_SHARED: Final = 4
_COMPARED: Final = Phrases(bytes(16))  # no secret, since the same weights are to follow everywhere


class Shares(NamedTuple):
    """What part of the weight may come of one source.

    Args:
        text: of texts that are much the same.
        author: of one author's texts.
        reviewer: of what one reviewer found.
    """

    text: float = 0.05
    author: float = 0.1
    reviewer: float = 0.33


def weights_of(lessons: Sequence[Lesson], alike: Sequence[int], shares: Shares) -> list[float]:
    """What each lesson weighs.

    Args:
        lessons: see there.
        alike: a number for each; see `alike_of`.
        shares: see there.
    """
    if not lessons:
        return []
    weights = [lesson.stands_for for lesson in lessons]
    sources: list[tuple[Sequence[Hashable], float]] = [
        (alike, shares.text),
        ([lesson.author for lesson in lessons], shares.author),
        ([lesson.by for lesson in lessons], shares.reviewer),
    ]
    for _ in range(_ROUNDS):
        before = weights
        for names, share in sources:
            weights = cut(weights, names, share)
        if fsum(before) - fsum(weights) <= _ENOUGH * len(weights):
            break
    return weights


def cut(weights: Sequence[float], sources: Sequence[Hashable], share: float) -> list[float]:
    """Weights of which no source has more than a share of them all, or what the module says where they are
    few.

    Args:
        weights: none below 0.
        sources: of each, what it comes of.
        share: above 0, at most 1.
    """
    parts: dict[Hashable, list[float]] = {}
    for weight, source in zip(weights, sources, strict=True):
        parts.setdefault(source, []).append(weight)
    totals = {source: fsum(some) for source, some in parts.items()}
    most = _bound(sorted(totals.values(), reverse=True), max(share, min(1.0, 2.0 / (len(totals) + 1))))
    kept = {source: most / total if total > most else 1.0 for source, total in totals.items()}
    return [weight * kept[source] for weight, source in zip(weights, sources, strict=True)]


def alike_of(readings: Sequence[str]) -> list[int]:
    """A number for each text, the same for those that are much the same.

    Short texts are when they have the same phrases; longer ones when half of those that stand for them are
    the same, or are of ones in between. The number is the place of the first of them.

    Args:
        readings: the texts with their disguises off.
    """
    root = list(range(len(readings)))

    def find(at: int) -> int:
        while root[at] != at:
            root[at] = root[root[at]]
            at = root[at]
        return at

    seen: dict[Hashable, int] = {}
    for at, reading in enumerate(readings):
        phrases = _COMPARED.of(reading)
        keys: list[Hashable] = [tuple(phrases) if phrases else reading]
        if len(phrases) == _PHRASES:
            keys += combinations(phrases, _SHARED)
        for key in keys:
            one, other = find(seen.setdefault(key, at)), find(at)
            root[max(one, other)] = min(one, other)
    return [find(at) for at in range(len(readings))]


def largest(weights: Sequence[float], sources: Sequence[Hashable]) -> float:
    """The greatest part of the weights that comes of one source; 0 where there are none."""
    parts: dict[Hashable, list[float]] = {}
    for weight, source in zip(weights, sources, strict=True):
        parts.setdefault(source, []).append(weight)
    whole = fsum(weights)
    return max(map(fsum, parts.values())) / whole if whole else 0.0


def _bound(totals: Sequence[float], share: float) -> float:
    """The greatest T with T = share · Σ min(total, T), or above all totals where none has to be cut.

    Args:
        totals: the greatest first.
    """
    if totals[0] <= share * fsum(totals):
        return totals[0]
    for cut_off in range(1, len(totals) + 1):
        # The first `cut_off` are cut to T, the others stay: T · (1 - share · cut_off) = share · rest.
        left = 1.0 - share * cut_off
        if left <= 0.0:
            break
        bound = share * fsum(totals[cut_off:]) / left
        if cut_off == len(totals) or totals[cut_off] <= bound:
            return bound
    return totals[-1]
