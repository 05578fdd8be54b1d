"""Characters that are shown as nothing, so that text is only ever disguised with them (or emoji joined)."""

from __future__ import annotations

import re
from typing import Final

# Control characters, but for white space.
_CONTROLS: Final = "\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
# Default-ignorable code points (Unicode, section 5.21) and the like.
_IGNORABLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Hangul fillers, an empty braille cell, and what stands for an object that is not there.
_HOLLOW: Final = "\u115f\u1160\u2800\u3164\uffa0\ufffc"

JOINERS: Final = "\u200c\u200d\ufe0f"
"""What the letters of some words are kept apart with, and emoji joined: invisible, and in many texts."""

INVISIBLE: Final = re.compile(f"[{_CONTROLS}{_IGNORABLE}{JOINERS}]")

FILLERS: Final = re.compile(f"[{_CONTROLS}{_HOLLOW}]")
"""What some show as nothing, and others as a blank or an empty frame."""

HIDDEN: Final = re.compile(f"[{_CONTROLS}{_IGNORABLE}{_HOLLOW}{JOINERS}]")
"""Either of them."""

RARE: Final = f"{_CONTROLS}{_IGNORABLE}{_HOLLOW}"
"""All of these but joiners, as they stand in the brackets of a regular expression."""

_ASCII_LOWER: Final = bytes(range(256)).lower()
_ASCII_INVISIBLE: Final = bytes(code for code in range(128) if INVISIBLE.match(chr(code)))


def lower_ascii(text: str) -> str:
    """An ASCII text in small letters, without what is invisible."""
    return text.encode("ascii").translate(_ASCII_LOWER, _ASCII_INVISIBLE).decode("ascii")
