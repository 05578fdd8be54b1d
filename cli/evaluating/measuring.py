"""Figures of one set, with intervals, from what models said of its texts.

All shares have Wilson's interval, areas under the curve DeLong's, macro-F1 the delta method's; all are of
95 % (see `protocol.moderation.statistics`). Texts of one thread or one template are not independent, so the
intervals of such sets are too narrow; no figure here decides anything by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from folkmoot.cli.evaluating.corpus import Item
from folkmoot.protocol.moderation.fairness.bias import FALSE_SHARE, RATIO_ALARM
from folkmoot.protocol.moderation.statistics.auc import auc
from folkmoot.protocol.moderation.statistics.confusion import Confusion
from folkmoot.protocol.moderation.statistics.proportions import (
    Interval,
    Share,
    benjamini_hochberg,
    difference_p,
    newcombe,
    ratio,
    wilson,
)

NAME_TEXTS_MIN: Final = 20
"""Of fewer texts that name a group nothing is said."""


class Judged(NamedTuple):
    """A labelled text, and what was said of it."""

    item: Item
    said: int
    score: float

    @property
    def wrong(self) -> bool:
        """Whether another class was said than it is in."""
        return self.said != self.item.label


def figures(judged: Sequence[Judged], classes: Sequence[str]) -> dict[str, Any]:
    """What can be said of any set: how many, how often right, how well in order.

    Precision and recall are of everything but the first class, whichever of the others it is.
    """
    labelled = [(each.item.label, each.said) for each in judged if each.item.label is not None]
    table = Confusion.of(len(classes), labelled)
    rest = tuple(range(1, len(classes)))
    area = auc([each.score for each in judged], [bool(each.item.label) for each in judged])
    shares = {"accuracy": table.accuracy, "precision": table.precision(*rest), "recall": table.recall(*rest)}
    return {
        "n": table.n,
        "macro_f1": _rounded(table.macro_f1),
        "auc": None if area is None else _rounded(area.value),
        **{name: _rounded(share.value) if share.of else None for name, share in shares.items()},
        "intervals": {
            "macro_f1": _pair(table.macro_f1_interval()),
            "auc": None if area is None else _pair(area.interval),
            **{name: _pair(wilson(share)) for name, share in shares.items()},
        },
        "classes": {
            name: {
                "n": table.recall(each).of,
                "precision": _rounded(table.precision(each).value),
                "recall": _rounded(table.recall(each).value),
                "f1": _rounded(table.f1(each)),
            }
            for each, name in enumerate(classes)
        },
    }


def by_part(judged: Iterable[Judged]) -> dict[str, dict[str, Any]]:
    """How often each part of a set (a functionality, say) was judged right, in the order of its parts."""
    return {name: _part(inside) for name, inside in _parts(judged).items()}


def by_language(judged: Iterable[Judged], classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What `figures` says first of each part of a set."""
    kept = ("n", "macro_f1", "auc", "accuracy")
    found = {name: figures(inside, classes) for name, inside in _parts(judged).items()}
    return {name: {figure: of[figure] for figure in kept} for name, of in found.items()}


def always(judged: Sequence[Judged], said: int, classes: Sequence[str]) -> dict[str, Any]:
    """The figures of whoever says one class of every text."""
    table = Confusion.of(
        len(classes), ((each.item.label, said) for each in judged if each.item.label is not None)
    )
    return {"macro_f1": _rounded(table.macro_f1), "accuracy": _rounded(table.accuracy.value)}


