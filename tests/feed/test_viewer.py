"""A viewer is what their records say, in whatever order they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from folkmoot.protocol.feed import viewer as viewers
from folkmoot.protocol.feed.mute import FOREVER_US
from folkmoot.protocol.feed.viewer import Muted, Viewer, viewer_of
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

from tests.feed.people import ANN, BOB, CAT, DAN, ME, MINUTE_US, NOW_US, post, said, word

PHONE = KeyPair(b"p" * 32, owner=ME.account)
THREAD = ANN.account + post(ANN).item


def read(*records: Record) -> Viewer:
    return viewer_of(ME.account, records, NOW_US)


def test_everything_at_once() -> None:
    end_us = NOW_US + MINUTE_US
    viewer = read(
        said("follow", ANN.account),
        said("follow", BOB.account, on=False),
        said("block", CAT.account),
        said("mute", DAN.account, until=end_us),
        said("mute", BOB.account, reposts=True),
        said("mute", THREAD),
        word("Some  Words"),
        post(ME),
    )
    assert viewer.account == ME.account
    assert viewer.follows == {ANN.account} and viewer.blocks == {CAT.account}
    assert viewer.accounts == {DAN.account: Muted(end_us, end_us), BOB.account: Muted(0, FOREVER_US)}
    assert viewer.threads == {THREAD: FOREVER_US}
    assert viewer.words.words == {"some words": FOREVER_US}
    assert viewer.cut == frozenset()


def test_what_others_say_counts_for_nothing() -> None:
    follow = Record.sign(ANN, kind="follow", item=BOB.account, body={"on": True}, stamp=1)
    block = Record.sign(ANN, kind="block", item=ME.account, body={"on": True}, stamp=1)
    assert read(follow, block).follows == read(follow, block).blocks == frozenset()


@pytest.mark.parametrize(("until_us", "muted"), [(NOW_US, False), (NOW_US + 1, True), (0, False)])
def test_what_has_ended_is_left_out(until_us: int, muted: bool) -> None:
    viewer = read(said("mute", ANN.account, until=until_us), word("spam", until=until_us))
    assert bool(viewer.accounts) == bool(viewer.words) == muted


def test_a_word_without_letters_to_compare_mutes_nothing() -> None:
    assert not read(word(" "), word("\u200b")).words


MUTES = st.fixed_dictionaries(
    {"on": st.booleans()},
    optional={"until": st.integers(NOW_US - 2, NOW_US + 3), "reposts": st.just(True)},
)


@st.composite
def survivors(draw: st.DrawFn) -> list[Record]:
    """Cells of several survivors each, as two devices leave them that do not know of each other."""
    bodies: list[tuple[str, bytes, dict[str, Any]]] = []
    for other in draw(st.lists(st.sampled_from([ANN, BOB, CAT]), max_size=4)):
        bodies.append(("mute", other.account, draw(MUTES)))
        bodies.append(("block", other.account, {"on": draw(st.booleans())}))
        bodies.append(("mute", THREAD, draw(MUTES)))
    return [
        Record.sign(
            draw(st.sampled_from([ME, PHONE])), author=ME.account, kind=kind, item=item, body=body, stamp=9
        )
        for kind, item, body in bodies
    ]


@given(survivors(), st.randoms())
def test_the_order_of_records_does_not_matter(records: list[Record], random: Any) -> None:
    one = read(*records)
    random.shuffle(records)
    other = read(*records)
    assert (one.blocks, one.accounts, one.threads) == (other.blocks, other.accounts, other.threads)


@given(survivors())
def test_a_flag_is_on_when_any_survivor_says_on(records: list[Record]) -> None:
    viewer = read(*records)
    on = [record for record in records if record.body["on"]]
    assert viewer.blocks == {record.item for record in on if record.kind == "block"}
    for account in (ANN.account, BOB.account, CAT.account):
        mutes = [record.body for record in on if record.kind == "mute" and record.item == account]
        for at_us in range(NOW_US, NOW_US + 4):
            live = [body for body in mutes if body.get("until", FOREVER_US) > at_us]
            posts_until_us, reposts_until_us = viewer.accounts.get(account, Muted(0, 0))
            assert (posts_until_us > at_us) == any("reposts" not in body for body in live)
            assert (reposts_until_us > at_us) == bool(live)


def many(kind: str, count: int) -> Sequence[Record]:
    return [
        said(kind, bytes(ANN.account[:30]) + number.to_bytes(4, "big"), at_us=number + 1)
        for number in range(count)
    ]


@pytest.mark.parametrize("kind", ["follow", "block", "mute"])
def test_the_newest_are_kept_and_the_rest_is_told(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(viewers, "VIEWER_EDGES", 3)
    sort, name = {"follow": ("follows", "follow"), "block": ("blocks", "block")}.get(
        kind, ("accounts", "account")
    )
    records = many(kind, 10)
    for count in (3, 4, 10):
        viewer = read(*records[:count])
        assert set(getattr(viewer, sort)) == {record.item for record in records[count - 3 : count]}
        assert viewer.cut == (frozenset() if count == 3 else {name})


def test_of_words_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "VIEWER_WORDS", 2)
    ended = [word(f"old{number}", until=1, at_us=NOW_US + 9) for number in range(9)]
    viewer = read(*ended, *(word(f"w{number}", at_us=number + 1) for number in range(3)))
    assert set(viewer.words.words) == {"w1", "w2"} and viewer.cut == {"word"}
