"""Compatibility forms: as the standard has them, but for two characters that stand for sentences."""

from __future__ import annotations

import sys
import unicodedata

from folkmoot.protocol.compatibility import nfkc, nfkd
from folkmoot.protocol.feed.words import normal_form
from hypothesis import given
from hypothesis import strategies as st

SENTENCES = "\ufdfa\ufdfb"
MOST = 7  # characters that come of one


def test_no_character_comes_to_more_than_is_said() -> None:
    longest = max(len(unicodedata.normalize("NFKD", chr(each))) for each in range(sys.maxunicode + 1))
    assert longest > MOST, "there is something to be left as it is"
    assert max(len(nfkd(chr(each))) for each in range(sys.maxunicode + 1)) == MOST


@given(st.text(st.characters(exclude_characters=SENTENCES)))
def test_every_other_text_is_as_the_standard_has_it(text: str) -> None:
    assert nfkc(text) == unicodedata.normalize("NFKC", text)
    assert nfkd(text) == unicodedata.normalize("NFKD", text)


@given(st.text(st.sampled_from("a\u0301\u0323ﬁ①" + SENTENCES)))
def test_a_form_is_its_own_form_whatever_stands_beside_a_sentence(text: str) -> None:
    assert nfkc(nfkc(text)) == nfkc(text) and nfkd(nfkd(text)) == nfkd(text)
    assert nfkc(nfkd(text)) == nfkc(text)


def test_a_text_of_sentences_stays_as_long_as_it_was() -> None:
    assert normal_form("\ufdfa" * 3_000) == "\ufdfa" * 3_000
