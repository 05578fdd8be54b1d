"""How a text is read by a text model: with the disguises off, as word lists are (see `normalise`)."""

from __future__ import annotations

import re
from array import array
from collections.abc import Set
from typing import Final, NamedTuple

from folkmoot.node.moderation.normalise import View, folded, leet, tight
from folkmoot.protocol.moderation.bounds import SCORED_CODE_POINTS
from folkmoot.protocol.moderation.text.features import features, found_in, words_of
from folkmoot.protocol.moderation.text.groups import NAMES

# What every such word has: most texts have none, and that is soon seen.
_UNDER_SUSPICION: Final = re.compile(r"[0134578@$!|](?:[^\W\d_]|(?<=[^\W\d_].))")

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
    return _read_twice(tight(folded(text)).text)


class Forms:
    """A text in the forms in which it is compared and shown to models, each made once for all who ask.

    Args:
        text: any.

    Attributes:
        text: as it was written.
    """

    __slots__ = ("_seen", "_tight", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._tight: dict[int, str] = {}
        self._seen: dict[bool, Set[int]] = {}

    def tight(self, most: int) -> str:
        """The text, of which only so many code points are looked at, in tight form."""
        cut = self.text[:most]
        if len(cut) not in self._tight:
            self._tight[len(cut)] = tight(folded(cut)).text
        return self._tight[len(cut)]

    def scored(self, *, blind: bool) -> Set[int]:
        """What a text model sees of its beginning; see `buckets`."""
        if blind not in self._seen:
            # Cut again, since one character may unfold to eighteen.
            read = [each[:SCORED_CODE_POINTS] for each in _read_twice(self.tight(SCORED_CODE_POINTS))]
            self._seen[blind] = found_in(read, blind=blind)
        return self._seen[blind]


def _read_twice(seen: str) -> list[str]:
    if not _UNDER_SUSPICION.search(seen):
        return [seen]
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
