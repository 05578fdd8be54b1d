"""What a model sees of a text: the same everywhere, disguises or not, and of groups what it should."""

from __future__ import annotations

import hashlib
import json

import pytest
from folkmoot.node.moderation.reading import buckets, readings, seen
from folkmoot.protocol.moderation.text.features import BUCKETS, TEXT_CODE_POINTS, features
from folkmoot.protocol.moderation.text.groups import GROUP, NAMES, generalised
from hypothesis import given

from tests.moderation.test_normalise import ANY


def alike(one: str, other: str) -> float:
    """The share of their buckets that two texts have in common."""
    first, second = set(buckets(one)), set(buckets(other))
    return len(first & second) / len(first | second)


def test_the_buckets_of_a_text_are_frozen() -> None:
    # A model is weights of buckets: were these others, models that nodes have would read other texts.
    text = "Hey @you, visit https://a.example/b NOW!!! Those gay people are v3rmin, naïve 2024 привет 你好"
    found = [list(buckets(text)), list(buckets(text, blind=True))]
    digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()
    assert digest == "d6d3fb7794e8eae908b2e73c46b03dd1bc38184538c4e9f3814b67966a8c7ac7"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("you are V3RMIN", "you are v3rmin"),
        ("you are vermin", "YOU ARE VERMIN"),
        ("you are v e r m i n", "you are vermin"),
        ("you are \uff56\uff45\uff52\uff4d\uff49\uff4e", "you are vermin"),
        ("nooooooo way", "noo way"),
        ("see https://a.example/1", "see http://b.example"),
        ("@ada is right", "@bob is right"),
        ("room 12", "room 7"),
    ],
)
def test_what_is_written_differently_is_seen_alike(written: str, meant: str) -> None:
    assert alike(written, meant) == 1.0


def test_a_disguised_word_is_read_both_ways_and_nothing_else_is() -> None:
    assert readings("you are v3rmin in 2024") == ["you are v3rmin in 2024", "you are vermin in 2024"]
    for plain in ("at 10:30 for 5", "@user1 wrote", "https://x.example/a1 and", "why?"):
        assert readings(plain) == [plain]
    assert alike("you are v3rm1n", "you are vermin") > 0.5 > alike("you are kind", "you are vermin")


@given(ANY)
def test_any_text_has_buckets_in_order_and_once(text: str) -> None:
    for blind in (False, True):
        found = list(buckets(text, blind=blind))
        assert found == sorted(set(found)) and all(0 <= each < BUCKETS for each in found)
    told_apart, blind_to, _ = seen(text)
    assert (told_apart, blind_to) == (buckets(text), buckets(text, blind=True))


def test_an_endless_text_costs_no_more_than_its_beginning() -> None:
    text = " ".join(f"word{at}" for at in range(TEXT_CODE_POINTS))
    assert features([text]) == features([text[:TEXT_CODE_POINTS]])
    assert len(features(["x" * 10_000])) < 100


def test_groups_are_one_to_the_blind_and_alike_to_others() -> None:
    one, other = "they say gay people are loud", "they say elderly folks are loud"
    assert buckets(one, blind=True) == buckets(other, blind=True)
    assert buckets(one) != buckets(other)
    # To a model that is not blind they have the sentence around the group in common.
    assert alike(one, other) > alike(one.replace("gay", "odd"), other.replace("elderly", "calm"))
    assert generalised(["an", "african", "american", "man", "or", "jew"]) == ["an", GROUP, "or", GROUP]
    assert generalised(["native"]) == ["native"] and generalised([]) == []
    assert seen(one).names == {"gay"} and seen("a dog").names == frozenset()


def test_names_of_groups_are_in_the_form_they_are_looked_for() -> None:
    assert len(NAMES) > 80 and all(name == name.lower() and name.isalpha() for name in NAMES)
