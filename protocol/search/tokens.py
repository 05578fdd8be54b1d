"""Tokens: what a text is found by, and the form in which words are compared.

The form is the one that muted words have (NFKC_Casefold, see `feed.words`), without accents besides: who
looks for `resume` finds `résumé`. Only marks that are left out in writing as well are dropped: accents, and
the vowel signs of Hebrew and Arabic. A vowel sign of an Indic script is a letter and stays.

Scripts that are written without spaces are cut into pairs of neighbouring characters, of which the last one
stands alone, too: every run of two or more characters in a text is then a row of tokens that follow each
other there, and a dictionary is not needed. Nothing is stemmed (docs/decisions/0037).

A text and a query are cut by the same function; only what ends a run is more than a query asks for.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

from folkmoot.protocol.compatibility import nfkc, nfkd
from folkmoot.protocol.feed.words import UNSPACED
from folkmoot.protocol.invisible import INVISIBLE, lower_ascii
from folkmoot.protocol.search.bounds import SEARCH_TOKEN_CODE_POINTS

TOKENS_VERSION: Final = f"3/{unicodedata.unidata_version}"
"""Of the rules here and the Unicode data under them: what was indexed by others is indexed anew."""

# Combining marks that people leave out: accents, Hebrew points, Arabic vowel signs.
_ACCENTS: Final = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
_APOSTROPHES: Final = re.compile("(?<=[^\\W_])['\u2019](?=[^\\W_])")
_PLAIN: Final = re.compile(r"[a-z0-9]+")
_LETTER: Final = re.compile(r"[^\W_]")
_UNSPACED_RUN: Final = re.compile(f"({UNSPACED.pattern}+)")
_FOLDS_MAX: Final = 4
_FIRST_PLANE_END: Final = "\uffff"


def fold(text: str) -> str:
    """The form in which texts are compared; folding it again changes nothing."""
    if text.isascii():
        return lower_ascii(text)
    for _ in range(_FOLDS_MAX):
        folded = _fold(text)
        if folded == text:
            break
        text = folded
    return text


def _fold(text: str) -> str:
    visible = INVISIBLE.sub("", text)
    bare = _ACCENTS.sub("", nfkd(visible))
    return nfkc(nfkc(bare).casefold())


def tokens(text: str) -> list[str]:
    """The tokens of a text, in its order; there may be none."""
    found: list[str] = []
    for word in _words(text):
        for unspaced, run in _runs(word):
            found += _pairs(run) if unspaced else [run[:SEARCH_TOKEN_CODE_POINTS]]
    return found


class Phrase(NamedTuple):
    """Tokens that follow each other.

    Args:
        tokens: at least one.
        open_ended: whether the last one may be the beginning of a longer token.
    """

    tokens: tuple[str, ...]
    open_ended: bool = False


def phrase(text: str, *, prefix: bool = False) -> Phrase | None:
    """What of a text has to stand in another one; None when it has no letters and no digits.

    Args:
        text: some words.
        prefix: whether the last word may go on.
    """
    found = tokens(text)
    if not found:
        return None
    *_, (unspaced, run) = (each for word in _words(text) for each in _runs(word))
    if not unspaced:
        return Phrase(tuple(found), prefix)
    # The run may go on in the text: its last character is then not alone. One character is found as the
    # first of a pair, or as what ends a run.
    return Phrase(tuple(found), open_ended=True) if len(run) == 1 else Phrase(tuple(found[:-1]))


def _words(text: str) -> list[str]:
    """The words of a text, in their form: letters, digits and the marks that belong to them."""
    folded = _APOSTROPHES.sub("", fold(text))
    if folded.isascii():
        return _PLAIN.findall(folded)
    return [word for word in _word_pattern().findall(folded) if _LETTER.search(word)]


def _runs(word: str) -> list[tuple[bool, str]]:
    """A word cut where scripts without spaces begin and end: whether it is one, and the run."""
    if word.isascii():
        return [(False, word)]
    # What was looked for stands at every other place, between what was not.
    return [(bool(at % 2), run) for at, run in enumerate(_UNSPACED_RUN.split(word)) if run]


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run))]


@lru_cache(maxsize=1)
def _word_pattern() -> re.Pattern[str]:
    """Letters, digits and marks of all scripts; worked out when the first text needs it."""
    marks = [chr(code) for code in _mark_codes() if unicodedata.category(chr(code)).startswith("M")]
    # In a class of the first plane alone a character is looked up; in others it is compared, range by range.
    first, further = (
        "".join(mark for mark in marks if (mark <= _FIRST_PLANE_END) is each) for each in (True, False)
    )
    return re.compile(f"(?:[^\\W_]+|[{first}]+|[{further}]+)+")


def _mark_codes() -> list[int]:
    """Where marks are: in the first two planes, and among the variation selectors."""
    return [*range(0x300, 0xD800), *range(0xF900, 0x20000), *range(0xE0100, 0xE01F0)]
