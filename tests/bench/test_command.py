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
