"""What texts are cut into, and the form in which words are compared."""

from __future__ import annotations

import unicodedata

import pytest
from folkmoot.protocol.search.tokens import Phrase, fold, phrase, tokens
from hypothesis import given
from hypothesis import strategies as st

TABLE = [
    ("", ""),
    ("Hello, World!", "hello world"),
    ("résumé RÉSUMÉ re\u0301sume\u0301", "resume resume resume"),
    ("Straße STRASSE", "strasse strasse"),
    ("don't don’t 'quoted'", "dont dont quoted"),
    ("ﬁne Ⅷ ①", "fine viii 1"),
    ("\uff28\uff45\uff4c\uff4c\uff4f", "hello"),
    ("te\u200ba te\u00ada", "tea tea"),
    ("x_y foo-bar a.b", "x y foo bar a b"),
    ("https://example.org/a?b=1", "https example org a b 1"),
    ("日本語", "日本 本語 語"),
    ("今", "今"),
    ("ｶﾞｷﾞ", "ガギ ギ"),
    ("한국어", "한국 국어 어"),
    ("ภาษาไทย go", "ภา าษ ษา าไ ไท ทย ย go"),
    ("win日本x", "win 日本 本 x"),
    ("हिन्दी में", "हिन्दी में"),
    ("שָׁלוֹם", "שלום"),
    ("مُحَمَّد", "محمد"),
    ("ёлка й", "елка и"),
    ("İSTANBUL", "istanbul"),
    ("🎉 ok 🎉", "ok"),
    ("\u0430 a", "\u0430 a"),  # look-alikes are other letters: the first is Cyrillic
    ("w" * 100, "w" * 40),
]


@pytest.mark.parametrize(("text", "cut"), TABLE)
def test_a_text_is_cut_into_tokens(text: str, cut: str) -> None:
    assert tokens(text) == cut.split()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tea", Phrase(("tea",))),
        ("green tea", Phrase(("green", "tea"))),
        ("日本", Phrase(("日本",))),
        ("日本語", Phrase(("日本", "本語"))),
        ("日", Phrase(("日",), open_ended=True)),
        ("日本 go", Phrase(("日本", "本", "go"))),
        ("?!", None),
        ("\u200b\u2060", None),
    ],
)
def test_what_is_looked_for_ends_where_a_run_may_go_on(text: str, found: Phrase | None) -> None:
    assert phrase(text) == found


def test_a_beginning_may_go_on() -> None:
    assert phrase("green te", prefix=True) == Phrase(("green", "te"), open_ended=True)


@given(st.text())
def test_folding_again_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_the_form_does_not_depend_on_how_a_text_is_composed(text: str) -> None:
    for form in ("NFC", "NFD"):
        assert tokens(unicodedata.normalize(form, text)) == tokens(text)


@given(st.text())
def test_tokens_are_letters_and_digits_and_short(text: str) -> None:
    for token in tokens(text):
        assert token
        assert len(token) <= 40
        assert not set(token) & set(" \"'*:()-^{}\0")
        assert all(char.isalnum() or unicodedata.category(char)[0] == "M" for char in token)


@given(st.text(alphabet=st.characters(max_codepoint=0x24F)))
def test_of_scripts_with_spaces_a_token_is_its_own_token(text: str) -> None:
    assert tokens(" ".join(tokens(text))) == tokens(text)


@given(st.text(alphabet="日本語テスト", min_size=2), st.data())
def test_a_part_of_a_run_is_found_in_it(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    part = text[start : data.draw(st.integers(start + 1, len(text)))]
    wanted, cut = phrase(part), tokens(text)
    assert wanted is not None
    *first, last = wanted.tokens
    assert any(
        cut[at : at + len(first)] == first
        and (cut[at + len(first)].startswith(last) if wanted.open_ended else cut[at + len(first)] == last)
        for at in range(len(cut) - len(first))
    )


def test_marks_alone_are_no_word_and_begin_one_in_any_plane() -> None:
    assert tokens("\u093e \U00011131") == []
    assert tokens("\u093e\u0915 \U00011131\u0915") == ["\u093e\u0915", "\U00011131\u0915"]


def test_a_character_that_stands_for_a_sentence_is_a_word() -> None:
    assert tokens("a \ufdfa b") == ["a", "\ufdfa", "b"]
