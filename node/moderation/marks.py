"""Marks that stand where no writing puts them: on a letter of another script, or on none.

A vowel sign of Hindi on a Latin letter makes no other letter, it only hides the word from whoever compares
letters. On a Hindi letter it is half of what is written. So a mark counts where it belongs to the script of
what it stands on, and only there. The script is told by names: those of a script's characters begin with its
own (Unicode, section 4.8).

Nearly all texts have no marks of that sort, or are written in one script. Both are seen by searching for
single characters and pairs, which is fast; only what is left is walked through mark by mark.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Set
from functools import lru_cache
from typing import Final, NamedTuple

from folkmoot.protocol.invisible import HIDDEN, RARE

# Combining classes of marks through (1), above and below (200 on) letters: é, zalgo. Those in between, and
# most of class 0, are vowels, viramas and voicing marks, without which words of Indic, Thai, Hebrew or
# Japanese would change.
_DIACRITIC_CLASSES: Final = frozenset({1, *range(200, 256)})
_ENCLOSING: Final = "Me"

# Where marks are, but for those that are invisible.
_MARK_CODES: Final = (
    *range(0x300, 0x3100),
    *range(0xA600, 0xAC00),
    *range(0xFB00, 0x12000),
    *range(0x13400, 0x13480),
    *range(0x16000, 0x17000),
    *range(0x1BC00, 0x1BD00),
    *range(0x1CF00, 0x1F000),
)
_SURROGATES: Final = "\ud800-\udfff"
_FIRST_PLANE_END: Final = 0xFFFF
_BLOCK: Final = 128

# Characters whose scripts are not what their names begin with, or are written with each other: the voicing
# marks belong to both kana, and Arabic vowel signs stand on Syriac letters, too.
_SCRIPTS: Final = {
    **dict.fromkeys(("COMBINING", "HALFWIDTH", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"), "KANA"),
    "SYRIAC": "ARABIC",
}
_SCRIPTS_REMEMBERED: Final = 4_096


class _Search(NamedTuple):
    """Of marks that are no diacritics, and of characters that become such.

    Args:
        codes: all of them, ascending.
        any: finds one, or what may be one in the higher planes.
        run: finds one and those that stand on the same.
        unusual: as `any`, and finds what else is unusual.
    """

    codes: tuple[int, ...]
    any: re.Pattern[str]
    run: re.Pattern[str]
    unusual: re.Pattern[str]


def is_mark(character: str) -> bool:
    """Whether a character stands on another one (categories Mn, Mc, Me)."""
    return not character.isascii() and unicodedata.category(character).startswith("M")


def is_diacritic(mark: str) -> bool:
    """Whether a mark decorates what it stands on, and no letter is another one for it."""
    return unicodedata.combining(mark) in _DIACRITIC_CLASSES or unicodedata.category(mark) == _ENCLOSING


def is_usual(text: str) -> bool:
    """Whether a text has no strangers, no lone surrogates, and nothing hidden but joiners.

    A text that has some other things may pass for unusual as well.

    Args:
        text: as it was written.
    """
    first = _search().unusual.search(text)
    return first is None or not _is_mixed(text, first)


def strangers(text: str) -> Set[int]:
    """The places of all marks that do not belong to the script of what they stand on.

    Args:
        text: decomposed, without diacritics and invisible characters.
    """
    search = _search()
    first = search.any.search(text)
    if first is None or not _is_mixed(text, first):
        return frozenset()
    return {
        at
        for run in search.run.finditer(text)
        for at in range(*run.span())
        if run.start() == 0 or _script(text[at]) != _script(text[run.start() - 1])
    }


def mark_class() -> str:
    """All marks that are no diacritics, as they stand in the brackets of a regular expression."""
    return _ranges(_search().codes)


@lru_cache(maxsize=1)
def _search() -> _Search:
    codes = tuple(filter(_is_sought, _MARK_CODES))
    quick = _quick(codes)
    return _Search(
        codes,
        re.compile(f"[{quick}]"),
        re.compile(f"[{_ranges(codes)}]+"),
        re.compile(f"[{_SURROGATES}{RARE}{quick}]"),
    )


def _is_sought(code: int) -> bool:
    character = chr(code)
    if is_mark(character):
        return not is_diacritic(character) and not HIDDEN.match(character)
    if not unicodedata.decomposition(character):
        return False
    mark = unicodedata.normalize("NFKD", character).lstrip(" \u0640")[:1]
    return mark != "" and is_mark(mark) and not is_diacritic(mark)


def _is_mixed(text: str, first: re.Match[str]) -> bool:
    """Whether there may be strangers in a text, or what else is unusual, of which one was found first."""
    found = _mixture(_script(first[0]))
    return first.start() == 0 or found is None or found.search(text) is not None


@lru_cache(maxsize=256)  # more than there are
def _mixture(script: str) -> re.Pattern[str] | None:
    """Finds what is unusual, if not marks of this script on its own letters near them.

    None for what is no script with marks.
    """
    own = [code for code in _search().codes if _script(chr(code)) == script]
    if not own:
        return None
    others = [code for code in _search().codes if _script(chr(code)) != script]
    blocks = sorted({code // _BLOCK for code in own})
    near = (at for block in blocks for at in range(block * _BLOCK, (block + 1) * _BLOCK))
    home = _ranges(at for at in near if _script(chr(at)) == script)
    return re.compile(f"[^{home}](?:(?<=[{_SURROGATES}{RARE}{_quick(others)}])|(?=[{_ranges(own)}]))")


def _quick(codes: Iterable[int]) -> str:
    """Characters; all of the higher planes are one range, because ranges are compared one by one."""
    first_plane = [code for code in codes if code <= _FIRST_PLANE_END]
    higher = [code for code in codes if code > _FIRST_PLANE_END]
    return _ranges(first_plane) + _ranges(range(higher[0], higher[-1] + 1))


def _ranges(codes: Iterable[int]) -> str:
    """Characters, ascending, as they stand in the brackets of a regular expression."""
    spans: list[list[int]] = []
    for code in codes:
        if spans and spans[-1][1] == code - 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in spans)


@lru_cache(maxsize=_SCRIPTS_REMEMBERED)
def _script(character: str) -> str:
    word = unicodedata.name(character, "").partition(" ")[0]
    return _SCRIPTS.get(word, word)
