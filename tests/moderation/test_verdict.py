"""Verdicts and labels as they travel."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.label import KIND, Label, label_item, parse_label
from folkmoot.protocol.moderation.verdict import Action, Finding, Verdict, combine
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

POLICY = "ab" * 32
AUTHOR = KeyPair(b"\x01" * 32)
NODE = KeyPair(b"\x02" * 32)
POST = make_uuid7(1_700_000_000_000, 7)

SPAM = Finding(Action.LABEL, "spam-rule", "Looks like spam.", 2, "spam", "text", (3, 9))
HOLD = Finding(Action.HOLD, "hold-rule", "Needs a look.", 4, None, "tags.1", (0, 4))
LABEL = Label.from_finding(
    SPAM, policy=POLICY, post_item=POST, subject_id=b"\x05" * 32, labeller=NODE.account
)


def test_an_acceptance_says_only_what_there_is_to_say() -> None:
    assert Verdict(POLICY).to_wire() == {"action": "accept", "policy": POLICY}


def test_a_verdict_on_the_wire_names_its_grounds_and_its_labels() -> None:
    wire = combine(POLICY, [SPAM, HOLD]).to_wire()
    assert wire == {
        "action": "hold",
        "policy": POLICY,
        "rule": "hold-rule",
        "reason": "Needs a look.",
        "field": "tags.1",
        "span": [0, 4],
        "labels": [
            {
                "value": "spam",
                "rule": "spam-rule",
                "reason": "Looks like spam.",
                "field": "text",
                "span": [3, 9],
            }
        ],
    }
    assert codec.unpack(codec.pack(wire)) == wire


def test_a_refusal_tells_rule_reason_policy_place_and_appeal() -> None:
    verdict = combine(POLICY, [SPAM, Finding(Action.REFUSE, "no", "Not here.", 1, None, "text", (1, 2))])
    error = verdict.to_error("Ask the operators.").to_wire()
    assert (error["code"], error["name"], error["retryable"]) == (204, "refused_by_policy", False)
    assert error["message"] == "rule no: Not here."
    assert error["details"] == {
        "rule": "no",
        "reason": "Not here.",
        "policy": POLICY,
        "field": "text",
        "span": [1, 2],
        "appeal": "Ask the operators.",
    }


@pytest.mark.parametrize("negated", [False, True])
def test_a_label_goes_into_a_record_and_comes_back(negated: bool) -> None:
    label = Label(**{name: getattr(LABEL, name) for name in LABEL.__slots__} | {"negated": negated})
    record = Record.sign(NODE, kind=KIND, item=label.item, body=label.body(), stamp=1, place=AUTHOR.account)
    again = Record(record.payload, record.signature)
    assert parse_label(again.item, again.body) == label
    assert again.place == AUTHOR.account


def test_a_label_without_a_rule_is_as_short_as_can_be() -> None:
    label = Label(POST, "spam", NODE.account, b"\x05" * 32, "I say so.")
    assert label.body() == {"value": "spam", "reason": "I say so.", "subject_id": b"\x05" * 32}
    assert parse_label(label.item, label.body()) == label


def test_a_label_elsewhere_than_in_the_text_says_where() -> None:
    finding = Finding(Action.LABEL, "r", "So.", 1, "spam", "warning", (0, 1))
    label = Label.from_finding(
        finding, policy=POLICY, post_item=POST, subject_id=b"\x05" * 32, labeller=NODE.account
    )
    assert label.body()["field"] == "warning"
    assert parse_label(label.item, label.body()) == label


@pytest.mark.parametrize("value", ["", "x" * 65, "é" * 33])
def test_a_label_value_has_1_to_64_bytes(value: str) -> None:
    with pytest.raises(WireError, match="1 to 64 bytes"):
        label_item(POST, value, NODE.account)
    assert len(label_item(POST, "é" * 32, NODE.account)) == 16 + 12 + 64 + 34


@given(st.lists(st.tuples(st.integers(1, 4), st.text(min_size=1, max_size=16)), min_size=2, max_size=9))
def test_what_one_labeller_says_about_a_post_stands_together(said: list[tuple[int, str]]) -> None:
    accounts = {number: KeyPair(bytes([number]) * 32).account for number in range(1, 5)}
    items = sorted(label_item(POST, value, accounts[number]) for number, value in set(said))
    labellers = [item[-34:] for item in items]
    runs = [labeller for at, labeller in enumerate(labellers) if at == 0 or labellers[at - 1] != labeller]
    assert len(runs) == len(set(labellers))


@pytest.mark.parametrize(
    "change",
    [
        {"value": "other"},
        {"value": 3},
        {"value": None},
        {"subject_id": b"short"},
        {"subject_id": "text"},
        {"reason": 1},
        {"reason": "x" * 501},
        {"rule": b"bytes"},
        {"policy": "x" * 65},
        {"field": 7},
        {"span": [3, 3]},
        {"span": [-1, 3]},
        {"span": [0, True]},
        {"span": [1, 2, 3]},
        {"span": "ab"},
        {"negated": 1},
    ],
)
def test_a_body_that_is_no_label_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(WireError, match="label's") as caught:
        parse_label(LABEL.item, LABEL.body() | change)
    assert caught.value.kind.name == "bad_request"


@pytest.mark.parametrize(
    "item",
    [
        b"",
        POST + NODE.account,
        LABEL.item[:-1],
        LABEL.item + b"x",
        POST + b"x" * 99,
        POST + b"spam" + NODE.account,
        LABEL.item[:-34] + AUTHOR.account,
    ],
)
def test_an_item_that_is_no_label_is_refused(item: bytes) -> None:
    with pytest.raises(WireError):
        parse_label(item, LABEL.body())
