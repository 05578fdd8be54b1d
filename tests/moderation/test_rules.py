"""Rules with expressions: what they say, what is unknown, and that many at once say what each says."""

# ruff: noqa: RUF001 (letters that pass for others)

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.submissions import Submission
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.expressions import Language, Value
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.policy import PolicyDocument, PolicyError, Rule
from folkmoot.protocol.moderation.rules import Outcome, Rules
from folkmoot.protocol.moderation.signals import SIGNALS, named_in
from folkmoot.protocol.moderation.verdict import Action, Verdict
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

from tests.moderation.documents import condition, document, engine, pattern, rule, word_list

DAY_US = 86_400_000_000
LISTS = word_list("bad", ["foo"], severity=4) + word_list("rude-words", ["bar"]) + pattern("shout", "!!!")


def judged(
    policy: PolicyEngine, text: str, *others: tuple[str, str], now_us: int = 0, **body: Any
) -> Verdict:
    item = make_uuid7(1, 1)
    record = Record.sign(KeyPair(b"\x01" * 32), kind="post", item=item, body={"text": text, **body}, stamp=1)
    return policy.judge_record(Submission([("text", text), *others], record), now_us)


@pytest.mark.parametrize(
    ("when", "text", "body", "applies"),
    [
        ("hits.bad && hits.shout", "foo!!!", {}, True),
        ("hits.bad && hits.shout", "foo", {}, False),
        ("hits.rude_words", "a bar", {}, True),
        ("!hits.bad && post.length > 3.0", "none", {}, True),
        ("!hits.bad && post.length > 3.0", "a foo", {}, False),
        ("post.links >= 2.0", "http://a.example www.b.example", {}, True),
        ("post.mentions == 2.0 && post.tags == 1.0", "@a and @b, me@c.d", {"tags": ["x"]}, True),
        ("post.lang in ['pt', 'pt-br']", "x", {"lang": "pt-BR"}, True),
        ("post.lang == ''", "x", {}, True),
        ("post.kind == 'post' && !post.reply && !post.quote && post.media == 0.0", "x", {}, True),
        ("counts.bad >= 3.0", "foo, FOO and f o o o", {}, False),
        ("counts.bad >= 3.0", "foo, FOO and f00", {}, True),
        ("counts.bad >= 3.0 && post.tags == 1.0", "foo foo", {"tags": ["foo"]}, True),
        ("counts.shout > 1.0", "one!!!", {}, False),
        ("counts.shout > 1.0 && !hits.bad", "one!!! two!!!", {}, True),
        ("counts.bad < 1.0 && counts.rude_words + counts.shout == 2.0", "bar!!!", {}, True),
        ("flood.same_text > 0.0 || flood.author_rate > 0.0", "x", {}, False),
    ],
)
def test_what_a_rule_says(when: str, text: str, body: Mapping[str, Any], applies: bool) -> None:
    tags = [(f"tags.{at}", tag) for at, tag in enumerate(body.get("tags", ()))]
    verdict = judged(engine(LISTS, condition("r", when)), text, *tags, **body)
    assert (verdict.rule, verdict.action.word) == (("r", "hold") if applies else (None, "accept"))


def test_a_finding_tells_the_worst_hit_the_signals_and_the_rules_own_severity() -> None:
    policy = engine(LISTS, condition("r", "(hits.rude_words || hits.bad) && post.links < 1.0", severity=2))
    found = judged(policy, "bar and foo").decisive
    assert found is not None
    assert (found.field, found.span, found.severity) == ("text", (8, 11), 2)
    assert found.signals == (("post.links", 0.0),)
    assert judged(policy, "bar and foo").to_wire()["signals"] == {"post.links": 0.0}


