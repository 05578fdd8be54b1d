"""A challenger: a model taught by replaying lessons, and how it compares with the one that is in use.

Replay begins from a *base*, a model that has seen none of the lessons (or from nothing), and goes through all
of them in their order; never on from the last challenger, or what was decided first would count most. So a
challenger follows from its base, its lessons and their texts alone, and everybody who has those gets the same
bytes.

It is measured on lessons that it has not seen: of five folds, of which each is scored by a model that was
taught the other four. Texts that are much the same stay in one fold. The current model scores all of them; if
it has seen some, that is to its advantage. Each counts for what it weighs in training, so that nobody who
outweighs the others decides which model is better. What is drawn anew for the intervals is texts, not people:
they say what chance does in choosing texts, and nothing of who else might have looked at them.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from math import floor, fsum
from random import Random
from typing import Final, NamedTuple

from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.moderation.statistics.comparing import Both, Compared, compare
from folkmoot.protocol.moderation.text.learning import Judged, Recipe, folds_of, learn
from folkmoot.protocol.moderation.text.lessons import Lesson
from folkmoot.protocol.moderation.text.model import TextModel
from folkmoot.protocol.moderation.text.weighing import Shares, weights_of
from folkmoot.protocol.moderation.thresholds import Step

COST: Final = 0.3
FOLDS: Final = 5
LESSONS_LEAST: Final = 20
"""Of each answer, that something is learnt from."""

WEIGHT_LEAST: Final = 5.0
"""Of each answer, once nobody outweighs the others."""

STEPS: Final = 5  # of evidence, to a score of one
_LEAST, _MOST = -2.0, 4.0
"""Scores beyond count as these; a threshold is never sought there."""

_THINNED: Final = b"folkmoot-evidence-v1\0"
_SAMPLE: Final = b"folkmoot-sample-v1\0"
_CHANCES: Final = 1 << 64


class TooLittle(FolkmootError):
    """There is too little to learn from; the message says what of."""


class Text(NamedTuple):
    """The text of a lesson.

    Args:
        buckets: what a model sees of it.
        alike: see `weighing.alike_of`.
        language: what the post says it is in, in lower case; empty where it says none, or its words do not
            bear that out (see `languages`), since no threshold then asks for it either.
    """

    buckets: array[int]
    alike: int
    language: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to learn.

    Args:
        question: what is judged; the model's classes are `fine` and this.
        base: what learning begins from; None for nothing.
        seed: decides folds and orders.
        shares: what part of the weight may come of one source.
    """

    question: str
    base: TextModel | None = None
    seed: int = 0
    shares: Shares = field(default_factory=Shares)

    @property
    def recipe(self) -> Recipe:
        """What `learning` is told."""
        return Recipe(("fine", self.question), COST, self.seed, tuned=False)


@dataclass(frozen=True, slots=True)
class Challenger:
    """What came of it.

    Args:
        model: what was learnt from all lessons.
        weights: of each lesson.
        unseen: of each, its score by a model that has not seen it.
        compared: with the current model.
        evidence: by language, how many of what was drawn bear the label and how many do not, by score.
        sample: the SHA-256 over what was drawn and counted for it, in hex.
    """

    model: TextModel
    weights: Sequence[float]
    unseen: Sequence[float]
    compared: Compared
    evidence: Mapping[str, Sequence[Step]]
    sample: str


def replay(lessons: Sequence[Lesson], texts: Sequence[Text], plan: Plan) -> TextModel:
    """The model that lessons teach.

    Args:
        lessons: in their order.
        texts: of each, its text.

    Raises:
        TooLittle: see there.
    """
    weights = weights_of(lessons, [text.alike for text in texts], plan.shares)
    _check(lessons, weights)
    return _taught(lessons, texts, weights, plan, range(len(lessons)))


