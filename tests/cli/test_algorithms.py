"""Feed algorithms as people write them: what is wrong with a file is said, and what is shown can be read."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.main import run
from folkmoot.cli.social.algorithms import CalledType, as_toml, read_file, why_lines
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.ranking.document import parse_document
from folkmoot.protocol.ranking.shipped import SHIPPED

ANN = account_to_text(KeyPair(b"\x01" * 32).account)
WHOLE = """
title = "Tea"
about = "and kettles"
filters = ["!is_reply"]
per_author = 2
[[sources]]
from = "tags"
limit = 10
tags = ["tea"]
[[sources]]
from = "following"
[[terms]]
name = "likes"
value = "likes"
weight = -1.25
half_life = "90m"
[[terms]]
name = "new"
value = "1.0"
weight = 3
"""


def test_a_file_becomes_a_document(tmp_path: Path) -> None:
    file = tmp_path / "tea.toml"
    file.write_text(WHOLE, encoding="utf-8")
    assert read_file(file) == {
        "title": "Tea",
        "about": "and kettles",
        "filters": ["!is_reply"],
        "per_author": 2,
        "sources": [{"from": "tags", "limit": 10, "tags": ["tea"]}, {"from": "following"}],
        "terms": [
            {"name": "likes", "value": "likes", "weight": -1_250, "half_life_s": 5_400},
            {"name": "new", "value": "1.0", "weight": 3_000},
        ],
    }


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shown_is_what_is_read(tmp_path: Path, name: str) -> None:
    file = tmp_path / "shown.toml"
    file.write_text("\n".join(as_toml(SHIPPED[name])), encoding="utf-8")
    assert parse_document(read_file(file)) == parse_document(SHIPPED[name])


@pytest.mark.parametrize(
    ("written", "instead", "words"),
    [
        ('title = "Tea"', "", "title is missing"),
        ('title = "Tea"', "title = Tea", ":2:9: not TOML: Invalid value"),
        ("weight = 3", 'weight = "3"', "terms[1] needs a weight, a number such as 1.5"),
        ("weight = 3", "weight = true", "terms[1] needs a weight"),
        ("weight = 3", "weight = 1e9", "from -1000 to 1000"),
        ("weight = 3", "weight = nan", "terms[1] needs a weight"),
        ("weight = 3", "weight = 1.0001", "more than three decimals"),
        ("weight = 3", "wait = 3", "terms[1] has no 'wait'; there are half_life, name, value, weight"),
        ('"90m"', '"a while"', "terms[0].half_life: 'a while' is not a time such as 90s"),
        ('"90m"', '["90m"]', "terms[0].half_life"),
        ('value = "likes"', 'value = "likes >"', "terms[0] (likes), character 8: Syntax error"),
        ('value = "likes"', 'value = "likes * 2"', "written with a point, such as 2.0"),
        ('"!is_reply"', '"is_reply ? 1.0 : 0.0"', "filters[0]: its value is a number"),
        ('from = "following"', 'from = "nowhere"', "sources[1]: there is no source 'nowhere'"),
        ('from = "following"', "", "from is missing"),
        ("limit = 10", "limit = 501", "sources[0].limit"),
        ("limit = 10", "most = 10", "sources[0] has no 'most'"),
        ("per_author = 2", "[other]", "has no 'other'"),
        ("per_author = 2", "per_author = 2.5", "per_author"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, written: str, instead: str, words: str) -> None:
    assert written in WHOLE
    file = tmp_path / "tea.toml"
    file.write_text(WHOLE.replace(written, instead, 1), encoding="utf-8")
    with pytest.raises(OperatorError) as refused:
        read_file(file)
    assert words in str(refused.value) and str(file) in str(refused.value)


@pytest.mark.parametrize(
    "data", [b"\xff", b"x" * 100_000, b"sources = 1\nterms = []\n", b"terms = 1\n", b"sources = [1]\n"]
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(data)
    with pytest.raises(OperatorError):
        read_file(file)


def test_check_and_show_need_no_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["algorithm", "show", "best"]) == exit_codes.OK
    file = tmp_path / "mine.toml"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert run(["algorithm", "check", str(file), "--json"]) == exit_codes.OK
    assert json.loads(capsys.readouterr().out)["document"]["title"] == "Best"
    file.write_text("", encoding="utf-8")
    assert run(["algorithm", "check", str(file), "--json"]) == exit_codes.FAILED
    assert "title is missing" in json.loads(capsys.readouterr().out)["error"]["message"]
    for words in (("show", "worst"), ("history", f"{ANN}/"), ("history", "x/y")):
        assert run(["algorithm", *words]) == exit_codes.USAGE
    assert run(["algorithm", "history", "best"]) == exit_codes.FAILED


def test_names_of_algorithms() -> None:
    kind = CalledType()
    assert str(kind.convert("best", None, None)) == "best"
    assert kind.convert("best", None, None).to_wire() == "best"
    named = kind.convert(f"{ANN}/a/b", None, None)
    assert named.name == "a/b" and str(named) == f"{ANN}/a/b"
    for wrong in ("", "worst", ANN, f"{ANN}/", f"{ANN}/{'x' * 65}", "@marit/tea"):
        with pytest.raises(click.BadParameter):
            kind.convert(wrong, None, None)


def test_why_a_post_is_there_is_told_in_words() -> None:
    terms = [
        {"name": "likes", "weight": 1_500, "value": 2_000, "decay": 1_000, "points": 3_000},
        {"name": "new", "weight": 3_000, "value": 1_000, "decay": 250, "points": 750},
        {"name": "odd", "weight": 1_000, "value": 0, "decay": 1_000, "points": 0, "failed": True},
    ]
    assert why_lines({"sources": ["following", "tags"], "score": 3_750, "terms": terms}) == [
        "  why: from following, tags; score 3.75",
        "            3  likes: 1.5 × 2",
        "         0.75  new: 3 × 1 × 0.25 for its age",
        "            0  odd: it has no value for this post",
    ]