@pytest.mark.parametrize("then", ["label", "hold", "refuse"])
def test_what_is_unknown_goes_to_review_under_the_rules_id(then: str) -> None:
    more = {"label": "x"} if then == "label" else {}
    verdict = judged(engine(condition("r", "author.trust < 0.5", then, **more)), "x")
    assert (verdict.rule, verdict.action.word, verdict.labels) == ("r", "hold", ())
    assert verdict.reason is not None and "author.trust" in verdict.reason


def test_a_rule_that_is_tried_out_holds_nothing_when_it_is_unknown() -> None:
    verdict = judged(engine(condition("r", "author.trust < 0.5", "accept")), "x")
    assert (verdict.rule, verdict.action.word) == ("r", "accept")
    assert verdict.reason is not None and "author.trust" in verdict.reason


@pytest.mark.parametrize(
    ("when", "text", "action"),
    [
        ("author.trust < 0.5 || hits.bad", "foo", "refuse"),
        ("author.trust < 0.5 || hits.bad", "x", "hold"),
        ("author.trust < 0.5 && hits.bad", "foo", "hold"),
        ("author.trust < 0.5 && hits.bad", "x", "accept"),
        ("!(author.trust < 0.5) && hits.bad", "foo", "hold"),
        ("author.trust < 0.5 ? hits.bad : hits.bad", "foo", "hold"),
        ("{'a': hits.bad}.b", "foo", "hold"),
    ],
)
def test_logic_has_three_values(when: str, text: str, action: str) -> None:
    assert judged(engine(LISTS, condition("r", when, "refuse")), text).action.word == action


@pytest.mark.parametrize(
    ("degrade", "action"),
    [
        ("", "hold"),
        ('[degrade]\nauthor = "ignore"\n', "accept"),
        ('[degrade]\nauthor.trust = "ignore"\n', "accept"),
        ('[degrade]\nauthor.age_s = "ignore"\n', "hold"),
    ],
)
def test_the_policy_says_what_the_unknown_leads_to(degrade: str, action: str) -> None:
    assert judged(engine(condition("r", "author.trust < 0.5", "refuse"), degrade), "x").action.word == action


def test_a_rule_applies_until_its_last_day_ends() -> None:
    policy = engine(LISTS, rule("r", ["bad"], "hold"), "expires = 1970-01-02\n")
    assert judged(policy, "foo", now_us=2 * DAY_US - 1).rule == "r"
    assert judged(policy, "foo", now_us=2 * DAY_US).rule is None
    assert policy.warnings(2 * DAY_US - 1) == []
    assert policy.warnings(2 * DAY_US) == ["rule r expired on 1970-01-02"]


def test_the_last_day_there_is_does_not_end() -> None:
    policy = engine(LISTS, rule("r", ["bad"], "hold"), "expires = 9999-12-31\n")
    assert judged(policy, "foo", now_us=4_000_000_000 * 1_000_000).rule == "r"


@pytest.mark.parametrize(
    ("language", "reason"),
    [
        ("de", "Darum."),
        ("de-AT", "Darum."),
        ("pt-BR", "Porque sim."),
        ("pt", "Because r."),
        ("fr", "Because r."),
    ],
)
def test_the_reason_is_in_the_language_of_the_post_where_there_is_one(language: str, reason: str) -> None:
    notices = 'notice = {de = "Darum.", pt-br = "Porque sim."}\n'
    policy = engine(LISTS, rule("r", ["bad"], "hold"), notices)
    assert judged(policy, "foo", lang=language).reason == reason


# Expressions of every sort: those that wait for a hit, those that do not, known and unknown signals.
ATOMS = ["hits.a", "!hits.b", "post.links > 1.0", "author.trust < 0.5", "scores.bad > 1.0", "post.reply"]
SOURCES = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||"]), inner)
        | st.builds("!({})".format, inner)
    ),
    max_leaves=6,
)
MODEL = f'[[models]]\nid = "m"\nhash = "{"0" * 64}"\nlabels = ["bad"]\n'
POLICY = document(word_list("a", ["a"]), word_list("b", ["b"]), MODEL)
KNOWN = st.fixed_dictionaries(
    {"post.links": st.sampled_from([0.0, 2.0]), "post.reply": st.booleans()},
    optional={"author.trust": st.sampled_from([0.1, 0.9]), "scores.bad": st.sampled_from([0.0, 2.0])},
)


