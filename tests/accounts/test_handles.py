"""Handles: the form they have, what is none, and what is taken for what."""

# ruff: noqa: RUF001 (look-alikes are what this is about)

from __future__ import annotations

import hashlib
import subprocess
import sys
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from folkmoot.protocol import accounts, limits
from folkmoot.protocol.accounts.alphabet import alphabet
from folkmoot.protocol.accounts.handle import (
    RESERVED,
    check_handle,
    read_handle,
    register_name,
    skeleton,
)
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from hypothesis import given, settings
from hypothesis import strategies as st
from precis_i18n import get_profile

TABLE = Path(accounts.__path__[0], "handles.txt").read_bytes()
IOTA_SUBSCRIPT = "\u0345"
# Of few scripts at a time, or hardly any text would be a handle.
BY_SCRIPT = {
    name: [
        chr(point)
        for each in alphabet().letters
        if each.scripts is None or name in each.scripts
        for point in range(each.first, min(each.last, each.first + 60) + 1)
    ]
    for name in sorted({name for each in alphabet().letters for name in each.scripts or ()})
}
TEXTS = st.one_of(
    st.sampled_from(sorted(BY_SCRIPT)).flatmap(
        lambda name: st.text(st.sampled_from([*BY_SCRIPT[name], *"._-"]), min_size=2, max_size=12)
    ),
    st.text(min_size=1, max_size=40),
)


def refusal_of(text: str) -> str:
    with pytest.raises(WireError) as refusal:
        check_handle(text)
    assert refusal.value.kind == BAD_REQUEST
    return refusal.value.message


@pytest.mark.parametrize(
    ("text", "handle"),
    [
        ("alice", "alice"),
        ("Alice.Smith-2_x", "alice.smith-2_x"),
        ("@alice", "alice"),
        ("ＡＬＩＣＥ", "alice"),
        ("ﬁnn", "finn"),
        ("İSTANBUL", "istanbul"),
        ("STRAẞE", "straße"),
        ("ΟΔΟΣ", "οδος"),
        ("cafe\u0301", "café"),
        ("Москва", "москва"),
        ("אבג-7", "אבג-7"),
        ("محمد۷", "محمد۷"),
        ("हिन्दी", "हिन्दी"),
        ("สวัสดี", "สวัสดี"),
        ("한국어", "한국어"),
        ("ｶﾀｶﾅ", "カタカナ"),
        ("東京tokyo", "東京tokyo"),
        ("ひらがなカタカナ漢字", "ひらがなカタカナ漢字"),
        ("ᏣᎳᎩ", "ꮳꮃꭹ"),
        ("42", "42"),
        ("x" * 30, "x" * 30),
    ],
)
def test_a_handle_has_one_form(text: str, handle: str) -> None:
    assert check_handle(text) == handle
    assert read_handle(handle) == handle


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "2 to 30"),
        ("a", "2 to 30"),
        ("x" * 31, "2 to 30"),
        ("x" * 100_000, "2 to 30"),
        ("\ufdfa\ufdfa", "2 to 30"),
        (".alice", "begins or ends"),
        ("alice_", "begins or ends"),
        ("al..ice", "begins or ends"),
        ("al.-ice", "begins or ends"),
        ("al ice", "(space)"),
        ("al\u200bice", "zero width space"),
        ("al\u200dice", "zero width joiner"),
        ("\u202ealice", "right-to-left override"),
        ("al\u00adice", "soft hyphen"),
        ("al\ufe0fice", "variation selector-16"),
        ("al\U000e0061ice", "tag latin small letter a"),
        ("al\x00ice", "U+0000"),
        ("al\u3164ice", "filler"),
        ("al\ue000ice", "U+E000"),
        ("al😀ice", "grinning face"),
        ("o'brien", "apostrophe"),
        ("did:key:z6Mk", "colon"),
        ("alіce", "mixes scripts"),
        ("раураl", "mixes scripts"),
        ("αlpha", "mixes scripts"),
        ("한かな", "mixes scripts"),
        ("кит漢", "mixes scripts"),
        ("علي٣7", "two kinds"),
        ("علي٣۳", "two kinds"),
        ("7علي", "right to left"),
        ("٣٤", "right to left"),
        ("\u0301ab", "without the letter"),
        ("a.\u0301b", "without the letter"),
        ("a1\u0301b", "without the letter"),
        ("é\u0301", "twice"),
        ("a\u0301\u0302\u0303\u0304\u0306b", "more than 4"),
        ("admin", "kept for those"),
        ("M0DERAT0R", "kept for those"),
        ("folkrnoot", "kept for those"),
        ("folk.moot", "kept for those"),
    ],
)
def test_what_is_no_handle_is_refused_with_a_reason(text: str, why: str) -> None:
    message = refusal_of(text)
    assert why in message, message
    assert message.isprintable(), "nothing invisible is repeated"
    assert len(message) < 300


@pytest.mark.parametrize("text", ["Alice", "cafe\u0301", "@alice", "ﬁnn"])
def test_what_is_signed_must_be_in_its_form_and_the_refusal_says_which(text: str) -> None:
    with pytest.raises(WireError) as refusal:
        read_handle(text)
    assert repr(check_handle(text)) in refusal.value.message


