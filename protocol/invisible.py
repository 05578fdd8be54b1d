"""Characters that are shown as nothing, so that text is only ever disguised with them (or emoji joined)."""

from __future__ import annotations

import re
from typing import Final

# Default-ignorable code points (Unicode, section 5.21) and the like.
INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
