"""What a text model sees of a text: words, pairs of words and pieces of words, each hashed to a bucket.

Hashing needs no dictionary, so a model has one size whatever it has read, two nodes agree on what a bucket
means without having talked, and nothing that somebody wrote can be read back out of a model (Weinberger et
al. 2009, "Feature Hashing for Large Scale Multitask Learning"). Pieces of words find what a list of words
misses: other endings, joined words, letters swapped or left out. CRC-32 is what spreads them: the same on
every machine, and fast. Two that share a bucket cost a little accuracy and nothing else.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zlib import crc32

from folkmoot.protocol.moderation.text.groups import generalised

FEATURES_VERSION: Final = 1
"""Of the rules here: a model that was trained by others reads other texts."""

BUCKETS: Final = 1 << 18
"""How many weights a model has; a power of two."""

TEXT_CODE_POINTS: Final = 4_000
"""Of a longer text only the beginning is looked at: what a post may hold, its warning and some tags."""

PIECES: Final = (2, 3, 4, 5)
"""Lengths of the pieces of words, in code points, an edge of the word counting as one."""

_WORD_CODE_POINTS: Final = 24
_WORDS_REMEMBERED: Final = 16_384  # about 500 bytes each
_MASK: Final = BUCKETS - 1
ADDRESS: Final = re.compile(r"(?:https?://|www\.)\S+")
MENTION: Final = re.compile(r"@\w+")
_DRAWN_OUT: Final = re.compile(r"(.)\1{2,}")
_NUMBER: Final = re.compile(r"\d+")
_TOKEN: Final = re.compile(r"[#]?\w[\w']*|[^\w\s]")

# One salt a sort of feature, so that a word and a piece that read the same are two features.
_WORD, _PAIR, _APART, _PIECE = (crc32(sort) for sort in (b"word", b"pair", b"apart", b"piece"))


def features(readings: Iterable[str], *, blind: bool = False) -> array[int]:
    """The buckets of a text, ascending, each once; empty when it says nothing.

    Args:
        readings: the text as matchers see it, with its disguises off and in lower case; more than one where
            it can be read in several ways.
        blind: whether all groups of people are read as one (see `groups`).
    """
    found: set[int] = set()
    for reading in readings:
        words = words_of(reading)
        general = generalised(words)
        if blind:
            words = general
        elif general != words:
            found |= _in_a_row(general)
        found |= _in_a_row(words)
        for word in dict.fromkeys(words):
            found.update(_pieces(word))
    return array("I", sorted(found))


def words_of(reading: str) -> list[str]:
    """The words and signs that a reading of a text is cut into."""
    return [word[:_WORD_CODE_POINTS] for word in _TOKEN.findall(_evened(reading))]


def _in_a_row(words: Sequence[str]) -> set[int]:
    """The buckets of words, of pairs of them, and of pairs with a word between."""
    coded = [word.encode() for word in words]
    found = {crc32(word, _WORD) & _MASK for word in coded}
    found |= {crc32(b"%b %b" % pair, _PAIR) & _MASK for pair in pairwise(coded)}
    found |= {crc32(b"%b %b" % pair, _APART) & _MASK for pair in zip(coded, coded[2:], strict=False)}
    return found


def _evened(text: str) -> str:
    """Without what tells texts apart that say the same: addresses, whom they are to, drawn-out letters."""
    evened = ADDRESS.sub(" http ", text[:TEXT_CODE_POINTS])
    evened = MENTION.sub(" @ ", evened)
    return _NUMBER.sub("0", _DRAWN_OUT.sub(r"\1\1", evened))


@lru_cache(maxsize=_WORDS_REMEMBERED)
def _pieces(word: str) -> array[int]:
    """The buckets of all pieces of a word, its edges marked; those of words met lately are remembered."""
    edged = f"<{word}>"
    if edged.isascii():
        coded = edged.encode()
        cut = [coded[at : at + size] for size in PIECES for at in range(len(coded) - size + 1)]
    else:
        cut = [edged[at : at + size].encode() for size in PIECES for at in range(len(edged) - size + 1)]
    return array("I", {crc32(piece, _PIECE) & _MASK for piece in cut})
