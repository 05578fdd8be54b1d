"""How a text is read by a text model: with the disguises off, as word lists are (see `normalise`)."""

from __future__ import annotations

import re
from array import array
from typing import Final, NamedTuple

from folkmoot.node.moderation.normalise import View, folded, leet, tight
from folkmoot.protocol.moderation.text.features import features, words_of
from folkmoot.protocol.moderation.text.groups import NAMES

# A word in which signs or digits stand beside letters, but no address and nobody's name.
_DISGUISED: Final = re.compile(
    r"(?<!\S)(?!@|https?:|www\.)\S*(?:[^\W\d_][0134578@$!|]|[0134578@$!|][^\W\d_])\S*"
)


def buckets(text: str, *, blind: bool = False) -> array[int]:
    """What a text model sees of a text as somebody wrote it; see `features`.

    Args:
        blind: whether all groups of people are read as one.
    """
    return features(readings(text), blind=blind)


def readings(text: str) -> list[str]:
    """The text in tight form, and once more with digits and signs read as letters where that is a word."""
    seen = tight(folded(text)).text
    undone = _DISGUISED.sub(lambda word: leet(View(word[0]))[0].text, seen)
    return [seen] if undone == seen else [seen, undone]


class Seen(NamedTuple):
    """A text as both sorts of model see it.

    Args:
        open: with groups of people told apart.
        blind: with all of them read as one.
        names: what of it names a group.
    """

    open: array[int]
    blind: array[int]
    names: frozenset[str]


def seen(text: str) -> Seen:
    """Both at once, which is faster for the many texts that name no group."""
    read = readings(text)
    names = frozenset(word for reading in read for word in words_of(reading) if word in NAMES)
    told_apart = features(read)
    return Seen(told_apart, features(read, blind=True) if names else told_apart, names)
