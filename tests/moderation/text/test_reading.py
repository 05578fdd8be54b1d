"""Texts are read fast and many at once, and seen exactly as one by one and plainly."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from folkmoot.cli.evaluating.folders import read_folder
from folkmoot.node.moderation import normalise, reading
from folkmoot.node.moderation.reading import Forms, buckets, readings
from folkmoot.protocol.moderation.bounds import SCORED_CODE_POINTS
from folkmoot.protocol.moderation.text.features import features, found_in
from folkmoot.protocol.moderation.text.linear import LinearModel
from hypothesis import example, given
from hypothesis import strategies as st

from tests.moderation.test_normalise import ANY
from tests.moderation.text.plain_reading import plain_features, plain_margin, plain_readings

# What is read in a way of its own: names of groups, leet, words spelled out, numbers, addresses, drawn out
# letters, words that are too long to be remembered whole.
WORDS = (
    *("gay", "people", "african", "american", "native", "middle", "eastern", "women", "the", "v3rm1n", "a$$"),
    *("h e l l o", "s.p.e.l.l", "a", "I", "b", "7", "1984", "noooo", "!!!", "https://a.example/1", "@ada"),
    *(
        "x" * 30,
        "#tag",
        "don't",
        "приветик",
        "你好",
        "\U0001f1e6\U0001f1e7",
        "  ",
        "\n",
        "\t ",
        "_",
        "e\u0301",
    ),
)
SAID = st.lists(st.one_of(st.sampled_from(WORDS), ANY), max_size=12).map(" ".join)
MODEL = LinearModel(array("i", [Random(at).randrange(-(1 << 31), 1 << 31) for at in range(64)] * 4096), 77)
REAL = 40  # a set: every so many of its texts is read


@given(SAID)
@example("native american women and middle eastern kids, v3ry g a y")
@example("")
@example(" \n \n")
def test_a_text_is_seen_as_plainly_written_down(text: str) -> None:
    assert_read_plainly(text)


def test_published_texts_are_seen_as_plainly_written_down(shared_data: Callable[[str], Path]) -> None:
    sets = read_folder(shared_data("moderation"), skip_unknown=True)
    texts = [entry.text for entries in sets.values() for entry in entries[:: max(1, len(entries) // REAL)]]
    assert len(texts) > 5 * REAL
    for text in texts:
        assert_read_plainly(text)


def assert_read_plainly(text: str) -> None:
    """What models see of a text, and say of it, is what the definition says."""
    assert readings(text) == plain_readings(text)
    forms = Forms(text)
    for blind in (False, True):
        expected = plain_features(plain_readings(text), blind=blind)
        assert list(buckets(text, blind=blind)) == expected
        assert (
            MODEL.margin(array("I", expected)) == MODEL.margin(set(expected)) == plain_margin(MODEL, expected)
        )
        cut = plain_features(plain_readings(text, SCORED_CODE_POINTS), blind=blind)
        assert sorted(forms.scored(blind=blind)) == cut


@given(st.lists(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=8))).map(" ".join), max_size=3))
def test_readings_of_any_sort_have_the_same_buckets_in_order_and_in_none(said: list[str]) -> None:
    for blind in (False, True):
        assert list(features(said, blind=blind)) == plain_features(said, blind=blind)
        assert found_in(said, blind=blind) == set(features(said, blind=blind))


@given(st.text(st.sampled_from("ab1 .-_\n\t\u0301\u0947\U0001f1e6é"), max_size=30))
@example("x \U0001f1e6 \U0001f1e7 \U0001f1e8 \U0001f1e9")
@example("a_b_c_d")
def test_what_is_spelled_out_is_noticed_at_once(text: str) -> None:
    view = normalise.folded(text)
    for joined, runs in zip(
        (normalise.tight(view), normalise.loose(view)), normalise._spelled_out(), strict=True
    ):
        undone = runs.sub(normalise._letters_of, view.text)
        assert joined.text == normalise._BLANKS.sub(" ", undone)


def test_a_text_is_undressed_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def folded(text: str) -> normalise.View:
        asked.append(text)
        return normalise.folded(text)

    monkeypatch.setattr(reading, "folded", folded)
    short, long = Forms("s h o r t"), Forms("word " * SCORED_CODE_POINTS)
    assert short.tight(2_000) == short.tight(5_000) == "short"
    assert short.scored(blind=True) == short.scored(blind=True) == set(buckets("short"))
    assert asked == ["s h o r t", "short"], "by whoever asks first, and by `buckets`"
    assert len(long.tight(2_000)) == 2_000
    assert long.scored(blind=False) == set(buckets("word " * (SCORED_CODE_POINTS // 5)))
    assert max(map(len, asked)) == 2_000
