"""Muted words: one automaton for all of a viewer's, and what counts as a word in a script that has none.

Words and texts are compared in one form, NFKC_Casefold of the Unicode standard (section 3.13, D146): case,
full-width and otherwise styled letters and invisible characters do not matter, accents do. All words of a
viewer are looked for at once (Aho and Corasick 1975), so that a thousand cost hardly more than one.

A word is found where it stands alone: no letter or digit goes on before or after it. Between characters of
scripts that are written without spaces nobody can say where a word ends without a dictionary (UAX #14,
classes SA and ID; UAX #29, section 4), so there it is found anywhere, in Korean as well, whose particles are
joined to the words they follow. A mark after a hit always makes another letter, and no hit.

Putting the marks of one letter in order takes time with the square of how many there are, and no language
needs more than a few. So of a run only the first 30 count, as in the stream-safe text format (UAX #15,
section 13). What one character may stand for has a bound, too (see `compatibility`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import ahocorasick
from folkmoot.protocol.compatibility import nfkc
from folkmoot.protocol.invisible import INVISIBLE, lower_ascii

# Scripts without spaces between words: Thai and Lao, Tibetan, Myanmar, Khmer, Tai Le and New Tai Lue, Tai
# Tham, Balinese and Javanese, Tai Viet, Han, kana, Bopomofo, Yi; and Hangul, see above.
UNSPACED: Final = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f"
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u30ff\u3100-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf"
    "\ua960-\ua97f\ua980-\ua9ff\uaa60-\uaa7f\uaa80-\uaadf\uac00-\ud7ff\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
_BETWEEN_TEXTS: Final = "\0"  # in no normal form
_MARKS: Final = 30  # of one letter
_MANY_SIGNS: Final = re.compile(rf"\W{{{_MARKS + 1}}}")
_FIRST_MARK, _AFTER_MARKS = 0x300, 0x20000  # beyond these no character is put in order

_Entry = tuple[int, bool, bool, int]  # length; whether its begin and end must be a word's; until when


def normal_form(text: str) -> str:
    """The form in which words and texts are compared."""
    if text.isascii():
        return lower_ascii(text)
    visible = _with_few_marks(INVISIBLE.sub("", text))
    return _with_few_marks(nfkc(nfkc(visible).casefold()))


def _with_few_marks(text: str) -> str:
    # A mark is neither letter nor digit, which is quickly seen; which mark it is, is not.
    return _runs().sub(r"\1", text) if _MANY_SIGNS.search(text) else text


@lru_cache(maxsize=1)
def _runs() -> re.Pattern[str]:
    """Finds more marks than count; its first group is those that do."""
    marks = "".join(filter(unicodedata.combining, map(chr, range(_FIRST_MARK, _AFTER_MARKS))))
    return re.compile(f"([{marks}]{{{_MARKS}}})[{marks}]+")


def normal_word(word: str) -> str:
    """The form of a word or phrase: white space around it is dropped, within it made single."""
    return " ".join(normal_form(word).split())


class MutedWords:
    """Words of one viewer, compiled.

    Args:
        words: in their normal form → microseconds since 1970 until which they are muted.
    """

    __slots__ = ("_automaton", "_phrases", "words")

    def __init__(self, words: Mapping[str, int]) -> None:
        self.words = words
        self._phrases = any(" " in word for word in words)
        self._automaton: Any = None
        if words:
            self._automaton = ahocorasick.Automaton()
            for word, until_us in words.items():
                entry: _Entry = (len(word), _needs_edge(word[0]), _needs_edge(word[-1]), until_us)
                self._automaton.add_word(word, entry)
            self._automaton.make_automaton()

    def __bool__(self) -> bool:
        return self._automaton is not None

    def found_in(self, body: Mapping[str, Any], now_us: int) -> bool:
        """Whether a post shows one of the words in its text, warning, tags or the descriptions of its media.

        A tag reads `#tag`, so that it can be muted alone.

        Args:
            body: the post's.
            now_us: microseconds since 1970; words whose time is over are not looked for.
        """
        if self._automaton is None:
            return False
        text = _texts(body)
        if self._phrases:
            text = " ".join(text.split())
        for last, (length, begins, ends, until_us) in self._automaton.iter(text):
            if until_us > now_us and _stands_alone(text, last + 1 - length, last + 1, begins, ends):
                return True
        return False


def _texts(body: Mapping[str, Any]) -> str:
    """The normal form of all that a post shows in words, with something between that is in no word."""
    text: str = body.get("text", "")
    if len(body) == 1:
        return normal_form(text)
    texts = [text, body.get("warning", "")]
    texts += [f"#{tag}" for tag in body.get("tags", ())]
    texts += [medium.get("alt", "") for medium in body.get("media", ())]
    return _BETWEEN_TEXTS.join(map(normal_form, texts))


def _stands_alone(text: str, start: int, end: int, begins: bool, ends: bool) -> bool:
    if end < len(text):
        after = text[end]
        if _is_mark(after) or (ends and _needs_edge(after)):
            return False
    return not (begins and start and _needs_edge(text[start - 1]))


def _needs_edge(character: str) -> bool:
    """Whether a word ends at such a character only where none follows; beside a sign may stand anything."""
    return (character.isalnum() or _is_mark(character)) and not UNSPACED.match(character)


def _is_mark(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character).startswith("M")
