"""`folkmoot moderate evaluate`: what it prints, that it prints the same, and how it fails."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK, USAGE
from folkmoot.cli.main import run

from tests.moderation.evaluating.making import HATECHECK, SPAM, SURGE, TEMPLATES, messages, opinions, write

SHARES = ("macro_f1", "auc", "accuracy", "precision", "recall")


@pytest.fixture
def evaluate(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Runs the command; its exit code and the object it prints."""

    def evaluated(train: Path, test: Path, *words: str, jobs: int = 1) -> tuple[int, Any]:
        folders = ("--train", str(train), "--test", str(test), "--jobs", str(jobs))
        code = run(["moderate", "evaluate", *folders, *words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return evaluated


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """One folder to learn from, another to measure on."""
    train, test = tmp_path / "train", tmp_path / "test"
    write(train, "sms_spam.csv.gz", SPAM, messages(60, seed=1))
    write(train, "surge_toxicity.csv", SURGE, opinions(40, seed=1))
    write(test, "sms_spam.csv", SPAM, messages(40, seed=2))
    cases = [("slur_h", 1, "scum, they are", "hateful"), ("ident_nh", 2, "they are friends", "non-hateful")]
    write(test, "hatecheck_en.csv", HATECHECK, cases)
    templates = [
        (at, "name_adj", "NOT_BAD", f"Jim is a happy {who}") for at, who in enumerate(["sikh", "jew"] * 30)
    ]
    write(test, "identity_templates_77k.csv", TEMPLATES, [*templates, (99, "name_adj", "BAD", "scum")])
    return train, test


def test_each_set_is_told_with_intervals_around_its_figures(
    evaluate: Callable[..., tuple[int, Any]], folders: tuple[Path, Path]
) -> None:
    code, report = evaluate(*folders)
    assert code == OK and report["folds"] is None and report["not_evaluated"] == {}
    assert list(report["sets"]) == ["sms_spam", "identity_templates_77k", "hatecheck_en"]
    spam = report["sets"]["sms_spam"]
    assert (spam["n"], spam["trained_on"], spam["judged_by"]) == (40, 60, "sms_spam")
    assert spam["macro_f1"] > 0.9
    for share in SHARES:
        low, high = spam["intervals"][share]
        assert 0.0 <= low <= spam[share] <= high <= 1.0
    assert [spam["classes"][label]["n"] for label in ("ham", "spam")] == [
        sum(label == each for _, each, _ in messages(40, seed=2)) for label in ("ham", "spam")
    ]
    check = report["sets"]["hatecheck_en"]
    assert check["judged_by"] == "hate" and check["functionalities"]["slur_h"]["accuracy"] == 1.0
    assert check["always_hateful"] == {"macro_f1": 0.3333, "accuracy": 0.5}
    identity = report["sets"]["identity_templates_77k"]["identity"]
    # A blind model cannot tell one name from another.
    assert {name: each["ratio"] for name, each in identity["names"].items()} == {"jew": 1.0, "sikh": 1.0}
    assert identity["alarms"] == []
    assert {each["set"]: each["reached"] for each in report["targets"]} == {
        "hatecheck_en": True,
        "identity_templates_77k": True,
    }


def test_the_same_folders_give_the_same_report_however_many_are_trained_at_once(
    evaluate: Callable[..., tuple[int, Any]], folders: tuple[Path, Path]
) -> None:
    once = evaluate(*folders)
    assert once == evaluate(*folders, jobs=2)
    other = evaluate(*folders, "--seed", "5")[1]
    assert [each["hash"] for each in other["models"]] != [each["hash"] for each in once[1]["models"]]


def test_one_folder_given_for_both_is_measured_in_folds(
    evaluate: Callable[..., tuple[int, Any]], folders: tuple[Path, Path]
) -> None:
    train, _ = folders
    (train / "surge_toxicity.csv").unlink()
    code, report = evaluate(train, train / ".")
    assert (code, report["folds"]) == (OK, 5)
    spam = report["sets"]["sms_spam"]
    assert (spam["n"], spam["folds"], spam["trained_on"]) == (60, 5, 48)
    assert len({model["hash"] for model in report["models"]}) == 5


def test_what_could_not_be_measured_is_said_and_so_are_broken_folders(
    evaluate: Callable[..., tuple[int, Any]], folders: tuple[Path, Path]
) -> None:
    train, test = folders
    (train / "sms_spam.csv.gz").unlink()
    (test / "identity_templates_77k.csv").unlink()
    code, report = evaluate(train, test)
    assert (code, list(report["sets"])) == (DEGRADED, ["hatecheck_en"])
    assert report["not_evaluated"] == {
        "sms_spam": "the training folder has no sms_spam, or not of every class"
    }
    (train / "surge_toxicity.csv").write_text("row_id,text,label\n1,hm,Perhaps\n")
    code, told = evaluate(train, test)
    assert (code, told["error"]["name"]) == (FAILED, "table_error")
    assert "surge_toxicity.csv:2: label is 'Perhaps'; it is one of" in told["error"]["message"]
    assert evaluate(train, test / "nowhere")[0] == USAGE


def test_people_get_tables_and_may_have_a_page(
    capsys: pytest.CaptureFixture[str], folders: tuple[Path, Path], tmp_path: Path
) -> None:
    train, test = folders
    page = tmp_path / "page.md"
    words = ("--train", str(train), "--test", str(test), "--jobs", "1", "--markdown", str(page))
    assert run(["moderate", "evaluate", *words]) == OK
    shown = capsys.readouterr().out
    assert "HateCheck, by functionality" in shown and "sms_spam" in shown and "calling everything" in shown
    written = page.read_text(encoding="utf-8")
    assert written.startswith("# What the text models reach\n")
    assert "| slur_h | 1 | 1.000 [0.2" in written
    assert run(["moderate", "evaluate", *words[:-1], str(tmp_path / "nowhere" / "page.md")]) == FAILED


def test_a_real_set_is_learnt_from_as_well_as_it_ever_was(
    evaluate: Callable[..., tuple[int, Any]], shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    with gzip.open(shared_data("moderation/sms_spam.csv.gz"), "rt", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    write(tmp_path / "train", "sms_spam.csv", header, rows[:300])
    write(tmp_path / "test", "sms_spam.csv", header, rows[300:700])
    code, report = evaluate(tmp_path / "train", tmp_path / "test")
    spam = report["sets"]["sms_spam"]
    assert code == OK and spam["left_out"] > 0
    assert spam["macro_f1"] > 0.9 and spam["auc"] > 0.97, spam
