"""The engine: what is found where, which rule decides, and what happens when judging fails."""

# ruff: noqa: RUF001 (letters that pass for others are what this file is about)

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from folkmoot.node.moderation import pattern_sets
from folkmoot.node.moderation.engine import UNJUDGED, PolicyEngine
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.node.moderation.submissions import Submission
from folkmoot.protocol.invisible import HIDDEN
from folkmoot.protocol.limits import POST_TEXT_CODE_POINTS
from folkmoot.protocol.moderation.policy import EMPTY
from folkmoot.protocol.moderation.signals import SIGNALS
from folkmoot.protocol.moderation.verdict import Action
from hypothesis import given
from hypothesis import strategies as st

from tests.moderation.documents import condition, engine, finding_engine, pattern, rule, word_list
from tests.moderation.test_normalise import ANY

VIAGRA = finding_engine("viagra", "free money")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("buy Viagra now", "Viagra"),
        ("buy vіаgrа now", "vіаgrа"),
        ("buy V1AGRA!!!", "V1AGRA"),
        ("buy v.i.a.g.r.a today", "v.i.a.g.r.a"),
        ("buy v 1 a g r a today", "v 1 a g r a"),
        ("ｆｒｅｅ　ｍｏｎｅｙ!", "ｆｒｅｅ　ｍｏｎｅｙ"),
        ("free \n\n money", "free \n\n money"),
        ("#freemoney", None),
        ("viagraesque", None),
        ("aviagra", None),
        ("buy vi\0ag\x7fra now", "vi\0ag\x7fra"),
        ("buy v\u0941iag\u20ddra\u0e31, now", "v\u0941iag\u20ddra"),
        ("hot\u2800viagra\ufffcnow", "viagra"),
        ("free\u2800money", "free\u2800money"),
        ("🇻🇮🇦🇬🇷🇦 now", "🇻🇮🇦🇬🇷🇦"),
        ("buy v🇮agra", "v🇮agra"),
        ("viägra🇺🇸", "viägra"),
        ("v.i-a g_r.a", "v.i-a g_r.a"),
        ("v•1•a•g•r•a", "v•1•a•g•r•a"),
        ("via gra", None),
        ("", None),
    ],
)
def test_words_are_found_in_disguise_and_shown_as_written(text: str, found: str | None) -> None:
    verdict = VIAGRA.judge(text)
    assert (verdict.span and text[slice(*verdict.span)]) == found


@pytest.mark.parametrize(
    ("words", "match", "text", "hit"),
    [
        (["ass"], "word", "the class of 455 passes", False),
        (["ass"], "word", "a55", True),
        (["ass"], "anywhere", "classic", True),
        (["455"], "word", "room 455", True),
        (["कम"], "word", "कमी", False),
        (["कम"], "word", "यह कम है", True),
        (["赌博"], "anywhere", "在线赌博网站", True),
        (["$$$"], "word", "get$$$now", True),
        (["kill"], "word", "ki11", True),
        (["he"], "word", "ushers she", False),
        (["us"], "word", "go 🇺🇸", False),
        (["ass"], "word", "a, s, s", False),
        (["abcd"], "word", "a, b, c or d", False),
        (["कम"], "word", "कम\u0e31", True),
        (["कम"], "word", "क\u064eम", True),
        (["น้ำ"], "word", "น้ำ", True),
        (["น"], "anywhere", "น้ำ", True),
        (["שלום"], "word", "ש\u093eלום\u0e31", True),
        (["ספר"], "word", "סֵפֶר", False),
    ],
)
def test_a_word_is_a_word_by_itself_unless_the_list_says_anywhere(
    words: list[str], match: str, text: str, hit: bool
) -> None:
    assert (finding_engine(*words, match=match).judge(text).action is Action.HOLD) is hit