def challenge(
    lessons: Sequence[Lesson],
    texts: Sequence[Text],
    plan: Plan,
    current: TextModel,
    random: Random,
    done: Callable[[], None] = lambda: None,
) -> Challenger:
    """Teach a challenger, and compare it with the current model, texts by what they weigh.

    Args:
        lessons, texts: as for `replay`.
        current: of the same classes.
        random: seeded; for the intervals.
        done: called whenever one of `FOLDS` + 1 models has been taught.

    Raises:
        TooLittle: see there.
    """
    alike = [text.alike for text in texts]
    weights = weights_of(lessons, alike, plan.shares)
    _check(lessons, weights)
    fold = folds_of(alike, FOLDS, plan.seed)
    unseen = [0.0] * len(lessons)
    for held_out in range(FOLDS):
        seen = [at for at in range(len(lessons)) if fold[at] != held_out]
        model = _taught(lessons, texts, weights, plan, seen)
        for at in range(len(lessons)):
            if fold[at] == held_out:
                unseen[at] = model.margins(texts[at].buckets)[1]
        done()
    model = _taught(lessons, texts, weights, plan, range(len(lessons)))
    done()
    both = [
        Both(lesson.so, weight, text.alike, current.margins(text.buckets)[1], score)
        for lesson, weight, text, score in zip(lessons, weights, texts, unseen, strict=True)
        if weight > 0.0
    ]
    evidence = evidence_of(lessons, [text.language for text in texts], unseen)
    return Challenger(model, weights, unseen, compare(both, random), evidence, sample_hash(lessons))


def evidence_of(
    lessons: Sequence[Lesson], languages: Sequence[str], scores: Sequence[float]
) -> dict[str, list[Step]]:
    """How many texts of each score bear the label and how many do not, by language, among what is posted.

    Only what was drawn counts, decided about or not: what nobody drew was chosen by who decided, and what was
    decided about is where most of what is bad is found. Where some were drawn with a greater probability than
    others, so many of them are left out, by a hash of what they are, that all are as likely.
    """
    counts: dict[str, dict[float, list[int]]] = {}
    kept = _kept(lessons)
    for lesson, language, score in zip(lessons, languages, scores, strict=True):
        if lesson in kept:
            steps = counts.setdefault(language or "und", {})
            steps.setdefault(step_of(score), [0, 0])[0 if lesson.so else 1] += 1
    return {
        language: [Step(score, *steps[score]) for score in sorted(steps)]
        for language, steps in sorted(counts.items())
    }


def sample_hash(lessons: Sequence[Lesson]) -> str:
    """The SHA-256, in hex, over the versions that evidence counts and what was found of them."""
    found = sorted(lesson.version + bytes([lesson.so]) for lesson in _kept(lessons))
    return hashlib.sha256(_SAMPLE + b"".join(found)).hexdigest()


def step_of(score: float) -> float:
    """The step of evidence that a score is counted at."""
    return floor(min(max(score, _LEAST), _MOST) * STEPS) / STEPS


def _kept(lessons: Sequence[Lesson]) -> Set[Lesson]:
    """Those that evidence counts."""
    least = min((lesson.drawn for lesson in lessons if lesson.drawn), default=0)
    drawn = (lesson for lesson in lessons if lesson.drawn)
    return {lesson for lesson in drawn if _chance(lesson.version) * lesson.drawn < least * _CHANCES}


def _chance(version: bytes) -> int:
    return int.from_bytes(hashlib.sha256(_THINNED + version).digest()[:8], "big")


def _taught(
    lessons: Sequence[Lesson],
    texts: Sequence[Text],
    weights: Sequence[float],
    plan: Plan,
    places: Sequence[int],
) -> TextModel:
    judged = [
        Judged(texts[at].buckets, int(lessons[at].so), texts[at].alike, weights[at])
        for at in places
        if weights[at] > 0.0
    ]
    return learn(judged, plan.recipe, start=plan.base)


def _check(lessons: Sequence[Lesson], weights: Sequence[float]) -> None:
    for so, answer in ((True, "yes"), (False, "no")):
        own = [weight for lesson, weight in zip(lessons, weights, strict=True) if lesson.so is so]
        if len(own) < LESSONS_LEAST:
            raise TooLittle(
                f"{len(own)} settled decisions and answers say {answer}; a model is taught from "
                f"{LESSONS_LEAST} on"
            )
        if (weight := fsum(own)) < WEIGHT_LEAST:
            raise TooLittle(
                f"what says {answer} comes of too few people, or is one text over and over: all of it "
                f"weighs {weight:.1f} lessons, and a model is taught from {WEIGHT_LEAST:.0f} on"
            )
