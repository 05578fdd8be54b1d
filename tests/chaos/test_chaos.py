"""`folkmoot cluster chaos` from end to end: real processes and trouble, one verdict, nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.checking.local import NAME, READY_S, Home, interrupt, rewritten
from tests.waiting import until_blocking

CHANGES = "drain,split,seats,backup,replace"
CHAOS = ("cluster", "chaos", "--json")

pytestmark = pytest.mark.timeout(240)


@pytest.mark.cluster
def test_every_fault_in_a_short_run_and_every_promise_kept(tmp_path: Path) -> None:
    home = Home(tmp_path)
    faults = {"full", "kill", "oneway", "partition", "pause", "restart", "slow"}
    among = ("--faults", ",".join([*sorted(faults), "drain", "split", "seats", "backup"]))
    ran = home.run(*CHAOS, *among, "--seed", "3", "--for", "14s", "--pace", "3", "--people", "6")
    assert ran.code == 0, ran.out + ran.err
    summary = ran.json
    assert summary["passed"] and ran.out.count("\n") == 1
    assert set(summary["faults"]) >= faults
    check = summary["check"]
    assert [check[name] for name in ("lost", "resurrected", "diverged", "duplicated")] == [0, 0, 0, 0]
    assert check["compared"] == check["acknowledged"] > 0 and check["replicas"] == 4
    assert len(summary["history"]) >= 7
    assert all(verdict["ok"] and verdict["compared"] for verdict in summary["history"].values())
    assert summary["unsettled"] == 0 and summary["deaths"] == summary["unrest"] == []
    assert summary["returns"]["seen"] > 0 and summary["returns"]["late"] == []
    assert sum(summary["felt"].values()) > 0
    assert list(home.clusters.iterdir()) == [] and home.processes() == []


@pytest.mark.cluster
def test_interrupted_it_leaves_nothing_behind(tmp_path: Path) -> None:
    home = Home(tmp_path)
    process = home.start(*CHAOS, "--for", "1h")
    until_blocking(lambda: len(home.processes()) >= 5, what="a supervisor and four nodes", within_s=60)
    ran = interrupt(process)
    assert ran.code == 130 and ran.json["error"]["name"] == "interrupted"
    assert list(home.clusters.iterdir()) == [] and home.processes() == []


def ring_of(home: Home) -> dict[str, Any]:
    """What nodes hold which ranges of the cluster of a run that was kept."""
    return home.run("ring", "show", "--cluster", "chaos", "--json").json


@pytest.mark.cluster
def test_on_a_cluster_whose_replicas_differ_it_fails_and_says_how_to_replay(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.cluster(3) as cluster:
        assert home.run("post", "--cluster", NAME, "--level", "all", "Good morning.").code == 0
        cluster.ask("kill", ["us-1"])
        with rewritten(cluster, "us-1") as cells:
            cells.clear()
        cluster.up(READY_S)
        ran = home.run(
            *("cluster", "chaos", "--plain", "--name", NAME),
            *("--for", "5s", "--faults", "none", "--people", "4", "--quiet", "2"),
        )
        assert ran.code == 1, ran.out + ran.err
        assert "diverged: post" in ran.out and "FAILED" in ran.out
        assert f"replay: folkmoot cluster chaos --seed 1 --for 5s --name {NAME} --faults none" in ran.err
        assert home.run("status", "--cluster", NAME).code == 0


@pytest.mark.cluster
def test_every_change_is_made_and_its_cluster_kept_runs_on_and_can_be_checked(tmp_path: Path) -> None:
    home = Home(tmp_path)
    changes = ("--faults", CHANGES, "--seed", "1", "--for", "9s", "--pace", "0.5")
    ran = home.run(*CHAOS, *changes, "--people", "4", "--keep")
    try:
        assert ran.code == 0, ran.out + ran.err
        assert set(ran.json["faults"]) == set(CHANGES.split(","))
        assert ran.json["check"]["replicas"] == ran.json["nodes"] == 3, "without the one that was given up"
        assert ran.json["unrest"] == [] and ran.json["cluster"]["name"] == "chaos"
        assert ring_of(home)["ranges"]["count"] > 64
        assert [node["ranges"] for node in ring_of(home)["nodes"]].count(0) == 1
        again = home.run(*CHAOS, "--dry-run", "--name", "chaos", "--for", "30s")
        assert again.code == 0 and again.json["episodes"]
        checked = home.run("check", "--cluster", "chaos", "--json")
        assert checked.code == 0 and checked.json["compared"] > 0
    finally:
        assert home.run("cluster", "down", "chaos", "--delete").code == 0
    assert home.processes() == []


def test_a_dry_run_prints_the_plan_and_starts_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    words = (*CHAOS, "--seed", "7", "--for", "1m", "--dry-run")
    first, second = home.run(*words), home.run(*words)
    assert first.code == 0 and first.out == second.out and len(first.json["episodes"]) > 10
    assert home.run(*CHAOS, "--seed", "8", "--for", "1m", "--dry-run").out != first.out
    assert not home.clusters.exists() and home.processes() == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--for", "5 m"), "is not a time"),
        (("--for", "1s"), "is not between"),
        (("--faults", "kill,flood"), "there is no fault 'flood'"),
    ],
)
def test_wrong_words_are_said_before_anything_starts(
    tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    ran = Home(tmp_path).run(*CHAOS[:2], *words)
    assert ran.code == 2 and complaint in ran.err
