"""Where a notice stands: among notifications, among requests, or nowhere."""

from __future__ import annotations

import itertools

import pytest
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.feed.notifying import Standing, Tab, is_silenced, is_thread_muted, tab_of
from folkmoot.protocol.feed.preferences import SORTS, Policy, Whom
from folkmoot.protocol.feed.viewer import Muted, Viewer
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

NOW_US = 1_700_000_000_000_000
DAY_US = 86_400_000_000
ME, YOU = KeyPair(b"\x01" * 32), KeyPair(b"\x02" * 32)

STRANGER, FOLLOWER = Standing(False, False), Standing(False, True)
FOLLOWED, FRIEND = Standing(True, False), Standing(True, True)
MAIN, REQUESTS = Tab.NOTIFICATIONS, Tab.REQUESTS


@pytest.mark.parametrize(
    ("whom", "sort", "tabs"),
    [
        (Whom.EVERYONE, "reply", (MAIN, MAIN, MAIN, MAIN)),
        (Whom.KNOWN, "reply", (REQUESTS, MAIN, MAIN, MAIN)),
        (Whom.KNOWN, "follow", (REQUESTS, REQUESTS, MAIN, MAIN)),
        (Whom.FOLLOWING, "like", (REQUESTS, REQUESTS, MAIN, MAIN)),
        (Whom.NOBODY, "like", (None, None, None, None)),
    ],
)
def test_whose_doings_stand_where(whom: Whom, sort: str, tabs: tuple[Tab | None, ...]) -> None:
    policy = Policy({sort: whom})
    everybody = (STRANGER, FOLLOWER, FOLLOWED, FRIEND)
    assert tuple(tab_of(policy, sort, who, NOW_US) for who in everybody) == tabs


def test_what_nobody_else_causes_is_always_told() -> None:
    strict = Policy(dict.fromkeys(SORTS, Whom.NOBODY))
    assert {tab_of(strict, sort, STRANGER, NOW_US) for sort in ("label", "held")} == {MAIN}


@pytest.mark.parametrize(
    ("age_days", "tab"), [(None, REQUESTS), (0, REQUESTS), (29, REQUESTS), (30, MAIN), (3_000, MAIN)]
)
def test_accounts_of_no_age_are_strangers_unless_they_are_followed(age_days: int | None, tab: Tab) -> None:
    policy = Policy({}, min_age_days=30)
    known_us = None if age_days is None else NOW_US - age_days * DAY_US
    for follows in (False, True):
        assert tab_of(policy, "reply", Standing(False, follows, known_us), NOW_US) is tab
        assert tab_of(policy, "reply", Standing(True, follows, known_us), NOW_US) is MAIN


def test_without_a_least_age_it_does_not_matter() -> None:
    for known_us, sort in itertools.product((None, NOW_US), SORTS):
        assert tab_of(Policy({sort: Whom.EVERYONE}), sort, Standing(False, False, known_us), NOW_US) is MAIN


def test_who_is_muted_or_blocked_is_silent_until_the_mute_ends() -> None:
    muted = Viewer(ME.account, accounts={YOU.account: Muted(NOW_US + 1, NOW_US + 1)})
    assert is_silenced(muted, YOU.account, NOW_US) and not is_silenced(muted, YOU.account, NOW_US + 1)
    reposts_only = Viewer(ME.account, accounts={YOU.account: Muted(0, NOW_US + 1)})
    assert not is_silenced(reposts_only, YOU.account, NOW_US)
    assert is_silenced(Viewer(ME.account, blocks=frozenset({YOU.account})), YOU.account, NOW_US)


def test_a_muted_thread_is_silent_whichever_of_its_posts_is_liked() -> None:
    item, further = make_uuid7(NOW_US // 1000, 1), make_uuid7(NOW_US // 1000, 2)
    root = Record.sign(ME, kind="post", item=item, body={"text": "x"}, stamp=NOW_US)
    ref = {"author": root.author, "item": root.item}
    body = {"text": "y", "reply_to": {"author": YOU.account, "item": further}, "root": ref}
    own = Record.sign(ME, kind="post", item=further, body=body, stamp=NOW_US)
    viewer = Viewer(ME.account, threads={root.author + root.item: NOW_US + 1})
    assert is_thread_muted(viewer, root, NOW_US) and is_thread_muted(viewer, own, NOW_US)
    assert not is_thread_muted(viewer, own, NOW_US + 1)
