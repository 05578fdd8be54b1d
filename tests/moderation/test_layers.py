"""Policies in layers: what a narrower document may add, and that it takes nothing back."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from folkmoot.node.moderation.policy_file import PolicyFiles
from folkmoot.node.moderation.policy_layers import parse_policy
from folkmoot.protocol import limits
from folkmoot.protocol.moderation.bounds import POLICY_LAYERS
from folkmoot.protocol.moderation.policy import PolicyDocument, PolicyError
from folkmoot.protocol.moderation.verdict import Action

from tests.moderation.documents import HEAD, condition, layered, model, pattern, rule, word_list

LISTS = word_list("bad", ["foo"], severity=2) + pattern("shout", "!!!")
NAMED = rule("named", ["bad", "shout"], "hold", label="x")
SAID = condition("said", "hits.bad && post.links > 1.0", "hold")


def over(id: str, more: str = "") -> str:
    """A rule that says nothing but what it changes."""
    return f'[[rules]]\nid = "{id}"\n{more}\n'


def more_words(*words: str, more: str = "") -> str:
    """A list that says nothing but what it changes."""
    return f'[[lists]]\nid = "bad"\nwords = {list(words)}\n{more}\n'


def test_layers_are_one_document_with_one_name() -> None:
    read = layered(LISTS + NAMED, more_words("bar") + SAID, model("m", labels=["toxic"]))
    files = [
        (f'extends = "{at - 1}.toml"\n' * (at > 0) + HEAD + parts).encode()
        for at, parts in enumerate((LISTS + NAMED, more_words("bar") + SAID, model("m", labels=["toxic"])))
    ]
    hashes = [hashlib.sha256(file).digest() for file in files]
    assert read.layers == tuple(each.hex() for each in hashes)
    assert read.hash == hashlib.sha256(b"".join(hashes)).hexdigest()
    assert [(entry.id, entry.words, entry.severity) for entry in read.lists] == [("bad", ("foo", "bar"), 2)]
    assert [entry.id for entry in read.rules] == ["named", "said"]
    assert [entry.id for entry in read.models] == ["m"]


def test_a_rule_is_tightened_and_keeps_what_is_not_said_anew() -> None:
    read = layered(LISTS + NAMED, pattern("more", "x"), over("named", 'then = "refuse"'))
    (found,) = read.rules
    assert (found.then, found.when, found.reason, found.label) == (
        Action.REFUSE,
        ("bad", "shout"),
        "Because named.",
        None,
    )
    when = 'when = ["bad", "shout", "more"]\nnotice = {de = "Darum."}\nseverity = 5'
    (found,) = layered(LISTS + NAMED, pattern("more", "x") + over("named", when)).rules
    assert (found.then, found.when) == (Action.HOLD, ("bad", "shout", "more"))
    assert (found.label, found.severity, found.said_in("de")) == ("x", 5, "Darum.")


def problems(*layers: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        layered(*layers)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("below", "above", "problem"),
    [
        (NAMED, over("named", 'then = "label"'), "then is 'label' and below it is 'hold'"),
        (NAMED, over("named", 'when = ["bad"]'), "when lacks shout, which below is enough"),
        (NAMED, over("named", 'when = "hits.bad && hits.shout"'), "this is not what the rule below says"),
        (NAMED, over("named", 'label = "y"'), "label is not 'x', which it is below"),
        (NAMED, over("named", "expires = 2099-01-01"), "expires 2099-01-01, and below it never does"),
        (NAMED, over("named", "overridable = true"), "overridable, and below it is not"),
        (SAID, over("said", 'when = "hits.bad"'), "this is not what the rule below says"),
        (SAID, over("said", "severity = 2"), "severity 2; below it is 3"),
        (
            NAMED + "expires = 2099-01-02",
            over("named", "expires = 2099-01-01"),
            "expires 2099-01-01, and below 2099-01-02",
        ),
        ("", more_words("bar", more="severity = 1"), "severity 1; below it is 2"),
        ("", more_words("bar", more='category = "other"'), "category other; below it is test"),
        (
            condition("not", "!hits.bad && post.reply"),
            more_words("bar"),
            "more words could make rule not below apply less",
        ),
        *(
            (
                condition("few", when),
                more_words("bar"),
                "more words could make rule few below apply less",
            )
            for when in ("counts.bad < 3.0", "5.0 - counts.bad > 1.0", "post.reply || 3.0 > counts.bad")
        ),
        ("", pattern("shout", "!"), "'shout' is already the id of a list or pattern"),
        (model("m", labels=["a"]), model("m", labels=["b"]), "'m' is already the id of a model"),
        (
            condition("trust", "author.trust < 0.1"),
            '[degrade]\nauthor = "ignore"',
            "rule trust below goes to review for want of author.trust",
        ),
        (
            model("m", labels=["a"])
            + "[models.evidence.a]\nen = [[0.0, 9, 1]]\n"
            + condition("sure", "scores.a >= at_precision(0.9)"),
            '[degrade]\nthresholds = "ignore"',
            "rule sure below goes to review for want of thresholds.a_900",
        ),
        ("", over("new"), "when is missing"),
    ],
)
def test_nothing_is_taken_back(below: str, above: str, problem: str) -> None:
    told = problems(LISTS + below, above)
    assert any(each.startswith("1.toml:") and problem in each for each in told), told


@pytest.mark.parametrize(
    "above",
    [
        'then = "accept"\nlabel = "x"',
        'when = ["bad"]\nthen = "label"',
        'when = "hits.bad && hits.shout"\noverridable = false',
        "expires = 2099-01-01",
    ],
)
def test_what_is_overridable_may_be_changed_as_one_likes(above: str) -> None:
    loose = NAMED + "overridable = true\n"
    above = above.replace('accept"\nlabel = "x"', 'accept"')
    assert layered(LISTS + loose, over("named", above)).rules[0].id == "named"


def test_the_promise_holds_through_all_layers() -> None:
    refuses = over("named", 'then = "refuse"')
    assert problems(LISTS + NAMED, refuses, over("named", 'then = "hold"'))[0].startswith("2.toml:")
    assert layered(LISTS + NAMED, refuses, SAID).rules[0].then is Action.REFUSE


def test_a_word_more_is_welcome_where_it_can_only_add_hits() -> None:
    fine = condition("fine", "(hits.bad || post.links >= 2.0) && hits.shout")
    fine += condition("many", "counts.bad > 3.0 || (counts.bad>=2.0 && counts.shout >= 1.0)")
    assert layered(LISTS + fine, more_words("bar")).lists[0].words == ("foo", "bar")


def test_what_is_unknown_may_be_ignored_by_who_asks_first() -> None:
    asks = condition("trust", "author.trust < 0.1")
    read = layered(LISTS, asks + '[degrade]\nauthor = "ignore"\n')
    assert read.degraded("author.trust") == "ignore"


def test_limits_hold_over_all_layers_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "POLICY_WORDS", 3)
    monkeypatch.setattr(limits, "POLICY_RULES", 2)
    told = problems(LISTS + NAMED + SAID, word_list("two", ["a", "b", "c"]) + condition("r", "hits.two"))
    assert [each.partition(": ")[2] for each in told] == [
        "4 words in all lists together; the limit is 3",
        "3 rules in all layers together; the limit is 2",
    ]


def _policy(file: Path, wider: str) -> PolicyDocument:
    file.write_text(f'extends = "{wider}"\n{HEAD}')
    return parse_policy(file, file.read_bytes())


@pytest.mark.parametrize(
    ("wider", "problem"),
    [
        ("policy.toml", "is here already"),
        ("../other.toml", "a file in the same folder"),
        ("absent.toml", "cannot be read"),
        (".hidden.toml", "a file in the same folder"),
    ],
)
def test_what_cannot_be_extended(tmp_path: Path, wider: str, problem: str) -> None:
    with pytest.raises(PolicyError, match=problem):
        _policy(tmp_path / "policy.toml", wider)


def test_there_are_only_so_many_layers() -> None:
    assert len(layered(*[""] * POLICY_LAYERS).layers) == POLICY_LAYERS
    assert "one layer more" in problems(*[""] * (POLICY_LAYERS + 1))[0]


def test_all_files_of_a_policy_are_watched(tmp_path: Path) -> None:
    wide, narrow = tmp_path / "wide.toml", tmp_path / "narrow.toml"
    wide.write_text(HEAD + LISTS + NAMED)
    narrow.write_text(f'extends = "wide.toml"\n{HEAD}{model("m", labels=["toxic"])}')
    files = PolicyFiles(narrow, tmp_path / "models")
    loaded = files.load()
    names = [file.relative_to(tmp_path).as_posix() for file, _state in files.signature]
    assert names == ["narrow.toml", "wide.toml", f"{'0' * 64}.model", f"models/{'0' * 64}.model"]
    assert [state is None for _file, state in files.signature] == [False, False, True, True]
    assert loaded.problems == [
        f"model m: {'0' * 64}.model is not in {tmp_path} or {tmp_path / 'models'}; its scores are unknown"
    ]
