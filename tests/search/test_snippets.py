"""What is marked in what was found."""

from __future__ import annotations

import pytest
from folkmoot.cli.snippets import SNIPPET_CHARACTERS, snippet
from folkmoot.protocol.search.query import parse
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("Green tea, please.", "tea", "Green *tea*, please."),
        ("Crème brûlée!", "brulee -tea", "Crème *brûlée*!"),
        ("kettles and kettle", "kettl*", "*kettles* and *kettle*"),
        ("私は日本語を話す", "日本語", "私は*日本語*を話す"),
        ("nothing of it", "#tag", "nothing of it"),
        ("two\nlines of tea", '"of tea"', "two\nlines *of* *tea*"),
    ],
)
def test_what_was_looked_for_is_marked(text: str, query: str, shown: str) -> None:
    assert snippet(text, parse(query)) == shown


def test_of_a_long_text_the_part_around_it_is_shown() -> None:
    text = "word " * 300 + "needle " + "word " * 300
    shown = snippet(text, parse("needle"))
    assert "*needle*" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) == SNIPPET_CHARACTERS + 4


@given(st.text(max_size=600))
def test_any_text_can_be_shown(text: str) -> None:
    shown = snippet(text, parse("a 日 the*"))
    assert len(shown) <= 3 * SNIPPET_CHARACTERS
    if len(text) <= SNIPPET_CHARACTERS and "*" not in text:
        assert shown.replace("*", "") == text
