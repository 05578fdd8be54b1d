"""Policy documents: what is valid, and how every problem of an invalid one is told."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.node.moderation.policy_layers import parse_policy, read_policy_bytes
from folkmoot.protocol import limits
from folkmoot.protocol.moderation.policy import PolicyError
from folkmoot.protocol.moderation.verdict import Action

from tests.moderation.documents import FILE, HEAD, condition, document, model, pattern, rule, word_list

POLICIES = Path(__file__).resolve().parent.parent.parent / "configs" / "policies"

MUCH_IS_WRONG = """\
version = 2
name = "Not A Slug"
unicode = "14.0.0"
colour = "red"

[[lists]]
id = "bad"
category = "test"
severity = 9
match = "sometimes"
words = [
    "fine",
    3,
    "",
    "\u200b",
]

[[patterns]]
id = "bad"
category = "test"
severity = true
regex = '(a)\\1'

[[rules]]
id = "one"
when = ["bad", "gone"]
then = "label"
reason = "So."

[[rules]]
id = "one"
when = []
then = "refuse"
label = "x"
reason = "   "
"""


def problems_of(text: str | bytes) -> list[str]:
    """What is wrong with a document, each as `line: sentence`."""
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(PolicyError) as caught:
        parse_policy(FILE, data)
    prefix = f"{FILE}:"
    assert all(problem.startswith(prefix) for problem in caught.value.problems)
    return [_without_column(problem.removeprefix(prefix)) for problem in caught.value.problems]


def _without_column(problem: str) -> str:
    place, _, sentence = problem.partition(": ")
    return f"{place.split(':')[0]}: {sentence}"


def test_a_document_reads_back_as_written() -> None:
    text = (
        HEAD + word_list("bad", ["Foo", "b a r"], severity=3, match="anywhere") + pattern("shout", "x{3,}!")
    )
    text += rule("one", ["bad", "shout"], "hold", label="loud") + rule("two", ["bad"], "refuse")
    read = parse_policy(FILE, text.encode())
    assert read.hash == hashlib.sha256(text.encode()).hexdigest()
    assert (read.name, read.appeal) == ("test", "Ask the operators.")
    (words,) = read.lists
    assert (words.id, words.words, words.severity, words.whole_words) == ("bad", ("Foo", "b a r"), 3, False)
    assert [(entry.id, entry.regex) for entry in read.patterns] == [("shout", "x{3,}!")]
    assert [(entry.id, entry.when, entry.then, entry.label) for entry in read.rules] == [
        ("one", ("bad", "shout"), Action.HOLD, "loud"),
        ("two", ("bad",), Action.REFUSE, None),
    ]


@pytest.mark.parametrize("name", ["default", "strict"])
def test_the_policies_we_ship_are_valid_and_bear_their_name(name: str) -> None:
    assert load_engine(POLICIES / f"{name}.toml").document.name == name


def test_all_problems_are_told_at_once_each_at_its_line() -> None:
    told = problems_of(MUCH_IS_WRONG)
    expected = {
        "1: format version 2",
        "2: name is 'Not A Slug'",
        "1: appeal is missing",
        "4: unknown key 'colour'",
        "9: severity 9;",
        "10: match is 'sometimes'",
        "13: an entry of words is not a text",
        "14: an entry of words is blank",
        "15: nothing is left of",
        "19: 'bad' is already the id of a list or pattern",
        "21: severity is a whole number",
        "22: RE2 does not accept this expression: invalid escape sequence",
        "26: no list or pattern has the id 'gone'",
        "24: label is missing",
        "31: 'one' is already the id of a rule",
        "32: when is an array of 1 to",
        "34: a rule that says refuse puts no label",
        "35: reason is blank",
    }
    for beginning in expected:
        assert any(problem.startswith(beginning) for problem in told), (beginning, told)
    assert len(told) == len(expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version = \n", "1: not TOML: Invalid value"),
        ('name = "a"\nname = "b"\n', "2: not TOML"),
        (b"version = 1\nname = '\xff'\n", "2: not UTF-8"),
        ("lists = 3\n" + HEAD, "1: lists is written as tables"),
        ("lists = [1]\n" + HEAD, "1: lists is written as tables"),
        (HEAD.replace("14.0.0", "99.0.0"), "3: needs Unicode 99.0.0"),
        (HEAD.replace("14.0.0", "latest"), "3: 'latest' is not a Unicode version"),
        (HEAD + pattern("empty", "x*"), "9: this expression matches without any text"),
        (HEAD + pattern("edge", r"\b"), "9: this expression matches without any text"),
        (HEAD + pattern("vast", "((a{100}){100}){100}"), "9: RE2 does not accept this expression"),
        (HEAD + pattern("look", "(?=a)b"), "9: RE2 does not accept this expression"),
        (HEAD + word_list("long", ["x" * 129]), "10: an entry of words has 129 characters"),
        (HEAD + "when = 1979-05-27\n", "5: unknown key 'when'"),
        (HEAD + condition("r", "hits.gone"), "7: when, character 5: undeclared reference to 'hits.gone'"),
        (HEAD + condition("r", "post.links > 2"), "7: when, character 12: "),
        (
            HEAD + condition("r", "post.links / post.tags > 2.0"),
            "7: when, character 12: there is no division",
        ),
        (HEAD + condition("r", "post.links"), "7: when: its value is a number"),
        (HEAD + condition("r", "hits.x || true") + word_list("x", ["x"]), "7: when: this is always true"),
        (HEAD + condition("r", "1.0 > 2.0"), "7: when: this is never true"),
        (HEAD + condition("r", ""), "7: when is blank"),
        (HEAD + condition("r", "post.reply" + " " * 500), "7: when has 510 characters"),
        (HEAD + condition("r", "(" * 240 + "post.reply" + ")" * 240), "7: when: it is nested too deeply"),
        (HEAD + condition("r", "(" * 32 + "post.reply" + ")" * 32), "7: when: it is nested too deeply"),
        (HEAD + condition("r", "post.lang.matches('(a+)+')"), "7: when, character 18: "),
        (HEAD + condition("r", "[post.lang].map(a, a + a) == []"), "7: when, character 16: there is no map"),
        (HEAD + condition("r", "post.lang + 'x' == 'x'"), "7: when, character 11: "),
        (HEAD + condition("r", "post.reply", expires="2027-01-31"), "12: expires is a date without"),
        (HEAD + condition("r", "post.reply", overridable="yes"), "12: overridable is true or false"),
        (HEAD + condition("r", "post.reply") + 'notice = {EN = "x"}\n', "12: 'EN' is no language tag"),
        (HEAD + condition("r", "post.reply") + 'notice = {en = ""}\n', "12: en is blank"),
        (HEAD + condition("r", "post.reply") + 'notice = "x"\n', "12: notice is written as a table"),
        (HEAD + '[degrade]\npost = "ignore"\n', "6: post is never unknown"),
        (HEAD + '[degrade]\nauthor.trust = "guess"\n', "6: trust is 'guess'; it is one of"),
        (HEAD + model("m", labels=["bad"], hash="x"), "7: hash is the SHA-256"),
        (HEAD + model("m", labels=["Bad"]), "8: 'Bad' cannot be named in a rule"),
        (HEAD + model("m", labels=["bad"]) + model("n", labels=["bad"]), "12: a model scores 'bad' already"),
        (
            HEAD + model("m", labels=["bad"]) + model("m", labels=["b"]),
            "10: 'm' is already the id of a model",
        ),
        (HEAD + "".join(model(f"m{at}", labels=[f"b{at}"]) for at in range(9)), "5: 9 models; the limit is"),
    ],
)
def test_one_problem_is_told(text: str | bytes, problem: str) -> None:
    told = problems_of(text)
    assert len(told) == 1 and told[0].startswith(problem), told


def test_nesting_that_exhausts_the_parser_is_a_problem_like_any_other() -> None:
    with pytest.raises(PolicyError, match=r"nested too deeply|not TOML"):
        parse_policy(FILE, b"a = " + b"[" * 100_000)


def test_of_very_many_problems_the_first_hundred_are_told() -> None:
    told = problems_of_many()
    assert len(told) == limits.POLICY_PROBLEMS + 1
    assert told[-1] == "… and 4900 more problems"


def problems_of_many() -> tuple[str, ...]:
    with pytest.raises(PolicyError) as caught:
        parse_policy(FILE, (HEAD + word_list("bad", [""] * 5_000)).encode())
    return caught.value.problems


def test_more_words_than_a_policy_may_have_are_refused() -> None:
    halves = ["w" + str(number) for number in range(limits.POLICY_WORDS // 2 + 1)]
    (problem,) = problems_of(HEAD + word_list("one", halves) + word_list("two", halves))
    assert "200002 words in all lists together" in problem


def test_a_file_that_is_too_large_or_absent_is_a_problem(tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (limits.POLICY_BYTES + 1))
    with pytest.raises(PolicyError, match="larger than"):
        read_policy_bytes(large)
    with pytest.raises(PolicyError, match="cannot be read: No such file"):
        read_policy_bytes(tmp_path / "absent.toml")
    with pytest.raises(PolicyError, match="no regular file"):
        read_policy_bytes(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(PolicyError, match="no regular file"):
        read_policy_bytes(tmp_path / "fifo")


def test_a_pattern_whose_program_is_too_large_is_refused_at_its_line() -> None:
    (problem,) = problems_of(HEAD + pattern("p", r"a\pL{30}x"))
    assert problem.startswith("9: this expression takes 35916 instructions, and the most is 16384")


def test_patterns_that_are_too_much_together_are_refused() -> None:
    many = [pattern(f"p{number}", f"a.{{0,80}}b.{{0,80}}c{number}") for number in range(46)]
    PolicyEngine(document(*many[:44]))
    with pytest.raises(PolicyError, match=r"together take 66\d+ instructions, and the most is 65536"):
        PolicyEngine(document(*many))
