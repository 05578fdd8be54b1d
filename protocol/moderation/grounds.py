"""What labels and decisions have in common: the grounds they give, and the categories they may name.

The categories are those of the European Union's database of statements of reasons, without their common
beginning and in lower case, so that a statement can be handed in as it is.
Source: https://transparency.dsa.ec.europa.eu/page/api-documentation, version 2 (July 2025).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.expressions import Value
from folkmoot.protocol.moderation.bounds import SIGNAL_CODE_POINTS, SIGNALS_TOLD
from folkmoot.protocol.moderation.signals import LASTING, family
from folkmoot.protocol.moderation.verdict import Span

Told = tuple[tuple[str, str], ...]
"""What a rule looked at: the names of signals, in order, and what they were."""

CATEGORIES: Final = (
    "animal_welfare",
    "consumer_information",
    "cyber_violence",
    "cyber_violence_against_women",
    "data_protection_and_privacy_violations",
    "illegal_or_harmful_speech",
    "intellectual_property_infringements",
    "negative_effects_on_civic_discourse_or_elections",
    "other_violation_tc",
    "protection_of_minors",
    "risk_for_public_security",
    "scams_and_fraud",
    "self_harm",
    "unsafe_and_prohibited_products",
    "violence",
)


def checked_text(what: str, body: Mapping[str, Any], name: str, code_points: int) -> str | None:
    """The text that a body says under a name; None when it says nothing.

    Args:
        what: the kind of record, for the sentence of an error.
        body, name: see there.
        code_points: how long it may be.

    Raises:
        WireError: `bad_request`.
    """
    text = body.get(name)
    if text is None:
        return None
    if type(text) is not str or len(text) > code_points:
        raise WireError(BAD_REQUEST, f"a {what}'s {name} is a text of at most {code_points} characters")
    return text


def checked_span(what: str, value: object) -> Span | None:
    """A place in a text, as a body says it; None when it says none.

    Raises:
        WireError: `bad_request`.
    """
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) == 2 and all(type(bound) is int for bound in value):
        start, end = value
        if 0 <= start < end:
            return start, end
    raise WireError(BAD_REQUEST, f"a {what}'s span is [first, after last] code points of the text")


def checked_bool(what: str, body: Mapping[str, Any], name: str) -> bool:
    """What a body says under a name that is yes or no, and no when it says nothing.

    Raises:
        WireError: `bad_request`.
    """
    value = body.get(name, False)
    if type(value) is not bool:
        raise WireError(BAD_REQUEST, f"a {what}'s {name} is true or false")
    return value


def told_signals(signals: Iterable[tuple[str, Value]]) -> Told:
    """What a rule looked at, as records say it, in which there are no fractions.

    Left out is what is another thing each time it is looked at: judging something twice says the same twice.
    """
    return tuple(sorted((name, _as_text(value)) for name, value in signals if family(name) in LASTING))


def _as_text(value: Value) -> str:
    match value:
        case bool():
            text = "true" if value else "false"
        case float():
            text = f"{value:g}"
        case list():
            text = ", ".join(value)
        case _:
            text = value
    return text[:SIGNAL_CODE_POINTS]


def checked_signals(what: str, value: object) -> Told:
    """What a body says that a rule looked at, by the names of signals.

    Raises:
        WireError: `bad_request`.
    """
    if value is None:
        return ()
    if isinstance(value, dict) and len(value) <= SIGNALS_TOLD:
        texts = [*value.keys(), *value.values()]
        if all(type(text) is str and len(text) <= SIGNAL_CODE_POINTS for text in texts):
            return tuple(sorted(value.items()))
    raise WireError(
        BAD_REQUEST,
        f"a {what}'s signals are at most {SIGNALS_TOLD} texts of {SIGNAL_CODE_POINTS} characters, by name",
    )


def category_of(body: Mapping[str, Any]) -> str | None:
    """The category that a decision names, if it names one.

    Raises:
        WireError: `bad_request`, when there is no such category.
    """
    category = body.get("category")
    if category is None:
        return None
    if type(category) is not str or category not in CATEGORIES:
        raise WireError(BAD_REQUEST, f"a decision's category is one of {', '.join(CATEGORIES)}")
    return category