def test_a_name_kept_for_others_is_still_read_where_it_was_signed() -> None:
    assert all(read_handle(name) == name for name in RESERVED)
    for name in RESERVED:
        refusal_of(name)


@pytest.mark.parametrize(
    "alike",
    [
        ("paypal", "paypai", "paypa1", "PayPaI", "раураӏ"),
        ("bob", "b0b", "BOB"),
        ("modern", "rnodern", "modem", "modern"),
        ("savvy", "sawy"),
        ("alice.smith", "alice-smith", "alice_smith"),
        ("strasse", "straße", "STRASSE"),
        ("οδος", "οδοσ", "ΟΔΟΣ"),
        ("scope", "ѕсоре"),
        ("ısparta", "isparta"),
        ("ían", "ĺan"),
        ("ไทยฃ", "ไทยข"),
        ("ロ二", "口ニ", "囗二"),
        ("علي", "على", "علی"),
        ("علي٠ب", "علي.ب"),
        ("ܐ\u073d\u064e", "ܐ\u073d\u0747"),
    ],
    ids=lambda alike: str(alike[0]),
)
def test_what_looks_alike_has_one_register(alike: tuple[str, ...]) -> None:
    assert len({register_name(check_handle(text)) for text in alike}) == 1


def test_what_people_tell_apart_has_registers_of_its_own() -> None:
    names = ["jose", "josé", "muller", "müller", "anna", "ana", "alice.smith", "alicesmith", "bob", "6ob"]
    names += ["clan", "dan", "вера", "bepa", "五王", "王五", "kim2", "kim3", "gold", "göld", "ian", "jan"]
    assert len({register_name(check_handle(name)) for name in names}) == len(names)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
def test_whatever_is_taken_is_a_username_by_rfc_8265_and_stays_what_it_is(text: str) -> None:
    try:
        handle = check_handle(text)
    except WireError:
        return
    assert get_profile("UsernameCaseMapped").enforce(handle) == handle
    assert check_handle(handle) == read_handle(handle) == handle
    assert limits.HANDLE_CHARACTERS_MIN <= len(handle) <= limits.HANDLE_CHARACTERS_MAX


@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
def test_capitals_change_neither_the_handle_nor_who_has_it(text: str) -> None:
    try:
        handle = check_handle(text)
        loud = check_handle(handle.upper())
    except WireError:
        return
    # In capitals a subscript iota is a letter, and takes what other accents follow.
    if IOTA_SUBSCRIPT not in unicodedata.normalize("NFD", handle):
        assert register_name(loud) == register_name(handle)


def twins() -> list[list[tuple[str, str]]]:
    """Of each script the pairs of characters that have one skeleton."""
    pairs = []
    for letters in BY_SCRIPT.values():
        found: dict[str, list[str]] = {}
        for letter in (*letters, *"._-"):
            found.setdefault(skeleton(letter), []).append(letter)
        pairs.append([(one, other) for alike in found.values() for one in alike for other in alike])
    return pairs


@settings(max_examples=400, deadline=None)
@given(pairs=st.sampled_from(twins()).flatmap(lambda twins: st.lists(st.sampled_from(twins), min_size=2)))
def test_a_look_alike_in_any_place_has_the_same_register(pairs: list[tuple[str, str]]) -> None:
    one, other = ("".join(side) for side in zip(*pairs, strict=True))
    try:
        handles = check_handle(one), check_handle(other)
    except WireError:
        return
    assert register_name(handles[0]) == register_name(handles[1])


def test_the_table_is_what_it_always_was() -> None:
    """It names registers and decides which chains are valid. Never mend this test: see decision 28."""
    assert (
        hashlib.sha256(TABLE).hexdigest()
        == "fddae209d71ffebf62203033e769c1a7671c098b35c46236027e3f8ff69f6c33"
    )


def test_the_table_is_in_order_and_of_small_composed_visible_letters() -> None:
    letters = alphabet().letters
    assert all(each.first <= each.last for each in letters)
    assert all(one.last < other.first for one, other in pairwise(letters))
    assert all(each.last - each.first == 9 for each in letters if each.kind in "DN")
    kinds = {"L": {"Ll", "Lo", "Lm"}, "R": {"Ll", "Lo", "Lm"}, "M": {"Mn", "Mc"}, "D": {"Nd"}, "N": {"Nd"}}
    for each in letters:
        for letter in map(chr, range(each.first, each.last + 1)):
            assert unicodedata.category(letter) in kinds[each.kind]
            assert unicodedata.normalize("NFKC", letter) == letter == letter.lower()


def test_a_look_looks_like_itself() -> None:
    """What stands for a character stands for itself, or the same two handles could have two registers."""
    for point, look in alphabet().looks.items():
        assert skeleton(look) == skeleton(chr(point))


def test_the_table_is_not_read_before_it_is_needed() -> None:
    code = (
        "import folkmoot.protocol.accounts.claim; from folkmoot.protocol.accounts.alphabet import alphabet; "
        "assert alphabet.cache_info().currsize == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
