"""Which notices an account is shown, and where: among its notifications, among its requests, or not at all.

As with pages of posts, nothing of this is decided before it is looked at, and nothing is kept of it.
Strangers are not turned away: what they do stands among the requests, where it disturbs nobody.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from folkmoot.protocol.feed.preferences import Policy, Whom
from folkmoot.protocol.feed.viewer import Viewer
from folkmoot.protocol.record import Record

_DAY_US: Final = 86_400_000_000


class Tab(StrEnum):
    """Where a notice stands."""

    NOTIFICATIONS = "notifications"
    REQUESTS = "requests"


class Standing(NamedTuple):
    """How somebody stands to the account.

    Args:
        followed: whether the account follows them.
        follows: whether they follow the account.
        known_us: since when there has been something of theirs (microseconds since 1970); None if not known.
    """

    followed: bool
    follows: bool
    known_us: int | None = None


def tab_of(policy: Policy, sort: str, who: Standing, now_us: int) -> Tab | None:
    """Where a notice of what somebody did stands; None for one that is not wanted at all.

    Whom the account follows is never a stranger. Who has just followed it is no better known for that: of
    follows, `known` means followed in return.

    Args:
        policy: the account's.
        sort: of the notice.
        who: they who did it.
        now_us: microseconds since 1970.
    """
    whom = policy.of(sort)
    if whom is Whom.NOBODY:
        return None
    if who.followed:
        return Tab.NOTIFICATIONS
    least_us = policy.min_age_days * _DAY_US
    young = least_us > 0 and (who.known_us is None or now_us - who.known_us < least_us)
    is_known = who.follows and sort != "follow"
    if not young and (whom is Whom.EVERYONE or (whom is Whom.KNOWN and is_known)):
        return Tab.NOTIFICATIONS
    return Tab.REQUESTS


def is_silenced(viewer: Viewer, actor: bytes, now_us: int) -> bool:
    """Whether an account blocks or mutes somebody.

    Args:
        viewer: the account that would be told.
        actor: who did something (34 bytes).
        now_us: microseconds since 1970.
    """
    muted = viewer.accounts.get(actor)
    return actor in viewer.blocks or (muted is not None and muted.posts_until_us > now_us)


def is_thread_muted(viewer: Viewer, post: Record, now_us: int) -> bool:
    """Whether a post belongs to a thread that an account has muted.

    Args:
        viewer: the account.
        post: its post.
        now_us: microseconds since 1970.
    """
    first = post.body.get("root") or post.body.get("reply_to")
    named = post.author + post.item if first is None else first["author"] + first["item"]
    return viewer.threads.get(named, 0) > now_us