@pytest.mark.parametrize(
    ("regex", "text", "found"),
    [
        (r"free\s+money", "get FREE   money", "FREE   money"),
        (r"free\s+money", "frее mоney", "frее mоney"),
        (r"été", "l’E\u0301TE\u0301 dernier", "E\u0301TE\u0301"),
        (r"été\s+fou", "un été\u2800fou", "été\u2800fou"),
        (r"casino", "ca\u064bs\0in\u20ddo", "ca\u064bs\0in\u20ddo"),
        (r"\d{3}", "call 455", "455"),
        (r"\bass\b", "call 455", None),
        (r"ﬃ|ffi", "o\ufb03ce", "\ufb03"),
    ],
)
def test_patterns_are_found_and_shown_as_written(regex: str, text: str, found: str | None) -> None:
    verdict = engine(pattern("p", regex), rule("found", ["p"], "hold")).judge(text)
    assert (verdict.span and text[slice(*verdict.span)]) == found


def test_the_strictest_rule_decides_and_every_label_is_kept() -> None:
    judge = engine(
        word_list("a", ["alpha"]),
        word_list("b", ["beta"]),
        rule("noted", ["a"], "accept"),
        rule("labelled", ["a"], "label", label="first"),
        rule("waits", ["b"], "hold", label="second"),
        rule("again", ["a", "b"], "label", label="second"),
        rule("out", ["b"], "refuse"),
    ).judge
    assert judge("nothing") == judge("else") and judge("nothing").rule is None
    alpha = judge("alpha")
    assert (alpha.action, alpha.rule) == (Action.LABEL, "labelled")
    assert [(found.label, found.rule) for found in alpha.labels] == [
        ("first", "labelled"),
        ("second", "again"),
    ]
    beta = judge("beta")
    assert (beta.action, beta.rule) == (Action.REFUSE, "out")
    assert [(found.label, found.rule) for found in beta.labels] == [("second", "waits")]


def test_of_equally_strict_rules_the_most_severe_decides_then_the_first() -> None:
    parts = [
        word_list("mild", ["alpha"], severity=1),
        word_list("grave", ["beta"], severity=5),
        word_list("other", ["gamma"], severity=5),
        rule("one", ["mild"], "hold"),
        rule("two", ["grave"], "hold"),
        rule("three", ["other"], "hold"),
    ]
    assert engine(*parts).judge("gamma alpha beta").rule == "two"
    assert engine(*parts).judge("alpha").rule == "one"


def test_a_rule_points_at_the_worst_of_what_set_it_off() -> None:
    parts = [word_list("mild", ["alpha"]), word_list("grave", ["beta"], severity=4)]
    verdict = engine(*parts, rule("both", ["mild", "grave"], "hold")).judge("alpha beta")
    assert verdict.span == (6, 10)


def test_every_text_of_a_record_counts_and_is_named() -> None:
    verdict = VIAGRA.judge_record(Submission([("text", "hello"), ("tags.0", "x"), ("tags.1", "viagra")]))
    assert verdict.decisive is not None
    assert (verdict.decisive.field, verdict.span) == ("tags.1", (0, 6))


@given(ANY)
def test_any_text_gets_a_verdict_whose_span_is_in_the_text(text: str) -> None:
    judge = finding_engine("a", "e", "か", "ss", match="anywhere")
    verdict = judge.judge(text)
    assert judge.unjudged_count == 0
    if verdict.span is not None:
        start, end = verdict.span
        assert 0 <= start < end <= len(text)
        assert judge.judge(text[start:end]).action is Action.HOLD


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_word_standing_alone_is_found_wherever_it_stands(before: str, after: str) -> None:
    verdict = VIAGRA.judge(f"{before} ; VІAGRA ; {after}")
    assert verdict.action is Action.HOLD


def test_the_naughty_strings_are_judged(shared_data: Callable[[str], Path]) -> None:
    strict = load_engine(
        Path(__file__).resolve().parent.parent.parent / "configs" / "policies" / "strict.toml"
    )
    asking = engine(
        condition("all", " || ".join(f"{name} == {name}" for name in SIGNALS if "author" not in name)),
        word_list("some", ["script", "null", "ÅÍÎ"]),
        condition("found", "hits.some"),
    )
    for text in json.loads(shared_data("moderation/naughty_strings/blns.json").read_text()):
        strict.judge(text)
        assert asking.judge(text).rule == "all"
    assert strict.unjudged_count == asking.unjudged_count == 0


