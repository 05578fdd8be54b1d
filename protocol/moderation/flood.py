"""Floods: how often the same author, the same address and the same text came lately.

Counts slide: there is one for the running period and one for the last, and what is left of the last within
the window counts in proportion. Each holds so many keys; when the running one is full its period ends early.
So memory is bounded, whoever invents keys loses at most old counts, and what comes fast enough to be a flood
is counted all the same.

Two texts are alike when they share phrases (*shingles*, Broder 1997, "On the Resemblance and Containment of
Documents"): four words in a row, or six characters in scripts without spaces. Of each text the eight phrases
with the smallest hashes stand for all, since texts that share much share the smallest too. The hashes rest on
a secret of the node: whoever could work them out would put eight phrases of small hashes behind each copy of
a text, and none would be known again. A phrase's is a polynomial over those of its words, which are
remembered, for people use few (R. M. Karp, M. O. Rabin, "Efficient Randomized Pattern-Matching Algorithms",
1987).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from cachetools import LRUCache
from folkmoot.protocol.feed.words import UNSPACED
from folkmoot.protocol.moderation.bounds import (
    COMPARED_CODE_POINTS,
    FLOOD_ANSWERS,
    FLOOD_RATE_KEYS,
    FLOOD_TEXT_KEYS,
    FLOOD_WORDS,
)

RATE_WINDOW_S: Final = 60.0
TEXT_WINDOW_S: Final = 600.0

_WORD: Final = re.compile(r"\w+")
_CHARACTER_OR_WORD: Final = re.compile(rf"{UNSPACED.pattern}|\w+")
_WORDS: Final = 4  # in a phrase
_CHARACTERS: Final = 6  # in a phrase of a script that is written without spaces
_PHRASES: Final = 8  # that stand for a text
_HASH_BYTES: Final = 8
_PRIME: Final = 2**61 - 1
_WORD_MAX: Final = 32  # code points, of a word that is remembered

Signals = dict[str, float]

NO_FLOOD: Final[Signals] = {"flood.same_text": 0.0, "flood.author_rate": 0.0, "flood.address_rate": 0.0}
"""What is said of a record that is not counted."""


class SlidingCounts:
    """How often each of many keys came within a window.

    Args:
        window_s: its length, seconds.
        keys: how many are counted in one period.
    """

    def __init__(self, window_s: float, keys: int) -> None:
        self._window_s = window_s
        self._keys = keys
        self._began = 0.0
        self._running: dict[bytes, int] = {}
        self._last: dict[bytes, int] = {}

    def count(self, key: bytes, now: float) -> float:
        """How often a key came; between whole numbers where a part of the last period counts.

        Args:
            now: monotonic seconds, never decreasing from call to call.
        """
        self._move_on(now)
        left = 1.0 - (now - self._began) / self._window_s
        return self._running.get(key, 0) + self._last.get(key, 0) * left

    def add(self, key: bytes, now: float) -> None:
        """Count a key once more; `now` as for `count`."""
        self._move_on(now)
        if len(self._running) >= self._keys and key not in self._running:
            self._last, self._running, self._began = self._running, {}, now
        self._running[key] = self._running.get(key, 0) + 1

    def take_back(self, key: bytes) -> None:
        """Count a key once less, where that is still counted."""
        for counts in (self._running, self._last):
            if key in counts:
                counts[key] -= 1
                if not counts[key]:
                    del counts[key]
                return

    def __len__(self) -> int:
        return len(self._running) + len(self._last)

    def _move_on(self, now: float) -> None:
        since = now - self._began
        if since < self._window_s:
            return
        self._last = self._running if since < 2 * self._window_s else {}
        self._running = {}
        self._began = self._began + self._window_s if self._last else now


@dataclass(slots=True)
class _UnderWay:
    """A record that is counted, and of which it is not known yet whether it changes anything.

    Args:
        author, address, phrases: what is counted of it.
        told: what was told of it.
        looks: how often it was looked at and not settled.
        changed: whether one of those that were settled changed something.
    """

    author: bytes
    address: bytes
    phrases: Sequence[bytes]
    told: Signals
    looks: int = 1
    changed: bool = False


class Flood:
    """What one node has seen lately.

    A record counts from the moment it is looked at, so that a batch is a flood as well. Where it turns out to
    have changed nothing that is taken back: anyone may send somebody's public records again, and that must
    not make a flood of what somebody writes next.

    Args:
        secret: of this node alone, 16 bytes or more.
    """

    def __init__(self, secret: bytes) -> None:
        self._phrases = Phrases(secret)
        self._authors = SlidingCounts(RATE_WINDOW_S, FLOOD_RATE_KEYS)
        self._addresses = SlidingCounts(RATE_WINDOW_S, FLOOD_RATE_KEYS)
        self._texts = SlidingCounts(TEXT_WINDOW_S, FLOOD_TEXT_KEYS)
        self._answers: LRUCache[bytes, Signals] = LRUCache(FLOOD_ANSWERS)
        self._under_way: dict[bytes, _UnderWay] = {}

    def look(self, record: bytes, author: bytes, address: str, text: str, now: float) -> Signals:
        """What came before a record, which is counted from now on, and must be settled. One that is sent
        again is not counted again, and is told what it was told before.

        Args:
            record: its id.
            author: its account.
            address: where it came from, without the port.
            text: with its disguises off; empty to compare it with none.
            now: monotonic seconds, never decreasing from call to call.
        """
        under_way = self._under_way.get(record)
        if under_way is not None:
            under_way.looks += 1
            return under_way.told
        told = self._answers.get(record)
        if told is not None:
            return told
        where, phrases = address.encode(), self._phrases.of(text)
        shared = sorted((self._texts.count(phrase, now) for phrase in phrases), reverse=True)
        told = {
            "flood.same_text": shared[(len(shared) - 1) // 2] if shared else 0.0,
            "flood.author_rate": self._authors.count(author, now),
            "flood.address_rate": self._addresses.count(where, now),
        }
        self._authors.add(author, now)
        self._addresses.add(where, now)
        for phrase in phrases:
            self._texts.add(phrase, now)
        self._answers[record] = told
        self._under_way[record] = _UnderWay(author, where, phrases, told)
        return told

    def told(self, record: bytes) -> Signals | None:
        """What was told of a record that was looked at and is not settled; None of any other."""
        under_way = self._under_way.get(record)
        return None if under_way is None else under_way.told

    def settle(self, record: bytes, *, changed: bool) -> None:
        """End what `look` began; of a record that was not looked at, nothing.

        Args:
            record: its id.
            changed: whether it changed something.
        """
        counted = self._under_way.get(record)
        if counted is None:
            return
        counted.looks -= 1
        counted.changed |= changed
        if counted.looks:
            return
        del self._under_way[record]
        if not counted.changed:
            self._authors.take_back(counted.author)
            self._addresses.take_back(counted.address)
            for phrase in counted.phrases:
                self._texts.take_back(phrase)


class Phrases:
    """What stands for a text, as only who knows the secret can tell.

    Args:
        secret: 16 bytes or more.
    """

    def __init__(self, secret: bytes) -> None:
        assert len(secret) >= 16, "a secret that can be guessed is none"

        def value(word: str) -> int:
            coded = word.encode("utf-8", "surrogatepass")
            return int.from_bytes(blake2b(coded, key=secret, digest_size=_HASH_BYTES).digest(), "big")

        self._point = value("") % _PRIME
        self._value = value
        self._remembered = lru_cache(FLOOD_WORDS)(value)

    def of(self, text: str) -> list[bytes]:
        """The hashes of at most eight of its phrases; none when it has no words.

        Args:
            text: with its disguises off.
        """
        text = text[:COMPARED_CODE_POINTS]
        spaced = text.isascii() or not UNSPACED.search(text)
        words = (_WORD if spaced else _CHARACTER_OR_WORD).findall(text)
        if not words:
            return []
        remembered, value, point = self._remembered, self._value, self._point
        values = [remembered(word) if len(word) <= _WORD_MAX else value(word) for word in words]
        length = min(_WORDS if spaced else _CHARACTERS, len(values))
        found = 0
        for each in values[:length]:
            found = (found * point + each) % _PRIME
        hashes, highest = {found}, pow(point, length, _PRIME)
        for gone, come in zip(values, values[length:], strict=False):  # the next is one word further
            found = (found * point - gone * highest + come) % _PRIME
            hashes.add(found)
        return [each.to_bytes(_HASH_BYTES, "big") for each in sorted(hashes)[:_PHRASES]]
