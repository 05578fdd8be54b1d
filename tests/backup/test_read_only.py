"""A node's directory that can only be read is backed up and searched all the same, if the node is stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import scrubbing
from folkmoot.cli.exit_codes import FAILED, OK
from folkmoot.cli.main import run
from folkmoot.protocol.identity import account_to_text
from folkmoot.storage.compaction import compact
from folkmoot.storage.lmdb_engine import LmdbEngine

from tests.backup.making import ANN, CAP, filled
from tests.read_only import read_only, unprivileged
from tests.storage.making import OWNER, open_store

assert scrubbing  # imported by who may read all of Python, which an ordinary user here may not
Printed = pytest.CaptureFixture[str]
SCRUB = ("store", "scrub", "--account", account_to_text(ANN.account))


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of an ordinary user, as who the test runs, with a node in it."""
    with unprivileged() as directory:
        made(directory / "node")
        yield directory


def made(node: Path) -> None:
    """A node with 80 posts, six of them deleted, of which nothing is left."""
    filled(node, 60).close()
    compact(node)


def forbid(folder: Path) -> None:
    """Let nobody write into a folder or change what is in it."""
    for path in sorted((folder, *folder.rglob("*")), reverse=True):
        path.chmod(0o500 if path.is_dir() else 0o400)


def command(printed: Printed, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    code = run([*map(str, arguments), "--json"])
    answer: dict[str, Any] = json.loads(printed.readouterr().out)
    return code, answer


@pytest.mark.parametrize("lock", ["there", "gone"])
def test_a_directory_that_can_only_be_read(place: Path, capsys: Printed, lock: str) -> None:
    node, folder = place / "node", place / "backups"
    if lock == "gone":
        (node / "LOCK").unlink()
        (node / "store" / "lock.mdb").unlink()
    forbid(node)
    inside = sorted(node.rglob("*"))
    code, full = command(capsys, "backup", "create", "--data", node, "--to", folder)
    assert (code, full["cells_total"]) == (OK, 80)
    code, more = command(capsys, "backup", "create", "--data", node, "--to", folder, "--incremental")
    assert (code, more["cells"]) == (OK, 0)
    assert command(capsys, "backup", "verify", folder)[0] == OK
    code, report = command(capsys, *SCRUB, "--data", node)
    assert (code, report["deleted"]) == (OK, 6)
    assert sorted(node.rglob("*")) == inside


def test_a_disk_that_can_only_be_read(tmp_path: Path) -> None:
    made(tmp_path / "node")
    create = ("backup", "create", "--to", str(tmp_path / "backups"))
    with read_only(tmp_path / "node") as prefix:
        for words in (create, SCRUB):
            arguments = [*words, "--data", str(tmp_path / "node"), "--json"]
            done = subprocess.run(
                [*prefix, sys.executable, "-m", "folkmoot.cli", *arguments], capture_output=True, check=False
            )
            assert done.returncode == OK, done.stderr
            told = json.loads(done.stdout)
            assert told.get("cells_total", 80) == 80 and told.get("deleted", 6) == 6


def test_a_running_node_whose_directory_can_only_be_read(place: Path, capsys: Printed) -> None:
    store = open_store(LmdbEngine(place / "node", cap_bytes=CAP))
    forbid(place / "node")
    for words in (("backup", "create", "--to", place / "backups"), SCRUB):
        code, answer = command(capsys, *words, "--data", place / "node")
        assert (code, answer["error"]["name"]) == (FAILED, "store_locked")
        assert "nothing can be written there" in answer["error"]["message"]
        assert "stop it first, or run this as its user" in answer["error"]["message"]
    store.close()


@pytest.mark.parametrize("begun", [False, True])
def test_a_folder_of_backups_that_can_only_be_read(place: Path, capsys: Printed, begun: bool) -> None:
    folder = place / "backups"
    folder.mkdir()
    if begun:
        (folder / f".partial-{OWNER.node.hex()[:8]}-full").mkdir()
    forbid(folder)
    code, answer = command(capsys, "backup", "create", "--data", place / "node", "--to", folder)
    assert (code, answer["error"]["name"]) == (FAILED, "backup_unreadable")
    message = answer["error"]["message"]
    assert "Permission denied; check the path" in message
    assert "--data" not in message and message.count(str(folder)) == 1
