"""Compatibility forms (NFKC and NFKD, UAX #15) of what strangers wrote, at a price with a bound.

Most characters that stand for others stand for a few. Two stand for a sentence, U+FDFA for eighteen
characters: a text of such would come to eighteen times its length, and whoever compares, indexes or searches
it would pay for that. So these two are left as they are; no other comes to more than seven.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from typing import Final, Literal

_SENTENCES: Final = re.compile("([\ufdfa\ufdfb])")


def _normalised(form: Literal["NFKC", "NFKD"], text: str) -> str:
    parts = _SENTENCES.split(text)  # no character beside a sentence joins with it
    parts[::2] = (unicodedata.normalize(form, part) for part in parts[::2])
    return "".join(parts)


nfkc = partial(_normalised, "NFKC")
"""A text with usual characters in place of styled ones, composed."""

nfkd = partial(_normalised, "NFKD")
"""A text with usual characters in place of styled ones, decomposed."""
