"""`folkmoot bench run` against real nodes, held to what it was promised."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.exit_codes import OK, UNREACHABLE, USAGE


def folkmoot(*words: str) -> tuple[int, Any]:
    """Run a command; its exit code and the object it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "folkmoot.cli", *words, "--json"], capture_output=True, timeout=90, check=False
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.cluster
def test_acknowledged_load_passes_the_check(tmp_path: Path) -> None:
    directory = str(tmp_path / "cluster")
    code, up = folkmoot("cluster", "up", "bench", "--dir", directory, "--tls", "off")
    assert code == OK
    nodes = [word for node in up["nodes"] for word in ("--node", node["address"])]
    target = [*nodes, "--tls", "off", "--operator", f"{directory}/operator.key"]
    try:
        run = ("bench", "run", *target, "--journal", str(tmp_path), "--seconds", "1")
        code, closed = folkmoot(*run, "--posts", "2000")
        assert code == OK, closed
        assert closed["acknowledged"] == closed["statuses"]["stored"] > 0
        code, paced = folkmoot(*run, "--rate", "50", "--batch", "1", "--read-share", "0.5")
        assert code == OK, paced
        assert paced["pages"] > 0 and paced["page_ms"]["p50"] > 0
        journals = [word for run in (closed, paced) for word in ("--journal", run["journal"])]
        code, check = folkmoot("check", *target, *journals)
        assert code == OK, check
        assert check["compared"] >= closed["acknowledged"] + paced["acknowledged"]
    finally:
        folkmoot("cluster", "down", "bench", "--dir", directory, "--delete")
    code, told = folkmoot("bench", "run", *target, "--posts", "1", "--journal", str(tmp_path))
    assert code == USAGE, told  # the operator's key went with the cluster
    code, told = folkmoot("bench", "run", *nodes, "--tls", "off", "--posts", "1")
    assert code == UNREACHABLE, told


GRAPH = "follower\tfollowee\n" + "".join(f"p{n}\tp{m}\n" for n in range(30) for m in range(n % 7))
BURST = "actor\ttarget\tunix_time\ttype\n" + "".join(
    f"b{n % 9}\tx\t{1000 + n // 3}\t{('RT', 'MT', 'RE')[n % 3]}\n" for n in range(300)
)


@pytest.mark.cluster
def test_people_follow_each_other_once_and_then_act(tmp_path: Path) -> None:
    (tmp_path / "graph.tsv").write_text(GRAPH)
    (tmp_path / "burst.tsv").write_text(BURST)
    directory = str(tmp_path / "cluster")
    code, up = folkmoot("cluster", "up", "bench", "--dir", directory, "--tls", "off")
    assert code == OK
    nodes = [word for node in up["nodes"] for word in ("--node", node["address"])]
    target = [*nodes, "--tls", "off", "--operator", f"{directory}/operator.key", "--journal", str(tmp_path)]
    people = ("--graph", str(tmp_path / "graph.tsv"), "--burst", str(tmp_path / "burst.tsv"), "--seed", "5")
    run = ("bench", "run", *target, "--duration", "2", "--rate", "60", *people)
    try:
        code, viral = folkmoot(*run, "--mix", "viral")
        assert code == OK, viral
        assert viral["follows"]["written"] > 60 and viral["follows"]["there"] == 0
        assert viral["settled_s"] > 0
        assert all(viral["actions"][name]["ms"]["p99"] > 0 for name in ("like", "repost", "reply"))
        assert viral["actions"]["thread"]["ms"]["p99"] > 0 and viral["left_out"] == []
        code, firehose = folkmoot(*run, "--mix", "firehose")
        assert code == OK, firehose
        assert firehose["readers"]["items"] > 0 and firehose["readers"]["ms"]["p99"] > 0, firehose
        assert firehose["follows"] == {"written": 0, "there": viral["follows"]["written"]}
        assert firehose["actions"]["post"]["count"] == firehose["statuses"]["stored"] == 120
        code, timeline = folkmoot(*run, "--mix", "timeline")
        assert code == OK and timeline["actions"]["home"]["count"] > 60, timeline
        journals = [word for run in (viral, firehose) for word in ("--journal", run["journal"])]
        code, check = folkmoot("check", *target[:-2], *journals)
        assert code == OK and check["compared"] >= 120 + 60, check
    finally:
        folkmoot("cluster", "down", "bench", "--dir", directory, "--delete")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--mix", "viral", "--batch", "3"), "--batch"),
        (("--mix", "timeline", "--read-share", "0.5"), "--read-share"),
        (("--accounts", "9"), "--accounts"),
        (("--settle", "9"), "--settle"),
        (("--mix", "posts", "--seed", "9"), "--seed"),
    ],
)
def test_options_that_mean_nothing_to_a_mix_are_refused(words: tuple[str, ...], option: str) -> None:
    code, told = folkmoot("bench", "run", "--node", "127.0.0.1:1", "--tls", "off", *words)
    assert code == USAGE and told["error"]["message"].startswith(f"{option} means nothing")


def test_a_run_that_would_not_fit_is_refused_before_it_begins() -> None:
    code, told = folkmoot(
        *("bench", "run", "--node", "127.0.0.1:1", "--tls", "off"), *("--mix", "firehose", "--rate", "1e6")
    )
    assert code == USAGE and "made beforehand" in told["error"]["message"]
