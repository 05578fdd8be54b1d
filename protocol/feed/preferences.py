"""Preferences: what an account has its devices and nodes know, and nobody else.

A preference is a cell of kind `preference`, whose item is its name. Two names mean something here:

- `notifications`: by which accounts the owner wants to be told of each sort of notice. It is a register; the
  display winner says it.
- `notifications.read`: the *read mark*, the time up to which the owner has seen the notices. Devices write it
  without waiting for each other, and it is read as the greatest time of all survivors. Each device writes no
  less than it knows, so what supersedes a mark is never less than it, and the mark never goes back.

Names that are not known here are kept for those who know them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.limits import PREFERENCE_NAME_BYTES, STAMP_MAX

if TYPE_CHECKING:
    from folkmoot.protocol.record import Record

Body = Mapping[str, Any]

POLICY: Final = b"notifications"
READ: Final = b"notifications.read"

SORTS: Final = ("reply", "mention", "quote", "thread", "follow", "like", "repost")
"""Sorts of notice that others cause, and so the keys of a policy."""

DAYS_MAX: Final = 36_500


class Whom(StrEnum):
    """Of whose doings somebody wants to be told."""

    EVERYONE = "everyone"
    KNOWN = "known"  # those the account follows, and its followers
    FOLLOWING = "following"  # those the account follows
    NOBODY = "nobody"  # this sort is switched off


class Policy(NamedTuple):
    """What an account wants to be told.

    Args:
        whom: of each sort of notice; those that are missing have their default.
        min_age_days: accounts that are not known to be so old are strangers; 0 for no matter.
    """

    whom: Mapping[str, Whom] = {}
    min_age_days: int = 0

    def of(self, sort: str) -> Whom:
        """By whom notices of a sort are wanted; of what nobody else causes, always."""
        if sort not in SORTS:
            return Whom.EVERYONE
        return self.whom.get(sort, Whom.KNOWN if sort == "mention" else Whom.EVERYONE)


def check_preference(item: bytes, body: Body) -> None:
    """Check the item and body of a preference.

    Raises:
        WireError: `bad_request`, saying what is wrong.
    """
    try:
        item.decode()
    except UnicodeDecodeError:
        raise WireError(BAD_REQUEST, "the item of a preference is its name in UTF-8") from None
    if len(item) > PREFERENCE_NAME_BYTES:
        raise WireError(BAD_REQUEST, f"the name of a preference has at most {PREFERENCE_NAME_BYTES} bytes")
    if body.get("erase", True) is not True:
        raise WireError(BAD_REQUEST, "erase is true, or absent")
    if item == POLICY:
        _check_policy(body)
    elif item == READ and not _is_uint(body.get("until", 0 if "erase" in body else None), STAMP_MAX):
        raise WireError(BAD_REQUEST, "a read mark's until is a number of microseconds since 1970")


def check_mark_time(item: bytes, body: Body, stamp: int) -> None:
    """Check that a read mark is not of later than it was made: one of the future could not be taken back.

    Raises:
        WireError: `bad_request`.
    """
    if item == READ and body.get("until", 0) > stamp:
        raise WireError(BAD_REQUEST, "a read mark's until is no later than its record's stamp")


def _check_policy(body: Body) -> None:
    for sort in SORTS:
        if sort in body and (type(body[sort]) is not str or body[sort] not in set(Whom)):
            raise WireError(BAD_REQUEST, f"{sort} is one of {', '.join(Whom)}")
    if not _is_uint(body.get("min_age_days", 0), DAYS_MAX):
        raise WireError(BAD_REQUEST, f"min_age_days is a number of days, at most {DAYS_MAX}")


def _is_uint(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def policy_of(body: Body) -> Policy:
    """The policy that the body of its cell's display winner says; the default for an empty one."""
    return Policy({sort: Whom(body[sort]) for sort in SORTS if sort in body}, body.get("min_age_days", 0))


def read_until_us(survivors: Iterable[Record]) -> int:
    """Up to when notices were seen, microseconds since 1970, as the survivors of the mark's cell say."""
    return max((record.body.get("until", 0) for record in survivors), default=0)


class NextMark(NamedTuple):
    """What a device writes to move the read mark on.

    Args:
        until_us: what the body says.
        stamp: the record's.
    """

    until_us: int
    stamp: int


def next_mark(survivors: Iterable[Record], clock: Mapping[bytes, int], seen_us: int, now_us: int) -> NextMark:
    """The mark of a device that has seen the notices up to a time.

    Args:
        survivors, clock: of the mark's cell as the device knows it.
        seen_us: the time of the newest notice it has shown, microseconds since 1970.
        now_us: its clock.
    """
    until_us = max(seen_us, read_until_us(survivors))
    return NextMark(until_us, max(now_us, until_us, max(clock.values(), default=-1) + 1))
