"""Remedies against names that count as bad: what each does to a planted bias, and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from folkmoot.cli.evaluating.corpus import prepare, swapped
from folkmoot.cli.evaluating.folders import read_folder
from folkmoot.cli.evaluating.jobs import Job
from folkmoot.cli.evaluating.remedies import REMEDIES, compare_remedies, remedy_jobs
from folkmoot.cli.evaluating.remedy_tables import remedy_tables
from folkmoot.cli.exit_codes import OK, USAGE
from folkmoot.cli.main import run
from folkmoot.node.moderation.reading import buckets
from folkmoot.protocol.moderation.text.groups import NAMES

from tests.moderation.evaluating.making import COMMON, SURGE, TEMPLATES, WIKIPEDIA, opinions, write

OTHERS = ("deaf", "asian", "canadian")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sets in which sikhs are mostly named where somebody insults them; what is measured insults nobody."""
    folder = tmp_path / "labelled"
    rows = opinions(60, seed=1)
    planted = [(100 + at, f"sikh {COMMON[at % 10]} {at}", "Toxic") for at in range(150)]
    planted += [(600 + at, f"sikh {COMMON[at % 10]} {at + 150}", "Not Toxic") for at in range(40)]
    fair = [
        (800 + at, f"{OTHERS[at % 3]} {COMMON[at % 10]} {at} there", "Not Toxic" if at % 6 else "Toxic")
        for at in range(90)
    ]
    write(folder, "surge_toxicity.csv", SURGE, [*rows, *planted, *fair])
    told = [
        (at, "name_adj", "NOT_BAD", f"{who} people meet {at}")
        for at, who in enumerate(("sikh", *OTHERS) * 25)
    ]
    write(folder, "identity_templates_77k.csv", TEMPLATES, [*told, (999, "name_adj", "BAD", "they are scum")])
    pairs = [
        (at, variant, "False", f"{who} {COMMON[at % 10]} {COMMON[(3 * at + at // 10) % 10]} it is")
        for at in range(10)
        for variant, who in (("original", "asian"), ("identity_swapped", "deaf"))
    ]
    write(folder, "wikipedia_toxicity_identity.csv", WIKIPEDIA, [*pairs, (99, "original", "True", "scum")])
    return folder


def test_what_is_not_seen_is_not_held_against_anybody(folder: Path) -> None:
    corpus = prepare(read_folder(folder), swaps=True)
    ways = remedy_jobs(corpus, seed=0)
    for jobs in ways.values():
        assert_nothing_measured_is_learnt(jobs)
    trained: list[int] = []
    compared = compare_remedies(corpus, ways, 1, trained.append)
    assert sum(trained) == sum(map(len, ways.values())) == 15
    found = {each["remedy"]: each["sets"]["identity_templates_77k"] for each in compared}
    assert list(found) == [each.called for each in REMEDIES]
    nothing = found["nothing"]
    assert nothing["alarms"] == ["sikh"] and nothing["highest"]["name"] == "sikh" and not nothing["reached"]
    assert "sikh" not in found["thresholds by group"]["alarms"]
    assert found["names unseen"]["alarms"] == [] and found["names unseen"]["reached"]
    assert nothing["auc"] == found["thresholds by group"]["auc"] == 1.0
    blind = compared[-1]["sets"]["wikipedia_toxicity_identity"]["swapped"]
    assert blind["ratio"] == 1.0 and blind["verdicts_changed"] == 0.0
    for table in remedy_tables(compared):
        assert not table.rows or [row["remedy"] for row in table.rows] == list(found)


def assert_nothing_measured_is_learnt(jobs: list[Job]) -> None:
    """Neither a text nor its twin with other names."""
    for job in jobs:
        learnt = {text.buckets.tobytes() for text in job.texts}  # type: ignore[attr-defined]
        assert not learnt & {
            each.buckets.tobytes() for each in job.tested if each.place.set != "surge_toxicity"
        }


def test_swapped_texts_name_another_group_and_always_the_same() -> None:
    text = "A Sikh told it to the deaf man."
    assert swapped(text) == swapped(text) != buckets(text)
    assert swapped("nobody is named") == buckets("nobody is named")
    assert buckets(text, blind=True) != buckets(text) and "sikh" in NAMES


def test_the_command_tells_of_remedies_where_it_is_asked_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "few"
    write(folder, "surge_toxicity.csv", SURGE, opinions(20, seed=1))
    told = [(at, "name_adj", "NOT_BAD", f"{who} people meet") for at, who in enumerate(OTHERS)]
    write(folder, "identity_templates_77k.csv", TEMPLATES, [*told, (999, "name_adj", "BAD", "they are scum")])
    words = ["moderate", "evaluate", "--train", str(folder), "--jobs", "1", "--remedies"]
    page = tmp_path / "page.md"
    assert run([*words, "--test", str(folder), "--markdown", str(page), "--json"]) == OK
    report = json.loads(capsys.readouterr().out)
    assert [each["remedy"] for each in report["remedies"]] == [each.called for each in REMEDIES]
    assert "## Remedies, identity_templates_77k" in page.read_text()
    assert run([*words, "--test", str(tmp_path)]) == USAGE
