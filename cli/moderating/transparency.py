"""Statements of reasons, in the form in which the European Union's database takes them.

A statement is made of every decision that takes something from an author: what is released or restored takes
nothing. No personal data is in it: neither author nor decider is named, and what was written by hand loses
the accounts, handles and addresses that it names.

Source: Regulation (EU) 2022/2065 (Digital Services Act), articles 17 and 24(5), and
https://transparency.dsa.ec.europa.eu/page/api-documentation, version 2 (July 2025).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.moderation.decision import MEDIA, Action, Decision
from folkmoot.protocol.record import Record

# The European Economic Area, which is all that the database is about.
_EEA: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
TERRITORIES: Final = tuple(_EEA.split())

_VISIBILITY: Final = {
    Action.LABEL: "DECISION_VISIBILITY_CONTENT_LABELLED",
    Action.WARN: "DECISION_VISIBILITY_CONTENT_LABELLED",
    Action.LIMIT: "DECISION_VISIBILITY_CONTENT_DEMOTED",
    Action.HOLD: "DECISION_VISIBILITY_CONTENT_DISABLED",
    Action.REMOVE: "DECISION_VISIBILITY_CONTENT_REMOVED",
    Action.REJECT: "DECISION_VISIBILITY_CONTENT_REMOVED",
}
_MEDIA: Final = {
    "audio": "CONTENT_TYPE_AUDIO",
    "image": "CONTENT_TYPE_IMAGE",
    "video": "CONTENT_TYPE_VIDEO",
}
_A_MEDIUM: Final = {
    "content_type": ["CONTENT_TYPE_OTHER"],
    "content_type_other": "a picture, a sound or a film by itself",
}
_UNSAID: Final = "other_violation_tc"
_GROUND_CHARACTERS: Final = 500
_PERSONAL: Final = re.compile(
    r"did:\w+:\w+|\b(?:npub|nprofile|note|nevent|naddr)1\w+|(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|(?<!\w)@\w[\w.-]*\b|\+?\d[\d ()/-]{6,}\d"
)


def statement_of(
    decision: Decision,
    record: Record,
    about: Mapping[str, Any] | None = None,
    territories: Sequence[str] = TERRITORIES,
) -> dict[str, Any] | None:
    """The statement of reasons for a decision; None when it takes nothing from the author.

    Args:
        decision, record: what was decided, and the record that says so.
        about: the body of what it was decided about, as far as it is known.
        territories: where it applies, ISO 3166-1 codes of two letters.
    """
    visibility = _VISIBILITY.get(decision.action)
    if visibility is None:
        return None
    reason = without_personal_data(decision.reason)
    rule = _ground(decision)
    by_rule = decision.policy is not None
    kind = "ILLEGAL" if decision.illegal else "INCOMPATIBLE"
    ground = "illegal_content_legal_ground" if decision.illegal else "incompatible_content_ground"
    statement: dict[str, Any] = {
        "decision_visibility": [visibility],
        "decision_ground": f"DECISION_GROUND_{kind}_CONTENT",
        ground: without_personal_data(rule)[:_GROUND_CHARACTERS],
        f"{kind.lower()}_content_explanation": reason,
        **(_A_MEDIUM if decision.subject.kind == MEDIA else {"content_type": _types(about)}),
        "category": f"STATEMENT_CATEGORY_{(decision.category or _UNSAID).upper()}",
        "territorial_scope": list(territories),
        "application_date": _date(record.stamp / 1e6),
        "decision_facts": f"{reason}{_seen(decision.span, decision.field, decision.signals)}",
        "source_type": "SOURCE_VOLUNTARY",
        "automated_detection": "Yes" if by_rule else "No",
        "automated_decision": _automation(decision, by_rule=by_rule),
        "puid": record.id.hex(),
    }
    if not decision.illegal:
        statement["incompatible_content_illegal"] = "No"
    if decision.subject.kind == "post":
        statement["content_date"] = _date(post_time_ms(decision.subject.item) / 1e3)
    if about is not None and "lang" in about:
        statement["content_language"] = about["lang"].partition("-")[0].upper()
    return statement


def refusal_statement(told: Mapping[str, Any], territories: Sequence[str] = TERRITORIES) -> dict[str, Any]:
    """The statement of reasons for something that a gate sent back, of which no record was kept.

    Args:
        told: as `moderation.statements` tells of it.
        territories: as for `statement_of`.
    """
    reason = without_personal_data(told["reason"])
    seen = _seen(told.get("span"), told.get("field"), sorted(told.get("signals", {}).items()))
    statement: dict[str, Any] = {
        "decision_visibility": ["DECISION_VISIBILITY_CONTENT_REMOVED"],
        "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT",
        "incompatible_content_ground": f"rule {told['rule']} of policy {told['policy']}",
        "incompatible_content_explanation": reason,
        "incompatible_content_illegal": "No",
        "content_type": _types({"media": [{"mime": each} for each in told.get("media", ())]}),
        "category": f"STATEMENT_CATEGORY_{_UNSAID.upper()}",
        "territorial_scope": list(territories),
        "content_date": _date(told["at_us"] / 1e6),
        "application_date": _date(told["at_us"] / 1e6),
        "decision_facts": f"Sent back before it was published. {reason}{seen}",
        "source_type": "SOURCE_VOLUNTARY",
        "automated_detection": "Yes",
        "automated_decision": "AUTOMATED_DECISION_FULLY",
        "puid": told["node"].hex() + told["key"].hex(),
    }
    if told.get("language"):
        statement["content_language"] = told["language"].partition("-")[0].upper()
    return statement


def _ground(decision: Decision) -> str:
    rule = f"rule {decision.rule}" if decision.rule is not None else "the rules of this community"
    return rule if decision.policy is None else f"{rule} of policy {decision.policy}"


def _seen(span: Sequence[int] | None, field: str | None, signals: Iterable[tuple[str, str]]) -> str:
    """What set a rule off: where, or which scores; never the words."""
    seen = []
    if span is not None:
        first, after = span
        seen.append(f"characters {first + 1} to {after} of {field or 'text'}")
    seen += [f"{name} {value}" for name, value in signals]
    return f" ({', '.join(seen)})" if seen else ""


def without_personal_data(text: str) -> str:
    """A text without the accounts, handles, addresses and numbers that it names."""
    return _PERSONAL.sub("[…]", text)


def _types(about: Mapping[str, Any] | None) -> list[str]:
    media = () if about is None else about.get("media") or ()
    families = {each["mime"].partition("/")[0] for each in media}
    return ["CONTENT_TYPE_TEXT", *sorted(_MEDIA[each] for each in families if each in _MEDIA)]


def _automation(decision: Decision, *, by_rule: bool) -> str:
    if decision.is_automatic:
        return "AUTOMATED_DECISION_FULLY"
    return "AUTOMATED_DECISION_PARTIALLY" if by_rule else "AUTOMATED_DECISION_NOT_AUTOMATED"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
