"""The records by which a node takes back what its gate said, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from folkmoot.node.moderation.statements import statements_of
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.compensation import statement_in, taken_back
from folkmoot.protocol.moderation.decision import Action, Decision, Role, parse_decision
from folkmoot.protocol.moderation.label import parse_label
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.protocol.record import Record

from tests.moderation.decisions import ANN, MO, NODE, decided, signed
from tests.moderation.documents import engine, rule, word_list

GATE = engine(
    word_list("spam", ["buy"]),
    word_list("rude", ["oaf"]),
    rule("spam", ["spam"], "label", label="spam"),
    rule("rude", ["rude"], "hold"),
)


def said(text: str, service: KeyPair = NODE) -> tuple[Record, Record]:
    """A post, and what a node's gate says of it."""
    post = Record.sign(ANN, kind="post", item=make_uuid7(1, 1), body={"text": text}, stamp=7)
    [put] = statements_of(post, GATE.judge(text), service)
    return post, put.record


def test_a_label_is_negated_and_stays_so_when_its_post_is_judged_again() -> None:
    _post, label = said("buy")
    undone = taken_back(label, NODE)
    undone.verify()
    assert undone.key == label.key and parse_label(undone.item, undone.body).negated
    cell = join(Cell.of(label), Cell.of(undone))
    assert cell.winner == undone and join(cell, Cell.of(said("buy")[1])).winner == undone
    assert taken_back(label, NODE) == undone, "twice makes the same record"
    assert statement_in(undone) is None


def test_what_waits_is_let_go_unless_a_person_says_otherwise() -> None:
    post, why = said("oaf")
    undone = taken_back(why, NODE)
    decision = parse_decision(undone.item, undone.body)
    assert (decision.action, decision.role, decision.version) == (Action.RELEASE, Role.AUTOMATIC, post.id)
    subject = decision.subject
    released = outcome_of([decision])
    assert released.released(post.id) and not released.awaits(post.id)
    for action in (Action.HOLD, Action.REJECT):
        person = decided(action, MO, at=-1_000, subject=subject, version=post.id)
        assert not outcome_of([decision, person]).released(post.id)
    assert outcome_of([decision]).settled() == []


@pytest.mark.parametrize(
    "record",
    [
        said("buy", MO)[1],
        said("buy")[0],
        taken_back(said("buy")[1], NODE),
        taken_back(said("oaf")[1], NODE),
        signed(decided(Action.REMOVE, NODE, role=Role.OPERATOR), NODE),
        signed(replace(decided(Action.HOLD, NODE, role=Role.AUTOMATIC), policy=None), NODE),
    ],
    ids=["another's", "a post", "taken back", "let go", "a person's", "no policy's"],
)
def test_nothing_else_is_taken_back(record: Record) -> None:
    with pytest.raises(WireError):
        taken_back(record, NODE)


def test_a_statement_says_which_policy_it_is_of() -> None:
    for text in ("buy", "oaf"):
        found = statement_in(said(text)[1])
        assert found is not None and found.policy == GATE.document.hash
    assert isinstance(statement_in(said("oaf")[1]), Decision)
