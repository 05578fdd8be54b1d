"""Telling posts: those that have to be read to know who may see them, and what is to be said first.

Most posts are nothing but a text. Whether one is more is told from the bytes of its frame; nothing is decoded
for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

# Without any of these words a post has nothing that matters to those who are nobody in particular.
_WORDS: Final = (b"reply_to", b"quote", b"warning", b"labels")

# A frame is `[payload, signature]`, and a payload begins with `author` (bin 34) and `body`. So the map that a
# body is begins at one place, or at the next when the payload is so long that its length takes a byte more.
# With a single entry it has a text, or says that the post is deleted.
_AT: Final = itemgetter(52)
_AROUND: Final = itemgetter(slice(52, 54))
_ONE_ENTRY: Final = frozenset(b"\x81")
_ONE_ENTRY_AROUND: Final = frozenset((b"\x81\xa4", b"\x81\xa7", b"y\x81"))


def is_telling(frame: bytes) -> bool:
    """Whether a post may have something that matters to everybody who sees it.

    Args:
        frame: `[payload, signature]`, encoded, or the payload alone.
    """
    return any(word in frame for word in _WORDS)


def any_telling(frames: Sequence[bytes]) -> bool:
    """Whether any of some posts is telling, by their frames; quick where all are short texts and no more."""
    if _ONE_ENTRY.issuperset(map(_AT, frames)):
        return False
    return any(is_telling(frame) for frame in frames if _AROUND(frame) not in _ONE_ENTRY_AROUND)
