"""Label definitions: what labels mean, how they are shown, and what becomes of posts that bear them.

A labeller publishes them as one field of its profile, called `labeller`, whose value is `{labels: […]}`. They
are checked where they come in, and read by anybody who meets the labels; what cannot be read defines nothing.
What nobody defined is shown behind its bare value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final, NamedTuple, TypeVar

from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.invisible import HIDDEN, RARE
from folkmoot.protocol.moderation import bounds
from folkmoot.protocol.moderation.label import check_label_value
from folkmoot.protocol.moderation.table import LANGUAGE

FIELD: Final = b"labeller"
"""The profile field that definitions are published in."""

_KEYS: Final = frozenset({"value", "severity", "blurs", "default", "name", "about"})
# Characters by which one label would look like another, beside those that are invisible everywhere.
_UNSEEN: Final = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
# Names and descriptions are texts, in which joiners keep the letters of words apart, and emoji together.
_HIDDEN_IN_TEXTS: Final = re.compile(f"[{RARE}]")

E = TypeVar("E", bound=StrEnum)


class Severity(StrEnum):
    """How a label is told."""

    INFORM = "inform"
    ALERT = "alert"
    NONE = "none"


class Blurs(StrEnum):
    """What of a post a reader does not see before they have asked for it."""

    CONTENT = "content"
    MEDIA = "media"
    NONE = "none"


class Choice(IntEnum):
    """What becomes of a post that bears a label; of two the greater is the stricter."""

    IGNORE = 0
    WARN = 1
    HIDE = 2

    @property
    def word(self) -> str:
        """How the wire spells it."""
        return self.name.lower()


CHOICES: Final[Mapping[str, Choice]] = {choice.word: choice for choice in Choice}


class Words(NamedTuple):
    """What a label is called, and what it means.

    Args:
        name: a few words.
        about: a sentence or two; empty for none.
    """

    name: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """One label, as its labeller means it.

    Args:
        value: the label.
        severity, blurs: how posts that bear it are shown.
        default: what becomes of them for readers who have said nothing.
        words: by language, in lower case.
        fixed: whether no reader may choose less than the default.
    """

    value: str
    severity: Severity = Severity.INFORM
    blurs: Blurs = Blurs.NONE
    default: Choice = Choice.WARN
    words: Mapping[str, Words] = field(default_factory=dict)
    fixed: bool = False

    def chosen(self, choice: Choice | None) -> Choice:
        """What becomes of posts that bear it, for a reader who chose that; None for nothing."""
        if choice is None:
            return self.default
        return max(choice, self.default) if self.fixed else choice

    def said_in(self, languages: Sequence[str]) -> Words:
        """Its words in the first of some languages that it has, or a wider one of it; else in English, and
        else in whichever comes first. Without any words, the value."""
        for language in (*languages, "en"):
            while language:
                if language in self.words:
                    return self.words[language]
                language = language.rpartition("-")[0]
        return next(iter(self.words.values()), Words(self.value))

    def to_wire(self) -> dict[str, Any]:
        """As it is published; what has its default is left out."""
        wire: dict[str, Any] = {"value": self.value}
        if self.severity is not Severity.INFORM:
            wire["severity"] = self.severity.value
        if self.blurs is not Blurs.NONE:
            wire["blurs"] = self.blurs.value
        if self.default is not Choice.WARN:
            wire["default"] = self.default.word
        if self.words:
            wire["name"] = {language: words.name for language, words in self.words.items()}
        if about := {language: words.about for language, words in self.words.items() if words.about}:
            wire["about"] = about
        return wire


Definitions = Mapping[str, Definition]
"""Definitions by the values they are of."""


def undefined(value: str) -> Definition:
    """What a label means that nobody defined: it covers the post, since nothing is known of it."""
    return Definition(value, blurs=Blurs.CONTENT)


def read_definitions(value: object) -> Definitions:
    """Definitions that were published, as far as they can be read: none, if something is wrong with them."""
    try:
        return parse_definitions(value)
    except WireError:
        return {}


def parse_definitions(value: object) -> Definitions:
    """The definitions that a profile field's value is.

    Raises:
        WireError: `bad_request`, or `too_large`, saying which part is not as the contract says.
    """
    labels = value.get("labels") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or value.keys() != {"labels"} or not isinstance(labels, list):
        raise WireError(BAD_REQUEST, "label definitions are {labels: [{value, …}, …]}")
    if len(labels) > bounds.LABEL_DEFINITIONS:
        raise WireError(
            TOO_LARGE, f"{len(labels)} labels; a labeller defines at most {bounds.LABEL_DEFINITIONS}"
        )
    found: dict[str, Definition] = {}
    for each in labels:
        definition = _definition(each)
        if definition.value in found:
            raise WireError(BAD_REQUEST, f"the label {definition.value!r} is defined twice")
        found[definition.value] = definition
    return found


def check_value(value: object) -> str:
    """A label's value, where somebody defines or chooses one.

    Raises:
        WireError: `bad_request`, when it is no value, or has anything in it that is not seen.
    """
    if type(value) is not str:
        raise WireError(BAD_REQUEST, "a label's value is a text")
    check_label_value(value)
    _check_shown(value, HIDDEN, "a label's value")
    return value


def parse_choice(value: object) -> Choice:
    """What a word chooses.

    Raises:
        WireError: `bad_request`.
    """
    if type(value) is not str or value not in CHOICES:
        raise WireError(BAD_REQUEST, f"what becomes of labelled posts is one of {', '.join(CHOICES)}")
    return CHOICES[value]


def _definition(value: object) -> Definition:
    if not isinstance(value, Mapping):
        raise WireError(BAD_REQUEST, "a label's definition is a map")
    of = check_value(value.get("value"))
    if others := sorted(str(key) for key in value.keys() - _KEYS):
        raise WireError(
            BAD_REQUEST,
            f"the label {of!r} has a key {others[0][:64]!r}; there are {', '.join(sorted(_KEYS))}",
        )
    names = _texts(of, "name", value.get("name", {}), bounds.LABEL_NAME_CODE_POINTS)
    abouts = _texts(of, "about", value.get("about", {}), bounds.LABEL_ABOUT_CODE_POINTS)
    if nameless := sorted(abouts.keys() - names.keys()):
        raise WireError(BAD_REQUEST, f"the label {of!r} is described in {nameless[0]}, and has no name in it")
    return Definition(
        of,
        _one_of(Severity, of, "severity", value.get("severity", Severity.INFORM.value)),
        _one_of(Blurs, of, "blurs", value.get("blurs", Blurs.NONE.value)),
        parse_choice(value.get("default", Choice.WARN.word)),
        {language: Words(name, abouts.get(language, "")) for language, name in names.items()},
    )


def _one_of(words: type[E], of: str, key: str, value: object) -> E:
    if type(value) is not str or value not in set(words):
        raise WireError(BAD_REQUEST, f"{key} of the label {of!r} is one of {', '.join(words)}")
    return words(value)


def _texts(of: str, key: str, value: object, code_points: int) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > bounds.POLICY_LANGUAGES:
        raise WireError(
            BAD_REQUEST,
            f"{key} of the label {of!r} is a map of at most {bounds.POLICY_LANGUAGES} languages to texts",
        )
    for language, text in value.items():
        if (
            type(language) is not str
            or not LANGUAGE.fullmatch(language)
            or len(language) > bounds.LANGUAGE_CODE_POINTS
        ):
            raise WireError(
                BAD_REQUEST, f"{str(language)[:64]!r} is no language tag in lower case, such as pt-br"
            )
        if type(text) is not str or len(text) > code_points:
            raise WireError(
                BAD_REQUEST, f"{key} of the label {of!r} is a text of at most {code_points} characters"
            )
        _check_shown(text, _HIDDEN_IN_TEXTS, f"{key} of the label {of!r}")
    return dict(value)


def _check_shown(text: str, hidden: re.Pattern[str], what: str) -> None:
    """Refuse what looks like nothing, or like something else than it is."""
    if text != text.strip() or not text:
        raise WireError(BAD_REQUEST, f"{what} begins and ends with something that is seen")
    for character in text:
        if hidden.match(character) or unicodedata.category(character) in _UNSEEN:
            raise WireError(
                BAD_REQUEST, f"{what} has the character U+{ord(character):04X}, which is not seen"
            )