def identity(judged: Sequence[Judged]) -> dict[str, Any]:
    """How much more often harmless texts are taken for bad when they name one group than otherwise.

    Each name is compared with all harmless texts that do not have it. `alarms` are the names whose ratio is
    above 1.25 with its whole interval, and is not by chance, given how many names there are.
    """
    harmless = [each for each in judged if not each.item.label]
    everybody = _flagged(harmless)
    by_name: dict[str, list[Judged]] = {}
    for each in harmless:
        for name in each.item.names:
            by_name.setdefault(name, []).append(each)
    told: dict[str, dict[str, Any]] = {}
    chances: list[float] = []
    for name in sorted(name for name, texts in by_name.items() if len(texts) >= NAME_TEXTS_MIN):
        one = _flagged(by_name[name])
        other = Share(everybody.hits - one.hits, everybody.of - one.of)
        told[name] = {"n": one.of, "false_positive_rate": _rounded(one.value), **_quotient(one, other)}
        chances.append(difference_p(one, other))
    for figures_of, chance in zip(told.values(), benjamini_hochberg(chances), strict=True):
        figures_of["q"] = _rounded(chance)
    ratios = [each["ratio"] for each in told.values() if each["ratio"] is not None]
    return {
        "false_positive_rate": _rounded(everybody.value),
        "highest_ratio": max(ratios, default=None),
        "alarms": [name for name, each in told.items() if _alarming(each)],
        "names": told,
    }


def swapped(judged: Sequence[Judged]) -> dict[str, Any]:
    """Harmless texts against the same texts with the names of other groups in them."""
    was, now = (
        _flagged(each for each in judged if not each.item.label and each.item.about == variant)
        for variant in ("original", "identity_swapped")
    )
    verdicts: dict[str | None, set[int]] = {}
    for each in judged:
        verdicts.setdefault(each.item.group, set()).add(each.said)
    changed = Share(sum(len(said) > 1 for said in verdicts.values()), len(verdicts))
    return {
        "original": _rounded(was.value),
        "identity_swapped": _rounded(now.value),
        **_quotient(now, was),
        "verdicts_changed": _rounded(changed.value),
    }


def dialects(judged: Sequence[Judged]) -> dict[str, Any]:
    """Sentences of African-American English against the same in Standard American English, unlabelled."""
    aae, sae = ([each for each in judged if each.item.about == variant] for variant in ("aae", "sae"))
    one, other = _flagged(aae), _flagged(sae)
    scores = {each.item.group: each.score for each in sae}
    higher = Share(sum(each.score > scores[each.item.group] for each in aae), len(aae))
    return {
        "n": len(aae),
        "flagged": {"aae": _rounded(one.value), "sae": _rounded(other.value)},
        "difference": _rounded(one.value - other.value),
        "interval": _pair(newcombe(one, other)),
        "aae_scores_higher": _rounded(higher.value),
        "aae_scores_higher_interval": _pair(wilson(higher)),
    }


def _parts(judged: Iterable[Judged]) -> dict[str, list[Judged]]:
    parts: dict[str, list[Judged]] = {}
    for each in judged:
        parts.setdefault(each.item.about, []).append(each)
    return parts


def _part(inside: Sequence[Judged]) -> dict[str, Any]:
    right = Share(sum(not each.wrong for each in inside), len(inside))
    return {"n": right.of, "accuracy": _rounded(right.value), "interval": _pair(wilson(right))}


def _flagged(texts: Iterable[Judged]) -> Share:
    said = [each.said for each in texts]
    return Share(sum(each > 0 for each in said), len(said))


def _alarming(figures_of_name: Mapping[str, Any]) -> bool:
    return bool(figures_of_name["interval"][0] > RATIO_ALARM and figures_of_name["q"] <= FALSE_SHARE)


def _quotient(one: Share, other: Share) -> Mapping[str, Any]:
    low, high = ratio(one, other)
    value = one.value / other.value if other.hits else 1.0 if not one.hits else None
    return {
        "ratio": None if value is None else _rounded(value),
        "interval": [_rounded(low), None if high == float("inf") else _rounded(high)],
    }


def _pair(interval: Interval) -> list[float]:
    return [_rounded(interval.low), _rounded(interval.high)]


def _rounded(value: float) -> float:
    """To four places, which no set here is large enough to exceed."""
    return round(value, 4)
