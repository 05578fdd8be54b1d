"""Views of a text: what disguises they undo, and that every place in them is a place in the original."""

# ruff: noqa: RUF001 (letters that pass for others are what this file is about)

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from folkmoot.node.moderation import normalise
from folkmoot.node.moderation.marks import is_mark, is_usual
from folkmoot.node.moderation.normalise import View
from folkmoot.protocol.invisible import HIDDEN
from hypothesis import assume, example, given
from hypothesis import strategies as st

# Dense in what makes normalisation interesting, and any code point at all, lone surrogates included.
TRICKY = st.text(
    alphabet=st.sampled_from(
        "aZ1!|@$ .\t\n\u00e9e\u0301\u0323\u00df\u0130\u0131\u03c2\u0430\u1100\u1161\u11a8\uac00\u304b\u3099"
        "\uff76\uff9e\u0915\u093c\u094d\u09c7\u09be\u200b\u200d\ufe0f\u2026\u00bd\ufdfa\ufb03\U0001f170\ud800"
        "\0\x7f\u064b\u0941\u0e31\u0e33\u20dd\u2800\u3164\ufffc\U0001f1fb\U0001f1ee·"
    ),
    max_size=40,
)
ANY = st.one_of(TRICKY, st.text(alphabet=st.characters(codec=None, exclude_categories=()), max_size=60))

# Words with marks that make them what they are, one in each of many scripts.
WRITTEN = (
    *("हिन्दी", "বাংলা", "ਪੰਜਾਬੀ", "ગુજરાતી", "ଓଡ଼ିଆ", "தமிழ்", "తెలుగు", "ಕನ್ನಡ", "മലയാളം", "සිංහල", "ไทยนี้", "น้ำ"),
    *("ລາວໄດ້", "བོད་སྐད", "မြန်မာဘာသာ", "ខ្មែរ", "עִבְרִית", "العَرَبِيَّة", "ދިވެހި", "ܟ\u064eܬ", "がぎぐ", "ﾊﾟｰﾃｨ", "ꦧꦱꦗꦮ"),
)

# A letter and a mark of each script that a mark may belong to or be foreign to.
MARKED = "aжω7ب\u064eש\u05b0ก\u0e31\u0e33ක\u0dcfכ\u05b8か\u3099\uff9eक\u093e\u0947\u0301\u20dd\u200d\ufe0f"


def views_of(text: str) -> list[View]:
    """Every view there is, whether or not matching would ask for it."""
    folded = normalise.folded(text)
    joined = [normalise.tight(folded), normalise.tight(folded, spelled=False), normalise.loose(folded)]
    read = [reading for view in (folded, *joined) for reading in normalise.leet(view)]
    return [normalise.plain(text), folded, *joined, *read]


@given(ANY)
@example("\u304b\0\u3099 and e\x7f\u0301: composed over what is dropped")
def test_every_place_in_a_view_is_a_place_in_the_original(text: str) -> None:
    for view in views_of(text):
        spans = view.spans()
        assert len(spans) == len(view.text)
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert spans == sorted(spans)
        if spans:
            assert view.original(0, len(spans)) == (spans[0][0], spans[-1][1])


@given(TRICKY, TRICKY, TRICKY)
@example("", "\ufffd\u3099", "\u064b")  # no kana, though it stands between the halfwidth ones
def test_a_part_of_a_folded_text_is_the_folded_form_of_its_original(
    before: str, word: str, after: str
) -> None:
    bare = "".join(map(normalise._fold_code_point, word))
    assume(not is_mark(bare[:1]))  # it would stand on what is before it
    folded = normalise.folded(word).text
    view = normalise.folded(before + word + after)
    start = len(normalise.folded(before).text)
    assert view.text[start : start + len(folded)] == folded
    if folded:
        first, last = view.original(start, start + len(folded))
        assert len(before) <= first < last <= len(before) + len(word)
        assert normalise.folded((before + word + after)[first:last]).text == folded


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_is_the_long_way(text: str) -> None:
    assert normalise.folded(text).text == text.translate(normalise._FOLDING)
    assert normalise.plain(text).text == normalise.folded(text).text


@given(st.one_of(ANY, st.text(MARKED, max_size=12), st.text("कि\u200dहिन्दीั दี", max_size=12)))
def test_the_short_way_for_usual_texts_is_the_long_way(text: str) -> None:
    if is_usual(text):
        assert normalise.folded(text, usual=True).text == normalise.folded(text).text
        assert normalise.plain(text, usual=True).text == normalise.plain(text).text
        assert normalise.with_blanks(text) is None


@given(ANY)
def test_folding_is_blind_to_forms_of_encoding_and_has_nothing_left_to_fold(text: str) -> None:
    decomposed = unicodedata.normalize("NFKD", text)
    folded = normalise.fold(decomposed)
    for form in ("NFC", "NFD", "NFKC"):
        # Sorted, because marks of several scripts on one letter stay in the order they were written in.
        assert sorted(normalise.fold(unicodedata.normalize(form, decomposed))) == sorted(folded)
    assert normalise.fold(folded) == folded


