"""Reading as it is defined, without anything that makes it fast: what models see must be this, to the bit."""

from __future__ import annotations

import re
from itertools import pairwise
from math import sqrt
from zlib import crc32

from folkmoot.node.moderation import normalise
from folkmoot.node.moderation.normalise import View
from folkmoot.protocol.moderation.text.features import BUCKETS
from folkmoot.protocol.moderation.text.groups import NAMES
from folkmoot.protocol.moderation.text.linear import ONE, LinearModel

PEOPLE = {
    *("people", "person", "persons", "men", "man", "women", "woman", "folks", "folk", "guy", "guys", "girl"),
    *("girls", "boy", "boys", "kid", "kids", "children", "community"),
}
TWO_WORDS = ("african american", "middle eastern", "native american")


def plain_readings(text: str, most: int | None = None) -> list[str]:
    """A text in tight form, and again with its leet undone; both cut where they may be so long only."""
    folded = normalise.folded(text[:most]).text
    seen = re.sub(r"\s+", " ", normalise._spelled_out().evenly.sub(normalise._letters_of, folded))
    suspect = r"(?<!\S)(?!@|https?:|www\.)\S*(?:[^\W\d_][0134578@$!|]|[0134578@$!|][^\W\d_])\S*"
    undone = re.sub(suspect, lambda word: normalise.leet(View(word[0]))[0].text, seen)
    return [each[:most] for each in dict.fromkeys((seen, undone))]


def plain_features(readings: list[str], *, blind: bool) -> list[int]:
    """The buckets of readings."""
    found = set[int]()
    for reading in readings:
        words = plain_words(reading)
        general = plain_general(words)
        for row in [general] if blind else [general, words]:
            found |= {bucket("word", word) for word in row}
            found |= {bucket("pair", f"{one} {next}") for one, next in pairwise(row)}
            found |= {bucket("apart", f"{one} {next}") for one, next in zip(row, row[2:], strict=False)}
        for word in general if blind else words:
            edged = f"<{word}>"
            found |= {
                bucket("piece", edged[at : at + size])
                for size in (2, 3, 4, 5)
                for at in range(len(edged) - size + 1)
            }
    return sorted(found)


def plain_words(reading: str) -> list[str]:
    """Its words and signs."""
    reading = re.sub(r"(?:https?://|www\.)\S+", " http ", reading[:4_000])
    reading = re.sub(r"@\w+", " @ ", reading)
    reading = re.sub(r"(.)\1{2,}", r"\1\1", reading)
    return [word[:24] for word in re.findall(r"#?\w[\w']*|[^\w\s]", re.sub(r"\d+", "0", reading))]


def plain_general(words: list[str]) -> list[str]:
    """Words with the names of groups as one."""
    general, left = [], list(words)
    while left:
        length = 2 if " ".join(left[:2]) in TWO_WORDS else int(left[0] in NAMES)
        if length and left[length : length + 1] and left[length] in PEOPLE:
            length += 1
            general.append("\x01")
        else:
            general.append("\x01" if length else left[0])
        del left[: max(length, 1)]
    return general


def bucket(sort: str, text: str) -> int:
    """Where something is counted."""
    return crc32(text.encode(), crc32(sort.encode())) % BUCKETS


def plain_margin(model: LinearModel, buckets: list[int]) -> float:
    """What a head says."""
    total = 0
    for each in buckets:
        total += model.weights[each]
    return (total / sqrt(max(len(buckets), 1)) + model.bias) / ONE
