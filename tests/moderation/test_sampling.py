"""Samples: what draws and answers say is read back, and which belong together, whatever their order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.moderation.bounds import DECISION_LABELS
from folkmoot.protocol.moderation.decision import Role
from folkmoot.protocol.moderation.sampling import Answer, Draw, parse_sampling, samples_of
from folkmoot.protocol.moderation.verdict import Action
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

from tests.moderation.decisions import ANN, EVA, ITEM, MAX, MO, NOW_US, VERSION
from tests.moderation.samples import answered, drawn, signed_answer, signed_draw

FULL = drawn(2, action=Action.LABEL, rule="slurs", labels=("rude",), language="pt-br", millionths=100_000)


@pytest.mark.parametrize("draw", [drawn(), FULL, drawn(action=Action.HOLD, millionths=1_000_000)])
def test_a_draw_is_read_back(draw: Draw) -> None:
    record = signed_draw(draw)
    assert parse_sampling(record.item, record.body) == draw
    assert Record.from_wire(record.to_wire()) == record


@pytest.mark.parametrize("labels", [(), ("rude",), ("rude", "spam")])
def test_an_answer_is_read_back(labels: tuple[str, ...]) -> None:
    answer = answered(signed_draw(FULL), MO, *labels)
    record = signed_answer(answer)
    assert parse_sampling(record.item, record.body) == answer
    assert answer.is_fine == (not labels)
    assert Record.from_wire(record.to_wire()) == record


def test_a_vote_about_something_else_is_no_sample() -> None:
    assert parse_sampling(b"whatever" + MO.account, {"ballot": "yes"}) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sample": "guess"}, "draw or answer"),
        ({"millionths": 0}, "millionths"),
        ({"millionths": 1_000_001}, "millionths"),
        ({"millionths": True}, "millionths"),
        ({"action": "refuse"}, "action"),
        ({"subject_id": b"short"}, "subject_id"),
        ({"labels": ["a", "a"]}, "each once"),
        ({"labels": [f"l{n}" for n in range(DECISION_LABELS + 1)]}, "at most"),
        ({"labels": [""]}, "label value"),
        ({"labels": [7]}, "string"),
        ({"policy": "a" * 65}, "policy"),
        ({"lang": 7}, "lang"),
        ({"sample": "answer", "draw": b"d" * 32, "role": "automatic"}, "role"),
        ({"sample": "answer", "draw": b"d" * 31, "role": "expert"}, "draw"),
    ],
)
def test_what_a_sample_may_not_say_is_refused(change: dict[str, Any], why: str) -> None:
    body = {**FULL.body(), **change}
    with pytest.raises(WireError, match=why):
        parse_sampling(FULL.item, body)


@pytest.mark.parametrize("item", [FULL.item[:-1], b"\x02" + FULL.item[1:], FULL.item[:-34] + b"x" * 34])
def test_an_item_of_another_form_is_refused(item: bytes) -> None:
    with pytest.raises(WireError, match="the item of a draw"):
        parse_sampling(item, FULL.body())


def test_records_of_samples_name_a_post() -> None:
    with pytest.raises(WireError, match="UUIDv7"):
        Record.from_wire(signed_draw(drawn(post_item=b"p" * 16)).to_wire())


def test_nobody_judges_what_they_wrote() -> None:
    draw = signed_draw(drawn())
    with pytest.raises(WireError, match="themselves"):
        signed_answer(answered(draw, ANN), ANN, place=None)


def test_the_first_answer_to_a_draw_counts_unless_another_says_otherwise() -> None:
    draw = signed_draw(FULL)
    first = signed_answer(answered(draw, EVA, "rude", role=Role.EXPERT), EVA, at=10)
    later = signed_answer(answered(draw, MAX, "rude"), MAX, at=11)
    assert samples_of([draw, first, signed_answer(answered(draw, MO), at=9)]) == []
    [sample] = samples_of([later, draw, first])
    assert (sample.id, sample.author, sample.draw) == (draw.id, ANN.account, FULL)
    assert (sample.answer.reviewer, sample.answered_us) == (EVA.account, NOW_US + 10)
    assert sample.weight == 10.0 and sample.draw.probability == 0.1


def test_an_answer_counts_for_the_draw_that_it_names_and_for_no_other() -> None:
    draw = signed_draw(drawn())
    other_version = answered(draw, EVA, version=b"\x07" * 32)
    other_post = answered(draw, MAX, post_item=make_uuid7(NOW_US // 1000, 6))
    unknown = replace(answered(draw, MO), draw=b"\x09" * 32)
    records = [
        draw,
        signed_answer(other_version, EVA, at=1),
        signed_answer(other_post, MAX, at=2),
        signed_answer(unknown, MO, at=3),
    ]
    assert samples_of(records) == []
    right = signed_answer(answered(draw, MO, "rude"), MO, at=4)
    assert [sample.answer.labels for sample in samples_of([*records[:-1], right])] == [("rude",)]


@given(st.data())
def test_samples_do_not_turn_on_the_order_of_records(data: st.DataObject) -> None:
    draws = [signed_draw(drawn(at)) for at in range(4)]
    answers: list[Record] = []
    for draw in data.draw(st.lists(st.sampled_from(draws), max_size=6)):
        by = data.draw(st.sampled_from([MO, MAX, EVA]))
        answer: Answer = answered(draw, by, *data.draw(st.sampled_from([(), ("rude",)])))
        answers.append(signed_answer(answer, by, at=data.draw(st.integers(0, 3))))
    records = [*draws, *{each.id: each for each in answers}.values()]
    found = samples_of(records)
    assert samples_of(data.draw(st.permutations(records))) == found
    assert [sample.draw.drawn_us for sample in found] == sorted(sample.draw.drawn_us for sample in found)
    said = {(answer.body["draw"], tuple(answer.body["labels"])) for answer in answers}
    disputed = {draw for draw, labels in said if (draw, ("rude",)) in said and (draw, ()) in said}
    assert {sample.id for sample in found} == {draw for draw, _ in said} - disputed
    assert all(sample.draw.post_item == ITEM and sample.draw.version == VERSION for sample in found)
