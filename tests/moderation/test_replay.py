"""Two policies compared on the same posts, and what is found against the new one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.submissions import Submission
from folkmoot.protocol.moderation.comparison import changed_rules
from folkmoot.protocol.moderation.decision import Action, Role
from folkmoot.protocol.moderation.fairness.findings import UNFAIR
from folkmoot.protocol.moderation.objections import (
    CONTRADICTS,
    COSTS_TOO_MUCH,
    FAILS,
    MANY_POSTS,
    MATCHES_EVERYTHING,
    NEVER_MATCHES,
    NO_POSTS,
    UNPROVEN,
    objections,
)
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.protocol.moderation.replay import Comparison, LanguageCount, Seen, upheld
from folkmoot.protocol.moderation.verdict import Action as Verdict
from folkmoot.protocol.moderation.verdict import Finding
from hypothesis import given
from hypothesis import strategies as st

from tests.moderation.decisions import EVA, MAX, VERSION, decided
from tests.moderation.documents import condition, document, engine, model, rule, word_list

WORDS = word_list("spam", ["buy"]) + word_list("rude", ["oaf"])
LABELS = WORDS + rule("spam", ["spam"], "label", label="spam")
HOLDS = WORDS + rule("spam", ["spam"], "hold") + rule("rude", ["rude"], "refuse")
DAY_US = 86_400_000_000


def compared(
    before: PolicyEngine,
    after: PolicyEngine,
    texts: Iterable[str],
    lang: str = "",
    upheld: bool | None = None,
) -> Comparison:
    """What both say of these texts, one a day."""
    comparison = Comparison(before.document, after.document)
    add(comparison, before, after, texts, lang, upheld)
    return comparison


def add(
    comparison: Comparison,
    before: PolicyEngine,
    after: PolicyEngine,
    texts: Iterable[str],
    lang: str = "",
    upheld: bool | None = None,
) -> None:
    for day, text in enumerate(texts):
        found = [each.findings(Submission((("text", text),))) for each in (before, after)]
        comparison.add(Seen(found[0], found[1], lang, day * DAY_US, upheld, partial(dict, text=text)))


def test_what_is_gained_and_lost_is_counted_by_rule_and_by_action() -> None:
    comparison = compared(engine(LABELS), engine(HOLDS), ["buy", "fine", "oaf", "buy, oaf", "fine"])
    told = comparison.report()
    assert {(each["before"], each["after"]): each["posts"] for each in told["actions"]} == {
        ("accept", "accept"): 2,
        ("accept", "refuse"): 1,
        ("label", "hold"): 1,
        ("label", "refuse"): 1,
    }
    rules = {each["rule"]: each for each in told["rules"]}
    assert [rules["rude"][name] for name in ("before", "after", "gained", "lost")] == [0, 2, 2, 0]
    assert [rules["spam"][name] for name in ("before", "after", "gained", "lost")] == [2, 2, 0, 0]
    assert [each["text"] for each in rules["rude"]["samples"]["gained"]] == ["oaf", "buy, oaf"]
    assert told["rules"][0]["rule"] == "rude", "what differs most comes first"
    queue = told["queue"]
    assert (queue["before"], queue["after"]) == (0, 1)
    assert (queue["before_per_day"], queue["after_per_day"]) == (0.0, 0.25)
    back = compared(engine(HOLDS), engine(LABELS), ["oaf"]).report()
    assert (back["rules"][0]["rule"], back["rules"][0]["lost"]) == ("rude", 1)


def test_precision_is_counted_among_what_people_have_decided() -> None:
    comparison = compared(engine(LABELS), engine(HOLDS), ["buy"] * 8, upheld=True)
    add(comparison, engine(LABELS), engine(HOLDS), ["buy"] * 2, upheld=False)
    add(comparison, engine(LABELS), engine(HOLDS), ["buy"] * 30)
    [spam] = [each for each in comparison.report()["rules"] if each["rule"] == "spam"]
    assert (spam["upheld"], spam["decided"]) == (8, 10)
    assert spam["precision"] == [0.4439, 0.9748], "Clopper and Pearson's interval of 8 of 10"


def test_languages_are_compared_with_all_others_where_both_are_enough() -> None:
    before, after = engine(LABELS), engine(HOLDS)
    comparison = compared(before, after, ["fine"] * 90 + ["oaf"] * 10, "de")
    add(comparison, before, after, ["fine"] * 98 + ["oaf"] * 2, "en")
    add(comparison, before, after, ["oaf"] * 5, "fr")
    told = {each["language"]: each for each in comparison.report()["languages"]}
    assert set(told) == {"de", "en"}
    assert told["de"]["before"]["ratio"] is None and told["de"]["after"]["flagged"] == 10
    low, high = told["de"]["after"]["interval"]
    assert told["de"]["after"]["ratio"] == pytest.approx(10 / 100 / (7 / 105))
    assert low < told["de"]["after"]["ratio"] < high


@given(st.lists(st.sampled_from(["buy", "oaf", "fine", "buy oaf"]), max_size=30))
def test_counts_add_up_and_do_not_depend_on_the_order(texts: list[str]) -> None:
    before, after = PROPERTY_ENGINES
    comparison = compared(before, after, texts)
    assert sum(comparison.actions.values()) == comparison.posts == len(texts)
    for count in comparison.rules.values():
        assert count.after - count.before == count.gained - count.lost
        assert count.outdone <= count.after and max(map(len, count.samples.values())) <= 3
    assert comparison.counts() == compared(before, after, reversed(texts)).counts()


PROPERTY_ENGINES = engine(LABELS), engine(HOLDS)


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([], None),
        ([decided(Action.HOLD)], None),
        ([decided(Action.REMOVE, role=Role.AUTOMATIC)], None),
        ([decided(Action.REMOVE)], True),
        ([decided(Action.RELEASE)], False),
        ([decided(Action.RESTORE)], False),
        ([decided(Action.REJECT, version=b"\x09" * 32)], None),
        ([decided(Action.REMOVE), decided(Action.RESTORE, by=MAX)], None),
        ([decided(Action.REMOVE), decided(Action.RESTORE, by=EVA, role=Role.EXPERT)], False),
    ],
)
def test_only_what_is_settled_says_whether_a_rule_was_right(decisions: Any, expected: bool | None) -> None:
    assert upheld(outcome_of(decisions), VERSION) is expected


FINE = ["fine"] * 50
ALL = WORDS + condition("all", "post.length > 0.0", "hold")
NEW = WORDS + rule("new", ["rude"], "hold")
COVERED = WORDS + rule("trial", ["rude"], "accept") + rule("rude", ["rude", "spam"], "refuse")
SAME = WORDS + condition("one", "hits.rude", "hold") + condition("two", "hits.rude", "refuse")


@pytest.mark.parametrize(
    ("before", "after", "texts", "found"),
    [
        ("", ALL, FINE, [(MATCHES_EVERYTHING, True, "all")]),
        (ALL, ALL, FINE, [(MATCHES_EVERYTHING, False, "all")]),
        ("", ALL.replace('"hold"', '"accept"'), FINE, [(MATCHES_EVERYTHING, False, "all")]),
        ("", ALL, FINE[:19], []),
        ("", NEW, FINE, [(NEVER_MATCHES, False, "new")]),
        ("", NEW, ["fine"] * MANY_POSTS, [(NEVER_MATCHES, True, "new")]),
        (NEW, NEW, ["fine"] * MANY_POSTS, [(NEVER_MATCHES, False, "new")]),
        ("", NEW, [*FINE, "oaf"], []),
        ("", COVERED, ["oaf"], [(CONTRADICTS, True, "trial")]),
        (COVERED, COVERED, ["oaf"], [(CONTRADICTS, False, "trial")]),
        ("", SAME, ["oaf"] * 5, [(CONTRADICTS, True, "one")]),
        ("", NEW, [], [(NO_POSTS, False, None)]),
    ],
)
def test_what_is_found_against_a_policy(before: str, after: str, texts: list[str], found: Any) -> None:
    comparison = compared(engine(before), engine(after), texts)
    assert [(each.name, each.blocks, each.rule) for each in objections(comparison)] == found


def test_a_rule_that_stricter_ones_always_outdo_is_told() -> None:
    two = condition("two", "hits.rude || hits.spam", "refuse")
    close = WORDS + condition("one", "hits.rude", "hold") + two
    comparison = compared(engine(""), engine(close), ["oaf"] * 30 + ["fine"] * 30)
    assert [(each.name, each.blocks, each.rule) for each in objections(comparison)] == [
        (CONTRADICTS, False, "one")
    ]


def test_what_takes_too_long_and_what_fails_is_told_first() -> None:
    comparison = compared(engine(""), engine(NEW), FINE)
    comparison.spent_s |= {"before": 50 * 0.0001, "after": 50 * 0.002}
    comparison.add(Seen([], [Finding(Verdict.HOLD, "unjudged", "It failed.")], "", 0, None, dict))
    assert [(each.name, each.blocks) for each in objections(comparison)] == [
        (COSTS_TOO_MUCH, True),
        (FAILS, True),
        (NEVER_MATCHES, False),
    ]
    comparison.left = 5
    assert [each.name for each in objections(comparison)].count(COSTS_TOO_MUCH) == 2
    comparison.left = 0
    comparison.spent_s["before"] = comparison.spent_s["after"]
    assert not next(each for each in objections(comparison) if each.name == COSTS_TOO_MUCH).blocks


def test_a_language_that_is_treated_worse_than_before_blocks() -> None:
    comparison = compared(engine(NEW), engine(NEW), FINE)
    comparison.languages = {"de": LanguageCount(1_000, 20, 120), "en": LanguageCount(1_000, 20, 20)}
    [unfair] = [each for each in objections(comparison) if each.name == UNFAIR]
    assert unfair.blocks and unfair.what.startswith("de: ")
    comparison.languages["de"] = LanguageCount(1_000, 120, 120)
    [unfair] = [each for each in objections(comparison) if each.name == UNFAIR]
    assert not unfair.blocks
    comparison.languages["de"] = LanguageCount(1_000, 20, 22)
    assert UNFAIR not in [each.name for each in objections(comparison)]


@pytest.mark.parametrize(
    ("before", "changed"),
    [
        (NEW, set()),
        (WORDS, {"new"}),
        (NEW.replace("hold", "refuse"), {"new"}),
        (NEW.replace("oaf", "boor"), {"new"}),
    ],
)
def test_a_rule_has_changed_when_it_means_or_does_something_else(before: str, changed: set[str]) -> None:
    assert changed_rules(document(before), document(NEW)) == changed


def test_evidence_that_nobody_can_count_again_is_noted() -> None:
    said = model("m", labels=["toxic"]) + "[models.evidence.toxic]\nen = [[0.0, 9, 1]]\npt = [[0.0, 9, 1]]\n"
    asks = condition("r", "scores.toxic >= at_precision(0.9)")
    source = f'[models.counted.toxic]\nen = {{by = "sample", model = "{"0" * 64}", texts = "{"9" * 64}"}}\n'

    def noted(*parts: str) -> list[tuple[str, bool]]:
        before, after = engine(LABELS), engine(*parts)
        found = objections(compared(before, after, ["x"] * 3))
        return [(each.what, each.blocks) for each in found if each.name == UNPROVEN]

    [(told, blocks)] = noted(said, asks)
    assert "about toxic in en, pt was counted from" in told and not blocks
    assert "about toxic in pt was" in noted(said, source, asks)[0][0]
    assert noted(said, condition("r", "scores.toxic >= 0.9")) == [], "no rule asks for it"
