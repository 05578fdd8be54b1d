"""What can be done against models that hold a group's name against a text, measured beside doing nothing.

One question, the same texts, folds and seed; what differs is one remedy:

- *nothing*: the model sees every word.
- *names swapped*: it learns each text that names a group once more with other groups' names in it, whatever
  it is judged to be (counterfactual augmentation: Dixon et al. 2018; Garg et al. 2019, "Counterfactual
  Fairness in Text Classification through Robustness").
- *thresholds by group*: it sees every word, and a text that names a group is taken for bad from a higher
  score on, the one that as few harmless texts with that name reach as harmless texts do at all. Thresholds
  are found on texts of the other folds, never on those that are measured; rules say the same with
  `scores.toxic >= (hits.group ? 0.4 : 0.0)`. They can only rise.
- *names unseen*: all names are one to it (see `protocol.moderation.text.groups`), which is what is shipped.
- *names unseen, one threshold*: the same, and what names any group is taken for bad from a higher score on,
  one for all names. So no group is treated unlike another, and naming one costs less.

Texts that are measured are never learnt from, so the templates that are measured are not swapped either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Any, Final, NamedTuple

from folkmoot.cli.evaluating.corpus import Corpus, Item
from folkmoot.cli.evaluating.forms import FORMS, TOXIC
from folkmoot.cli.evaluating.jobs import Job, Outcome, Place, remedied_jobs, run_all, weights_of
from folkmoot.cli.evaluating.measuring import (
    Judged,
    dialects,
    figures,
    identity,
    swapped,
)
from folkmoot.protocol.moderation.fairness.bias import RATIO_ALARM

WIKIPEDIA: Final = "wikipedia_toxicity_identity"
TEMPLATES: Final = "identity_templates_77k"
DIALECTS: Final = "dialect_pairs_habitual_be"

_ANY: Final = frozenset({"any"})

HARMLESS_MIN: Final = 20
"""Of a group with fewer harmless texts to learn from no threshold is made."""


class Raised(Enum):
    """For what texts thresholds are found."""

    NOT = 0
    EACH_NAME = 1
    ANY_NAME = 2

    def groups(self, item: Item) -> frozenset[str]:
        """Those groups of a text that have a threshold."""
        match self:
            case Raised.EACH_NAME:
                return item.names
            case Raised.ANY_NAME if item.names:
                return _ANY
        return frozenset()


class Remedy(NamedTuple):
    """One way to teach and to judge.

    Args:
        called: in tables.
        blind: whether all names are one.
        swaps: whether texts are learnt again with other names.
        raised: for what thresholds are found.
    """

    called: str
    blind: bool = False
    swaps: bool = False
    raised: Raised = Raised.NOT


REMEDIES: Final = (
    Remedy("nothing"),
    Remedy("names swapped", swaps=True),
    Remedy("thresholds by group", raised=Raised.EACH_NAME),
    Remedy("names unseen", blind=True),
    Remedy("names unseen, one threshold", blind=True, raised=Raised.ANY_NAME),
)


@dataclass(frozen=True, slots=True)
class Scored:
    """A text that was measured on, by a model that had not seen it.

    Args:
        place: where it stands.
        fold: in which fold.
        score: how far it is from harmless.
    """

    place: Place
    fold: int
    score: float


def remedy_jobs(corpus: Corpus, seed: int) -> dict[str, list[Job]]:
    """The jobs of every way to teach, by what it is called."""
    return {
        "open": remedied_jobs(corpus, TOXIC, seed, blind=False, swaps=False),
        "swapped": remedied_jobs(corpus, TOXIC, seed, blind=False, swaps=True),
        "blind": remedied_jobs(corpus, TOXIC, seed, blind=True, swaps=False),
    }


def compare_remedies(
    corpus: Corpus, ways: Mapping[str, list[Job]], processes: int, done: Callable[[int], None]
) -> list[dict[str, Any]]:
    """What each remedy does, with what it costs.

    Args:
        corpus: prepared with names swapped, too.
        ways: see `remedy_jobs`.
        processes: how many models are trained at once.
        done: called with how many more heads have been trained.
    """
    scored = {way: _scored(run_all(jobs, processes, done)) for way, jobs in ways.items()}
    return [_told(corpus, remedy, scored[_way(remedy)]) for remedy in REMEDIES]


def _way(remedy: Remedy) -> str:
    return "blind" if remedy.blind else "swapped" if remedy.swaps else "open"


def _scored(outcomes: Sequence[Outcome]) -> list[Scored]:
    return [
        Scored(place, fold, score)
        for fold, outcome in enumerate(outcomes)
        for place, _said, score in outcome.judgements
    ]


def _told(corpus: Corpus, remedy: Remedy, scored: Sequence[Scored]) -> dict[str, Any]:
    judged: dict[str, list[Judged]] = {}
    for each, threshold in _with_thresholds(corpus, remedy, scored):
        item = corpus[each.place.set][each.place.at]
        score = each.score - threshold
        judged.setdefault(each.place.set, []).append(Judged(item, int(score > 0.0), score))
    sets = {name: _figures(name, judged[name]) for name in (WIKIPEDIA, TEMPLATES) if name in judged}
    told: dict[str, Any] = {"remedy": remedy.called, "sets": sets}
    if DIALECTS in judged:
        told["dialects"] = dialects(judged[DIALECTS])
    return told


def _figures(name: str, judged: Sequence[Judged]) -> dict[str, Any]:
    general, names = figures(judged, FORMS[name].classes), identity(judged)
    highest = max(names["names"].items(), key=lambda each: _ratio(each[1]), default=None)
    told: dict[str, Any] = {
        "n": general["n"],
        "auc": general["auc"],
        "auc_interval": general["intervals"]["auc"],
        "false_positive_rate": names["false_positive_rate"],
        "alarms": names["alarms"],
        "highest": None if highest is None else {"name": highest[0], **highest[1]},
        "reached": highest is None or _ratio(highest[1]) <= RATIO_ALARM,
    }
    return told | ({"swapped": swapped(judged)} if name == WIKIPEDIA else {})


def _ratio(figures_of_name: Mapping[str, Any]) -> float:
    """Of a name; where nothing else is taken for bad it has none, and there is no more than that."""
    ratio = figures_of_name["ratio"]
    return inf if ratio is None else float(ratio)


def _with_thresholds(
    corpus: Corpus, remedy: Remedy, scored: Sequence[Scored]
) -> Iterator[tuple[Scored, float]]:
    """What was scored, each with the score from which on it is taken for bad."""
    folds = sorted({each.fold for each in scored})
    found = {
        fold: _thresholds(corpus, remedy.raised, [each for each in scored if each.fold != fold])
        for fold in folds
    }
    for each in scored:
        groups = remedy.raised.groups(_item(corpus, each))
        yield each, max((found[each.fold].get(group, 0.0) for group in groups), default=0.0)


def _thresholds(corpus: Corpus, raised: Raised, scored: Sequence[Scored]) -> Mapping[str, float]:
    """For each group, the score that as few harmless texts in it exceed as harmless texts exceed 0 at all.

    Sets count alike, as they do for the model; templates that no model may learn from say nothing here.
    """
    if raised is Raised.NOT:
        return {}
    harmless = [each for each in scored if _item(corpus, each).answers.get(TOXIC) is False]
    weights = weights_of([each.place for each in harmless], corpus, TOXIC)
    flagged = sum(weight for each, weight in zip(harmless, weights, strict=True) if each.score > 0.0)
    everywhere = flagged / sum(weights) if weights else 0.0
    by_group: dict[str, list[tuple[float, float]]] = {}
    for each, weight in zip(harmless, weights, strict=True):
        for group in raised.groups(_item(corpus, each)):
            by_group.setdefault(group, []).append((each.score, weight))
    return {
        group: _exceeded_by(some, everywhere) for group, some in by_group.items() if len(some) >= HARMLESS_MIN
    }


def _exceeded_by(some: Sequence[tuple[float, float]], share: float) -> float:
    """The least score from 0 on that at most such a share, by weight, exceeds."""
    left = share * sum(weight for _, weight in some)
    for score, weight in sorted(some, reverse=True):
        if score <= 0.0:
            break
        left -= weight
        if left < 0.0:
            return score
    return 0.0


def _item(corpus: Corpus, scored: Scored) -> Item:
    return corpus[scored.place.set][scored.place.at]
