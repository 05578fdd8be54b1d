"""Text of strangers on a terminal: whatever would act instead of being read is written out.

Posts, names, labels and refusals come from people and nodes nobody vouches for. A terminal obeys control
characters (ECMA-48: C0, C1 and the sequences they begin), so a post could recolour the screen, retitle the
window or rewrite the line above it; and Unicode's bidirectional controls (UAX #9) let text be read in another
order than it is written in. Both are shown as their code, `\\x1b` or `\\u202e`. JSON has escapes of its own.
"""

from __future__ import annotations

import re
from typing import Final

_LINES: Final = "\n\t"
_ACTING: Final = (
    "\x00-\x1f\x7f-\x9f"  # C0, delete, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of reading
    "\u2028\u2029"  # line and paragraph separators, which some programs break lines at
    "\ud800-\udfff"  # halves of characters, which cannot be printed at all
)
_acting = re.compile(f"[{_ACTING}]")


def visible(text: str) -> str:
    """`text` with everything that a terminal would obey written out, but for line ends and tabs."""
    return _acting.sub(lambda found: _code(found[0], _LINES), text)


def one_line(text: str) -> str:
    """The same for what must stay on its line: line ends are written out too, and tabs are spaces."""
    return _acting.sub(lambda found: _code(found[0], ""), text.replace("\t", " "))


def _code(character: str, kept: str) -> str:
    if character in kept:
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
