"""In which languages a text may be, as far as its letters and its smallest words tell.

A script that one language has nearly to itself tells it; languages that share one are told apart by their
small words (see `small_words`). It is a look and no classifier: it takes some tens of microseconds, is the
same on every node, and says nothing where a text is too short to tell, or has words in letters that pass for
others. It does not see through all deceit: whoever puts enough words of another language into a text makes it
pass for that.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from typing import Final

from folkmoot.protocol.moderation.text.features import ADDRESS, MENTION
from folkmoot.protocol.moderation.text.small_words import SMALL_WORDS

PART: Final = 6
"""Of the different words of a text, one in so many has to be a small word of a language."""

TEXT_CODE_POINTS: Final = 1_000
"""Of a longer text only the beginning is looked at."""

_KANA_PART: Final = 8
"""Of Japanese, one letter in so many is kana; the others may be those of Chinese."""

_HAN: Final = "zh"
_KANA: Final = "ja"
_RANGES: Final = (
    (0x05D0, 0x05EA, "he"),
    (0x0980, 0x09FF, "bn"),
    (0x0A00, 0x0A7F, "pa"),
    (0x0A80, 0x0AFF, "gu"),
    (0x0B80, 0x0BFF, "ta"),
    (0x0C00, 0x0C7F, "te"),
    (0x0C80, 0x0CFF, "kn"),
    (0x0D00, 0x0D7F, "ml"),
    (0x0D80, 0x0DFF, "si"),
    (0x0E01, 0x0E4E, "th"),
    (0x0E80, 0x0EFF, "lo"),
    (0x1000, 0x109F, "my"),
    (0x10D0, 0x10FF, "ka"),
    (0x1100, 0x11FF, "ko"),
    (0x1200, 0x137F, "am"),
    (0x1780, 0x17D3, "km"),
    (0x3041, 0x30FF, _KANA),
    (0x3400, 0x4DBF, _HAN),
    (0x4E00, 0x9FFF, _HAN),
    (0xAC00, 0xD7A3, "ko"),
)
_STARTS: Final = [first for first, _last, _language in _RANGES]

# Other names of a language, or of one that is written much the same.
_SAME: Final = {"bs": "hr", "in": "id", "iw": "he", "ms": "id", "nb": "no", "nn": "no", "sh": "hr"}

# Vowel signs of Devanagari are no letters to `\w`.
_WORD: Final = re.compile(r"[^\W\d_](?:'?[^\W\d_]|[\u0900-\u0963])*")
_MIXED: Final = re.compile("[a-z][\u0370-\u058f]|[\u0370-\u058f][a-z]")  # with Greek, Cyrillic, Armenian
_OWN: Final = re.compile(f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last, _ in _RANGES)}]")


def _by_word() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for language, words in SMALL_WORDS.items():
        for word in words.split():
            found.setdefault(word, []).append(language)
    return {word: tuple(languages) for word, languages in found.items()}


_LANGUAGES: Final = _by_word()

TOLD: Final = frozenset({*SMALL_WORDS, *(language for _first, _last, language in _RANGES)})
"""The languages that can be told."""


def primary(tag: str) -> str:
    """What a language is called here: of `pt-br` it is `pt`, of `nb` it is `no`.

    Args:
        tag: in lower case.
    """
    first = tag.partition("-")[0]
    return _SAME.get(first, first)


def languages_of(text: str) -> frozenset[str]:
    """The languages that most in a text speaks for; several when as much speaks for each, none when too
    little speaks for any.

    Args:
        text: as somebody wrote it.
    """
    seen = text[:TEXT_CODE_POINTS].casefold()
    if "@" in seen or "://" in seen or "www." in seen:
        seen = MENTION.sub(" ", ADDRESS.sub(" ", seen))
    if not seen.isascii():
        seen = unicodedata.normalize("NFC", seen).replace("\u2019", "'")
        own = _OWN.findall(seen)
        if 2 * len(own) > sum(map(str.isalpha, seen)):
            return frozenset({_by_script(own)})
        if _MIXED.search(seen):
            return frozenset()
    words = set(_WORD.findall(seen))
    counts = Counter(language for word in words for language in _LANGUAGES.get(word, ()))
    most = max(counts.values(), default=0)
    if most * PART < max(1, len(words)):
        return frozenset()
    return frozenset(language for language, count in counts.items() if count == most)


def _by_script(letters: list[str]) -> str:
    """The language of the script that most letters are of."""
    counts = Counter(_RANGES[bisect_right(_STARTS, ord(letter)) - 1][2] for letter in letters)
    if counts[_KANA] * _KANA_PART >= len(letters):
        counts[_KANA] += counts.pop(_HAN, 0)
    return max(sorted(counts), key=counts.__getitem__)
