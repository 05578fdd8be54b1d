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
from typing import Final, NamedTuple
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
_WORDS_REMEMBERED: Final = 16_384  # 700 bytes each, about, and 1,200 at the most
_MASK: Final = BUCKETS - 1
ADDRESS: Final = re.compile(r"(?:https?://|www\.)\S+")
MENTION: Final = re.compile(r"@\w+")
_DRAWN_OUT: Final = re.compile(r"(.)\1\1+")
_NUMBER: Final = re.compile(r"\d+")
_TOKEN: Final = re.compile(r"[#]?\w[\w']*|[^\w\s]")

# One salt a sort of feature, so that a word and a piece that read the same are two features.
_WORD, _PAIR, _APART, _PIECE = (crc32(sort) for sort in (b"word", b"pair", b"apart", b"piece"))


class _Read(NamedTuple):
    """What there is to know of a word.

    Args:
        coded: the word in UTF-8.
        own: its bucket.
        pair, apart: checksums of the beginning of its pairs with the next word, and with the one behind that.
        pieces: the buckets of its pieces.
    """

    coded: bytes
    own: int
    pair: int
    apart: int
    pieces: array[int]


def features(readings: Iterable[str], *, blind: bool = False) -> array[int]:
    """The buckets of a text, ascending, each once; empty when it says nothing.

    Args:
        readings: the text as matchers see it, with its disguises off and in lower case; more than one where
            it can be read in several ways.
        blind: whether all groups of people are read as one (see `groups`).
    """
    return array("I", sorted(found_in(readings, blind=blind)))


def found_in(readings: Iterable[str], *, blind: bool = False) -> set[int]:
    """The same buckets in no order, as it takes a third of the time more to put them in one."""
    found: set[int] = set()
    for reading in readings:
        words: Sequence[str] = words_of(reading)
        general = generalised(words)
        if blind:
            words = general
        elif general is not words:
            _add_row(found, list(map(_read, general)))
        read = list(map(_read, words))
        _add_row(found, read)
        found.update(*dict(zip(words, (each.pieces for each in read), strict=True)).values())
    return found


def words_of(reading: str) -> list[str]:
    """The words and signs that a reading of a text is cut into."""
    return [word[:_WORD_CODE_POINTS] for word in _TOKEN.findall(_evened(reading))]


def _add_row(found: set[int], row: Sequence[_Read]) -> None:
    """Add the buckets of words, of pairs of them, and of pairs with a word between."""
    coded = [word.coded for word in row]
    found.update([word.own for word in row])
    found.update([code & _MASK for code in map(crc32, coded[1:], [word.pair for word in row])])
    found.update([code & _MASK for code in map(crc32, coded[2:], [word.apart for word in row])])


def _evened(text: str) -> str:
    """Without what tells texts apart that say the same: addresses, whom they are to, drawn-out letters."""
    evened = ADDRESS.sub(" http ", text[:TEXT_CODE_POINTS])
    evened = MENTION.sub(" @ ", evened)
    return _NUMBER.sub("0", _DRAWN_OUT.sub(r"\1\1", evened))


@lru_cache(maxsize=_WORDS_REMEMBERED)
def _read(word: str) -> _Read:
    """What there is to know of a word; words met lately are remembered, for people use few."""
    coded = word.encode()
    begun = coded + b" "
    own = crc32(coded, _WORD) & _MASK
    return _Read(coded, own, crc32(begun, _PAIR), crc32(begun, _APART), _pieces(word))


def _pieces(word: str) -> array[int]:
    """The buckets of all pieces of a word, its edges marked."""
    edged = f"<{word}>"
    if edged.isascii():
        coded = edged.encode()
        cut = [coded[at : at + size] for size in PIECES for at in range(len(coded) - size + 1)]
    else:
        cut = [edged[at : at + size].encode() for size in PIECES for at in range(len(edged) - size + 1)]
    return array("I", {crc32(piece, _PIECE) & _MASK for piece in cut})
