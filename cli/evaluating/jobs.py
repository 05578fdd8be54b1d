"""What is trained on what, and measured on what: every model, of every fold, as a job of its own.

A text that is measured on never teaches the model that is measured, also where it stands in another set or
is written differently. Jobs share nothing, so they can run beside each other and in any order, and what
comes of one depends on its texts and the seed alone.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from folkmoot.cli.evaluating.corpus import Corpus, Item
from folkmoot.cli.evaluating.forms import FORMS, QUESTIONS, TOXIC
from folkmoot.cli.workers import spread
from folkmoot.protocol.moderation.text.learning import Judged, Recipe, folds_of, learn, trainings

FOLDS: Final = 5
COST: Final = 0.3
BLIND: Final = frozenset({TOXIC})
"""Questions whose models do not tell groups of people apart; whom hate is about is part of what it is."""

EVEN: Final = 1_000.0
"""What the texts of one set with one answer count for together: large sets do not drown small ones."""

WEIGHT_MAX: Final = 8.0
"""What one text counts for at most."""


class Place(NamedTuple):
    """Where a text stands: its set, and its number in it."""

    set: str
    at: int


class Tested(NamedTuple):
    """A text that is measured on, and what the job's model sees of it."""

    place: Place
    buckets: array[int]


@dataclass(frozen=True, slots=True)
class Job:
    """One model to train, and the texts to measure it on.

    Args:
        model: what it is called: a set, or a shared question.
        texts: what it learns from.
        tested: what it is measured on.
        left_out: how many texts it might have learnt from, had they not been among those.
    """

    model: str
    recipe: Recipe
    texts: list[Judged]
    tested: list[Tested]
    left_out: int


