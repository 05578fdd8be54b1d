"""Thresholds that are justified: the least score from which on a model is right so often.

`scores.toxic >= at_precision(0.98)` asks for the threshold that *evidence* supports: texts that people have
judged, counted by the score that a model which had not learnt from them gave them. Of the steps that the
evidence is counted in, the threshold is the lowest from which on the share of texts that bear the label is
at least what was asked, with 95 % confidence over all steps together: the exact bound of Clopper and Pearson,
each step tested at its part of the 5 % (Bonferroni), since trying many steps finds good ones by chance. It
holds for texts like those of the evidence, as often bad as those were, in their language.

Where no step gets there, or there is no evidence in a language, nothing is promised: the threshold is then
the step with the best bound (of all languages together, if need be), and who asks must leave it to people.

In which language a text is says its author, who may have reasons to name another. So that counts as far as
the text bears it out (see `text.languages`), and where it does not nothing is promised, whatever is claimed:
what is above the lowest threshold that may be the right one goes to people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from math import inf
from typing import Final, NamedTuple

from folkmoot.protocol.moderation.signals import SCORES, THRESHOLDS
from folkmoot.protocol.moderation.statistics.proportions import Share, beta_distribution, clopper_pearson
from folkmoot.protocol.moderation.text.languages import primary

_DOUBT: Final = 0.05
_THOUSAND: Final = 1_000
_ASKED: Final = re.compile(
    r"(scores\s*\.\s*(?P<label>[a-z][a-z0-9_]*)\s*>=?\s*)at_precision\(\s*(?P<precision>0?\.\d{1,3})\s*\)"
)


class Step(NamedTuple):
    """Texts with a score from here to the next step.

    Args:
        score: the least.
        so: how many of them bear the label.
        others: how many do not.
    """

    score: float
    so: int
    others: int


Evidence = Mapping[str, tuple[Step, ...]]
"""Steps by language, ascending."""


class Asked(NamedTuple):
    """A threshold that an expression asks for.

    Args:
        label: as signals spell it.
        thousandths: of the precision.
    """

    label: str
    thousandths: int

    @property
    def signal(self) -> str:
        """The name of its value."""
        return f"{THRESHOLDS}.{self.label}_{self.thousandths}"

    @property
    def score(self) -> str:
        """The signal that is compared with it."""
        return f"{SCORES}.{self.label}"


class Threshold(NamedTuple):
    """What the evidence says.

    Args:
        score: the threshold.
        bound: what the precision from there on is at least.
        reached: whether that is what was asked for.
    """

    score: float
    bound: float
    reached: bool


class Borders(NamedTuple):
    """Where a text stands, by its score.

    Args:
        doubt: below, it is under the threshold, whichever is the right one.
        promise: from here on it is above the threshold, whichever is the right one, and what was asked for
            is promised; infinite where nothing is. In between it is not known.
    """

    doubt: float
    promise: float


def resolved(expression: str) -> tuple[str, list[Asked]]:
    """An expression with every `at_precision(…)` that a score is compared with replaced by a signal's name,
    and the thresholds that it asks for."""
    asked: list[Asked] = []

    def signal(found: re.Match[str]) -> str:
        asked.append(Asked(found["label"], round(_THOUSAND * float(found["precision"]))))
        return f"{found[1]}{asked[-1].signal}"

    return _ASKED.sub(signal, expression), asked


class Thresholds:
    """The thresholds for one precision.

    Args:
        evidence: not empty.
        thousandths: of the precision, 1 to 999.

    Attributes:
        by_language: what the evidence says in each language that it is in.
        least: no text is above a threshold whose score is below this, whatever its language.
    """

    def __init__(self, evidence: Evidence, thousandths: int) -> None:
        self.by_language = {
            language: _threshold(steps, thousandths) for language, steps in sorted(evidence.items())
        }
        self._elsewhere = _threshold(_together(evidence.values()), thousandths)._replace(reached=False)
        self.least = min(each.score for each in (self._elsewhere, *self.by_language.values()))

    def get(self, claimed: str, seems: Collection[str]) -> Borders:
        """What can be said of a text.

        Args:
            claimed: the language that it says it is in, in lower case; empty where it says none.
            seems: those that it may be in, see `text.languages`.
        """
        own, mine = self._own(claimed), primary(claimed)
        found = [
            each
            for language, each in self.by_language.items()
            if (primary(language) in seems if seems else each.reached) and primary(language) != mine
        ]
        if mine not in seems:
            may_be = [self._elsewhere, *([own] if own else []), *found]
            return Borders(min(each.score for each in may_be), inf)
        may_be = [own or self._elsewhere, *found]
        promise = max((each.score for each in may_be if each.reached), default=inf)
        return Borders(min(each.score for each in may_be), promise if own and own.reached else inf)

    def value(self, score: float | None, claimed: str, seems: Callable[[], Collection[str]]) -> float | None:
        """The threshold for a text; None where nobody can say on which side of it the text is.

        Args:
            score: of the text; None where that is unknown.
            claimed: see `get`.
            seems: likewise; called only where it matters.
        """
        if score is None or score < self.least:
            return self.least
        doubt, promise = self.get(claimed, seems())
        if score >= promise:
            return promise
        return doubt if score < doubt else None

    def _own(self, language: str) -> Threshold | None:
        """The threshold of a language, or its nearest wider one."""
        while language:
            if language in self.by_language:
                return self.by_language[language]
            language = language.rpartition("-")[0]
        return None


def _threshold(steps: tuple[Step, ...], thousandths: int) -> Threshold:
    precision = thousandths / _THOUSAND
    tail = _DOUBT / len(steps)
    so = others = 0
    shares = []
    for step in reversed(steps):
        so, others = so + step.so, others + step.others
        shares.append((step.score, Share(so, so + others)))
    for score, share in reversed(shares):
        # The bound is at least the precision exactly when so many hits were this unlikely below it.
        if share.hits and beta_distribution(precision, share.hits, share.of - share.hits + 1) <= tail:
            return Threshold(score, clopper_pearson(share, 1.0 - 2.0 * tail).low, True)
    bounds = [(clopper_pearson(share, 1.0 - 2.0 * tail).low, score) for score, share in shares]
    bound, score = max(bounds)
    return Threshold(score, bound, False)


def _together(languages: Iterable[tuple[Step, ...]]) -> tuple[Step, ...]:
    counts: dict[float, tuple[int, int]] = {}
    for steps in languages:
        for score, so, others in steps:
            before = counts.get(score, (0, 0))
            counts[score] = before[0] + so, before[1] + others
    return tuple(Step(score, *counts[score]) for score in sorted(counts))