@given(st.lists(SOURCES, min_size=1, max_size=70), st.sets(st.sampled_from([0, 1])), KNOWN)
def test_looking_at_many_rules_at_once_changes_nothing(
    sources: list[str], hits: set[int], known: dict[str, Value]
) -> None:
    language = Language(POLICY.signals, "tests")
    values = {**known, "hits.a": 0 in hits, "hits.b": 1 in hits}
    expected = {
        number: truth
        for number, source in enumerate(sources)
        if (truth := language.compile(source).truth(language.bind(values))) is not False
    }
    rules = Rules(_with_rules(sources))
    assert set(rules.wanted(hits)) >= {
        name for number in expected for name in named_in(sources[number]) if not name.startswith("hits.")
    }
    outcomes = rules.apply(hits, known)
    assert [outcome.rule for outcome in outcomes] == sorted(expected)
    assert {outcome.rule: outcome.applies for outcome in outcomes} == expected
    assert all(outcome.missing for outcome in outcomes if outcome.applies is None)


def _with_rules(sources: list[str]) -> PolicyDocument:
    rules = [Rule(f"r{at}", source, Action.HOLD, "So.", None) for at, source in enumerate(sources)]
    return replace(POLICY, rules=tuple(rules))


def test_outcomes_name_what_set_them_off() -> None:
    policy = document(LISTS, rule("named", ["shout", "bad"], "hold"), condition("said", "hits.bad"))
    assert Rules(policy).apply({0, 2}, {}) == [Outcome(0, True, (0, 2)), Outcome(1, True, (0,))]


def test_signals_are_found_however_they_are_spaced() -> None:
    said = "hits.a && post.lang.startsWith('p') || post . links > 1.0"
    assert named_in(said) == ["hits.a", "post.lang", "post.links"]


def test_every_signal_can_be_named_and_is_told_unless_no_node_knows_it() -> None:
    policy = document(*(condition(f"r{at}", f"{name} == {name}") for at, name in enumerate(SIGNALS)))
    told = Submission([("text", "x")])
    facts = {**told.facts(), **told.known()}
    assert set(Rules(policy).signals) == set(SIGNALS)
    unknown = {name for name in SIGNALS if name not in facts and not name.startswith("flood.")}
    assert unknown == {"author.age_s", "author.trust"}


@pytest.mark.parametrize(
    "nest",
    [
        lambda depth: "(" * depth + "post.reply" + ")" * depth,
        lambda depth: "!" * depth + "post.reply",
        lambda depth: "!(" * depth + "post.reply" + ")" * depth,
        lambda depth: "post.reply ? (" * depth + "post.reply" + ") : false" * depth,
    ],
)
def test_whatever_can_be_read_can_be_looked_at_among_many(nest: Callable[[int], str]) -> None:
    deepest = max(depth for depth in range(16, 40) if _is_read(nest(depth)))
    many = engine(*(condition(f"r{at}", nest(deepest)) for at in range(40)))
    assert judged(many, "x").rule in (None, "r0")
    assert many.unjudged_count == 0


def _is_read(when: str) -> bool:
    try:
        document(condition("r", when))
    except PolicyError:
        return False
    return True


@pytest.mark.parametrize("text", ["a fоо", "a ƒoo", "a f.o.o.o", "ａ ｆｏｏ!"])
def test_disguises_are_seen_through_and_places_are_the_authors(text: str) -> None:
    found = judged(engine(word_list("bad", ["foo", "fooo"]), condition("r", "hits.bad && !post.reply")), text)
    assert found.decisive is not None and found.span is not None
    assert found.span[0] == 2 and text[slice(*found.span)].strip(" !") == text[2:].strip(" !")
