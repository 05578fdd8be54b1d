"""Series of runs: what they cover, how they go on, and how a failing plan is made smaller."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from folkmoot.cli.commands.simulate import command
from folkmoot.cli.simulating.runs import Kept, KeptFileError, run_all
from folkmoot.cli.simulating.shrinking import shrink
from folkmoot.node.simulation.coverage import Coverage, never_tried, operations_of, table
from folkmoot.node.simulation.run import Plan, episodes_of, simulate
from folkmoot.node.simulation.schedule import BACKUP, MOVES
from folkmoot.node.tally import AckTally

PLAN = Plan(3, nodes=3, minutes=0.3, faults=("loss", "busy"), people=3, pause_s=0.5, fault_gap_s=2.0)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, standalone_mode=False)


def test_a_pair_counts_when_the_two_overlap_however_they_begin() -> None:
    coverage = Coverage()
    coverage.fault_begins("loss")
    with coverage.operation("read"):
        coverage.fault_begins("crash")
        coverage.fault_ends("loss")
    with coverage.operation("post"):
        coverage.fault_ends("crash")
    with coverage.operation("post"):
        pass
    assert coverage.counts == {("loss", "read"): 1, ("crash", "read"): 1, ("crash", "post"): 1}
    faults = ["loss", "crash"]
    assert "post" in never_tried(coverage.counts, faults)["loss"]
    lines = table(coverage.counts, faults)
    total = len(faults) * len(operations_of(faults))
    assert f"3 of {total} pairs of a fault and an operation were tried" in lines
    assert lines[-2].startswith("NEVER TRIED under loss: post, ")


def test_every_operation_that_is_counted_has_a_column() -> None:
    plan = replace(PLAN, nodes=5, minutes=0.6, faults=(*PLAN.faults, MOVES, BACKUP))
    covered = simulate(plan).coverage
    assert {name for _, name in covered} <= set(operations_of(plan.faults))
    assert {fault for fault, _ in covered} == set(plan.faults)
    assert {"drain", "split", "backup", "register_set"} <= {name for _, name in covered}


def test_what_cannot_happen_has_no_column() -> None:
    assert not {"drain", "backup"} & set(operations_of(["loss"]))
    assert {"drain", "backup"} <= set(operations_of(["loss", MOVES, BACKUP]))


def test_pairs_that_were_never_tried_fail_a_series_that_requires_them() -> None:
    arguments = ("--seed", "3", "--nodes", "3", "--minutes", "0.2", "--faults", "loss")
    result = run(*arguments)
    assert result.return_value == 0
    assert "NEVER TRIED under loss: " in result.stderr
    result = run(*arguments, "--require-coverage", "--json")
    assert result.return_value == 1
    assert re.fullmatch(r"coverage: \d+ pairs were never tried: more seeds, or more minutes\n", result.stderr)


def test_a_series_that_tried_every_pair_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("folkmoot.node.simulation.coverage.REQUESTS", ("read",))
    result = run("--seed", "3", "--nodes", "3", "--minutes", "0.3", "--faults", "loss", "--require-coverage")
    assert result.return_value == 0
    assert "NEVER TRIED" not in result.stderr


@pytest.mark.parametrize("needed", [(), (5,), (2, 9), (1, 2, 3, 4)])
def test_shrinking_finds_what_is_needed(needed: tuple[int, ...]) -> None:
    tried: list[tuple[int, ...]] = []

    def fails(episodes: tuple[int, ...]) -> bool:
        tried.append(episodes)
        return set(needed) <= set(episodes)

    assert shrink(range(1, 13), fails, lambda: True) == needed
    assert len(tried) < 100


def test_shrinking_ends_in_time_with_what_it_has() -> None:
    runs = iter([True, True])
    assert shrink((1, 2, 3, 4), lambda episodes: True, lambda: next(runs, False)) != (1, 2, 3, 4)
    assert shrink((1, 2, 3, 4), lambda episodes: True, lambda: False) == (1, 2, 3, 4)


def test_of_a_plan_some_episodes_can_be_kept() -> None:
    everything = episodes_of(PLAN)
    some = (min(everything), max(everything))
    fewer = Plan(3, 3, 0.3, PLAN.faults, 3, 0.5, 2.0, episodes=some)
    assert episodes_of(fewer) == {number: everything[number] for number in some}
    assert simulate(fewer).episodes == some


def test_a_series_goes_on_where_it_stopped(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "simulated.jsonl"
    arguments = ("--nodes", "3", "--minutes", "0.1", "--faults", "loss", "--keep", str(file))
    first = run("--seeds", "1..2", *arguments)
    assert first.stdout.count("seed ") == 2
    with file.open("a") as torn:
        torn.write('{"plan": "half of a li')
    again = run("--seeds", "1..3", *arguments)
    assert "2 of 3 runs are known to hold" in again.stderr
    assert again.stdout.count("seed ") == 1
    other = run("--seeds", "1..2", *arguments[:-4], "--faults", "delay", *arguments[-2:])
    assert other.stdout.count("seed ") == 2, "another plan is not known"


def test_a_run_under_other_code_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "simulated.jsonl"
    report = simulate(PLAN)
    Kept(file).keep(report)
    assert Kept(file).known_of(PLAN) == (dict(report.coverage), dict(report.compared))
    monkeypatch.setattr("folkmoot.cli.simulating.runs.fingerprint", lambda: "other code")
    assert Kept(file).known_of(PLAN) is None


def test_a_series_names_the_checkers_that_never_compared_anything(tmp_path: Path) -> None:
    """A fifth of a minute is too short for a backup; what was kept of a run says so, too."""
    arguments = ("--nodes", "3", "--minutes", "0.2", "--faults", "loss,backup", "--episodes", "none")
    kept = ("--keep", str(tmp_path / "simulated.jsonl"))
    for seeds, as_json in (("1..2", ()), ("1..3", ("--json",)), ("1..3", ()), ("1..3", ("--json",))):
        result = run("--seeds", seeds, *arguments, *kept, *as_json)
        assert "in none of these runs had they anything to compare: backup" in result.stderr
        assert result.return_value == 0
    alone = run("--seed", "4", *arguments)
    assert "had they anything" not in alone.stderr, "of one run its own lines say it"
    assert "backup NOT CHECKED, there was nothing to compare: 0 comparisons" in alone.stdout
    assert alone.stdout.count("NOT CHECKED") == 1
    told = json.loads(run("--seed", "4", *arguments, "--json").stdout)["checks"]
    nothing = {"ok": True, "compared": 0, "skipped": True, "facts": {"made": 0, "resumed": 0}}
    assert told["backup"] == nothing
    assert [name for name, check in told.items() if "skipped" in check] == ["backup"]


@pytest.mark.parametrize("text", ["notes of mine\n", "notes of mine", "\n", '{"a": 1}\n', "[]\n", "\xff\n"])
def test_another_file_is_not_taken_for_that_of_a_series(tmp_path: Path, text: str) -> None:
    file = tmp_path / "notes"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(KeptFileError, match=r"line 1 of .* is not of a run"):
        Kept(file)
    assert file.read_text(encoding="latin-1") == text


def test_a_file_that_cannot_be_written_is_said_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("--seed", "1", "--keep", str(tmp_path / "file" / "simulated.jsonl"))
    assert isinstance(result.exception, KeptFileError) and not result.stdout


def test_a_run_that_failed_is_not_kept_and_is_made_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AckTally, "reached", property(lambda self: bool(self.acked)))
    file = tmp_path / "simulated.jsonl"
    result = run(
        "--seed",
        "2",
        "--nodes",
        "3",
        "--minutes",
        "0.2",
        "--faults",
        "delay",
        "--keep",
        str(file),
        "--shrink",
        "20",
    )
    assert result.return_value == 1
    assert "--faults delay --people" in result.stderr
    assert " --episodes none\n" in result.stderr, "it fails without any fault"
    assert not file.read_text()


def test_several_at_once_are_the_same_runs() -> None:
    plans = [Plan(seed, nodes=3, minutes=0.1) for seed in (1, 2)]
    traces = {run.report.plan.seed: run.report.trace for run in run_all(plans, 2)}
    assert traces == {plan.seed: simulate(plan).trace for plan in plans}