def test_what_cannot_be_judged_is_held(caplog: pytest.LogCaptureFixture) -> None:
    broken = finding_engine("word")
    verdict = broken.judge(3)  # type: ignore[arg-type]
    assert (verdict.action, verdict.rule, broken.unjudged_count) == (Action.HOLD, UNJUDGED, 1)
    assert "held for review" in caplog.text


class GivesUp:
    """A set of patterns that matches no text to the end."""

    def Match(self, text: str) -> list[int]:  # noqa: N802 (RE2's own name)
        return []


def test_a_match_that_is_given_up_is_not_taken_for_no_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_sets, "_compiled", lambda _expressions, _options: GivesUp())
    assert finding_engine("word").judge("harmless").rule == UNJUDGED


def test_failures_of_one_sort_are_logged_as_their_number_doubles(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pattern_sets, "_compiled", lambda _expressions, _options: GivesUp())
    broken = finding_engine("word")
    for _ in range(5):
        assert broken.judge("harmless").rule == UNJUDGED
    broken.judge(3)  # type: ignore[arg-type]
    assert broken.unjudged_count == 6
    told = [record.getMessage().rpartition(": ")[2] for record in caplog.records if record.exc_info]
    assert told == ["1 so far", "2 so far", "4 so far", "1 so far"]


def test_without_a_policy_everything_is_accepted() -> None:
    assert PolicyEngine(EMPTY).judge("anything at all").action is Action.ACCEPT


def test_a_catastrophic_expression_takes_linear_time() -> None:
    # Backtracking would need 2^3000 steps; RE2 needs some microseconds, and a busy machine gets a second.
    slow = engine(pattern("evil", r"(a+)+b\z"), rule("found", ["evil"], "hold"))
    text = "a" * POST_TEXT_CODE_POINTS
    started = time.perf_counter()
    assert slow.judge(text).action is Action.ACCEPT
    assert slow.judge(text[:-1] + "b").action is Action.HOLD
    assert time.perf_counter() - started < 1.0


def test_ten_thousand_words_are_soon_ready() -> None:
    words = [f"word{number}x" for number in range(10_000)]
    started = time.perf_counter()
    large = finding_engine(*words)
    assert time.perf_counter() - started < 5.0
    assert large.judge("here is word9999x indeed").span == (8, 17)


def test_a_spelled_out_text_of_the_longest_length_takes_no_time() -> None:
    started = time.perf_counter()
    for text in ("a " * 1_500, "a b c d ef " * 270, "1!" * 1_500, "\u0301" * 3_000, "\ufdfa" * 3_000):
        VIAGRA.judge(text)
    assert time.perf_counter() - started < 2.0


# Words of several scripts, as few readers would write them; what stands for one letter together.
DISGUISED = ("viagra", "казино", "καζίνο", "قمار", "הימורים", "जुआघर", "พนัน", "赌博网", "かけごと", "b4dw0rd")
JUDGES = {word: finding_engine(word) for word in DISGUISED}
VANISHING = st.text(
    st.one_of(
        st.sampled_from("\u0488\u1abe\u20dd\u20e0\u20e3\ua670"),
        st.characters(max_codepoint=0xFFFF).filter(HIDDEN.match),
        st.sampled_from("\u0301\u0323\u0338\U0001d173\U000e0041\U000e0100"),
        # Marks of scripts that none of the words is in.
        st.sampled_from("\u09be\u0b3e\u0c4d\u0eb1\u0f71\u1036\u17b6\U00011080"),
    ),
    min_size=1,
    max_size=3,
)


@given(st.sampled_from(DISGUISED), st.lists(VANISHING, max_size=12), st.randoms(use_true_random=False))
def test_a_word_is_found_whatever_nothing_is_put_into_it(
    word: str, nothings: list[str], random: Random
) -> None:
    written = list(word)
    for nothing in nothings:
        at = random.randrange(1, len(word) + 1)
        written[at - 1] += nothing
    before, after = random.choice(["", "x ", "да! "]), random.choice(["", " y", ", да"])
    text = before + "".join(written) + after
    verdict = JUDGES[word].judge(text)
    assert verdict.span is not None
    start, end = verdict.span
    assert start == len(before)
    assert end > len(before) + len("".join(written[:-1])), "the span ends with the last letter, or after it"
    assert end <= len(before) + len("".join(written))