class Judgement(NamedTuple):
    """What a model says of a text: the number of a class, and how far it is from the first."""

    place: Place
    said: int
    score: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job.

    Args:
        model: as in the job.
        hash: of what was learnt.
        taught: from how many texts.
        left_out: as in the job.
        trained: how many heads were trained.
    """

    model: str
    hash: str
    taught: int
    left_out: int
    trained: int
    judgements: list[Judgement]


def jobs(train: Corpus, test: Corpus, seed: int) -> Iterator[Job]:
    """Every job, in order; with the same corpus twice, five folds of it.

    Sets that nothing can judge are left out, see `untaught`.
    """
    for question in QUESTIONS:
        yield from _shared_jobs(train, test, question, seed)
    for name in test:
        if FORMS[name].own and not untaught(train, name):
            yield from _own_jobs(train, test, name, seed)


def teaching_jobs(train: Corpus, question: str, seed: int) -> tuple[Job, list[Job]]:
    """The job of a model that learns all there is about a question, and those of five that each are measured
    on the fifth they have not seen."""
    recipe = _shared_recipe(question, seed)
    blind = question in BLIND
    pool = _pool(train, question)
    asked = set(pool)
    folded = [_folds(train, train, name, seed) for name in train if any(place.set == name for place in pool)]
    jobs = []
    for fold in range(FOLDS):
        tested = [place for folds in folded for place in folds[fold] if place in asked]
        kept, left_out = _kept(pool, tested, train, train)
        judged = _evened(kept, train, question, blind=blind)
        jobs.append(Job(question, recipe, judged, _tested(train, tested, blind=blind), left_out))
    return Job(question, recipe, _evened(pool, train, question, blind=blind), [], 0), jobs


def remedied_jobs(corpus: Corpus, question: str, seed: int, *, blind: bool, swaps: bool) -> list[Job]:
    """Five jobs that each learn from all there is about a question but the fifth that they are measured on,
    and are measured on what is compared in it though nothing is learnt from it, too.

    Args:
        corpus: prepared with names swapped where `swaps` is so.
        blind: whether groups of people are read as one.
        swaps: whether what names a group is learnt once more with other names.
    """
    pool = _pool(corpus, question)
    asked = set(pool)
    names = [name for name in corpus if not FORMS[name].own and FORMS[name].judged_by == question]
    measured = asked | {place for name in names for place in _whole(corpus, name)}
    folded = [_folds(corpus, corpus, name, seed) for name in dict.fromkeys(place.set for place in measured)]
    jobs = []
    for fold in range(FOLDS):
        tested = [place for folds in folded for place in folds[fold] if place in measured]
        kept, left_out = _kept(pool, tested, corpus, corpus)
        texts = _evened(kept, corpus, question, blind=blind)
        if swaps:
            twins = zip(texts, (corpus[place.set][place.at].swapped for place in kept), strict=True)
            texts = texts + [text._replace(buckets=twin) for text, twin in twins if twin is not None]
        recipe = _shared_recipe(question, seed)
        jobs.append(Job(question, recipe, texts, _tested(corpus, tested, blind=blind), left_out))
    return jobs


def weights_of(places: list[Place], corpus: Corpus, question: str) -> list[float]:
    """What texts count for, each set's texts with one answer together as much as any other's."""
    return [each.weight for each in _evened(places, corpus, question, blind=True)]


def untaught(train: Corpus, name: str) -> str:
    """Why nothing can judge a set; empty when something can."""
    form = FORMS[name]
    if form.own:
        labels = {item.label for item in train.get(name, ())}
        if len(labels) < len(form.classes):
            return f"the training folder has no {name}, or not of every class"
        return ""
    answers = {item.answers.get(form.judged_by) for items in train.values() for item in items}
    return "" if {True, False} <= answers else f"nothing in the training folder says what is {form.judged_by}"


def heads(all_jobs: Iterable[Job]) -> int:
    """How many heads jobs train together."""
    return sum(trainings(job.recipe) for job in all_jobs)


def run(job: Job, done: Callable[[], None] = lambda: None) -> Outcome:
    """Train and measure."""
    model = learn(job.texts, job.recipe, done)
    judgements = [
        Judgement(each.place, model.decide(each.buckets), model.score(each.buckets)) for each in job.tested
    ]
    return Outcome(job.model, model.hash(), len(job.texts), job.left_out, trainings(job.recipe), judgements)


def run_all(all_jobs: list[Job], processes: int, done: Callable[[int], None]) -> list[Outcome]:
    """Run jobs, so many at once; what comes of them is in their order.

    Args:
        done: called with how many more heads have been trained.
    """
    if processes == 1:
        return [run(job, lambda: done(1)) for job in all_jobs]
    outcomes = {}
    for number, outcome in spread(run, all_jobs, processes):
        outcomes[number] = outcome
        done(outcome.trained)
    return [outcomes[number] for number in range(len(all_jobs))]


def _own_jobs(train: Corpus, test: Corpus, name: str, seed: int) -> Iterator[Job]:
    """Of a model that learns the labels of one set."""
    recipe = Recipe(FORMS[name].classes, COST, seed)
    pool = [Place(name, at) for at in range(len(train[name]))]
    for tested in _folds(train, test, name, seed):
        kept, left_out = _kept(pool, tested, train, test)
        items = [train[place.set][place.at] for place in kept]
        judged = [
            Judged(item.open, item.label, group)
            for item, group in zip(items, _groups(items), strict=True)
            if item.label is not None
        ]
        yield Job(name, recipe, judged, _tested(test, tested, blind=False), left_out)


def _shared_jobs(train: Corpus, test: Corpus, question: str, seed: int) -> Iterator[Job]:
    """Of a model of all sets: one a fold for each set it learns from itself, and one for the others."""
    names = [name for name in test if not FORMS[name].own and FORMS[name].judged_by == question]
    names = [name for name in names if not untaught(train, name)]
    taught = {name for name in names if any(item.tested and item.answers for item in test[name])}
    parts = [part for name in names if name in taught for part in _folds(train, test, name, seed)]
    rest = [place for name in names if name not in taught for place in _whole(test, name)]
    if train is not test:
        parts, rest = [], [place for part in (*parts, rest) for place in part]
    recipe = _shared_recipe(question, seed)
    blind = question in BLIND
    pool = _pool(train, question)
    for part in (*parts, rest):
        if part:
            kept, left_out = _kept(pool, part, train, test)
            judged = _evened(kept, train, question, blind=blind)
            yield Job(question, recipe, judged, _tested(test, part, blind=blind), left_out)


def _shared_recipe(question: str, seed: int) -> Recipe:
    return Recipe(("fine", question), COST, seed, tuned=False)


def _pool(train: Corpus, question: str) -> list[Place]:
    """Every text that says something of a question."""
    return [
        Place(name, at)
        for name, items in train.items()
        for at, item in enumerate(items)
        if question in item.answers
    ]


def _folds(train: Corpus, test: Corpus, name: str, seed: int) -> list[list[Place]]:
    """What of a set is measured on together: all of it, or a fifth when it is also learnt from."""
    if train is not test:
        return [_whole(test, name)]
    fold = folds_of(_groups(test[name]), FOLDS, seed)
    return [[place for place in _whole(test, name) if fold[place.at] == each] for each in range(FOLDS)]


def _groups(items: Sequence[Item]) -> list[int]:
    """A number for the group of each, and for each that stands alone one of its own."""
    numbers: dict[str | int, int] = {}
    return [
        numbers.setdefault(at if item.group is None else item.group, len(numbers))
        for at, item in enumerate(items)
    ]


def _whole(test: Corpus, name: str) -> list[Place]:
    return [Place(name, at) for at, item in enumerate(test[name]) if item.tested]


def _kept(pool: list[Place], tested: list[Place], train: Corpus, test: Corpus) -> tuple[list[Place], int]:
    """What may be learnt from, and how much may not that is not measured on itself."""
    if train is not test:
        tested = [place for name in test for place in _whole(test, name)]
    measured = {test[place.set][place.at].form for place in tested}
    grouped = [place for place in tested if test[place.set][place.at].group is not None]
    groups = {(place.set, test[place.set][place.at].group) for place in grouped}
    kept = [
        place
        for place in pool
        if train[place.set][place.at].form not in measured
        and (place.set, train[place.set][place.at].group) not in groups
    ]
    themselves = len(set(pool) & set(tested)) if train is test else 0
    return kept, len(pool) - len(kept) - themselves


def _evened(places: list[Place], train: Corpus, question: str, *, blind: bool) -> list[Judged]:
    """The texts of many sets, each set's texts with one answer together counting as much as any other's."""
    cells = []
    for place in places:
        item = train[place.set][place.at]
        part = item.about if FORMS[place.set].parted else ""
        cells.append((place.set, part, item.answers[question]))
    sizes = Counter(cells)
    return [
        Judged(
            train[place.set][place.at].buckets(blind=blind),
            int(cell[-1]),
            group,
            min(EVEN / sizes[cell], WEIGHT_MAX),
        )
        for group, (place, cell) in enumerate(zip(places, cells, strict=True))
    ]


def _tested(test: Corpus, places: list[Place], *, blind: bool) -> list[Tested]:
    return [Tested(place, test[place.set][place.at].buckets(blind=blind)) for place in places]
