"""Statements of reasons: the fields of the European Union's database, and nobody's data."""

from __future__ import annotations

import pytest
from folkmoot.cli.moderating.transparency import (
    TERRITORIES,
    refusal_statement,
    statement_of,
    without_personal_data,
)
from folkmoot.protocol.moderation.decision import Action, Role, Subject

from tests.moderation.decisions import ANN, MO, NODE, NOW_US, decided, signed


def test_a_statement_has_the_fields_and_names_nobody() -> None:
    decision = decided(
        *(Action.REMOVE, MO),
        rule="scams",
        policy="ab" * 32,
        category="scams_and_fraud",
        labels=("scam",),
        span=(2, 7),
        signals=(("scores.toxic", "1.2"),),
    )
    record = signed(decision)
    about = {"text": "money", "lang": "pt-BR", "media": [{"mime": "image/png"}, {"mime": "font/woff"}]}
    assert statement_of(decision, record, about) == {
        "decision_visibility": ["DECISION_VISIBILITY_CONTENT_REMOVED"],
        "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT",
        "incompatible_content_ground": f"rule scams of policy {'ab' * 32}",
        "incompatible_content_explanation": "because",
        "incompatible_content_illegal": "No",
        "content_type": ["CONTENT_TYPE_TEXT", "CONTENT_TYPE_IMAGE"],
        "content_language": "PT",
        "category": "STATEMENT_CATEGORY_SCAMS_AND_FRAUD",
        "territorial_scope": list(TERRITORIES),
        "content_date": "2023-11-14",
        "application_date": "2023-11-14",
        "decision_facts": "because (characters 3 to 7 of text, scores.toxic 1.2)",
        "source_type": "SOURCE_VOLUNTARY",
        "automated_detection": "Yes",
        "automated_decision": "AUTOMATED_DECISION_PARTIALLY",
        "puid": record.id.hex(),
    }
    assert len(TERRITORIES) == len(set(TERRITORIES)) == 30
    told = repr(statement_of(decision, record, about))
    assert not any(one.account.hex() in told for one in (ANN, MO))


def test_what_is_against_the_law_says_so() -> None:
    statement = statement_of(decided(Action.LIMIT, illegal=True), signed(decided(Action.LIMIT)), None, ["DE"])
    assert statement is not None
    assert statement["decision_ground"] == "DECISION_GROUND_ILLEGAL_CONTENT"
    assert {"illegal_content_legal_ground", "illegal_content_explanation"} <= statement.keys()
    assert "incompatible_content_illegal" not in statement
    assert statement["territorial_scope"] == ["DE"]
    assert statement["automated_decision"] == "AUTOMATED_DECISION_NOT_AUTOMATED"


@pytest.mark.parametrize("action", [Action.RESTORE, Action.RELEASE])
def test_what_takes_nothing_needs_no_reasons(action: Action) -> None:
    assert statement_of(decided(action), signed(decided(action))) is None


def test_what_a_policy_decided_was_decided_by_itself() -> None:
    subject = Subject("profile", b"name")
    held = decided(Action.HOLD, NODE, role=Role.AUTOMATIC, policy="ab" * 32, subject=subject)
    statement = statement_of(held, signed(held, NODE))
    assert statement is not None and "content_date" not in statement
    assert statement["automated_decision"] == "AUTOMATED_DECISION_FULLY"


def test_what_was_sent_back_is_stated_without_a_record() -> None:
    told = {
        **{"node": b"\x0a" * 16, "key": b"\x01" * 10, "at_us": NOW_US, "kind": "post", "rule": "scams"},
        **{"policy": "ab" * 32, "reason": "Write to a@b.example.", "field": "text", "span": [0, 4]},
        **{"language": "pt-br", "media": ["image"], "signals": {"scores.toxic": "1.2"}},
    }
    statement = refusal_statement(told, ["DE"])
    assert statement["decision_facts"] == (
        "Sent back before it was published. Write to […]. (characters 1 to 4 of text, scores.toxic 1.2)"
    )
    assert statement["automated_decision"] == "AUTOMATED_DECISION_FULLY"
    assert statement["content_type"] == ["CONTENT_TYPE_TEXT", "CONTENT_TYPE_IMAGE"]
    assert statement["puid"] == "0a" * 16 + "01" * 10 and statement["content_language"] == "PT"
    plain = {name: told[name] for name in ("node", "key", "at_us", "rule", "policy", "reason")}
    assert refusal_statement(plain)["decision_facts"].endswith("Write to […].")


@pytest.mark.parametrize(
    "said",
    ["@ann.example", "ann@example.org", "did:key:z6MkfZ6S4NVVTEuts8o5xFzRMR8eC6Y1bngoBQNnXiCvhH8H",
     "https://example.org/~ann?x=1", "+49 (30) 1234-567"],
)  # fmt: skip
def test_names_and_addresses_are_left_out(said: str) -> None:
    assert without_personal_data(f"Asks {said}, twice.") in ("Asks […], twice.", "Asks […] twice.")
    assert without_personal_data("Sells 12 coats @ 3 €, see §4.") == "Sells 12 coats @ 3 €, see §4."
