"""Ranking: how well a post meets a query, the same wherever it is worked out.

What BM25 (Robertson and Zaragoza 2009) gives a term for how often it stands in a document of some length; the
length is compared with a fixed one in place of the average. Its other half, how rare a term is, is left out:
all posts that are found have all terms, so it weighs terms against each other and hardly any post against
another, and it would make one node's figures another measure than the next one's. What was posted long ago
counts for less, by the age it had when the first page was asked for.

Scores are whole numbers, so that they can be compared and carried in cursors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from folkmoot.protocol.search.query import Query, Term

_K1: Final = 1.2
_B: Final = 0.75
_LENGTH: Final = 24  # tokens of a usual post
_HALF_LIFE_MS: Final = 14 * 24 * 3600 * 1000
_SCALE: Final = 1_000_000_000


def scoring(query: Query) -> Callable[[str, int], int]:
    """How well posts meet a query that they meet: a function of a post's body (its column of that name, see
    `documents`) and of its age (milliseconds, at least 0), which is at least 0."""
    wanted = [(_word(term), term) for term in query.terms if not term.excluded]

    def score(body: str, age_ms: int) -> int:
        words = body.split(" ")
        norm = _K1 * (1 - _B + _B * len(words) / _LENGTH)
        met = 0.0
        for word, term in wanted:
            count = _occurrences(term, words) if word is None else words.count(word)
            met += count * (_K1 + 1) / (count + norm)
        return int(_SCALE * met / (1 + age_ms / _HALF_LIFE_MS))

    return score


def _word(term: Term) -> str | None:
    """The whole word of a body that is looked for; None when it is something else, which takes longer."""
    (*first, last), open_ended = term.phrase
    return last if term.column == "body" and not first and not open_ended else None


def _occurrences(term: Term, words: Sequence[str]) -> int:
    """How often a term stands in a body; one that is met elsewhere, by a tag or the author, counts once."""
    if term.column != "body":
        return 1
    (*first, last), open_ended = term.phrase
    if not first:
        return len([word for word in words if word.startswith(last)])
    starts = (at for at in range(len(words) - len(first)) if list(words[at : at + len(first)]) == first)
    if open_ended:
        return sum(words[at + len(first)].startswith(last) for at in starts)
    return sum(words[at + len(first)] == last for at in starts)
