"""`folkmoot audit bias`: what it finds in labelled texts, how it shows it, and how it fails."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.auditing.gathering import declared, gather
from folkmoot.cli.auditing.picture import picture
from folkmoot.cli.auditing.telling import (
    NAMED,
    alarm_sentence,
    as_json,
    plot_of,
    position,
    rows_of,
    shown,
    unsaid,
)
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK, USAGE
from folkmoot.cli.main import run
from folkmoot.node.moderation.dialects import Dialects
from folkmoot.protocol.moderation.bounds import DIALECTS_BYTES, DIALECTS_SETS
from folkmoot.protocol.moderation.fairness import bias
from folkmoot.protocol.moderation.fairness.bias import Audit, audit
from folkmoot.protocol.moderation.fairness.tally import ANY_RULE, Numbers, Tally
from folkmoot.protocol.moderation.policy import PolicyError
from folkmoot.protocol.moderation.statistics.durations import Waits

from tests.moderation.evaluating.making import TEMPLATES, WIKIPEDIA, write

POLICY = """
version = 1
name = "tried"
unicode = "14.0.0"
appeal = "Ask."

[[lists]]
id = "words"
category = "abuse"
severity = 2
words = [{words}]

[[rules]]
id = "rude"
when = ["words"]
then = "label"
label = "rude"
reason = "Rude."
"""
HEAD = b"version = 1\nname = 'x'\nunicode = '14.0.0'\nappeal = 'x.'\n"
LIST = b"[[lists]]\nid = 'l%d'\ncategory = 'c%d'\nseverity = 1\nwords = ['word%d']\n"
DIALECTS = ("row_id", "aae", "sae")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sets in which nothing is wrong with half of what names a group, and with all that do not."""
    folder = tmp_path / "labelled"
    names = ("sikh", "jewish", "gay", "deaf")
    templates = [
        (
            at,
            "name_adj",
            "BAD" if at // 4 % 2 else "NOT_BAD",
            f"{who} {'scum' if at // 4 % 2 else 'people'} {at}",
        )
        for at, who in enumerate(names * 60)
    ]
    write(folder, "identity_templates_77k.csv", TEMPLATES, templates)
    write(
        folder,
        "dialect_pairs_habitual_be.csv",
        DIALECTS,
        [(at, "she be working", "she works") for at in range(40)],
    )
    return folder


@pytest.fixture
def audited(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: Path
) -> Callable[..., tuple[int, Any]]:
    """Audits a policy that labels these words; the exit code, and the object that is printed."""

    def audited(*words: str, more: tuple[str, ...] = ()) -> tuple[int, Any]:
        policy = tmp_path / "policy.toml"
        policy.write_text(POLICY.format(words=", ".join(map(repr, words))))
        code = run(["audit", "bias", "--policy", str(policy), "--on", str(folder), "--json", *more])
        return code, json.loads(capsys.readouterr().out)

    return audited


def test_a_policy_that_strikes_a_name_is_found_out(
    audited: Callable[..., tuple[int, Any]], tmp_path: Path
) -> None:
    drawing = tmp_path / "audit.svg"
    code, told = audited("scum", "gay", more=("--plot", str(drawing)))
    assert code == FAILED
    templates = told["audits"]["identity_templates_77k"]
    assert {(each["measure"], each["group"]) for each in templates["alarms"]} == {("false positives", "gay")}
    [worst] = [each for each in templates["compared"] if each["alarm"]]
    assert worst["value"] == 1.0 and worst["rest"] == 0.0 and worst["ratio"] is None
    assert worst["ratio_interval"][0] > 1.25 and worst["n"] == 30
    assert told["audits"]["dialect_pairs_habitual_be"]["alarms"] == []
    assert ElementTree.parse(drawing).getroot().tag.endswith("svg")


def test_a_policy_that_strikes_what_is_wrong_alone_raises_no_alarm(
    audited: Callable[..., tuple[int, Any]],
) -> None:
    code, told = audited("scum")
    assert code == OK and all(each["alarms"] == [] for each in told["audits"].values())


