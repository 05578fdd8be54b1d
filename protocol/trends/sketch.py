"""Trends: which tags surprise, by how many people use them now against how many do on a usual day.

Of each tag a *sketch* is kept: how many people use it now (*observed*), each counted once, by their latest
post, and less the longer ago that was, by a half-life of some hours; how many used it over the last weeks
(*usual*), each counted once a day, with a half-life of a week; and who they are, by the least hashes of their
accounts, from which follows how many (KMV, Bar-Yossef et al. 2002). One person counts as one, however much
they post, and is observed to use no more tags than one post may have, those that they used last: of many
tags only the most used are told of, and nobody is to fill that room alone.

Sketches of different ranges are added up, in any order: an account's posts are in one range, but for accounts
so large that they are split. All of them must be as of one moment. Weights are whole numbers, so that sums do
not depend on their order.

How much a tag surprises is what Pearson's chi-squared gives for one cell, (observed - expected)^2 / expected,
where that is more than expected. Expected is how many people use the tag on a usual day, and one more, so
that what nobody has ever used does not surprise without end. A whole day, because people do not speak of the
same things at all hours: what is said every morning would surprise every morning.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from folkmoot.protocol.search.bounds import TREND_TAGS_BY_ONE

ONE: Final = 1 << 20
"""The weight of somebody who has just used a tag."""

HASHES_MAX: Final = 64
WINDOW_MS: Final = 28 * 24 * 3600 * 1000
"""What is longer ago counts for nothing."""

_DAY_MS: Final = 24 * 3600 * 1000
_USUAL_HALF_LIFE_MS: Final = 7 * _DAY_MS
# What one of the days weighs whose weights make up `usual`.
_USUAL_DAY: Final = 1 - 2.0 ** (-_DAY_MS / _USUAL_HALF_LIFE_MS)
HASH_BITS: Final = 60


@dataclass(frozen=True, slots=True)
class Sketch:
    """How one tag is used; see the module.

    Args:
        observed, usual: sums of weights.
        hashes: the least hashes of the accounts, in order, at most `HASHES_MAX`.
    """

    observed: int
    usual: int
    hashes: tuple[int, ...]

    def merged(self, other: Sketch) -> Sketch:
        """The sketch of what both were made of, which is not the same."""
        hashes = sorted({*self.hashes, *other.hashes})[:HASHES_MAX]
        return Sketch(self.observed + other.observed, self.usual + other.usual, tuple(hashes))

    @property
    def authors(self) -> int:
        """How many people use it, about; exact up to `HASHES_MAX`."""
        if len(self.hashes) < HASHES_MAX:
            return len(self.hashes)
        return ((HASHES_MAX - 1) << HASH_BITS) // max(1, self.hashes[-1])


class Use(NamedTuple):
    """A post with a tag.

    Args:
        tag: in its form.
        author: whose post (the account's bytes).
        time_ms: of the post, milliseconds since 1970.
    """

    tag: str
    author: bytes
    time_ms: int


class Trend(NamedTuple):
    """A tag that surprises.

    Args:
        score: how much.
        tag: in its form.
        authors: how many people use it, about.
        times: how many times as many as expected use it now.
    """

    score: float
    tag: str
    authors: int
    times: float


def account_hash(account: bytes) -> int:
    """The number of `HASH_BITS` that stands for an account."""
    return int.from_bytes(hashlib.blake2b(account, digest_size=8).digest(), "big") >> (64 - HASH_BITS)


def sketched(uses: Iterable[Use], now_ms: int, half_life_ms: int) -> dict[str, Sketch]:
    """The sketches of some posts, in any order; what is in the future or long past is left out.

    Args:
        uses: of each post all its tags.
        now_ms: as of when, milliseconds since 1970.
        half_life_ms: after which a use counts half among what is observed.
    """
    latest: dict[bytes, dict[str, int]] = {}
    days: dict[str, dict[tuple[bytes, int], int]] = {}
    for tag, author, time_ms in uses:
        age_ms = now_ms - time_ms
        if not 0 <= age_ms < WINDOW_MS:
            continue
        known = latest.setdefault(author, {})
        known[tag] = max(known.get(tag, 0), time_ms)
        day = days.setdefault(tag, {})
        slot = author, time_ms // _DAY_MS
        day[slot] = max(day.get(slot, 0), time_ms)
    observed: Counter[str] = Counter()
    people: dict[str, set[int]] = {}
    for author, tags in latest.items():
        person = account_hash(author)
        for tag in tags:
            people.setdefault(tag, set()).add(person)
        for tag, time_ms in _last_used(tags):
            observed[tag] += _weight(now_ms - time_ms, half_life_ms)
    return {
        tag: Sketch(
            observed[tag],
            sum(_weight(now_ms - time_ms, _USUAL_HALF_LIFE_MS) for time_ms in days[tag].values()),
            tuple(sorted(who)[:HASHES_MAX]),
        )
        for tag, who in people.items()
    }


def _last_used(tags: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """Of the tags of one account, with when each was last used, those that are observed."""
    if len(tags) <= TREND_TAGS_BY_ONE:
        return tags.items()
    return sorted(tags.items(), key=lambda each: (-each[1], each[0]))[:TREND_TAGS_BY_ONE]


def _weight(age_ms: int, half_life_ms: int) -> int:
    return int(ONE * 2.0 ** (-age_ms / half_life_ms))


def merged(sketches: Iterable[Mapping[str, Sketch]]) -> dict[str, Sketch]:
    """The sketches of all that some were made of, range by range."""
    found: dict[str, Sketch] = {}
    for each in sketches:
        for tag, sketch in each.items():
            known = found.get(tag)
            found[tag] = sketch if known is None else known.merged(sketch)
    return found


def most_used(sketches: Mapping[str, Sketch], count: int) -> dict[str, Sketch]:
    """Those that are used most now, of equal ones the first by their tags."""
    ordered = sorted(sketches.items(), key=lambda each: (-each[1].observed, each[0]))
    return dict(ordered[:count])


def trends(sketches: Mapping[str, Sketch], *, authors_min: int, count: int) -> Sequence[Trend]:
    """What surprises most, the most surprising first.

    Args:
        sketches: of all that is looked at.
        authors_min: of whom there are fewer does not trend.
        count: at most so many.
    """
    found = []
    for tag, sketch in sketches.items():
        observed = sketch.observed / ONE
        expected = 1 + sketch.usual / ONE * _USUAL_DAY
        if observed > expected and sketch.authors >= authors_min:
            score = (observed - expected) ** 2 / expected
            found.append(Trend(score, tag, sketch.authors, observed / expected))
    return sorted(found, key=lambda trend: (-trend.score, trend.tag))[:count]
