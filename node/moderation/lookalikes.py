"""Letters that are used to pass for Latin ones: the much abused, picked by hand, after case folding.

The table is deliberately small. It is not the Unicode confusables data (UTS #39), whose thousands of pairs
would merge words of living scripts that merely look alike to a machine; it holds what spam really uses.
Full-width, mathematical and circled letters are not here: compatibility decomposition already undoes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Cyrillic, then Greek, then small capitals and other Latin, IPA and Armenian letters.
_BY_LETTER: Final = {
    "a": "\u0430\u03b1\u0251\u1d00",
    "b": "\u0432\u03b2\u0299",
    "c": "\u0441\u1d04\u0188",
    "d": "\u0501\u0111\u1d05\u0257",
    "e": "\u0435\u0454\u03b5\u1d07\u0259",
    "f": "\ua730\u0192",
    "g": "\u0261\u0262\u0260",
    "h": "\u043d\u04bb\u029c\u0127\u0570",
    "i": "\u0456\u03b9\u0131\u026a\u0269",
    "j": "\u0458\u1d0a",
    "k": "\u043a\u03ba\u1d0b\u0199",
    "l": "\u04cf\u0142\u029f\u01c0",
    "m": "\u043c\u1d0d",
    "n": "\u03b7\u0274\u0578",
    "o": "\u043e\u03bf\u00f8\u1d0f\u0585",
    "p": "\u0440\u03c1\u1d18",
    "q": "\u051b",
    "r": "\u0433\u0280",
    "s": "\u0455\ua731",
    "t": "\u0442\u03c4\u1d1b\u0167",
    "u": "\u03c5\u1d1c\u057d",
    "v": "\u0475\u03bd\u1d20",
    "w": "\u051d\u03c9\u1d21",
    "x": "\u0445\u03c7",
    "y": "\u0443\u03b3\u028f",
    "z": "\u1d22\u01b6",
}

# White letters on black squares and discs, A to Z, have no decomposition.
_EMBLEM_STARTS: Final = (0x1F150, 0x1F170)


def _table() -> dict[str, str]:
    table = {other: letter for letter, others in _BY_LETTER.items() for other in others}
    for start in _EMBLEM_STARTS:
        table |= {chr(start + place): chr(ord("a") + place) for place in range(26)}
    return table


LATIN_OF: Final[Mapping[str, str]] = _table()
"""A letter that passes for a Latin one → that one, lowercase."""