def test_groups_that_are_not_compared_are_named_and_it_is_no_success(
    audited: Callable[..., tuple[int, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bias, "AUDIT_GROUPS", 3)
    code, told = audited("scum")
    assert code == DEGRADED
    assert told["audits"]["identity_templates_77k"]["left_out"] == ["sikh"]
    assert told["audits"]["dialect_pairs_habitual_be"]["left_out"] == []
    assert audited("scum", "gay")[0] == FAILED, "an alarm comes first"


def test_what_an_audit_says_nothing_of_is_said() -> None:
    few = [f"x{number}" for number in range(NAMED + 5)]
    lines = unsaid(Audit([], few, ["sw"], blurred=True))
    assert len(lines) == 3 and lines[0].endswith(f"{few[NAMED - 1]} and 5 more")
    assert lines[1].endswith(": sw") and "not told apart" in lines[2]
    assert unsaid(Audit([], [])) == []


def test_ways_of_writing_are_compared_and_declared_sets_too(
    audited: Callable[..., tuple[int, Any]], tmp_path: Path
) -> None:
    code, told = audited("she be")
    [alarm] = told["audits"]["dialect_pairs_habitual_be"]["alarms"]
    assert code == FAILED and alarm["group"] == "African-American English"
    sets = tmp_path / "sets.toml"
    sets.write_bytes(declared(None))
    code, told = audited("she be", more=("--dialects", str(sets)))
    [alarm] = told["audits"]["dialect_pairs_habitual_be"]["alarms"]
    assert code == FAILED and alarm["group"] == "african-american"


def test_what_cannot_be_audited_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.format(words="'x'"))
    assert run(["audit", "bias", "--policy", str(policy)]) == USAGE
    empty = write(tmp_path / "other", "wikipedia.csv", WIKIPEDIA, []).parent
    for words in (["--on", str(empty)], ["--on", str(folder), "--plot", str(tmp_path / "none" / "x.svg")]):
        assert run(["audit", "bias", "--policy", str(policy), *words]) == FAILED
    policy.write_text(
        policy.read_text()
        + f"\n[[models]]\nid = 'm'\nhash = '{'ab' * 32}'\nlabels = ['toxic']\n"
        + "\n[[rules]]\nid = 'model'\nwhen = 'scores.toxic > 1.0'\nthen = 'hold'\n"
        + "category = 'x'\nseverity = 1\nreason = 'X.'\n"
    )
    assert run(["audit", "bias", "--policy", str(policy), "--on", str(folder)]) == FAILED
    assert "beside" in capsys.readouterr().err, "judged without its model a policy would hold everything"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dialects", __file__], "--dialects means nothing with --by language"),
        (["--by", "region", "--dialects", __file__], "--dialects means nothing with --by region"),
        (["--skip-unknown"], "--skip-unknown means nothing without --on"),
        (["--policy", __file__, "--on", ".", "--by", "region"], "--by means nothing with --on"),
        (["--policy", __file__, "--on", ".", "--since", "1d"], "--since means nothing with --on"),
        (["--policy", __file__, "--on", ".", "--key", "x.key"], "--key means nothing with --on"),
    ],
)
def test_options_that_would_be_passed_over_are_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert run(["audit", "bias", *words]) == USAGE
    assert said in capsys.readouterr().err


def test_what_is_declared_is_found_in_texts_and_in_nobody() -> None:
    dialects = Dialects(declared(None))
    assert "african-american" in dialects.sets
    for said in ("She be working late", "THEY ALWAYS BE PLAYING", "he be f’ing", "I'm finna go"):
        assert dialects.sets_in(said) == {"african-american"}
    for plain in ("She will be working", "to be honest", "they may be in", "be in time", ""):
        assert not dialects.sets_in(plain)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff",
        HEAD,
        b"#" * (DIALECTS_BYTES + 1),
        HEAD + b"".join(LIST % (at, at, at) for at in range(DIALECTS_SETS + 1)),
    ],
)
def test_what_declares_nothing_or_too_much_is_refused(document: bytes) -> None:
    with pytest.raises(PolicyError):
        Dialects(document)


def planted() -> Audit:
    tally = Tally()
    tally.count(["<sw> & co"], [ANY_RULE], Numbers(posts=900, flagged=90))
    tally.count(["en"], [ANY_RULE], Numbers(posts=900, flagged=9))
    tally.count(["<sw> & co"], [ANY_RULE], Numbers(waits=Waits({}, {60: 30})))
    tally.count(["en"], [ANY_RULE], Numbers(waits=Waits({60: 30})))
    return audit(tally)


def test_tables_plots_and_pictures_show_what_was_found() -> None:
    found = planted()
    compared = shown(found, every_rule=False)
    rows, lines = rows_of(compared), plot_of(compared)
    assert "ALARM" in rows[1] and "10.00%" in rows[1] and "never" in "\n".join(rows)
    assert len(lines) == len(compared) + 1 and len({len(line.split("  ALARM")[0]) for line in lines[1:]}) <= 3
    assert lines[1].index("●") > lines[1].index("|")
    assert ">" in "\n".join(lines), "what goes on beyond the scale says so"
    assert "flag rate: <sw> & co" in alarm_sentence(found)
    drawn = picture("Moderation of <posts>", {"one": compared, "two": compared})
    root = ElementTree.fromstring(drawn)
    texts = [each.text for each in root.iter() if each.tag.endswith("text")]
    assert "flag rate: <sw> & co" in texts and "Moderation of <posts>" in texts and "two" in texts
    json.dumps(as_json(found), allow_nan=False)


def test_places_on_the_scale_are_in_order() -> None:
    places = [position(each) for each in (0.0, 0.25, 0.5, 1.0, 1.25, 8.0, inf)]
    assert places == sorted(places) and places[0] == 0.0 and places[-1] == 1.0
    assert places[3] == pytest.approx(0.4)


async def test_pages_are_added_up_and_missing_ranges_said() -> None:
    class Told:
        """Answers page after page."""

        def __init__(self, pages: Iterator[dict[str, Any]]) -> None:
            self.pages = pages
            self.asked: list[dict[str, Any]] = []

        async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
            assert method == "moderation.audit"
            self.asked.append(params)
            return next(self.pages)

    one = [["sw", "", {"posts": 3}], ["", "", {"posts": 5}]]
    pages: list[dict[str, Any]] = [
        {"numbers": one, "cursor": b"on", "missing": [7]},
        {"numbers": one, "cursor": None, "missing": []},
    ]
    client = Told(iter(pages))
    tally, missing = await gather(client, "language", 9, b"")  # type: ignore[arg-type]
    assert tally.of("sw").posts == 6 and tally.rest("sw").posts == 4 and missing == [7]
    assert client.asked == [{"by": "language", "since": 9}, {"by": "language", "since": 9, "cursor": b"on"}]
