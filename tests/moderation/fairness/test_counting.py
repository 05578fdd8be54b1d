"""What one post counts as: flagged, decided, overturned, waiting, sampled; for which groups and rules."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol.moderation import verdict
from folkmoot.protocol.moderation.decision import Action, Decision, Role
from folkmoot.protocol.moderation.fairness.counting import (
    UNSAID,
    By,
    Found,
    Grouping,
    count_post,
    language_of,
)
from folkmoot.protocol.moderation.fairness.tally import ANY_RULE, EVERYBODY, Numbers, Tally
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.moderation.statistics.durations import step_of
from folkmoot.protocol.record import Record

from tests.moderation.decisions import ANN, ITEM, MAX, MO, NODE, NOW_US, decided
from tests.moderation.samples import answered, drawn, signed_answer, signed_draw

HOUR_US = 3_600_000_000
REGIONS = {NODE.account: "eu", MAX.account: "us"}
SWAHILI = Record.sign(ANN, kind="post", item=ITEM, body={"text": "habari", "lang": "sw-TZ"}, stamp=NOW_US)


def label(rule: str | None = "rude", by: bytes = NODE.account) -> Label:
    return Label(ITEM, "rude", by, SWAHILI.id, "because", rule=rule, policy="ab" * 32)


def hold(rule: str = "look-twice", by: bytes = NODE.account) -> tuple[Decision, int]:
    why = decided(Action.HOLD, NODE, role=Role.AUTOMATIC, rule=rule, version=SWAHILI.id)
    return Decision(why.subject, why.version, why.action, why.role, by, 0, "because", rule=rule), NOW_US


def counted(by: By = By.LANGUAGE, **beside: Any) -> Tally:
    tally = Tally()
    found = Found(SWAHILI, **{"shown": True, **beside})
    grouping = Grouping(by, lambda record: ["greeting"], REGIONS.get)
    count_post(tally, found, grouping, NOW_US, NOW_US + HOUR_US)
    return tally


@pytest.mark.parametrize(
    ("tag", "language"), [("de", "de"), ("PT-br", "pt"), ("", UNSAID), ("klingon", UNSAID), ("d3", UNSAID)]
)
def test_languages_are_what_tags_begin_with(tag: str, language: str) -> None:
    assert language_of(tag) == language


def test_a_post_nothing_happened_to_is_a_post() -> None:
    tally = counted()
    assert tally.groups == ["sw"] and tally.rules == [ANY_RULE]
    assert tally.of("sw") == tally.of(EVERYBODY) == Numbers(posts=1)


def test_a_flag_counts_once_a_rule_and_once_of_all_however_many_nodes_say_it() -> None:
    labels = [label(), label("spam"), label(by=MAX.account), label(None)]
    tally = counted(labels=labels, held=[hold("spam")])
    assert tally.rules == [ANY_RULE, "rude", "spam"]
    assert tally.of("sw") == Numbers(posts=1, flagged=1)
    assert tally.of("sw", "rude") == tally.of("sw", "spam") == Numbers(flagged=1)


@pytest.mark.parametrize(
    ("action", "of_version", "overturned"),
    [
        (Action.RELEASE, True, 1),
        (Action.REJECT, True, 0),
        (Action.RESTORE, False, 1),
        (Action.REMOVE, False, 0),
        (Action.LABEL, False, 0),
    ],
)
def test_people_decide_about_flags(action: Action, of_version: bool, overturned: int) -> None:
    decision = decided(action, at=1_800_000_000, version=SWAHILI.id)
    for flags in ({"labels": [label("rule")]}, {"held": [hold("rule")]}):
        numbers = counted(decisions=[decision], **flags).of("sw", "rule")
        assert (numbers.flagged, numbers.decided, numbers.overturned) == (1, 1, overturned)


def test_what_is_disputed_or_put_off_is_not_decided() -> None:
    one, other = (decided(Action.REMOVE, MO, 1), decided(Action.RESTORE, MAX, 2))
    assert counted(labels=[label()], decisions=[one, other]).of("sw").decided == 0
    later = decided(Action.HOLD, version=SWAHILI.id)
    numbers = counted(held=[hold()], decisions=[later], shown=False).of("sw")
    assert numbers.decided == 0 and numbers.waits.lasting == {step_of(3_600): 1}


def test_time_passes_from_the_signature_to_the_first_decision() -> None:
    first = decided(Action.REJECT, at=600_000_000, version=SWAHILI.id)
    second = decided(Action.RELEASE, MAX, at=900_000_000, version=SWAHILI.id, role=Role.EXPERT)
    waits = counted(held=[hold()], decisions=[second, first]).of("sw", "look-twice").waits
    assert (waits.ended, waits.lasting) == ({step_of(600): 1}, {})
    waits = counted(held=[hold()]).of("sw").waits
    assert waits.count == 0, "another version is shown, so this one waits no more"


@pytest.mark.parametrize("fine", [True, False])
def test_samples_stand_for_as_many_as_they_were_drawn_from(fine: bool) -> None:
    draw = drawn(
        millionths=200_000, action=verdict.Action.LABEL, rule="rude", language="sw", version=SWAHILI.id
    )
    signed = signed_draw(draw)
    votes = [signed, signed_answer(answered(signed, MO, *([] if fine else ["rude"])))]
    tally = counted(votes=votes)
    numbers = tally.of("sw")
    assert numbers.sampled == numbers.sampled_flagged == (1, 5.0, 25.0)
    assert numbers.fine.members == numbers.fine_flagged.members == int(fine)
    assert tally.of("sw", "rude").fine_flagged.members == int(fine)
    assert counted(By.DIALECT, votes=votes).of("greeting").sampled.members == 1
    assert counted(By.REGION, votes=votes).of("eu").sampled.members == 1
    assert counted(votes=[signed]).of("sw") == Numbers(posts=1), "nobody answered it"


def test_samples_of_strangers_and_of_before_do_not_count() -> None:
    for draw in (drawn(-5, version=SWAHILI.id), drawn(node=MO.account, version=SWAHILI.id)):
        by = MO if draw.node == MO.account else NODE
        signed = signed_draw(draw, by)
        votes = [signed, signed_answer(answered(signed, MAX), MAX)]
        assert counted(votes=votes).of("sw") == Numbers(posts=1)


def test_by_region_who_judged_it_counts_and_not_how_many_there_are() -> None:
    tally = counted(By.REGION, labels=[label(), label(by=MAX.account), label("spam", MAX.account)])
    assert tally.groups == ["eu", "us"]
    assert tally.of("us", "rude").flagged == tally.of("eu", "rude").flagged == 1
    assert tally.of("us", "spam").flagged == 1 and tally.of("eu", "spam").flagged == 0
    assert tally.of(EVERYBODY).posts == 0
