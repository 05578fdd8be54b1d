"""What commands print of previews, shadows and reversals; and what they take for reasons."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import main
from folkmoot.cli.community.previewing import preview_lines, shadow_lines
from folkmoot.cli.community.reversing import reversal_lines
from folkmoot.cli.exit_codes import OK, USAGE
from folkmoot.node.moderation.submissions import Submission
from folkmoot.protocol.moderation.replay import Comparison, Seen

from tests.moderation.documents import HEAD, engine, rule, word_list

WORDS = word_list("spam", ["buy"])
BEFORE, AFTER = engine(WORDS), engine(WORDS, rule("spam", ["spam"], "hold"))
DAY_US = 86_400_000_000


def report(posts: int = 100, **more: Any) -> dict[str, Any]:
    """Of posts in two languages, of which every tenth sells something, and people have decided about some."""
    comparison = Comparison(BEFORE.document, AFTER.document)
    for number in range(posts):
        text = "buy\nthis" if number % 10 == 0 else "fine"
        found = [each.findings(Submission((("text", text),))) for each in (BEFORE, AFTER)]
        upheld = True if number < 50 else None
        sample = {"author": b"", "item": b"", "text": text, "before": "accept", "after": "hold"}
        language = "de" if number % 2 else "en"
        comparison.add(
            Seen(found[0], found[1], language, number * DAY_US // 10, upheld, partial(dict, sample))
        )
    told = comparison.report()
    return {
        **told,
        "preview": "ab" * 32,
        "document": "cd" * 32,
        "compared": None,
        "found": [],
        "blocks": [],
        **more,
    }


def test_a_preview_is_told_in_lines() -> None:
    found = [
        {"name": "matches_everything", "what": "all applies to all", "blocks": True, "rule": "all"},
        {"name": "never_matches", "what": "rare applies to none", "blocks": False, "rule": "rare"},
    ]
    lines = preview_lines(report(found=found, blocks=["matches_everything"]))
    assert lines[0].startswith("cdcdcdcdcdcd beside each node's own file: 100 posts from 1970-01-01")
    assert "10 posts: accept becomes hold" in lines
    assert "held for review: 0 before, 10 after; a day 0.0 and 1.0" in lines
    assert any("0.48 to 1.00 (upheld 5 of 5)" in line for line in lines)
    assert "against it: all applies to all" in lines and "note: rare applies to none" in lines
    assert "spam gained: accept becomes hold: buy this" in lines
    assert lines[-1].endswith(f"--preview {'ab' * 32} --acknowledge matches_everything=REASON")
    assert preview_lines(report(0))[0].endswith("no posts to replay")


def test_other_regions_are_told_after_the_nodes_own() -> None:
    elsewhere = {**report(50), "region": "us"}
    lines = preview_lines(report(region="eu", regions=[elsewhere]))
    assert lines[0].startswith("cdcdcdcdcdcd beside each node's own file: in region eu, 100 posts from 1970")
    at = next(number for number, line in enumerate(lines) if line.startswith("in region us, 50 posts"))
    assert lines.index("10 posts: accept becomes hold") < at < lines.index("5 posts: accept becomes hold")


def test_a_shadow_is_told_in_lines() -> None:
    told = {**report(), "hash": "cd" * 32, "name": "tried", "beside": "ef" * 32, "since_ms": 0, "left_out": 3}
    lines = shadow_lines(told)
    assert lines[0] == (
        "cdcdcdcdcdcd (tried) beside efefefefefef since 1970-01-01 00:00:00 UTC: 100 posts; "
        "3 were left out under load"
    )
    assert "10 posts: accept becomes hold" in lines
    assert shadow_lines(None) == ["no policy judges without effect at this node"]


def test_a_reversal_is_told_in_lines() -> None:
    counts = {"labels": 2, "people": 1, "unreachable": 3}
    assert reversal_lines("ab" * 32, counts, False) == [
        "2 labels taken back",
        "1 left, because people have decided since",
        "3 not taken back, because the node that said so is not to be had",
        "folkmoot policy reverse abababababab does the rest",
    ]
    assert reversal_lines("ab" * 32, {"labels": 2}, True) == ["2 labels would be taken back"]
    assert reversal_lines("ab" * 32, {}, False) == ["abababababab has labelled nothing and had nothing wait"]


@pytest.mark.parametrize("reason", ["never_matches", "=so", "never_matches= "])
def test_a_reason_has_a_name(reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["policy", "activate", "policy.toml", "--acknowledge", reason]) == USAGE
    assert "NAME=REASON" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["policy", "rollback", "--dry-run", "--node", "127.0.0.1:1", "--tls", "off"],
        ["policy", "activate", "x", "--preview", "x"],
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(words) == USAGE
    assert capsys.readouterr().err


def test_one_list_is_one_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(HEAD + WORDS + rule("one", ["spam"], "hold") + rule("two", ["spam"], "accept"))
    assert main.run(["policy", "check", str(file)]) == OK
    assert "1 list, 0 patterns, 2 rules" in capsys.readouterr().out
