"""Lessons: what decisions and answers say of a question, and what they do not."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol.moderation.decision import Action, Decision, Role
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.protocol.moderation.sampling import samples_of
from folkmoot.protocol.moderation.text.lessons import Lesson, lessons_of, says
from hypothesis import given
from hypothesis import strategies as st

from tests.moderation.decisions import ANN, EVA, MAX, MO, NODE, OTHER, VERSION, decided
from tests.moderation.samples import answered, drawn, signed_answer, signed_draw


@pytest.mark.parametrize(
    ("decision", "so"),
    [
        (decided(Action.LABEL, labels=("toxic", "spam")), True),
        (decided(Action.LABEL, labels=("spam",)), None),
        (decided(Action.REMOVE, rule="insults"), True),
        (decided(Action.REJECT, rule="insults"), True),
        (decided(Action.REMOVE, rule="scams"), None),
        (decided(Action.WARN, labels=("toxic",)), True),
        (decided(Action.RELEASE), False),
        (decided(Action.RESTORE), False),
        (decided(Action.HOLD, rule="insults"), None),
    ],
)
def test_what_a_decision_says(decision: Decision, so: bool | None) -> None:
    assert says(decision, "toxic", {"insults"}) is so


def learnt(*decisions: Decision, votes: Any = ()) -> list[Lesson]:
    return lessons_of("toxic", (), [(ANN.account, outcome_of(decisions))], samples_of(votes))


def test_only_what_is_settled_is_learnt() -> None:
    toxic = decided(Action.LABEL, at=1, labels=("toxic",))
    [lesson] = learnt(toxic)
    assert lesson[1:5] == (VERSION, True, MO.account, ANN.account) and lesson.stamp == toxic.number
    reversed_ = decided(Action.RESTORE, EVA, at=2, role=Role.EXPERT, reverses=[toxic])
    assert [each.so for each in learnt(toxic, reversed_)] == [False]
    assert learnt(toxic, decided(Action.RESTORE, MAX, at=2)) == [], "disputed"
    of_policy = decided(Action.HOLD, NODE, role=Role.AUTOMATIC, labels=())
    assert learnt(of_policy) == []


def test_a_sample_that_was_decided_about_is_the_decisions() -> None:
    draw, other = signed_draw(drawn(1)), signed_draw(drawn(2, version=OTHER, millionths=100_000))
    votes = [draw, other]
    votes += [signed_answer(answered(each, EVA, "spam"), EVA) for each in (draw, other)]
    one, two = learnt(votes=votes)
    assert {one.version, two.version} == {VERSION, OTHER} and not one.so and not two.so
    assert {one.stands_for, two.stands_for} == {50.0, 10.0}
    toxic = decided(Action.LABEL, labels=("toxic",))
    lessons = {each.version: each for each in learnt(toxic, votes=votes)}
    assert (lessons[VERSION].so, lessons[VERSION].millionths) == (True, 0)
    assert (lessons[VERSION].stands_for, lessons[VERSION].drawn) == (1.0, 20_000), "drawn all the same"
    assert lessons[OTHER].millionths == lessons[OTHER].drawn == 100_000


def test_where_decisions_say_yes_and_no_the_answer_is_what_was_found() -> None:
    both = decided(Action.LABEL, labels=("toxic",)), decided(Action.RELEASE, MAX, at=2)
    assert learnt(*both) == []
    draw = signed_draw(drawn(1))
    [lesson] = learnt(*both, votes=[draw, signed_answer(answered(draw, EVA, "toxic"), EVA)])
    assert lesson.so and lesson.by == EVA.account
    assert (lesson.stands_for, lesson.millionths, lesson.drawn) == (1.0, 0, 20_000)


@given(st.permutations(range(8)), st.permutations(range(6)))
def test_lessons_come_in_one_order(of_decisions: list[int], of_votes: list[int]) -> None:
    about = [
        (ANN.account, outcome_of([decided(Action.LABEL, at=at, labels=("toxic",), version=bytes([at]) * 32)]))
        for at in range(8)
    ]
    versions = (b"\x64" * 32, b"\x65" * 32, b"\x07" * 32)  # the last was decided about, too
    draws = [signed_draw(drawn(at, version=version)) for at, version in enumerate(versions)]
    votes = [*draws, *(signed_answer(answered(draw, EVA), EVA) for draw in draws)]
    found = lessons_of("toxic", (), about, samples_of(votes))
    shuffled = [about[at] for at in of_decisions], samples_of(votes[at] for at in of_votes)
    assert lessons_of("toxic", (), *shuffled) == found == sorted(found)
    assert len(found) == 10 and sum(each.drawn > 0 for each in found) == 3
