"""`folkmoot moderate train`: a model for the gate, the evidence about it, and a policy that uses both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.exit_codes import FAILED, OK, USAGE
from folkmoot.cli.main import run
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.protocol.moderation.text.model import decode

from tests.moderation.documents import HEAD, condition
from tests.moderation.evaluating.making import HATECHECK, SPAM, SURGE, messages, opinions, write
from tests.moderation.test_rules import judged

Train = Callable[..., tuple[int, Any]]


@pytest.fixture
def train(capsys: pytest.CaptureFixture[str]) -> Train:
    """Runs the command; its exit code and the object it prints."""

    def trained(folder: Path, out: Path, *words: str) -> tuple[int, Any]:
        said = ("--train", str(folder), "--question", "toxic", "--out", str(out), "--jobs", "1")
        code = run(["moderate", "train", *said, *words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return trained


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "labelled"
    write(folder, "surge_toxicity.csv", SURGE, opinions(60, seed=1))
    write(folder, "hatecheck_en.csv", HATECHECK, [("slur_h", 1, "teapot teapot", "hateful")])
    return folder


def test_what_is_printed_is_a_policy_that_judges(train: Train, folder: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    code, report = train(folder, models)
    assert (code, report["texts"]) == (OK, 60)
    assert decode(Path(report["file"]).read_bytes()).hash() == report["hash"]
    file = tmp_path / "policy.toml"
    file.write_text(HEAD + report["policy"] + condition("r", "scores.toxic >= at_precision(0.5)", "refuse"))
    policies = load_engine(file, models)
    assert policies.problems == []
    evidence = policies.document.evidence["toxic"]["en"]
    assert sum(step.so + step.others for step in evidence) == 60, "each text is counted once"
    texts = {label: text for _number, text, label in opinions(20, seed=2)}
    assert judged(policies, texts["Toxic"], lang="en").rule == "r"
    assert judged(policies, texts["Not Toxic"], lang="en").rule is None


def test_the_same_folder_gives_the_same_model(train: Train, folder: Path, tmp_path: Path) -> None:
    one, other = train(folder, tmp_path / "a"), train(folder, tmp_path / "b")
    assert one[1]["policy"] == other[1]["policy"]
    seeded = train(folder, tmp_path / "c", "--seed", "7", "--language", "pt-br")[1]["policy"]
    assert seeded != one[1]["policy"] and "\npt-br = [[" in seeded


def test_a_folder_that_says_nothing_of_the_question_teaches_nothing(train: Train, tmp_path: Path) -> None:
    folder = tmp_path / "labelled"
    write(folder, "sms_spam.csv", SPAM, messages(10, seed=1))
    code, told = train(folder, tmp_path / "models")
    assert code == FAILED and "nothing in it says both what is toxic" in told["error"]["message"]
    assert not (tmp_path / "models").exists()
    assert train(folder, tmp_path / "models", "--language", "English!")[0] == USAGE
