"""A linear model of texts: a weight a bucket, a bias, and nothing that is not exact.

Trained by dual coordinate descent on the squared hinge loss (Hsieh et al. 2008, "A Dual Coordinate Descent
Method for Large-scale Linear SVM"): minimise |w|²/2 + Σ cᵢ·max(0, 1 - yᵢ·w·xᵢ)², where each text is a
vector of length one over its buckets, and one more component of one for the bias.

The same examples in the same order give the same weights on any machine: weights are integers (of 2⁻²⁴), so
that sums do not depend on the order in which they are made or on the Python that makes them, and what is
left, division and square root of floats, IEEE 754 rounds in one way only. There is no exponential anywhere,
and the order of each pass is drawn by a generator that stands here.

Learning can begin from another model: then |w - w₀|² takes the place of |w|², so that what was known stays
unless examples speak against it (Evgeniou and Pontil 2004, "Regularized Multi-task Learning"). It needs no
more than to begin from w₀, since each step adds a multiple of an example to the weights, and nothing else.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import sqrt
from operator import itemgetter
from typing import Final, NamedTuple

from folkmoot.protocol.moderation.text.features import BUCKETS

ONE: Final = 1 << 24
"""A weight of one."""

WEIGHT_MAX: Final = (1 << 31) - 1
"""Weights are kept in 32 bits, and cut there; those of real examples stay below a tenth of it."""

_PASSES: Final = 40

# How far the worst gradient of a pass may still be from 0. A tenth of it takes two thirds more passes, and
# changes areas under the curve in the fourth place.
_CLOSE_ENOUGH: Final = 0.2
_WORD: Final = (1 << 64) - 1


class Example(NamedTuple):
    """A text that was judged.

    Args:
        buckets: see `features`.
        positive: the judgement.
        weight: how much being wrong about it matters; 1 is usual.
    """

    buckets: Sequence[int]
    positive: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class LinearModel:
    """What was learnt.

    Args:
        weights: one a bucket, in units of 1 / `ONE`.
        bias: likewise.
    """

    weights: Sequence[int]
    bias: int

    def margin(self, buckets: Collection[int]) -> float:
        """How far on the positive side a text is: about 1 where examples of it agree, 0 at the border.

        Args:
            buckets: of the text, each once.
        """
        # Two more are asked for, since only of several one gets a tuple.
        total: int = sum(itemgetter(*buckets, 0, 0)(self.weights)[:-2])
        return (total / sqrt(len(buckets) or 1) + self.bias) / ONE


def train(
    examples: Sequence[Example], *, cost: float, seed: int, start: LinearModel | None = None
) -> LinearModel:
    """Learn from examples; from none, or from some that all agree, something that says so and no more.

    Args:
        examples: in an order that everybody agrees on.
        cost: how much being wrong matters against being simple; the C of the literature; over 0.
        seed: the same for everybody; the order of each pass comes from it.
        start: what was known before; None for nothing.
    """
    weights = [0] * BUCKETS if start is None else list(start.weights)
    bias = 0 if start is None else start.bias
    at = weights.__getitem__
    alphas = [0.0] * len(examples)
    scales = [1.0 / sqrt(len(example.buckets) or 1) for example in examples]
    slacks = [0.5 / (cost * example.weight) for example in examples]
    order = list(range(len(examples)))
    for turn in range(_PASSES):
        shuffle(order, seed + turn)
        worst = 0.0
        for index in order:
            example, scale, alpha, slack = examples[index], scales[index], alphas[index], slacks[index]
            sign = 1.0 if example.positive else -1.0
            margin = sign * (sum(map(at, example.buckets)) * scale + bias) / ONE
            gradient = margin - 1.0 + alpha * slack
            if alpha == 0.0 and gradient >= 0.0:
                continue
            worst = max(worst, abs(gradient))
            alphas[index] = changed = max(alpha - gradient / (2.0 + slack), 0.0)
            step = sign * (changed - alpha) * ONE
            bias += round(step)
            part = round(step * scale)
            for bucket in example.buckets:
                weights[bucket] += part
        if worst < _CLOSE_ENOUGH:
            break
    if max(weights) > WEIGHT_MAX or min(weights) < -WEIGHT_MAX:
        weights = [max(-WEIGHT_MAX, min(WEIGHT_MAX, weight)) for weight in weights]
    return LinearModel(array("i", weights), bias)


def shuffle(items: list[int], seed: int) -> None:
    """Put items into an order that only `seed` decides, whatever Python it is (Fisher and Yates; splitmix64).

    The generator is that of Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators". Its
    remainders favour small numbers by less than one in 2⁴⁰, which an order does not mind.
    """
    state = seed & _WORD
    for last in range(len(items) - 1, 0, -1):
        state = (state + 0x9E3779B97F4A7C15) & _WORD
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
        chosen = (mixed ^ (mixed >> 31)) % (last + 1)
        items[last], items[chosen] = items[chosen], items[last]
