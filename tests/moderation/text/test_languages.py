"""In which languages a text may be: what its letters and its small words say, and when they say nothing."""

# ruff: noqa: RUF001 (letters that pass for others)

from __future__ import annotations

import unicodedata

import pytest
from folkmoot.protocol.moderation.text.languages import TOLD, languages_of, primary
from folkmoot.protocol.moderation.text.small_words import SMALL_WORDS
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Nobody told me what that was about.", "en"),
        ("Niemand hat mir gesagt, worum es dabei ging.", "de"),
        ("Personne ne m'a dit de quoi il s’agissait.", "fr"),
        ("Nadie me dijo de qué se trataba.", "es"),
        ("Ninguém me disse do que se tratava.", "pt"),
        ("Nikt mi nie powiedział, o co w tym chodzi.", "pl"),
        ("Никто мне не сказал, что это было.", "ru"),
        ("Ніхто мені не сказав, що це було.", "uk"),
        ("لم يقل لي احد ما هذا الذي كان", "ar"),
        ("किसी ने मुझे नहीं बताया कि यह क्या था", "hi"),
        ("Δεν μου είπε κανείς για τι ήταν", "el"),
        ("Không ai nói với tôi điều này là gì", "vi"),
        (unicodedata.normalize("NFD", "Không ai nói với tôi điều này là gì"), "vi"),
        ("何のことか誰も教えてくれなかった", "ja"),
        ("没有人告诉我这是怎么回事", "zh"),
        ("아무도 나에게 말해 주지 않았다", "ko"),
        ("ไม่มีใครบอกฉัน", "th"),
        ("איש לא אמר לי", "he"),
        ("WHO TOLD THEM THAT", "en"),
        ("@und_der_die https://the.example/of/that www.the.of you are", "en"),
    ],
)
def test_what_a_text_is_in(text: str, expected: str) -> None:
    assert languages_of(text) == {expected}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "123 !!! 🙂",
        "scum vermin",
        "уоu аrе the sсum",  # Cyrillic letters among Latin ones
        "https://the.example/of @the_of",
        "und scum vermin filth garbage trash rubbish",  # one word of seven
        "а о у с",
    ],
)
def test_what_says_nothing_of_it(text: str) -> None:
    assert not languages_of(text)


def test_what_is_as_much_one_as_another_is_both() -> None:
    assert languages_of("det er en") == {"da", "no"}
    assert languages_of("the ring ist of gold und who ist das") == {"de", "en"}


def test_the_beginning_is_what_counts() -> None:
    assert languages_of("you are " * 200 + "ihr seid der und die das " * 200) == {"en"}


def test_a_word_that_comes_again_is_one_word() -> None:
    assert languages_of("you are not who they say " + "und " * 50) == {"en"}


def test_a_tag_is_told_by_its_beginning() -> None:
    assert [primary(tag) for tag in ("pt-br", "nb", "nn-no", "zh-hant", "")] == ["pt", "no", "no", "zh", ""]
    assert {"en", "ja", "zh", "no"} <= TOLD and "und" not in TOLD


def test_the_words_are_such_as_texts_are_read_as() -> None:
    for language, words in SMALL_WORDS.items():
        for word in words.split():
            assert word == unicodedata.normalize("NFC", word.casefold()), word
            assert languages_of(word) >= {language}, (word, language)
        assert len(set(words.split())) == len(words.split()), language


@given(st.text())
def test_any_text_has_languages_that_are_known_or_none(text: str) -> None:
    assert languages_of(text) <= TOLD
