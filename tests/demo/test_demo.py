"""The demo from end to end: real processes, real faults, one summary, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checking.local import Home, interrupt
from tests.waiting import until_blocking

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


def test_it_breaks_heals_and_passes(tmp_path: Path) -> None:
    home = Home(tmp_path)
    ran = home.run("demo", "--json", "--svg", tmp_path / "demo.svg")
    assert ran.code == 0, ran.out + ran.err
    summary = ran.json
    assert (summary["nodes"], summary["regions"]) == (3, ["eu", "us", "ap"])
    assert summary["posts"] == summary["acknowledged"] == 373 and summary["seconds"] < 60
    check = summary["check"]
    assert [check[name] for name in ("lost", "resurrected", "diverged", "duplicated")] == [0, 0, 0, 0]
    assert check["compared"] == 373 and check["could_not_compare"] == 0
    assert [fault["fault"] for fault in summary["faults"]] == ["kill", "partition"]
    assert all(fault["seen_ms"] >= 0 and fault["healed_s"] >= 0 for fault in summary["faults"])
    assert ran.out.count("\n") == 1 and (tmp_path / "demo.svg").exists()
    assert list(home.clusters.iterdir()) == [] and home.processes() == []


def test_kept_it_runs_on_and_says_how_to_reach_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    source = tmp_path / "posts.jsonl"
    source.write_text(
        "".join(
            f'{{"id":"{number}","author":"a{number % 7}","created_at":"2024-05-01T09:{number % 60:02}:00Z",'
            f'"text":"post {number}"}}\n'
            for number in range(500)
        )
    )
    ran = home.run("demo", "--plain", "--keep", "--posts", source)
    try:
        assert ran.code == 0, ran.out + ran.err
        assert "SIGKILL to us-1" in ran.out and "passed: 500 of 500" in " ".join(ran.out.split())
        assert "folkmoot status --cluster demo" in ran.out
        assert home.run("check", "--cluster", "demo", "--json").json["compared"] == 500
    finally:
        assert home.run("cluster", "down", "demo", "--delete").code == 0
    assert home.processes() == []


def test_interrupted_it_leaves_nothing_behind(tmp_path: Path) -> None:
    home = Home(tmp_path)
    process = home.start("demo", "--json")
    until_blocking(lambda: len(home.processes()) >= 4, what="a supervisor and three nodes", within_s=30)
    ran = interrupt(process)
    assert ran.code == 130
    assert ran.out.count("\n") == 1 and ran.json["error"]["name"] == "interrupted"
    assert list(home.clusters.iterdir()) == [] and home.processes() == []


def test_two_regions_are_too_few(tmp_path: Path) -> None:
    ran = Home(tmp_path).run("demo", "--regions", "eu,us")
    assert ran.code == 2 and "three or more" in ran.err


def test_a_demo_that_fails_leaves_the_picture_of_before(tmp_path: Path) -> None:
    home, picture = Home(tmp_path), tmp_path / "demo.svg"
    assert home.run("demo", "--regions", "eu,us", "--svg", picture).code == 2
    assert not picture.exists()
    picture.write_text("of before")
    assert home.run("demo", "--regions", "eu,us", "--svg", picture).code == 2
    assert picture.read_text() == "of before" and [picture] == list(tmp_path.glob("*.svg"))


def test_a_picture_that_cannot_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    ran = home.run("demo", "--json", "--svg", tmp_path / "nowhere" / "demo.svg")
    assert ran.code == 1 and "nowhere/demo.svg cannot be written" in ran.json["error"]["message"]
    assert home.run("demo", "--svg", "/dev/null").code == 2 and Path("/dev/null").is_char_device()
    assert home.processes() == []