@given(ANY)
def test_the_plain_view_is_nfkc_and_case_folding_of_what_is_visible(text: str) -> None:
    visible = HIDDEN.sub("", normalise._SURROGATE.sub("\ufffd", text))
    assert normalise.plain(text).text == unicodedata.normalize("NFKC", visible).casefold()


@pytest.mark.parametrize(
    ("disguised", "undone"),
    [
        ("VIAGRA", "viagra"),
        ("vіаgrа", "viagra"),  # Cyrillic i and a
        ("ｖｉａｇｒａ", "viagra"),
        ("𝓿𝓲𝓪𝓰𝓻𝓪", "viagra"),
        ("ⓥⓘⓐⓖⓡⓐ", "viagra"),
        ("🆅🅸🅰🅶🆁🅰", "viagra"),
        ("vıágŕà", "viagra"),
        ("v̴̡͘i̵̧a̸g̷r̶a̶", "viagra"),
        ("vi\u200ba\u00adg\u2060ra", "viagra"),
        ("ᴠɪᴀɢʀᴀ", "viagra"),
        ("Straße", "strasse"),
        ("v\u064bi\u05b0a\u093eg\u0903r\u0e31a\u3099", "viagra"),  # marks of other scripts
        ("v\u20ddi\u20e3a\u0488gra", "viagra"),
        ("vi\0a\x7fg\x9fra", "viagra"),
        ("vi\ufff9ag\u2800r\ufffca\u3164", "viagra"),
        ("ж\u093eук\u0e33", "ж\u0443\u043a\u0e32".replace("\u0443", "y").replace("\u043a", "k")),
        ("7\u09417", "77"),
        ("ש\u093e\u05b8לום", "ש\u05b8לום"),
        ("ก\u0941ั", "กั"),
        ("كـــلمة", "كلمة"),
        ("\u0941word", "word"),
    ],
)
def test_folding_undoes(disguised: str, undone: str) -> None:
    assert normalise.folded(disguised).text == undone


@pytest.mark.parametrize("word", WRITTEN)
def test_folding_keeps_the_marks_that_words_are_made_of(word: str) -> None:
    assert is_usual(word)
    for text in (word, f"{word} 7 {word}, {word}\u0301", f"a {word}\u2800 й"):
        assert unicodedata.normalize("NFKD", word) in normalise.folded(text).text


@pytest.mark.parametrize(
    ("spaced", "joined"),
    [
        ("buy v i a g r a now", "buy viagra now"),
        ("v.i.a.g.r.a", "viagra"),
        ("I  v - i - a - g - r - a", "i viagra"),
        ("f r e e  m o n e y", "free money"),
        ("two\n\n words\there", "two words here"),
        ("a b c", "a b c"),
        ("plan a b or c d", "plan a b or c d"),
        ("v·i·a·g·r·a", "viagra"),
        ("v•i•a•g•r•a", "viagra"),
        ("v, i, a, g, r, a", "viagra"),
        ("v\ni\na\ng\nr\na", "viagra"),
        ("v🙂i🙂a🙂g🙂r🙂a", "viagra"),
        ("🇻 🇮 🇦 🇬", "🇻🇮🇦🇬"),
        ("a, s, s", "a, s, s"),
        ("i.e. v.i-a g_r.a", "i.e. v.i-a g_r.a"),
        ("किताबों की बात", "किताबों की बात"),
    ],
)
def test_the_tight_view_joins(spaced: str, joined: str) -> None:
    assert normalise.tight(normalise.folded(spaced)).text == joined


@pytest.mark.parametrize(
    ("spaced", "joined"),
    [
        ("buy v.i-a g_r.a", "buy viagra"),
        ("v (i) a * g / r a!", "viagra!"),
        ("f r e e  m o n e y", "freemoney"),
        ("v.....i.a.g", "v.....i.a.g"),
        ("किताबों की, बात", "किताबों की, बात"),
    ],
)
def test_the_loose_view_joins(spaced: str, joined: str) -> None:
    assert normalise.loose(normalise.folded(spaced)).text == joined


@pytest.mark.parametrize(
    ("written", "reads"),
    [
        ("v1agra!", {"viagra!", "vlagra!"}),
        ("k!ll|", {"kill|", "klll|"}),
        ("@$$h0le", {"asshole"}),
        ("🇻🇮🇦🇬🇷🇦", {"viagra"}),
    ],
)
def test_the_leet_views_read(written: str, reads: set[str]) -> None:
    assert {view.text for view in normalise.leet(normalise.folded(written))} == reads


def test_no_flood_of_letters_makes_the_memory_of_them_grow() -> None:
    everything = "".join(map(chr, range(0x20000)))
    assert everything.translate(normalise._FOLDING) == "".join(map(normalise._fold_code_point, everything))
    assert len(normalise._FOLDING) <= normalise._FOLDING_ENTRIES


def test_the_naughty_strings_are_only_strings(shared_data: Callable[[str], Path]) -> None:
    strings = json.loads(shared_data("moderation/naughty_strings/blns.json").read_text())
    assert len(strings) > 500
    for text in strings:
        for view in views_of(text):
            assert all(0 <= start < end <= len(text) for start, end in view.spans())
