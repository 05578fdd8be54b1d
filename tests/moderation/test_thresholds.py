"""Thresholds from evidence: exact, corrected for how many are tried, and never promised without evidence."""

from __future__ import annotations

from array import array
from math import inf
from pathlib import Path

import pytest
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.protocol.moderation.evidence import FOLDS, UNSEEN
from folkmoot.protocol.moderation.statistics.proportions import Share, clopper_pearson
from folkmoot.protocol.moderation.text.features import BUCKETS
from folkmoot.protocol.moderation.text.linear import ONE, LinearModel
from folkmoot.protocol.moderation.text.model import TextModel
from folkmoot.protocol.moderation.thresholds import Step, Thresholds, resolved

from tests.moderation.documents import HEAD, condition, document, model, word_list
from tests.moderation.test_policy import problems_of
from tests.moderation.test_rules import judged
from tests.moderation.test_scorers import kept, policy

EARLY = (Step(0.0, 1, 900), Step(0.4, 900, 1))
LATE = (Step(0.6, 20, 300), Step(1.2, 900, 1))
NEVER = (Step(-1.0, 1, 40), Step(0.8, 9, 8))
STEPS = (Step(-1.0, 20, 2_000), Step(0.5, 300, 100), Step(1.0, 900, 12), Step(1.5, 2_000, 1))


@pytest.mark.parametrize(
    ("thousandths", "score", "reached"),
    [(500, -1.0, True), (900, 0.5, True), (980, 1.0, True), (996, 1.5, True), (999, 1.5, False)],
)
def test_the_lowest_step_that_the_evidence_supports(thousandths: int, score: float, reached: bool) -> None:
    found = Thresholds({"en": STEPS}, thousandths).by_language["en"]
    assert (found.score, found.reached) == (score, reached)
    assert (found.bound >= thousandths / 1_000) is reached


def test_the_bound_is_that_of_clopper_and_pearson_at_the_steps_part_of_the_doubt() -> None:
    found = Thresholds({"en": STEPS}, 980).by_language["en"]
    # A two-sided interval of 1 - 2·(0.05 / 4).
    assert found.bound == pytest.approx(clopper_pearson(Share(2_900, 2_913), 0.975).low)


def test_who_tries_more_steps_has_to_show_more() -> None:
    alone = Thresholds({"en": (Step(0.0, 149, 0),)}, 980).by_language["en"]
    assert alone.reached
    tried = (*(Step(-at / 10 - 1, 0, 5) for at in range(19, 0, -1)), Step(0.0, 149, 0))
    assert not Thresholds({"en": tried}, 980).by_language["en"].reached


@pytest.mark.parametrize(
    ("claimed", "seems", "doubt", "promise"),
    [
        ("en", "en", 0.4, 0.4),
        ("en-gb", "en", 0.4, 0.4),
        ("de", "de", 1.2, 1.2),
        ("de", "en", 0.4, inf),  # the evasion
        ("en", "de", 0.4, inf),  # the wrong removal
        ("de", "", 0.4, inf),
        ("", "en", 0.4, inf),
        ("pt", "pt", 0.8, inf),  # not reached
        ("en", "en de", 0.4, 1.2),
        ("de", "en de", 0.4, 1.2),
        ("en", "en pt", 0.4, 0.4),
        ("pt", "en pt", 0.4, inf),
        ("fr", "fr", 0.8, inf),  # no evidence: what all say together
        ("fr", "en", 0.4, inf),
        ("fr", "pt", 0.8, inf),
        ("und", "en", 0.4, inf),
    ],
)
def test_what_an_author_claims_counts_as_far_as_the_text_bears_it_out(
    claimed: str, seems: str, doubt: float, promise: float
) -> None:
    thresholds = Thresholds({"en": EARLY, "de": LATE, "pt": NEVER}, 900)
    assert thresholds.least == 0.4
    assert thresholds.get(claimed, seems.split()) == (doubt, promise)


def test_a_text_is_looked_at_only_where_it_matters() -> None:
    thresholds = Thresholds({"en": EARLY, "de": LATE}, 900)

    def nobody_asks() -> list[str]:
        raise AssertionError

    assert thresholds.value(0.3, "de", nobody_asks) == 0.4
    assert thresholds.value(None, "de", nobody_asks) == 0.4, "an unknown score is above no threshold for sure"
    assert thresholds.value(1.0, "de", lambda: ["de"]) == 1.2
    assert thresholds.value(1.0, "de", lambda: ["en"]) is None
    assert thresholds.value(1.3, "de", lambda: ["de"]) == 1.2


