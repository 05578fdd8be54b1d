"""What TOML may look like before it is parsed at all.

The standard library's parser takes time and memory that grow with the square of the parts of a dotted key,
one call more for each bracket inside another, and fails at numbers of thousands of digits. Whoever writes
such a document can have a node work for minutes, and no thread that parses can be stopped. One look at the
text, linear whatever it says, refuses it first; documents that are meant come nowhere near these bounds.
"""

from __future__ import annotations

import re
from typing import Final

KEY_PARTS: Final = 16
NESTING: Final = 32
WORD_CODE_POINTS: Final = 256

# Strings and comments are passed over as the parser does it; one that does not end is passed over up to where
# the parser gives up. Every repetition is possessive, so that nothing is ever looked at twice.
_TOKEN: Final = re.compile(
    r'"""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+(?:"{3,5}|\\?\Z)'
    r"|'''[^']*+(?:'(?!'')[^']*+)*+(?:'{3,5}|\Z)"
    r'|"(?:[^"\\\n]|\\.)*+(?:"|\\?)'
    r"|'[^'\n]*+'?"
    r"|\#[^\n]*+"
    rf"|(?P<word>[A-Za-z0-9_+:-]{{{WORD_CODE_POINTS + 1},}}+)"
    r"|(?P<opens>[\[{])|(?P<closes>[\]}])|(?P<dot>\.)|(?P<ends>[=,\n])",
    re.DOTALL,
)


def excess(text: str) -> tuple[int, str] | None:
    """What of a document is more than the parser should be given; None if nothing is.

    Args:
        text: TOML, or what claims to be.

    Returns:
        Where that begins (an offset), and what it is.
    """
    depth = dots = 0
    for token in _TOKEN.finditer(text):
        sort = token.lastgroup
        if sort == "word":
            return token.start(), f"a word of more than {WORD_CODE_POINTS} characters that is in no quotes"
        if sort == "dot":
            dots += 1
            if dots >= KEY_PARTS:
                return token.start(), f"a key of more than {KEY_PARTS} parts"
        elif sort is not None:
            dots = 0
            depth = depth + (sort == "opens") - (sort == "closes")
            if depth > NESTING:
                return token.start(), f"nested too deeply to be meant: more than {NESTING} brackets"
    return None
