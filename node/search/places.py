"""Hits as places of a feed, whose order is told by their bytes alone: what a cursor carries.

Among the newest a place is the hit's member (item and author). Among the best it is its score, then the time
from which ages were counted when the first page was asked for, then its member.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.search.documents import TIME_MS_MAX
from folkmoot.storage.search.finding import MEMBER_BYTES, Hit

SCORE_MAX: Final = 2**63 - 1
_SCORE_BYTES: Final = 8
_TIME_BYTES: Final = 6
_HEAD_BYTES: Final = _SCORE_BYTES + _TIME_BYTES


class Reached(NamedTuple):
    """What a place says.

    Args:
        hit: that stands there.
        as_of_ms: from when ages were counted; None where they are not.
    """

    hit: Hit
    as_of_ms: int | None


def place_of(hit: Hit, as_of_ms: int, *, best: bool) -> bytes:
    """The place of a hit."""
    if not best:
        return hit.member
    return hit.score.to_bytes(_SCORE_BYTES, "big") + as_of_ms.to_bytes(_TIME_BYTES, "big") + hit.member


def reached_at(place: bytes, *, best: bool) -> Reached:
    """What stands at a place that a cursor brought.

    Raises:
        WireError: `bad_request`, when it is no place of such a search.
    """
    head = _HEAD_BYTES if best else 0
    member = place[head:]
    if len(member) != MEMBER_BYTES or post_time_ms(member) > TIME_MS_MAX:
        raise WireError(BAD_REQUEST, "the cursor is not one of this search")
    if not best:
        return Reached(Hit(0, member), None)
    score = int.from_bytes(place[:_SCORE_BYTES], "big")
    as_of_ms = int.from_bytes(place[_SCORE_BYTES:head], "big")
    if score > SCORE_MAX or as_of_ms > TIME_MS_MAX:
        raise WireError(BAD_REQUEST, "the cursor is not one of this search")
    return Reached(Hit(score, member), as_of_ms)
