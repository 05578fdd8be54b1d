"""Notices: what an account is to be told of that others did.

Every node that keeps an account keeps its notices, in lists of one sort each, so that a flood of one sort
takes no room from another; of labels there is a list for each labeller, since anybody may label. The group of
a list is the account's place, the sort, and of labels the labeller; its newest members are kept.

| sort | made of | member | value |
|---|---|---|---|
| `reply`, `thread`, `mention`, `quote` | a post | item and author of the post | |
| `follow` | a follow | when, and who | |
| `like`, `repost` | all of one post | item of the post | the newest who did: see `Crowd` |
| `label` | a label on a post of the account | when, and who | the item of the label |
| `held` | a post that waits for review | item and author of the post | |
| `decision` | a decision about a post of the account | when, and who | the item of the decision |

A post makes one notice for each account it concerns, of the first sort that fits: it answers the account's
post, names the account, quotes it, or goes on in a thread that the account began. Nobody is told of what they
did themselves, and what is taken back and made again is no news (see `flag.on_since`). Members begin with a
time: that of a UUIDv7, or milliseconds and a digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.key import HELD, KIND_BYTE, PLACE_PREFIX_BYTES, KeyParts, place_prefix
from folkmoot.protocol.projections import bounds
from folkmoot.protocol.projections.entries import PUBLIC_BYTES, Entry, Index, public_of, time_bytes
from folkmoot.protocol.projections.facts import Facts

SORT_BYTES: Final = limits.POST_ITEM_BYTES
_MS_BYTES: Final = 6
_MARK_BYTES: Final = 8 + PUBLIC_BYTES
_NOWHERE: Final = bytes(_MARK_BYTES)


class Sort(IntEnum):
    """What a notice is about; the numbers are on disk and never reused."""

    REPLY = 1
    MENTION = 2
    QUOTE = 3
    THREAD = 4
    FOLLOW = 5
    LIKE = 6
    REPOST = 7
    LABEL = 8
    HELD = 9
    DECISION = 10

    @property
    def word(self) -> str:
        """What people call it."""
        return self.name.lower()


CROWDS: Final[dict[str, Sort]] = {"like": Sort.LIKE, "repost": Sort.REPOST}
"""The kinds of record of which those about one post are one notice."""


def notices_group(account: bytes, sort: Sort, labeller: bytes | None = None) -> bytes:
    """The group of an account's notices of one sort, and of labels of one labeller (34 bytes each)."""
    return place_prefix(account) + bytes((sort,)) + (b"" if labeller is None else public_of(labeller))


def group_of(key: bytes) -> bytes:
    """The group that a key begins with, which goes on with a member."""
    labelled = PUBLIC_BYTES if key[PLACE_PREFIX_BYTES] == Sort.LABEL else 0
    return key[: PLACE_PREFIX_BYTES + 1 + labelled]


def sort_of(group: bytes) -> Sort:
    """Which sort a group of notices is of."""
    return Sort(group[PLACE_PREFIX_BYTES])


