"""Ranking: candidates and what is known of them → an order, and of each post what its score is made of.

    score = Σ weight · value · 2^(-age/half-life)

Every part is rounded to thousandths before it is added, so the score is exactly the sum of what is told, and
the order of the candidates, or of the terms, changes nothing. Of two posts with one score the newer comes
first.

What goes wrong with one post stays with it: a term that has no value is 0, and a post for which a filter has
none is left out. What cannot be added up is cut: the infinite counts as `VALUE_MAX`.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.errors import TOO_LARGE, WireError
from folkmoot.protocol.expressions import Activation, EvaluationError, Expression
from folkmoot.protocol.ranking.document import Document, filters_of
from folkmoot.protocol.ranking.expressions import AGE, Signals, bind
from folkmoot.protocol.ranking.program import Program
from msgspec import UNSET

THOUSAND: Final = 1_000
VALUE_MAX: Final = 1e9  # what is greater counts as much
_FAILED: Final = -(2**62)  # no value is so small
_A_TERM: Final = 3  # numbers: value, decay, points

assert limits.ALGORITHM_TERMS * VALUE_MAX * limits.ALGORITHM_WEIGHT_MAX < 2**62, "scores fit into eight bytes"


class Candidate(NamedTuple):
    """A post that may come into the feed.

    Args:
        entry: names it; of two posts, the newer has the greater.
        author: 34 bytes.
        signals: what is known of it: of `expressions.SIGNALS` those in `Program.signals`, at least.
    """

    entry: bytes
    author: bytes
    signals: Signals


class Ranked(NamedTuple):
    """A post in the feed.

    Args:
        candidate: the post's number among the candidates.
        entry: as in `Candidate`.
        score: in thousandths.
        parts: for each term its value, decay and points, in thousandths; see `terms_of`.
    """

    candidate: int
    entry: bytes
    score: int
    parts: array[int]


class Ranking(NamedTuple):
    """What became of some candidates.

    Args:
        ranked: those that are in the feed, the best first.
        filtered: how many a filter has left out.
        failed: how many were left out since a filter had no value for them.
        crowded: how many were left out since there are better ones of the same author.
    """

    ranked: list[Ranked]
    filtered: int
    failed: int
    crowded: int


def rank(program: Program, candidates: Iterable[Candidate], is_over: Callable[[], bool]) -> Ranking:
    """Put candidates in the order of a document.

    Args:
        program: the document, compiled.
        candidates: at most `limits.RANKED_CANDIDATES`, each once. Each is asked for when its turn has come,
            so that what it takes to make one is among what is spent.
        is_over: whether the time is over; asked before each expression.

    Raises:
        WireError: `too_large`: it was over, with the name of the expression that was next.
    """
    ranked: list[Ranked] = []
    authors: list[bytes] = []
    filtered = failed = 0
    for number, candidate in enumerate(candidates):
        authors.append(candidate.author)
        activation = bind(candidate.signals)
        try:
            if not _stays(program, activation, is_over):
                filtered += 1
                continue
        except EvaluationError:
            failed += 1
            continue
        age_s = candidate.signals[AGE]
        assert isinstance(age_s, float), "ages are numbers"
        parts = _parts(program, activation, max(0.0, age_s), is_over)
        ranked.append(Ranked(number, candidate.entry, sum(parts[2::_A_TERM]), parts))
    ranked.sort(key=attrgetter("score", "entry"), reverse=True)
    shown = list(_thinned(ranked, authors, program.document))
    return Ranking(shown, filtered, failed, len(ranked) - len(shown))


def terms_of(document: Document, ranked: Ranked) -> list[dict[str, Any]]:
    """What a score is made of, as the contract tells it; the points add up to the score."""
    told: list[dict[str, Any]] = []
    for number, term in enumerate(document.terms):
        value, decay, points = ranked.parts[_A_TERM * number : _A_TERM * (number + 1)]
        one: dict[str, Any] = {"name": term.name, "weight": term.weight, "decay": decay, "points": points}
        told.append({**one, "value": 0, "failed": True} if value == _FAILED else {**one, "value": value})
    return told


def _stays(program: Program, activation: Activation, is_over: Callable[[], bool]) -> bool:
    for number, expression in enumerate(program.filters):
        if is_over():
            raise _too_long(f"filters[{number}]", filters_of(program.document)[number])
        if not expression.evaluate(activation):
            return False
    return True


def _parts(program: Program, activation: Activation, age_s: float, is_over: Callable[[], bool]) -> array[int]:
    parts = array("q")
    for number, (term, expression) in enumerate(zip(program.document.terms, program.terms, strict=True)):
        if is_over():
            raise _too_long(f"terms[{number}] ({term.name})", term.value)
        decay = 1.0 if term.half_life_s is UNSET else 2.0 ** max(-age_s / term.half_life_s, -1000.0)
        value = _value(expression, activation)
        if value is None:
            parts.extend((_FAILED, round(THOUSAND * decay), 0))
        else:
            parts.extend(
                (round(THOUSAND * value), round(THOUSAND * decay), round(term.weight * value * decay))
            )
    return parts


def _value(expression: Expression, activation: Activation) -> float | None:
    """What an expression says of a post, cut to what can be added up; None when it says nothing."""
    try:
        value = expression.evaluate(activation)
    except EvaluationError:
        return None
    if math.isnan(value):
        return None
    return min(max(value, -VALUE_MAX), VALUE_MAX)


def _thinned(ranked: Iterable[Ranked], authors: Sequence[bytes], document: Document) -> Iterable[Ranked]:
    """Without those of which there are too many by one author."""
    if document.per_author is UNSET:
        yield from ranked
        return
    seen: Counter[bytes] = Counter()
    for each in ranked:
        author = authors[each.candidate]
        seen[author] += 1
        if seen[author] <= document.per_author:
            yield each


def _too_long(part: str, code: str) -> WireError:
    milliseconds = int(1000 * limits.RANKING_TIME_S)
    return WireError(
        TOO_LARGE,
        f"ranking took more than {milliseconds} ms of processor time, and had come to {part}: {code}; "
        "shorten the expressions, or have sources with lower limits",
        details={"expression": part},
    )
