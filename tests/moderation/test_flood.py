"""Floods: counts that slide, stay small, and know a text again."""

from __future__ import annotations

import itertools

import pytest
from folkmoot.protocol.moderation.flood import NO_FLOOD, Flood, Phrases, SlidingCounts

SECRET = bytes(range(16))
TEXT = "the quick brown fox jumps over the lazy dog and goes home to tea again this evening"


def test_counts_slide_out_of_the_window() -> None:
    counts = SlidingCounts(10.0, 100)
    for now in (100.0, 101.0, 109.0):
        counts.add(b"a", now)
    assert counts.count(b"a", 109.9) == 3
    assert counts.count(b"b", 109.9) == 0
    assert 1.4 < counts.count(b"a", 115.0) < 1.6
    assert counts.count(b"a", 120.0) == 0
    counts.add(b"a", 500.0)
    assert counts.count(b"a", 500.0) == 1


def test_keys_are_bounded_and_what_comes_often_is_counted_all_the_same() -> None:
    counts = SlidingCounts(10.0, 50)
    for number in range(1_000):
        counts.add(str(number).encode(), 100.0)
        if number % 10 == 0:
            counts.add(b"again", 100.0)
        assert len(counts) <= 100
    assert counts.count(b"again", 100.0) >= 5


def test_a_flood_is_told_by_author_address_and_text() -> None:
    flood = Flood(SECRET)
    told = NO_FLOOD
    for number in range(5):
        told = flood.look(bytes([number]), b"alice", "192.0.2.1", TEXT, 10.0 + number)
    assert told == {"flood.same_text": 4.0, "flood.author_rate": 4.0, "flood.address_rate": 4.0}
    other = flood.look(b"x", b"bob", "192.0.2.2", TEXT, 16.0)
    assert other == {"flood.same_text": 5.0, "flood.author_rate": 0.0, "flood.address_rate": 0.0}


def test_a_record_that_is_sent_again_is_told_the_same_and_counted_once() -> None:
    flood = Flood(SECRET)
    first = flood.look(b"1", b"alice", "192.0.2.1", TEXT, 10.0)
    flood.look(b"2", b"alice", "192.0.2.1", TEXT, 11.0)
    for _ in range(10):
        assert flood.look(b"1", b"alice", "192.0.2.1", TEXT, 12.0) == first
    assert flood.look(b"3", b"alice", "192.0.2.1", TEXT, 13.0)["flood.author_rate"] == 2.0


def test_what_changed_nothing_does_not_count_once_that_is_known() -> None:
    flood = Flood(SECRET)
    for number in range(5):
        flood.look(bytes([number]), b"alice", "192.0.2.1", TEXT, 10.0)
    assert flood.look(b"x", b"alice", "192.0.2.2", TEXT, 10.0)["flood.author_rate"] == 5.0
    for number in range(5):
        flood.settle(bytes([number]), changed=False)
    flood.settle(b"x", changed=True)
    flood.settle(b"never seen", changed=False)
    told = flood.look(b"y", b"alice", "192.0.2.1", TEXT, 11.0)
    assert told == {"flood.same_text": 1.0, "flood.author_rate": 1.0, "flood.address_rate": 0.0}


def test_a_record_that_comes_twice_at_once_counts_if_either_changed_something() -> None:
    for first in (True, False):
        flood = Flood(SECRET)
        for _ in range(2):
            flood.look(b"1", b"alice", "192.0.2.1", "", 10.0)
        flood.settle(b"1", changed=first)
        flood.settle(b"1", changed=not first)
        flood.settle(b"1", changed=False)
        assert flood.look(b"2", b"alice", "192.0.2.1", "", 10.0)["flood.author_rate"] == 1.0


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (TEXT + " bye", True),
        ("see! " + TEXT.replace("evening", "morning"), True),
        ("a text that says something else entirely, and shares the lazy dog at most", False),
        ("", False),
    ],
)
def test_texts_are_the_same_when_they_share_half_of_their_phrases(text: str, same: bool) -> None:
    flood = Flood(SECRET)
    for number in range(3):
        flood.look(bytes([number]), b"a", "x", TEXT, 1.0)
    assert (flood.look(b"x", b"b", "y", text, 2.0)["flood.same_text"] == 3.0) is same


def test_a_text_is_stood_for_by_as_many_phrases_as_it_has_and_eight_at_most() -> None:
    phrases = Phrases(SECRET)
    assert phrases.of("!!! ...") == [] == phrases.of("")
    assert len(phrases.of("hi")) == 1
    assert len(phrases.of("今日はとても良い天気ですね。散歩に行きましょう。")) == 8 == len(phrases.of(TEXT))
    assert phrases.of(TEXT) == sorted(phrases.of(TEXT)) == Phrases(SECRET).of(TEXT)
    assert phrases.of(TEXT)[0] in phrases.of(TEXT + " and so on"), "or among those with another beside it"


def test_who_does_not_know_the_secret_cannot_hide_a_copy_behind_phrases_that_come_first() -> None:
    """Twenty words that make small hashes under one secret are nothing special under another."""
    aimed, other = Phrases(SECRET), Phrases(bytes(16))
    text = " ".join(f"win{number}" for number in range(60))
    words = (f"w{number}" for number in itertools.count())
    smallest, hiding = aimed.of(text)[0], list[str]()
    while len(hiding) < 5:
        phrase = " ".join(itertools.islice(words, 4))
        if aimed.of(phrase)[0] < smallest:
            hiding.append(phrase)
    behind = " ".join([text, *hiding])
    assert len(set(aimed.of(behind)) & set(aimed.of(text))) < 4
    assert len(set(other.of(behind)) & set(other.of(text))) >= 4
