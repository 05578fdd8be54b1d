"""Decision records: what they say is read back, and what they may not say is refused with the reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import KIND_NAME
from folkmoot.protocol.moderation.bounds import DECISION_LABELS, DECISION_REVERSES, SIGNALS_TOLD
from folkmoot.protocol.moderation.decision import (
    MARK_BYTES,
    MEDIA,
    Action,
    Decision,
    Role,
    Subject,
    marks,
    parse_decision,
)
from folkmoot.protocol.moderation.grounds import CATEGORIES
from folkmoot.protocol.moderation.verdict import Action as GateAction
from folkmoot.protocol.moderation.verdict import Finding
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

from tests.moderation.decisions import ANN, MAX, MO, NODE, NOW_US, VERSION, decided, signed

EARLIER = decided(Action.REMOVE, MAX, at=0)
WHOLE = decided(
    Action.WARN,
    labels=("rude", "spam"),
    rule="slurs",
    policy="ab" * 32,
    span=(4, 9),
    field="text",
    signals=(("post.links", "2"), ("scores.toxic", "1.2")),
    category="scams_and_fraud",
    illegal=True,
    reverses=[EARLIER],
)


@pytest.mark.parametrize(
    "decision",
    [
        WHOLE,
        decided(Action.RESTORE),
        decided(Action.RELEASE, subject=Subject("list", b"l" * 16)),
        decided(Action.REJECT, subject=Subject("profile", b"name")),
        decided(Action.REMOVE, subject=Subject("profile", b"name")),
        decided(Action.RESTORE, subject=Subject("label", b"l" * 90)),
        decided(Action.RELEASE, subject=Subject("profile", b"n" * 128)),
        decided(Action.HOLD, NODE, role=Role.AUTOMATIC, subject=Subject("algorithm", b"mine")),
    ],
)
def test_what_was_said_is_read_back(decision: Decision) -> None:
    by = NODE if decision.is_automatic else MO
    record = signed(decision, by)
    assert parse_decision(record.item, record.body) == decision
    assert Record.from_wire(record.to_wire()) == record
    assert record.item == decision.subject.prefix + bytes((decision.role,)) + decision.mark


def test_a_finding_of_the_gate_becomes_a_hold() -> None:
    finding = Finding(GateAction.HOLD, "slurs", "Looks like a slur.", field="text", span=(1, 5))
    made = Decision.from_finding(
        finding, policy="cd" * 32, subject=WHOLE.subject, version=VERSION, decider=NODE.account
    )
    assert (made.action, made.role, made.rule, made.span) == (Action.HOLD, Role.AUTOMATIC, "slurs", (1, 5))
    assert made.item == replace(made, version=b"\x09" * 32, rule="other").item, "one of each node"


WRONG: dict[str, list[Any]] = {
    "action": [None, "ban", 3],
    "role": [None, "jury", "automatic"],
    "subject_id": [None, b"", b"x" * 31, "x"],
    "reason": [None, "", 5, "x" * 2001],
    "labels": ["rude", [1], [""], ["a", "a"], [str(number) for number in range(DECISION_LABELS + 1)]],
    "rule": [7, "x" * 65],
    "span": [[3, 3], [5, 4], [1], "1-2", [-1, 3]],
    "signals": [["a"], {"a": 1}, {"a": "x" * 129}, {str(number): "" for number in range(SIGNALS_TOLD + 1)}],
    "category": ["nothing", 4],
    "illegal": [1, "yes"],
    "reverses": [b"", [b""], [b"\x00" * MARK_BYTES], [WHOLE.mark], [EARLIER.mark] * (DECISION_REVERSES + 1)],
}


@pytest.mark.parametrize(("name", "value"), [(name, each) for name, some in WRONG.items() for each in some])
def test_what_is_wrong_is_refused_by_name(name: str, value: object) -> None:
    body = WHOLE.body()
    body.pop(name, None)
    body |= {} if value is None else {name: value}
    with pytest.raises(WireError, match=f"{name}|label value|number") as refused:
        parse_decision(WHOLE.item, body)
    assert refused.value.kind.name == "bad_request"


@pytest.mark.parametrize("item", [b"", WHOLE.item[1:], WHOLE.item + b"x", b"\x07" + WHOLE.item[1:]])
def test_an_item_that_is_none_is_refused(item: bytes) -> None:
    with pytest.raises(WireError):
        parse_decision(item, WHOLE.body())


def test_policies_hold_and_release_and_nothing_else() -> None:
    for action in Action:
        said = decided(action, NODE, role=Role.AUTOMATIC, labels=("rude",) if action is Action.LABEL else ())
        if action in (Action.HOLD, Action.RELEASE):
            assert parse_decision(said.item, said.body()) == said
        else:
            with pytest.raises(WireError, match="takes a person"):
                parse_decision(said.item, said.body())


def test_an_item_names_the_role() -> None:
    greater = WHOLE.subject.prefix + bytes((Role.OPERATOR,)) + WHOLE.mark
    with pytest.raises(WireError, match="role in the item"):
        parse_decision(greater, WHOLE.body())


def test_a_medium_is_decided_about_by_its_hash() -> None:
    medium = decided(Action.RELEASE, subject=Subject(MEDIA, VERSION), version=VERSION)
    assert parse_decision(medium.item, medium.body()) == medium
    assert medium.item[0] not in KIND_NAME and signed(medium).body["about"] == VERSION
    for wrong in (
        replace(medium, version=b"\x09" * 32),
        replace(medium, subject=Subject(MEDIA, VERSION[:16])),
        *(replace(medium, action=action) for action in (Action.RESTORE, Action.LIMIT, Action.REMOVE)),
    ):
        with pytest.raises(WireError):
            parse_decision(wrong.item, wrong.body())


def test_actions_that_make_no_sense_are_refused() -> None:
    for action, labels in [(Action.LABEL, ()), (Action.RESTORE, ("a",)), (Action.RELEASE, ("a",))]:
        wrong = replace(WHOLE, action=action, labels=labels)
        with pytest.raises(WireError, match="label"):
            parse_decision(wrong.item, wrong.body())
    field = decided(Action.WARN, subject=Subject("profile", b"name"))
    with pytest.raises(WireError, match="for posts"):
        parse_decision(field.item, field.body())
    renamed = decided(Action.RELEASE, subject=Subject("profile", b"name"))
    with pytest.raises(WireError, match="about"):
        parse_decision(renamed.item, renamed.body() | {"about": b"other"})
    with pytest.raises(WireError, match="nothing is decided"):
        assert Subject("follow", b"x" * 34).prefix


def test_its_number_is_its_stamp_and_nobody_decides_about_themselves() -> None:
    with pytest.raises(WireError, match="stamp"):
        Record.sign(
            MO, kind="decision", item=WHOLE.item, body=WHOLE.body(), stamp=NOW_US + 5, place=ANN.account
        )
    with pytest.raises(WireError, match="nobody decides"):
        signed(WHOLE, place=MO.account)


def test_more_than_can_be_reversed_are_reversed_from_the_newest() -> None:
    many = [decided(Action.WARN, at=number) for number in range(DECISION_REVERSES + 3)]
    assert marks(many)[0] == many[-1].mark and len(marks(many)) == DECISION_REVERSES


@given(st.binary(max_size=80), st.dictionaries(st.sampled_from(sorted(WRONG)), st.none() | st.binary()))
def test_anything_is_read_or_refused(item: bytes, body: dict[str, object]) -> None:
    with pytest.raises(WireError):
        parse_decision(item, body)


def test_categories_are_handed_in_as_they_are() -> None:
    assert all(each == each.lower() and " " not in each for each in CATEGORIES)
