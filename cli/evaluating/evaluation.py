"""The evaluation: from two folders to one report, the same for the same folders and seed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from folkmoot.cli.evaluating.corpus import Corpus, prepare
from folkmoot.cli.evaluating.folders import Sets, read_folder
from folkmoot.cli.evaluating.forms import FORMS
from folkmoot.cli.evaluating.jobs import FOLDS, Outcome, heads, jobs, run_all, untaught
from folkmoot.cli.evaluating.measuring import (
    Judged,
    always,
    by_language,
    by_part,
    dialects,
    figures,
    identity,
    swapped,
)
from folkmoot.cli.evaluating.remedies import compare_remedies, remedy_jobs
from folkmoot.cli.evaluating.targets import reached
from folkmoot.cli.progress import OnProgress

Report = dict[str, Any]
Bar = Callable[[str], AbstractContextManager[OnProgress]]

HATEFUL: Final = 1


def evaluate(
    train: Path,
    test: Path,
    *,
    seed: int,
    processes: int,
    skip_unknown: bool,
    bar: Bar,
    remedies: bool = False,
) -> Report:
    """Train on one folder and measure on another; on one folder given for both, five folds of it.

    Args:
        seed: decides orders and folds.
        processes: how many models are trained at once; it changes nothing but the time.
        skip_unknown: see `read_folder`.
        bar: opens something that is told how far the work has got, by the name of what is counted.
        remedies: whether to compare, on one folder, what can be done against names that count as bad, too.

    Raises:
        FolderError, TableError: a folder or a file in it is not what it should be.
    """
    same = train.resolve() == test.resolve()
    taught_sets = read_folder(train, skip_unknown=skip_unknown)
    tested_sets = taught_sets if same else read_folder(test, skip_unknown=skip_unknown)
    with bar("texts read") as told:
        counted = Counted(told, _size(taught_sets) + (0 if same else _size(tested_sets)))
        taught = prepare(taught_sets, counted.one_more, swaps=remedies)
        tested = taught if same else prepare(tested_sets, counted.one_more)
    all_jobs = list(jobs(taught, tested, seed))
    with bar("heads trained") as told:
        outcomes = run_all(all_jobs, processes, Counted(told, heads(all_jobs)).more)
    sets = _sets(tested, outcomes)
    return {
        **(_remedies(taught, seed, processes, bar) if remedies else {}),
        "folds": FOLDS if same else None,
        "seed": seed,
        "sets": sets,
        "targets": reached(sets),
        "models": [_model(outcome) for outcome in outcomes],
        "not_evaluated": {name: why for name in tested if (why := untaught(taught, name))},
    }


def _remedies(corpus: Corpus, seed: int, processes: int, bar: Bar) -> Report:
    ways = remedy_jobs(corpus, seed)
    with bar("heads trained") as told:
        counted = Counted(told, sum(map(heads, ways.values())))
        return {"remedies": compare_remedies(corpus, ways, processes, counted.more)}


class Counted:
    """How far something long has got, told at every hundredth of it."""

    def __init__(self, told: OnProgress, total: int) -> None:
        self._told = told
        self._total = total
        self._done = 0
        told(0, total)

    def one_more(self) -> None:
        self.more(1)

    def more(self, count: int) -> None:
        before, self._done = self._done, self._done + count
        if before * 100 // self._total < self._done * 100 // self._total:
            self._told(self._done, self._total)


def _size(sets: Sets) -> int:
    return sum(map(len, sets.values()))


def _sets(tested: Corpus, outcomes: list[Outcome]) -> dict[str, Any]:
    judged: dict[str, list[Judged]] = {}
    by: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        for name in dict.fromkeys(each.place.set for each in outcome.judgements):
            by.setdefault(name, []).append(outcome)
        for place, said, score in outcome.judgements:
            judged.setdefault(place.set, []).append(Judged(tested[place.set][place.at], said, score))
    return {
        name: {
            "judged_by": by[name][0].model,
            "folds": len(by[name]),
            "trained_on": sum(outcome.taught for outcome in by[name]) // len(by[name]),
            "left_out": sum(outcome.left_out for outcome in by[name]),
            **_of_set(name, judged[name]),
        }
        for name in tested
        if name in judged
    }


def _of_set(name: str, judged: list[Judged]) -> dict[str, Any]:
    classes = FORMS[name].classes
    match name:
        case "hatecheck_en":
            return {
                **figures(judged, classes),
                "always_hateful": always(judged, HATEFUL, classes),
                "functionalities": by_part(judged),
            }
        case "hatecheck_multilingual":
            return {
                **figures(judged, classes),
                "always_hateful": always(judged, HATEFUL, classes),
                "languages": by_language(judged, classes),
            }
        case "wikipedia_toxicity_identity":
            return {**figures(judged, classes), "swapped": swapped(judged), "identity": identity(judged)}
        case "identity_templates_77k":
            return {**figures(judged, classes), "identity": identity(judged)}
        case "dialect_pairs_habitual_be":
            return dialects(judged)
    return figures(judged, classes)


def _model(outcome: Outcome) -> dict[str, Any]:
    return {
        "model": outcome.model,
        "hash": outcome.hash,
        "trained_on": outcome.taught,
        "left_out": outcome.left_out,
    }
