"""Learning a model of several classes, offsets included, from texts that were judged.

Each class has a head, trained against all others. A text of the class weighs √(others / own) times as much
as one of the others: halfway, on a scale of ratios, between letting a rare class drown and pretending that
it is not rare, and better than either at finding hate among what is merely rude. Which offsets do best is
found on texts that the heads in question have not seen: the examples are split into folds, those of each
are scored by heads that learnt from the others (Platt 1999 does so to fit his sigmoids), and the offsets
that give the best macro-F1 there are kept. Texts of one *group* (versions of one text, say) stay in one
fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, fsum, sqrt
from typing import Final, NamedTuple

from folkmoot.protocol.moderation.text.linear import ONE, Example, LinearModel, shuffle, train
from folkmoot.protocol.moderation.text.model import TextModel, winner

STEPS: Final = 32
"""Offsets are multiples of 1/32: finer ones would follow chance."""

REACH: Final = 2 * STEPS
"""How far offsets go either way, in steps."""

INNER_FOLDS: Final = 3

_ROUNDS: Final = 3


class Judged(NamedTuple):
    """A text that was judged.

    Args:
        buckets: see `features`.
        judged: the number of its class.
        group: what it belongs together with; texts of one group are never on both sides of a split.
        weight: how much being wrong about it matters.
    """

    buckets: Sequence[int]
    judged: int
    group: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to learn.

    Args:
        classes: their names, the first is what nothing is wrong with.
        cost: see `linear.train`.
        seed: decides orders and folds.
        tuned: whether offsets are looked for; they are 0 otherwise.
    """

    classes: tuple[str, ...]
    cost: float
    seed: int
    tuned: bool = True


def learn(
    texts: Sequence[Judged],
    recipe: Recipe,
    done: Callable[[], None] = lambda: None,
    start: TextModel | None = None,
) -> TextModel:
    """Learn from texts, in the order given.

    Args:
        done: called whenever one of `trainings` heads has been trained.
        start: what was known before, of the same classes (see `linear`); its offsets are kept unless they are
            looked for.
    """
    heads = _heads(texts, recipe, done, start)
    offsets = [0] * len(heads) if start is None else [offset * STEPS // ONE for offset in start.offsets]
    if recipe.tuned and texts:
        offsets = best_offsets(_unseen_margins(texts, recipe, done), [text.judged for text in texts])
    units = ONE // STEPS
    return TextModel(recipe.classes, tuple(heads), tuple(offset * units for offset in offsets))


def trainings(recipe: Recipe) -> int:
    """How many heads `learn` trains."""
    return _head_count(recipe) * (1 + (INNER_FOLDS if recipe.tuned else 0))


def folds_of(groups: Sequence[int], folds: int, seed: int) -> list[int]:
    """The fold of each text: drawn for each group, and as many groups in one as in another."""
    names = sorted(set(groups))
    order = list(range(len(names)))
    shuffle(order, seed)
    fold = {names[at]: place % folds for place, at in enumerate(order)}
    return [fold[group] for group in groups]


def best_offsets(margins: Sequence[Sequence[float]], judged: Sequence[int]) -> list[int]:
    """The offsets, in steps, that give the best macro-F1; of equally good ones those nearest to 0.

    One offset after another is tried at all steps with the others held, until nothing gets better.

    Args:
        margins: of each text, one a head; of one text at least.
        judged: the class of each text.
    """
    heads = len(margins[0])
    offsets = [0] * heads
    best = -1.0
    for _ in range(_ROUNDS):
        before = best
        # Adding one number to all margins changes nothing, so of several heads the first keeps its 0.
        for head in range(1 if heads > 1 else 0, heads):
            best, offsets[head] = _best_offset(margins, judged, offsets, head)
        if best <= before:
            break
    return offsets


def _best_offset(
    margins: Sequence[Sequence[float]], judged: Sequence[int], offsets: Sequence[int], head: int
) -> tuple[float, int]:
    """The best macro-F1 that one offset reaches, and that offset.

    Every text goes to this head's class from some step on, and to one other class before; so one pass over
    the texts, by that step, tells the counts at all steps.
    """
    classes = max(len(offsets), 2)
    own = head if len(offsets) > 1 else 1
    changes: list[list[tuple[int, int]]] = [[] for _ in range(2 * REACH + 2)]
    said, right, so = [0] * classes, [0] * classes, [0] * classes
    for text, is_so in zip(margins, judged, strict=True):
        others = [
            -1e9 if each == head else text[each] + offsets[each] / STEPS for each in range(len(offsets))
        ]
        rival = winner(others) if len(offsets) > 1 else 0
        level = others[rival] if len(offsets) > 1 else 0.0
        # The first step at which the head wins; of equals the lower number wins, as in `winner`.
        behind = (level - text[head]) * STEPS
        step = ceil(behind) if own < rival else floor(behind) + 1
        changes[min(max(step + REACH, 0), 2 * REACH + 1)].append((is_so, rival))
        so[is_so] += 1
        said[rival] += 1
        right[rival] += rival == is_so
    tried = []
    for step in range(2 * REACH + 1):
        for is_so, rival in changes[step]:
            said[rival] -= 1
            right[rival] -= rival == is_so
            said[own] += 1
            right[own] += own == is_so
        macro_f1 = fsum(2 * right[c] / ((said[c] + so[c]) or 1) for c in range(classes)) / classes
        tried.append((macro_f1, -abs(step - REACH), step - REACH))
    found = max(tried)
    return found[0], found[2]


def _unseen_margins(
    texts: Sequence[Judged], recipe: Recipe, done: Callable[[], None]
) -> list[tuple[float, ...]]:
    """The margins of every text by heads that learnt from the other folds."""
    fold = folds_of([text.group for text in texts], INNER_FOLDS, recipe.seed)
    margins: list[tuple[float, ...]] = [()] * len(texts)
    for held_out in range(INNER_FOLDS):
        seen = [text for text, its in zip(texts, fold, strict=True) if its != held_out]
        heads = _heads(seen, recipe, done)
        for at, text in enumerate(texts):
            if fold[at] == held_out:
                margins[at] = tuple(head.margin(text.buckets) for head in heads)
    return margins


def _heads(
    texts: Sequence[Judged], recipe: Recipe, done: Callable[[], None], start: TextModel | None = None
) -> list[LinearModel]:
    heads = []
    # `fsum` is exact; the built-in `sum` of floats is not, and is another from Python 3.12 on.
    total = fsum(text.weight for text in texts)
    first = len(recipe.classes) - _head_count(recipe)
    for each in range(first, len(recipe.classes)):
        own = fsum(text.weight for text in texts if text.judged == each)
        rarity = sqrt((total - own) / own) if 0.0 < own < total else 1.0
        examples = [
            Example(text.buckets, text.judged == each, text.weight * (rarity if text.judged == each else 1.0))
            for text in texts
        ]
        known = None if start is None else start.heads[each - first]
        heads.append(train(examples, cost=recipe.cost, seed=recipe.seed, start=known))
        done()
    return heads


def _head_count(recipe: Recipe) -> int:
    return 1 if len(recipe.classes) == 2 else len(recipe.classes)