def test_a_comparison_with_a_precision_is_one_with_a_signal() -> None:
    said = "hits.x || scores.very_bad>= at_precision( .98 ) && scores.b > at_precision(0.5)"
    source, asked = resolved(said)
    assert source == "hits.x || scores.very_bad>= thresholds.very_bad_980 && scores.b > thresholds.b_500"
    assert [each.signal for each in asked] == ["thresholds.very_bad_980", "thresholds.b_500"]
    assert resolved("scores.x < at_precision(0.9) && post.reply")[1] == []


ALWAYS_ONE = TextModel(("fine", "toxic"), (LinearModel(array("i", bytes(4 * BUCKETS)), ONE),), (0,))
ENGLISH, GERMAN, PORTUGUESE = "you are scum", "ihr seid der Abschaum", "você não é nada"
STRICT = condition("r", "scores.toxic >= at_precision(0.98)", "refuse")
EVIDENCE = """\
[models.evidence.toxic]
en = [[-1.0, 20, 2000], [1.0, 900, 2]]
pt = [[-1.0, 20, 20], [1.0, 9, 1]]
"""


COUNTED = f"""\
[models.counted.toxic]
en = {{by = "folds", model = "{"0" * 64}", texts = "{"9" * 64}", seed = 7}}
"""


def counted(old: str, new: str = "") -> str:
    """A model with evidence and what that was counted from, with something else in it."""
    return model("m", labels=["toxic"]) + EVIDENCE + COUNTED.replace(old, new)


@pytest.fixture
def said(tmp_path: Path) -> str:
    """A model that gives every text one, and the evidence about it."""
    return model("m", labels=["toxic"], hash=kept(tmp_path, ALWAYS_ONE)) + EVIDENCE


def test_a_rule_removes_only_where_the_bound_holds(said: str, tmp_path: Path) -> None:
    policies = load_engine(policy(tmp_path, said, STRICT))
    refused = judged(policies, ENGLISH, lang="en").decisive
    assert refused is not None and refused.action.word == "refuse"
    assert dict(refused.signals) == {"scores.toxic": 1.0, "thresholds.toxic_980": 1.0}
    assert judged(policies, PORTUGUESE, lang="pt").action.word == "hold"
    assert judged(policies, GERMAN, lang="de").action.word == "hold"
    assert judged(policies, ENGLISH).action.word == "hold"
    [told] = policies.warnings(0)
    assert told.startswith("thresholds.toxic_980 is not reached in pt, where the evidence promises 0.")


@pytest.mark.parametrize(
    ("text", "claimed", "action"),
    [
        (ENGLISH, "en", "refuse"),
        (GERMAN, "de", None),
        (ENGLISH, "de", "hold"),
        (ENGLISH, "fr", "hold"),
        (ENGLISH, "ru", "hold"),
        (ENGLISH, "xx-unheard-of", "hold"),
        (ENGLISH, "und", "hold"),
        ("scum vermin filth", "de", "hold"),
        ("sc\u0443m \u0443\u043eu \u0430r\u0435", "ru", "hold"),
        (GERMAN, "en", "hold"),
        (GERMAN, "en-gb", "hold"),
        ("\u6ef6\u3060 \u304f\u305d", "en", "hold"),
    ],
)
def test_neither_evasion_nor_removal_by_the_language_that_is_claimed(
    said: str, tmp_path: Path, text: str, claimed: str, action: str | None
) -> None:
    late = said.replace("[1.0, 900, 2]]\n", "[1.0, 900, 2]]\nde = [[0.0, 50, 400], [1.4, 900, 2]]\n")
    verdict = judged(load_engine(policy(tmp_path, late, STRICT)), text, lang=claimed)
    assert (verdict.rule and verdict.action.word) == action


def test_an_exception_is_no_way_round_either(said: str, tmp_path: Path) -> None:
    excepted = condition("r", "hits.bad && !(scores.toxic >= at_precision(0.98))", "refuse")
    policies = load_engine(policy(tmp_path, said, word_list("bad", ["scum"]), excepted))
    assert judged(policies, ENGLISH, lang="en").rule is None
    assert judged(policies, ENGLISH, lang="de").action.word == "hold"


