"""The learning loop: whether a blind sample of what nobody looked at teaches what selective decisions cannot.

Method. A community's posts are texts of a published set (of `shared/data` beside the checkout), of which as
many are toxic as is said below. The model in use has learnt from another set, so that it misses much of what
is toxic here. It flags what it scores above 0, and people decide about a part of that; of all posts some are
drawn, flagged ones with a greater probability, and answered blind, as `gate.sample` and
`gate.sample_actioned` have it. Three challengers are taught from the model in use: by the decisions alone, by
decisions and samples that count as one each, and by both with each sample counting 1/p times, which is what
`moderate learn` does. All are measured on posts of the same community that nothing was learnt from. Means
over repetitions, each with other posts, and how many standard errors lie between two challengers. Times are
not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Any, NamedTuple

from folkmoot.cli.evaluating.corpus import Item, prepare
from folkmoot.cli.evaluating.folders import read_folder
from folkmoot.cli.evaluating.forms import TOXIC
from folkmoot.protocol.moderation.sampling import MILLION
from folkmoot.protocol.moderation.statistics.auc import auc
from folkmoot.protocol.moderation.text.challenging import COST
from folkmoot.protocol.moderation.text.learning import Judged, Recipe, learn
from folkmoot.protocol.moderation.text.lessons import Lesson
from folkmoot.protocol.moderation.text.model import TextModel
from folkmoot.protocol.moderation.text.weighing import Shares, weights_of

from benchmarks.harness import Plan

LABELLED = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "moderation"
BASE = "olid_tweets"
COMMUNITIES = {"davidson_tweets": 0.2, "gab_hate_corpus": None}
"""Sets, and what part of their posts is toxic; None for as many as there are."""

POSTS = 20_000
TAUGHT = 0.7  # of the posts; on the others is measured
DECIDED = 0.5  # of what is flagged
SAMPLE, SAMPLE_ACTIONED = 0.02, 0.1
RECIPE = Recipe(("fine", TOXIC), COST, 0, tuned=False)


class Lived(NamedTuple):
    """What people found in one community.

    Args:
        lessons: of decisions and of samples.
        items: of each, its text.
    """

    lessons: list[Lesson]
    items: list[Item]


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    if not LABELLED.is_dir():
        return {"skipped": f"the labelled sets are not in {LABELLED}"}
    sets = read_folder(LABELLED, skip_unknown=True)
    corpus = prepare({name: sets[name] for name in (BASE, *COMMUNITIES)})
    base = learn(
        [Judged(item.blind, int(item.answers[TOXIC]), at) for at, item in enumerate(corpus[BASE])], RECIPE
    )
    return {
        name: _community(corpus[name], part, base, plan.repetitions) for name, part in COMMUNITIES.items()
    }


def _community(items: Sequence[Item], part: float | None, base: TextModel, times: int) -> dict[str, Any]:
    found: dict[str, list[tuple[float, float, float]]] = {}
    counts: list[tuple[int, int]] = []
    for seed in range(times):
        random = Random(seed)
        posts, held_out = _posts(items, part, random)
        lived = _lived(posts, base, random)
        decided = [at for at, each in enumerate(lived.lessons) if not each.millionths]
        counts.append((len(decided), len(lived.lessons) - len(decided)))
        taught = {
            "in use": base,
            "decisions alone": _taught(lived, decided, base),
            "and samples, one each": _taught(lived, range(len(lived.lessons)), base, each_once=True),
            "and samples, 1/p each": _taught(lived, range(len(lived.lessons)), base),
        }
        for name, model in taught.items():
            found.setdefault(name, []).append(_measured(model, held_out))
    return {
        "decisions": fmean(count for count, _ in counts),
        "samples": fmean(count for _, count in counts),
        **{name: _means(each) for name, each in found.items()},
        "gain of 1/p over decisions alone": _gain(found["decisions alone"], found["and samples, 1/p each"]),
        "gain of 1/p over one each": _gain(found["and samples, one each"], found["and samples, 1/p each"]),
    }


def _posts(items: Sequence[Item], part: float | None, random: Random) -> tuple[list[Item], list[Item]]:
    """What is posted, and what is measured on."""
    toxic = [item for item in items if item.answers[TOXIC]]
    others = [item for item in items if not item.answers[TOXIC]]
    random.shuffle(toxic)
    random.shuffle(others)
    share = len(toxic) / len(items) if part is None else part
    count = min(POSTS, int(len(others) / (1.0 - share)), int(len(toxic) / share))
    toxic, others = toxic[: round(count * share)], others[: count - round(count * share)]
    yes, no = int(len(toxic) * TAUGHT), int(len(others) * TAUGHT)
    posts, held_out = toxic[:yes] + others[:no], toxic[yes:] + others[no:]
    random.shuffle(posts)
    return posts, held_out


def _lived(posts: Sequence[Item], base: TextModel, random: Random) -> Lived:
    lived = Lived([], [])
    for number, item in enumerate(posts):
        flagged = base.score(item.blind) > 0.0
        share = SAMPLE_ACTIONED if flagged else SAMPLE
        millionths = round(share * MILLION) if random.random() < share else 0
        if flagged and random.random() < DECIDED:
            millionths = 0  # what was decided about is the decision's
        elif not millionths:
            continue
        name = number.to_bytes(32, "big")
        people = bytes([random.randrange(8)]), b"author %d" % number
        lived.lessons.append(Lesson(number, name, item.answers[TOXIC], *people, name[-16:], millionths))
        lived.items.append(item)
    return lived


def _taught(lived: Lived, places: Sequence[int], base: TextModel, *, each_once: bool = False) -> TextModel:
    lessons = [lived.lessons[at] for at in places]
    if each_once:
        lessons = [lesson._replace(millionths=0) for lesson in lessons]
    weights = weights_of(lessons, list(range(len(lessons))), Shares())
    judged = [
        Judged(lived.items[at].blind, int(lesson.so), at, weight)
        for at, lesson, weight in zip(places, lessons, weights, strict=True)
    ]
    return learn(judged, RECIPE, start=base)


def _measured(model: TextModel, held_out: Sequence[Item]) -> tuple[float, float, float]:
    """Area under the curve, macro-F1, and the part of what is toxic that is found at all."""
    scores = [model.score(item.blind) for item in held_out]
    so = [item.answers[TOXIC] for item in held_out]
    area = auc(scores, so)
    assert area is not None, "there are both"
    said = [score > 0.0 for score in scores]
    counts = [[0, 0], [0, 0]]
    for is_so, is_said in zip(so, said, strict=True):
        counts[is_so][is_said] += 1
    f1s = [2 * counts[c][c] / ((2 * counts[c][c] + counts[c][1 - c] + counts[1 - c][c]) or 1) for c in (0, 1)]
    return area.value, sum(f1s) / 2.0, counts[1][1] / sum(counts[1])


def _means(found: Sequence[tuple[float, float, float]]) -> dict[str, float]:
    areas, f1s, recalls = zip(*found, strict=True)
    return {"auc": fmean(areas), "macro_f1": fmean(f1s), "recall": fmean(recalls)}


def _gain(
    before: Sequence[tuple[float, float, float]], after: Sequence[tuple[float, float, float]]
) -> dict[str, float]:
    """By how much the later are better, on the same posts, and how many standard errors that is."""
    gains: dict[str, float] = {}
    for at, name in enumerate(("auc", "macro_f1")):
        differences = [two[at] - one[at] for one, two in zip(before, after, strict=True)]
        gains[name] = fmean(differences)
        if len(differences) > 1 and (deviation := stdev(differences)) > 0.0:
            gains[f"{name} in standard errors"] = gains[name] / (deviation / sqrt(len(differences)))
    return gains