def moment(stamp: int, unique: bytes) -> bytes:
    """A time (microseconds since 1970) as members begin with one; `unique` tells those of a millisecond
    apart."""
    return time_bytes(stamp // 1000)[-_MS_BYTES:] + hashlib.sha256(unique).digest()[: SORT_BYTES - _MS_BYTES]


def time_us_of(at: bytes) -> int:
    """The time that a member begins with, microseconds since 1970."""
    return 1000 * int.from_bytes(at[:_MS_BYTES], "big")


def notices_of(parts: KeyParts, facts: Facts) -> list[Entry]:
    """The notices that one cell makes by itself: of all sorts but likes and reposts.

    Args:
        parts: of the cell's key.
        facts: see `facts`.
    """
    if not facts.on:
        return []
    place, kind, item = parts
    match kind:
        case "post":
            member = item + public_of(place)
            return [
                Entry(Index.NOTICES, notices_group(account, sort), member)
                for account, sort in _concerned(place, facts).items()
            ]
        case "follow" if item != place:
            member = moment(facts.told_us, place + item) + public_of(place)
            return [Entry(Index.NOTICES, notices_group(item, Sort.FOLLOW), member)]
        case "label":
            labeller = item[-limits.ACCOUNT_BYTES :]
            if labeller != place:
                member = moment(facts.stamp, item) + public_of(labeller)
                return [Entry(Index.NOTICES, notices_group(place, Sort.LABEL, labeller), member, item)]
        case "decision" if item[0] == KIND_BYTE["post"]:
            member = moment(facts.stamp, item) + public_of(item[-limits.ACCOUNT_BYTES :])
            return [Entry(Index.NOTICES, notices_group(place, Sort.DECISION), member, item)]
        case "held" if item[0] == KIND_BYTE["post"]:
            return [Entry(Index.NOTICES, notices_group(place, Sort.HELD), item[1:] + public_of(place))]
    return []


def _concerned(author: bytes, facts: Facts) -> dict[bytes, Sort]:
    """Whom a post concerns, and why in the first place."""
    concerned: dict[bytes, Sort] = {}
    if facts.reply_to is not None:
        concerned[facts.reply_to[0]] = Sort.REPLY
    for account in facts.mentions:
        concerned.setdefault(account, Sort.MENTION)
    if facts.quote is not None:
        concerned.setdefault(facts.quote[0], Sort.QUOTE)
    if facts.root is not None:
        concerned.setdefault(facts.root[0], Sort.THREAD)
    concerned.pop(author, None)
    return concerned


class Reaction(NamedTuple):
    """Somebody who likes or reposts a post.

    Args:
        stamp: since when (see `flag.on_since`), microseconds since 1970 by their clock.
        public: who: see `entries.public_of`.
    """

    stamp: int
    public: bytes


class Crowd(NamedTuple):
    """Those who like, or repost, one post: the newest, at most `bounds.NOTICE_NAMES`.

    Which are listed follows from who likes the post and from `below` alone: all after it. It rises where
    somebody has to make room, and never sinks. So what it costs to change a crowd does not grow with it. How
    many there are in all is counted elsewhere (`storage.counts`).

    Args:
        newest: the newest first.
        below: the newest that was ever left out; None while all are listed.
    """

    newest: tuple[Reaction, ...] = ()
    below: Reaction | None = None

    def changed(self, who: Reaction, *, on: bool) -> Crowd:
        """The crowd once somebody likes the post, since a time or anew, or does not any more."""
        others = [each for each in self.newest if each.public != who.public]
        if on and (self.below is None or who > self.below):
            others = sorted([*others, who], reverse=True)
        if len(others) <= bounds.NOTICE_NAMES:
            return Crowd(tuple(others), self.below)
        return Crowd(tuple(others[: bounds.NOTICE_NAMES]), others[bounds.NOTICE_NAMES])

    def encode(self) -> bytes:
        """The value of its entry: `below` (40 bytes, nought for none), and then the newest; of each the
        stamp and who."""
        marks = (time_bytes(each.stamp) + each.public for each in self.newest)
        below = _NOWHERE if self.below is None else time_bytes(self.below.stamp) + self.below.public
        return below + b"".join(marks)

    @classmethod
    def decode(cls, value: bytes) -> Crowd:
        """The inverse of `encode`; of nothing, nobody."""
        marks = list(_marks(value))
        below = marks[0] if value[:_MARK_BYTES] != _NOWHERE and marks else None
        return cls(tuple(marks[1:]), below)


def latest_in(value: bytes) -> Reaction | None:
    """The newest of an encoded crowd, or, when nobody is listed any more, of those who were left out."""
    mark = value[_MARK_BYTES : 2 * _MARK_BYTES] or value[:_MARK_BYTES]
    return Reaction(int.from_bytes(mark[:8], "big"), mark[8:]) if mark and mark != _NOWHERE else None


def _marks(value: bytes) -> Iterator[Reaction]:
    for at in range(0, len(value), _MARK_BYTES):
        mark = value[at : at + _MARK_BYTES]
        yield Reaction(int.from_bytes(mark[:8], "big"), mark[8:])


assert Sort.HELD.word == HELD
