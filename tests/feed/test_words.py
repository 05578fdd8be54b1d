"""Muted words: where a word is found, in scripts with spaces and in those without."""

from __future__ import annotations

import pytest
from folkmoot.protocol.feed.words import MutedWords, normal_form, normal_word
from hypothesis import given
from hypothesis import strategies as st

LATER, NOW = 2, 1


def found(word: str, text: str) -> bool:
    return MutedWords({normal_word(word): LATER}).found_in({"text": text}, NOW)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("spam", "spam"),
        ("spam", "Buy SPAM, now"),
        ("\uff53\uff50\uff41\uff4d", "spam"),
        ("spam", "\U0001d42c\U0001d429\U0001d41a\U0001d426"),
        ("spam", "sp\u00adam"),
        ("spam", "s\u200bp\u200ba\u200bm"),
        ("spam", "s\0p\x7fam"),
        ("spam", "s\0pam, é"),
        ("spam", "s\ufff9pam"),
        ("spam", "hot\u2800spam\ufffc"),
        ("straße", "STRASSE"),
        ("é", "E\u0301 alors"),
        ("ΜΆΪΟΣ", "του μάϊος"),
        ("Спам", "это спам!"),
        ("get rich", "Get  rich\nquick"),
        ("spam", "我爱spam的"),
        ("spam", "ดีspam"),
        ("C++", "in C++, mostly"),
        (":(", "sad :("),
        ("#moot", "see #moot"),
        ("moot", "see #moot"),
        ("🎃", "trick🎃treat"),
        ("選挙", "総選挙の結果"),
        ("ラーメン", "ﾗｰﾒﾝを食べた"),
        ("เลือกตั้ง", "การเลือกตั้งทั่วไป"),
        ("선거", "오늘 선거가 있다"),
        ("हिन्दी", "हम हिन्दी बोलते हैं"),
        ("انتخابات", "نتائج انتخابات اليوم"),
        ("x1", "x1"),
        ("1", "route 1"),
    ],
)
def test_a_word_is_found(word: str, text: str) -> None:
    assert found(word, text)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("spam", "spammer"),
        ("spam", "antispam"),
        ("spam", "spam2"),
        ("spam", "s p a m"),
        ("resume", "résumé"),
        ("e", "e\u0301"),
        ("#moot", "moot"),
        ("get rich", "get riches"),
        ("get rich", "get quick rich"),
        ("แม", "แม่"),
        ("हिन्द", "हिन्दी"),
        ("Спам", "спамер"),
        ("1", "12"),
        ("spam", ""),
    ],
)
def test_what_only_looks_like_it_is_not(word: str, text: str) -> None:
    assert not found(word, text)


@pytest.mark.parametrize(
    "body",
    [
        {"text": "spam"},
        {"text": "", "warning": "spam"},
        {"text": "", "tags": ["ham", "Spam"]},
        {"text": "", "media": [{"mime": "image/png"}, {"alt": "a can of spam"}]},
        {"text": "x", "lang": "en", "warning": "", "tags": ["spam"]},
    ],
)
def test_all_that_is_shown_is_looked_at(body: dict[str, object]) -> None:
    words = MutedWords({"spam": LATER})
    assert words.found_in(body, NOW) and not words.found_in(body, LATER)


@pytest.mark.parametrize(
    "body", [{"text": "", "lang": "en"}, {"text": "e", "tags": ["n"]}, {"deleted": True}]
)
def test_nothing_else_is(body: dict[str, object]) -> None:
    """A language is no word, and one text does not go on in the next."""
    assert not MutedWords({"en": LATER, "e n": LATER}).found_in(body, NOW)


def test_each_word_has_its_own_end() -> None:
    words = MutedWords({"early": NOW, "late": LATER})
    assert words.found_in({"text": "early late"}, NOW) and not words.found_in({"text": "early"}, NOW)


def test_no_words_find_nothing() -> None:
    assert not MutedWords({}) and not MutedWords({}).found_in({"text": "anything"}, NOW)


LETTERS = st.text("ab é", min_size=1, max_size=3).map(normal_word).filter(bool)


@given(st.sets(LETTERS, min_size=1, max_size=6), st.text("ab éñ.,", max_size=12))
def test_many_words_at_once_find_what_each_finds(words: set[str], text: str) -> None:
    each = any(
        f" {word} " in f" {' '.join(normal_form(text).replace('.', ' . ').replace(',', ' , ').split())} "
        for word in words
    )
    assert MutedWords(dict.fromkeys(words, LATER)).found_in({"text": text}, NOW) == each


@given(st.text())
def test_the_normal_form_of_a_form_is_that_form(text: str) -> None:
    assert normal_form(normal_form(text)) == normal_form(text)


def test_of_too_many_marks_on_one_letter_only_the_first_count() -> None:
    few = "a" + "\u0323\u0307" * 15
    assert normal_form(few + "\u0323\u0307" * 1_000 + "b") == normal_form(few + "b")
    assert len(normal_form("a" + "\u0344" * 500)) <= 31
