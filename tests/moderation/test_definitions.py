"""Label definitions and what is chosen of them: a table of what is refused, and what holds of all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.feed.labelling import OWN, check_labelling, parse_own
from folkmoot.protocol.invisible import JOINERS
from folkmoot.protocol.moderation import bounds
from folkmoot.protocol.moderation.builtin_labels import BUILT_IN
from folkmoot.protocol.moderation.definitions import (
    Blurs,
    Choice,
    Definition,
    Severity,
    Words,
    check_value,
    parse_definitions,
    read_definitions,
)
from hypothesis import given, settings
from hypothesis import strategies as st

RUMOUR: dict[str, Any] = {
    "value": "rumour",
    "severity": "alert",
    "blurs": "media",
    "default": "hide",
    "name": {"en": "Rumour", "pt-br": "Boato"},
    "about": {"en": "Not confirmed."},
}


def test_definitions_are_read() -> None:
    found = parse_definitions({"labels": [RUMOUR, {"value": "ok"}]})
    words = {"en": Words("Rumour", "Not confirmed."), "pt-br": Words("Boato")}
    assert list(found.values()) == [
        Definition("rumour", Severity.ALERT, Blurs.MEDIA, Choice.HIDE, words),
        Definition("ok", Severity.INFORM, Blurs.NONE, Choice.WARN),
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"value": ""}, "1 to 64 bytes"),
        ({"value": "ü" * 33}, "1 to 64 bytes"),
        ({"value": 7}, "a text"),
        ({"value": " rumour"}, "begins and ends with something that is seen"),
        ({"value": "ru\u200bmour"}, "U+200B"),
        ({"value": "ru\u202emour"}, "U+202E"),
        ({"value": "ru\nmour"}, "U+000A"),
        ({"severity": "loud"}, "inform, alert, none"),
        ({"blurs": None}, "content, media, none"),
        ({"default": "remove"}, "ignore, warn, hide"),
        ({"colour": "red"}, "has a key 'colour'"),
        ({"name": "Rumour"}, "a map of at most"),
        ({"name": {"English": "Rumour"}}, "no language tag"),
        ({"name": {"en": ""}}, "begins and ends"),
        ({"name": {"en": "R" * 65}}, "at most 64 characters"),
        ({"about": {"de": "Unbestätigt."}}, "described in de, and has no name"),
        ({"about": {"en": "x" * 301}}, "at most 300 characters"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(WireError) as refused:
        parse_definitions({"labels": [{**RUMOUR, **changes}]})
    assert refused.value.kind is BAD_REQUEST and words in refused.value.message
    assert read_definitions({"labels": [{**RUMOUR, **changes}]}) == {}, "it defines nothing"


@pytest.mark.parametrize(
    "character",
    [*"\u00ad\u180e\u2061\u202e\u2800\u3164\ufe0e\U000e0020\u0085\ue000", *JOINERS],
)
def test_what_is_not_seen_stands_in_no_value(character: str) -> None:
    for value in (character, f"ru{character}mour", f"rumour{character}", f"{character}rumour"):
        with pytest.raises(WireError) as refused:
            check_value(value)
        assert refused.value.kind is BAD_REQUEST
        for key in ("name", "about"):
            texts = {"value": "x", "name": {"en": "X"}, key: {"en": value}}
            told = read_definitions({"labels": [texts]})
            assert bool(told) is (character in JOINERS), "words of some languages need joiners"


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("fa", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("en", "\U0001f468\u200d\U0001f469\u200d\U0001f467 family"),
        ("en", "\u2764\ufe0f"),
    ],
)
def test_joiners_that_words_and_emoji_need_stay_in_names(language: str, name: str) -> None:
    [found] = parse_definitions({"labels": [{"value": "x", "name": {language: name}}]}).values()
    assert found.words[language].name == name


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "label definitions are"),
        ({"labels": {}}, "label definitions are"),
        ({"labels": [], "more": 1}, "label definitions are"),
        ({"labels": ["rumour"]}, "is a map"),
        ({"labels": [RUMOUR, RUMOUR]}, "defined twice"),
    ],
)
def test_what_is_no_list_of_definitions_is_refused(value: object, words: str) -> None:
    with pytest.raises(WireError, match=words):
        parse_definitions(value)


def test_definitions_and_settings_are_bounded() -> None:
    many = [{"value": str(number)} for number in range(bounds.LABEL_DEFINITIONS + 1)]
    assert len(parse_definitions({"labels": many[1:]})) == bounds.LABEL_DEFINITIONS
    settings = {str(number): "hide" for number in range(bounds.LABEL_SETTINGS + 1)}
    for refuse, value in ((parse_definitions, {"labels": many}), (parse_own, {"set": settings})):
        with pytest.raises(WireError) as refused:
            refuse(value)
        assert refused.value.kind is TOO_LARGE


@pytest.mark.parametrize(
    ("languages", "said"),
    [
        (["pt-br-x"], "Boato"),
        (["fr", "pt-br"], "Boato"),
        (["pt"], "Rumour"),
        ([], "Rumour"),
    ],
)
def test_words_are_in_the_readers_language(languages: list[str], said: str) -> None:
    [rumour] = parse_definitions({"labels": [RUMOUR]}).values()
    assert rumour.said_in(languages).name == said
    assert Definition("x", words={"de": Words("X")}).said_in(languages).name == "X"
    assert Definition("x").said_in(languages).name == "x"


@given(
    st.sampled_from(Choice),
    st.sampled_from(Choice),
    st.booleans(),
)
def test_nobody_chooses_less_than_what_is_fixed(default: Choice, chosen: Choice, fixed: bool) -> None:
    definition = Definition("x", default=default, fixed=fixed)
    assert definition.chosen(None) is default
    assert definition.chosen(chosen) is (max(default, chosen) if fixed else chosen)


def test_what_is_built_in_could_be_published() -> None:
    published = {"labels": [each.to_wire() for each in BUILT_IN.values()]}
    assert parse_definitions(published) == BUILT_IN
    languages = {language for each in BUILT_IN.values() for language in each.words}
    assert all(each.words.keys() == languages for each in BUILT_IN.values())


WORDS = st.text(max_size=8)


@given(
    st.dictionaries(
        st.sampled_from(["value", "severity", "blurs", "default", "name", "about", "x"]),
        st.one_of(
            WORDS, st.sampled_from(["inform", "content", "hide"]), st.dictionaries(WORDS, WORDS, max_size=2)
        ),
    )
)
@settings(max_examples=60)
def test_whatever_is_written_is_read_again_or_refused(label: dict[str, Any]) -> None:
    try:
        found = parse_definitions({"labels": [label]})
    except WireError:
        return
    assert parse_definitions({"labels": [each.to_wire() for each in found.values()]}) == found


def test_naughty_strings_are_taken_or_refused(shared_data: Callable[[str], Path]) -> None:
    """As a label's value, its name, a language, and in what somebody chooses."""
    taken = 0
    for text in json.loads(shared_data("moderation/naughty_strings/blns.json").read_text()):
        for value in (
            {"labels": [{"value": text}]},
            {"labels": [{"value": "x", "name": {"en": text}}]},
            {"labels": [{"value": "x", "name": {text: "x"}}]},
        ):
            try:
                found = parse_definitions(value)
            except WireError as error:
                assert error.kind in (BAD_REQUEST, TOO_LARGE) and error.message
            else:
                taken += 1
                assert parse_definitions({"labels": [each.to_wire() for each in found.values()]}) == found
        for body in ({"set": {text: "warn"}}, {"set": {"x": text}}, {"languages": [text]}):
            try:
                check_labelling(OWN, body)
            except WireError as error:
                assert error.kind in (BAD_REQUEST, TOO_LARGE)
        with pytest.raises(WireError):
            check_labelling(b"labels:" + text.encode(), {"on": True})
    assert taken > 100
