"""Outcomes: what prevails, by hand and in whatever order the decisions came."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest
from folkmoot.protocol.moderation.decision import Action, Decision, Role
from folkmoot.protocol.moderation.outcome import NOTHING, Outcome, Visibility, outcome_of
from hypothesis import given
from hypothesis import strategies as st

from tests.moderation.decisions import EVA, MAX, MO, NODE, OTHER, VERSION, decided

HELD_BY_NODE = decided(Action.HOLD, NODE, role=Role.AUTOMATIC)
REMOVED = decided(Action.REMOVE, MO, at=1)
RESTORED = decided(Action.RESTORE, MAX, at=2, reverses=[REMOVED])
UNSEEN = decided(Action.RESTORE, MAX, at=2)
EXPERT = decided(Action.WARN, EVA, at=3, role=Role.EXPERT)
OVER_EXPERT = decided(Action.REMOVE, MO, at=4, reverses=[EXPERT])
AGAIN = decided(Action.REMOVE, MAX, at=5, reverses=[RESTORED])
BY_POLICY = decided(Action.REMOVE, NODE, role=Role.AUTOMATIC)

SHOWN, WARNED, LIMITED, HELD, GONE = Visibility


@pytest.mark.parametrize(
    ("decisions", "visibility", "disputed"),
    [
        ([], SHOWN, False),
        ([HELD_BY_NODE], SHOWN, False),  # another node's gate may have let it in
        ([decided(Action.HOLD)], HELD, False),
        ([decided(Action.REJECT, version=OTHER)], SHOWN, False),
        ([decided(Action.LABEL)], SHOWN, False),
        ([decided(Action.LIMIT)], LIMITED, False),
        ([REMOVED], GONE, False),
        ([REMOVED, RESTORED], SHOWN, False),  # reversed by somebody who had seen it
        ([REMOVED, UNSEEN], GONE, True),  # decided otherwise at the same time: the stricter stands
        ([REMOVED, EXPERT], WARNED, False),  # an expert prevails over a moderator
        ([EXPERT, OVER_EXPERT], WARNED, False),  # whom no moderator reverses
        ([REMOVED, RESTORED, AGAIN], GONE, False),
        ([BY_POLICY, UNSEEN], SHOWN, False),  # a person over a policy
        ([BY_POLICY], GONE, False),
        ([decided(Action.REMOVE), decided(Action.WARN, at=2)], WARNED, False),  # a change of mind
        ([decided(Action.RELEASE), decided(Action.REJECT, MAX)], GONE, False),
    ],
)
def test_what_prevails(decisions: Sequence[Decision], visibility: Visibility, disputed: bool) -> None:
    for order in permutations(decisions):
        outcome = outcome_of(order)
        assert outcome.visibility(VERSION) is visibility
        if outcome.post is not None:
            assert (outcome.post.mark in outcome.disputed) is disputed


def test_a_change_of_mind_that_is_reversed_brings_nothing_back() -> None:
    warned = decided(Action.WARN, MO, at=2)
    against = decided(Action.RESTORE, MAX, at=3, reverses=[warned])
    outcome = outcome_of([REMOVED, warned, against])
    assert outcome.post == against and outcome.in_force == [against]


def test_what_was_reversed_by_what_was_reversed_stands() -> None:
    restored = decided(Action.RESTORE, MAX, at=2, reverses=[REMOVED])
    against = decided(Action.LABEL, EVA, at=3, reverses=[restored])
    outcome = outcome_of([REMOVED, restored, against])
    assert outcome.visibility(VERSION) is GONE and REMOVED in outcome.in_force


def test_a_version_waits_until_a_person_decides() -> None:
    assert NOTHING.awaits(VERSION) and outcome_of([HELD_BY_NODE]).awaits(VERSION)
    released = outcome_of([HELD_BY_NODE, decided(Action.RELEASE)])
    assert not released.awaits(VERSION) and released.released(VERSION)
    assert released.awaits(OTHER) and not released.released(OTHER)
    assert not outcome_of([decided(Action.REJECT)]).awaits(VERSION)
    assert not outcome_of([REMOVED]).awaits(VERSION)


def test_settled_is_what_a_person_decided_and_nobody_reversed_or_disputes() -> None:
    assert outcome_of([HELD_BY_NODE, REMOVED]).settled() == [REMOVED]
    assert outcome_of([REMOVED, RESTORED]).settled() == [RESTORED]
    assert outcome_of([REMOVED, UNSEEN]).settled() == []
    assert outcome_of([REMOVED, EXPERT]).settled() == [EXPERT]
    assert outcome_of([BY_POLICY]).settled() == []


PEOPLE = [(MO, Role.MODERATOR), (MAX, Role.MODERATOR), (EVA, Role.EXPERT), (NODE, Role.AUTOMATIC)]


@st.composite
def histories(draw: st.DrawFn) -> list[Decision]:
    """Decisions of several people, each of which may reverse some of those before it."""
    made: list[Decision] = []
    for at in range(1, draw(st.integers(0, 7)) + 1):
        by, role = draw(st.sampled_from(PEOPLE))
        action = draw(st.sampled_from(list(Action)))
        version = draw(st.sampled_from([VERSION, OTHER]))
        seen = (
            []
            if role is Role.AUTOMATIC
            else draw(st.lists(st.sampled_from(made), max_size=3))
            if made
            else []
        )
        one = decided(action, by, at=at, role=role, version=version, reverses=seen)
        made = [each for each in made if each.mark != one.mark] + [one]  # a policy's is a register
    return made


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_decisions_came_changes_nothing(made: list[Decision], random: object) -> None:
    shuffled = list(made)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert outcome_of(shuffled) == outcome_of(made)


@given(histories())
def test_what_a_page_applies_is_enough_to_apply_it(made: list[Decision]) -> None:
    outcome = outcome_of(made)
    for version in (VERSION, OTHER):
        alone = outcome_of(outcome.applied(version))
        assert alone.visibility(version) is outcome.visibility(version)
        assert alone.applied(version) == outcome.applied(version)


@given(histories())
def test_no_policy_overrules_a_person(made: list[Decision]) -> None:
    people = [each for each in made if not each.is_automatic]
    whole, without = outcome_of(made), outcome_of(people)

    def of_people(outcome: Outcome) -> list[Decision | None]:
        prevailing = [outcome.post, *(outcome.versions.get(each) for each in (VERSION, OTHER))]
        return [None if each is None or each.is_automatic else each for each in prevailing]

    assert of_people(whole) == of_people(without)
    assert whole.settled() == without.settled()