def test_what_is_true_without_the_threshold_needs_no_promise(said: str, tmp_path: Path) -> None:
    either = condition("r", "hits.bad || scores.toxic >= at_precision(0.98)", "refuse")
    policies = load_engine(policy(tmp_path, said, word_list("bad", ["foo"]), either))
    assert judged(policies, f"foo {PORTUGUESE}", lang="pt").action.word == "refuse"
    held = judged(policies, PORTUGUESE, lang="pt")
    assert held.action.word == "hold" and "thresholds.toxic_980" in str(held.reason)
    both = condition("r", "scores.toxic >= at_precision(0.98) && scores.toxic > 1.5", "refuse")
    assert judged(load_engine(policy(tmp_path, said, both)), PORTUGUESE, lang="pt").rule is None
    ignored = '[degrade]\nthresholds = "ignore"\n'
    assert judged(load_engine(policy(tmp_path, said, STRICT, ignored)), PORTUGUESE, lang="pt").rule is None


def test_evidence_in_a_language_that_cannot_be_told_promises_nothing(said: str, tmp_path: Path) -> None:
    policies = load_engine(policy(tmp_path, said.replace("\nen =", "\neu ="), STRICT))
    assert judged(policies, "zu eta ni", lang="eu").action.word == "hold"
    assert any("in eu, since no text is known to be in it" in each for each in policies.warnings(0))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (model("m", labels=["toxic"]) + STRICT, "11: when: no model has evidence about toxic"),
        (model("m", labels=["toxic"]) + EVIDENCE.replace("toxic", "other"), "9: 'other' is no label of this"),
        (model("m", labels=["toxic"]) + EVIDENCE.replace("[1.0, 900", "[-2.0, 900"), "10: a step is [score"),
        (model("m", labels=["toxic"]) + EVIDENCE.replace("900, 2", "900, -2"), "10: a step is [score"),
        (model("m", labels=["toxic"]) + EVIDENCE.replace("[1.0, 900, 2]", "[inf, 9, 2]"), "10: a step is ["),
        (model("m", labels=["toxic"]) + EVIDENCE.replace("\nen", "\nEN"), "10: evidence is by at most"),
        (model("m", labels=["toxic"]) + "[models.evidence.toxic]\nen = []\n", "10: en is an array of 1 to"),
        (counted(""), ""),
        (counted('by = "folds"', 'by = "guess"'), "13: by is 'guess'; it is one of folds, unseen, sample"),
        (
            counted("0" * 64, "1" * 64),
            "13: the evidence was counted for another model, 111111111111…, and this",
        ),
        (counted("0" * 64, "0"), "13: model is a SHA-256, 64 hexadecimal digits"),
        (counted("9" * 64, "Z" * 64), "13: texts is a SHA-256, 64 hexadecimal digits"),
        (counted(", seed = 7"), "13: seed is missing"),
        (counted("= 7", "= -7"), "13: seed is a whole number from 0 on"),
        (counted("folds", "unseen"), "13: unknown key 'seed'"),
        (counted("en = {", "de = {"), "13: there is no evidence about toxic in 'de'"),
        (counted("counted.toxic", "counted.other"), "13: there is no evidence about other in 'en'"),
        (counted("{", "[{").replace("}", "}]"), "13: en is written as a table"),
        (
            model("m", labels=["toxic"]) + EVIDENCE + condition("r", "at_precision(0.98) > 1.0"),
            "14: when, character 13: undeclared reference to 'at_precision'",
        ),
    ],
)
def test_evidence_that_is_none(text: str, problem: str) -> None:
    told = problems_of(HEAD + text) if problem else []
    assert len(told) == bool(problem) and "".join(told).startswith(problem), told


def test_what_evidence_was_counted_from_can_be_read_again() -> None:
    [read] = document(counted("")).models
    source = read.counted["toxic"]["en"]
    assert source == (FOLDS, "0" * 64, "9" * 64, 7)
    assert source.as_toml() in counted("") and read.unproven("toxic") == ["pt"]
    again = source._replace(by=UNSEEN, seed=0)
    [read] = document(counted(source.as_toml(), again.as_toml())).models
    assert read.counted["toxic"]["en"] == again
