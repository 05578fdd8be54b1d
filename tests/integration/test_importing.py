"""An import goes on while nodes are killed under it, and the check afterwards finds everything."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.cluster.control import LocalCluster

from tests.integration.processes import lay_out
from tests.waiting import until_blocking

pytestmark = pytest.mark.cluster

POSTS = 15_000


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    """Three nodes in a home of their own, where commands find them by name."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    cluster = LocalCluster.find("town")
    lay_out(cluster.directory.path, nodes=3)
    cluster.up()
    try:
        yield cluster
    finally:
        cluster.down()


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    """A file of posts by forty people, some of them answers."""
    file = tmp_path / "posts.jsonl"
    with file.open("w") as opened:
        for number in range(POSTS):
            line: dict[str, Any] = {
                "id": str(number),
                "author": f"person-{number % 40}",
                "created_at": f"2024-05-{1 + number // 1_000:02}T12:{number // 10 % 60:02}:00Z",
                "text": f"Post {number}: the weather is {'fine' if number % 2 else 'foul'} today.",
            }
            if number % 5 == 4:
                line["reply_to"] = str(number - 3)
            opened.write(json.dumps(line) + "\n")
    return file


def folkmoot(*words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "folkmoot.cli", *words, "--cluster", "town", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def await_progress(cluster: LocalCluster, importing: subprocess.Popen[bytes]) -> bool:
    """Wait until more is on disk; False when the import has ended instead."""

    def blocks() -> int:
        return sum(file.stat().st_blocks for file in cluster.directory.path.glob("nodes/*/store/data.mdb"))

    before = blocks()
    until_blocking(
        lambda: blocks() > before or importing.poll() is not None,
        what="the import to get on",
        within_s=30,
    )
    return importing.poll() is None


@pytest.mark.timeout(600)
def test_five_kills_during_an_import(cluster: LocalCluster, posts: Path) -> None:
    importing = folkmoot("import", str(posts))
    kills = 0
    for victim in ("us-1", "eu-1", "ap-1", "us-1", "eu-1"):
        kills += await_progress(cluster, importing)
        cluster.ask("kill", [victim])
        cluster.ask("start", [victim])
    out, err = importing.communicate(timeout=240)
    assert importing.returncode == exit_codes.OK, (out, err)
    # How many fall into the import depends on the machine; one that imports faster wants more posts.
    assert kills >= 2, "the import was over before the second kill"

    checking = folkmoot("check")
    out, err = checking.communicate(timeout=240)
    assert checking.returncode == exit_codes.OK, (out, err)
    found = json.loads(out)
    assert found["compared"] >= POSTS
    assert [found[word] for word in ("lost", "resurrected", "diverged", "duplicated")] == [0, 0, 0, 0]
