"""`folkmoot policy check --evidence-from`: what a policy says of its models, counted again from texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.evaluating.corpus import prepare
from folkmoot.cli.evaluating.folders import read_folder
from folkmoot.cli.evaluating.origin import marks_of, origin_of, read, texts_hash
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK, USAGE
from folkmoot.cli.main import run

from tests.moderation.documents import HEAD, condition
from tests.moderation.evaluating.making import SURGE, WIKIPEDIA, opinions, write
from tests.moderation.layered import TOP, files_of

RULE = condition("r", "scores.toxic >= at_precision(0.9)", "refuse")
ZEROS = "0" * 64
Check = Callable[..., tuple[int, Any]]


@dataclass(frozen=True)
class Town:
    """A model, what it learnt from, and a policy that says how right it is.

    Args:
        said: what `moderate train` printed for a policy.
    """

    folder: Path
    models: Path
    file: Path
    hash: str
    said: str

    @property
    def evidence(self) -> str:
        """The line with the counts."""
        return next(line for line in self.said.splitlines() if line.startswith("en = [["))

    @property
    def counted(self) -> str:
        """What says where they come from."""
        return self.said[self.said.index("\n[models.counted.") :]

    def says(self, *changes: tuple[str, str]) -> None:
        """Write the policy, with something else in it."""
        text = self.said
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.file.write_text(HEAD + text + RULE)

    def line(self, begins: str) -> int:
        """Where something stands in the policy."""
        lines = self.file.read_text().splitlines()
        return next(at for at, line in enumerate(lines, 1) if line.startswith(begins))


@pytest.fixture
def town(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Town:
    """With evidence that is true."""
    folder, models = tmp_path / "labelled", tmp_path / "models"
    write(folder, "surge_toxicity.csv", SURGE, opinions(60, seed=1))
    said = ("--train", str(folder), "--question", "toxic", "--out", str(models), "--jobs", "1")
    assert run(["moderate", "train", *said, "--json"]) == OK
    report = json.loads(capsys.readouterr().out)
    town = Town(folder, models, tmp_path / "policy.toml", report["hash"], report["policy"])
    town.says()
    return town


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], town: Town) -> Check:
    """Runs the command; its exit code and what it says of the evidence, or of what is wrong."""

    def checked(*words: str) -> tuple[int, Any]:
        code = run(["policy", "check", str(town.file), "--jobs", "1", *words, "--json"])
        told = json.loads(capsys.readouterr().out)
        return code, told["evidence"] if "evidence" in told else told["error"]["message"]

    return checked


def test_what_is_true_is_proven(town: Town, check: Check) -> None:
    code, [told] = check("--evidence-from", str(town.folder))
    assert (code, told["state"], told["language"]) == (OK, "proven", "en")
    assert check("--evidence-from", f"en={town.folder}", "--models", str(town.models))[0] == OK


def test_without_texts_it_is_its_authors_word(town: Town, check: Check) -> None:
    code, [told] = check()
    assert (code, told["state"]) == (OK, "unproven") and "were counted in folds" in told["why"]
    town.says((town.counted, ""))
    code, [told] = check()
    assert (code, told["why"]) == (OK, "nothing says what it was counted from")


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("lie", ["counts", "best alone", "one more step"])
def test_a_lie_is_told_with_its_line(town: Town, check: Check, named: bool, lie: str) -> None:
    steps = json.loads(town.evidence.removeprefix("en = "))
    lies = {
        "counts": [*steps[:-1], [steps[-1][0], steps[-1][1] + 900, 0]],
        "best alone": steps[-1:],
        "one more step": [*steps, [3.8, 500, 0]],
    }
    town.says((town.evidence, f"en = {lies[lie]}"), *([] if named else [(town.counted, "")]))
    code, told = check("--evidence-from", str(town.folder))
    assert code == FAILED
    assert told.startswith(
        f"{town.file}:{town.line('en = [[')}:1: the evidence about toxic in en: of the texts"
    )
    assert f"what was found is {town.evidence.removeprefix('en = ')}" in told


def test_what_a_region_says_of_its_model_is_checked_in_its_file(town: Town, check: Check) -> None:
    steps = json.loads(town.evidence.removeprefix("en = "))
    lie = town.said.replace(town.evidence, f"en = {steps[-1:]}")
    files = files_of(eu=lie, us=town.said, ap=f"{town.said}# another file", base="")
    town.file.unlink()
    for name, data in files.items():
        (town.file.parent / name).write_bytes(data)
    (town.file.parent / TOP).rename(town.file)
    code, told = check()
    assert code == OK and [each["state"] for each in told] == ["unproven"] * 3
    code, told = check("--evidence-from", str(town.folder), "--models", str(town.models))
    line = next(at for at, line in enumerate(files["eu.toml"].splitlines(), 1) if line.startswith(b"en = [["))
    assert code == FAILED and told.startswith(f"{town.file.parent / 'eu.toml'}:{line}:1: the evidence about")
    assert "us.toml" not in told and "ap.toml" not in told


def test_evidence_about_another_model_is_refused_by_whoever_reads_it(town: Town, check: Check) -> None:
    town.says((f'\nhash = "{town.hash}"', f'\nhash = "{ZEROS}"'))
    code, told = check()
    assert code == FAILED and told.startswith(f"{town.file}:{town.line('en = {by')}:")
    assert "was counted for another model" in told
    town.says((town.hash, ZEROS))
    assert check()[0] == OK, "so far it is consistent"
    code, told = check("--evidence-from", str(town.folder))
    assert code == FAILED and f"teaches another model with seed 0, {town.hash[:12]}" in told


def test_other_texts_say_nothing_of_what_was_counted_from_these(
    town: Town, check: Check, tmp_path: Path
) -> None:
    write(tmp_path / "others", "surge_toxicity.csv", SURGE, opinions(60, seed=2))
    code, [told] = check("--evidence-from", str(tmp_path / "others"))
    assert (code, told["state"]) == (DEGRADED, "unproven") and "it was counted from texts" in told["why"]


def test_what_the_model_has_not_seen_can_speak_for_it(town: Town, check: Check, tmp_path: Path) -> None:
    own, others = opinions(60, seed=1)[:20], [(100, "they are friends", "Not Toxic"), (101, "scum", "Toxic")]
    disguised = [(at, text.upper() + " !", label) for at, text, label in own]
    write(tmp_path / "others", "surge_toxicity.csv", SURGE, [*disguised, *others])
    words = ("--evidence-from", str(tmp_path / "others"), "--models", str(town.models))
    town.says((town.counted, ""))
    code, told = check(*words)
    assert code == FAILED and "what was found is " in told
    found = told.rpartition("what was found is ")[2]
    assert sum(so + others for _score, so, others in json.loads(found)) == 2, "the rest was learnt from"
    town.says((town.counted, ""), (town.evidence, f"en = {found}"))
    code, [told] = check(*words)
    assert (code, told["state"]) == (OK, "proven")
    named = f"\n[models.counted.toxic]\nen = {told['found']['counted']}\n"
    assert 'by = "unseen"' in named
    town.says((town.counted, named), (town.evidence, f"en = {found}"))
    assert check(*words)[0] == OK
    (town.models / f"{town.hash}.taught.json").unlink()
    code, [told] = check(*words)
    assert code == DEGRADED and "perhaps these texts, too" in told["why"]


def test_all_that_cannot_be_counted_is_named(town: Town, check: Check) -> None:
    texts = ("--evidence-from", str(town.folder))
    town.says((town.evidence, f"{town.evidence}\npt = [[0.5, 900, 1]]"))
    code, told = check(*texts)
    assert code == DEGRADED and [each["state"] for each in told] == ["proven", "unproven"]
    assert told[1]["why"] == "no folder of texts in pt was given"
    town.says(('by = "folds"', 'by = "sample"'), (", seed = 0", ""))
    code, [told] = check(*texts)
    assert code == DEGRADED and "counted from a blind review" in told["why"]
    assert check(*texts, *texts)[0] == USAGE


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda text: text[:40], "does not say what a model learnt from"),
        (lambda text: text.replace('"seen":"', '"seen":"?'), "does not say what a model learnt from"),
        (lambda text: text.replace(text[text.index('"model":"') + 9 :][:64], ZEROS), "about another model"),
    ],
)
def test_a_damaged_file_beside_the_model_is_named(
    town: Town, check: Check, damage: Callable[[str], str], why: str
) -> None:
    beside = town.models / f"{town.hash}.taught.json"
    beside.write_text(damage(beside.read_text()))
    code, told = check("--evidence-from", str(town.folder), "--models", str(town.models))
    assert code == FAILED and told.startswith(f"{beside}: ") and why in told


def test_another_way_of_reading_proves_nothing(town: Town, check: Check) -> None:
    beside = town.models / f"{town.hash}.taught.json"
    beside.write_text(beside.read_text().replace('"unicode":"', '"unicode":"9'))
    code, [told] = check("--evidence-from", str(town.folder), "--models", str(town.models))
    assert code == DEGRADED and "other Unicode data" in told["why"]


def test_what_belongs_together_is_seen_together(tmp_path: Path) -> None:
    rows = [
        (7, "original", "True", "scum"),
        (7, "identity_swapped", "True", "filth"),
        (8, "original", "False", "x"),
    ]
    write(tmp_path / "a", "wikipedia_toxicity_identity.csv", WIKIPEDIA, rows)
    corpus = prepare(read_folder(tmp_path / "a"))
    items = corpus["wikipedia_toxicity_identity"]
    learnt = origin_of({"wikipedia_toxicity_identity": items[:1]}, "toxic", model=ZEROS, seed=0, texts=ZEROS)
    seen = [not learnt.has_seen().isdisjoint(marks_of("wikipedia_toxicity_identity", item)) for item in items]
    assert seen == [True, True, False]
    assert read(tmp_path / "none.taught.json", ZEROS) is None


def test_the_hash_of_texts_is_of_texts_answers_and_order(tmp_path: Path) -> None:
    rows = opinions(6, seed=1)
    others = [rows, rows[::-1], [(*rows[0][:2], "Toxic"), *rows[1:]], rows[:-1]]
    others[2][0] = (*rows[0][:2], "Toxic" if rows[0][2] == "Not Toxic" else "Not Toxic")
    hashes = []
    for number, some in enumerate(others):
        folder = tmp_path / str(number)
        write(folder, "surge_toxicity.csv", SURGE, some)
        hashes.append(texts_hash(read_folder(folder), "toxic"))
    assert len(set(hashes)) == 4
    write(tmp_path / "0", "sms_spam.csv", ("row_id", "label", "text"), [(1, "ham", "tea")])
    assert texts_hash(read_folder(tmp_path / "0"), "toxic") == hashes[0], "what says nothing of it is no part"
