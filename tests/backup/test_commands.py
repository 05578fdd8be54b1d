"""`folkmoot backup`: what people type, beside a store that is open in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK
from folkmoot.cli.main import run
from folkmoot.storage.backup.manifest import NAME
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.store import Owner, Store

from tests.backup.making import ANN, BEN, CAP, filled, store_of
from tests.storage.making import OWNER, cells_of, deletion, open_store, post, put
from tests.waiting import until_blocking

Printed = pytest.CaptureFixture[str]


def backup(printed: Printed, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    code = run(["backup", *map(str, arguments), "--json"])
    answer: dict[str, Any] = json.loads(printed.readouterr().out)
    return code, answer


def beside(*arguments: str | Path) -> dict[str, Any]:
    """The same in a process of its own: this one has the store open, as a node would."""
    finished = subprocess.run(
        [sys.executable, "-m", "folkmoot.cli", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == OK, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


@pytest.fixture
def node(tmp_path: Path) -> Path:
    filled(tmp_path / "node", 60).close()
    return tmp_path / "node"


@pytest.fixture
def new(tmp_path: Path, capsys: Printed) -> Path:
    """A node that `init` has just made."""
    assert (
        run(["init", "--directory", str(tmp_path / "new"), "--cluster", OWNER.cluster, "--tls", "off"]) == OK
    )
    capsys.readouterr()
    return tmp_path / "new"


def test_from_a_backup_to_a_new_node(node: Path, new: Path, tmp_path: Path, capsys: Printed) -> None:
    folder = tmp_path / "backups"
    code, full = backup(capsys, "create", "--data", node, "--to", folder)
    assert code == OK and full["cells"] == full["cells_total"] == 80
    store = open_store(LmdbEngine(node, cap_bytes=CAP))
    put(store, post(BEN, 900, "later"), deletion(ANN, 1, stamp=7))
    store.close()
    code, more = backup(capsys, "create", "--data", node, "--to", folder, "--incremental")
    assert code == OK and more["cells"] == 2 and more["stands on"] == full["id"][:16]
    code, shown = backup(capsys, "show", folder)
    assert code == OK and [each["id"] for each in shown["backups"]] == sorted(
        [full["id"], more["id"]], key=lambda each: [full["id"], more["id"]].index(each)
    )
    code, verified = backup(capsys, "verify", folder, "--signatures")
    assert code == OK and verified["ok"] and len(verified["backups"]) == 2
    code, done = backup(capsys, "restore", full["folder"], "--data", new)
    assert (code, done["deletions_replayed"]) == (OK, 1)
    copy = store_of(new, None)
    assert copy.owner.node.hex() == done["node"] == (new / "node.id").read_text().strip()
    assert b"later" not in b"".join(cells_of(copy).values())
    copy.close()
    code, refused = backup(capsys, "restore", full["folder"], "--data", new)
    assert code == FAILED and refused["error"]["name"] == "restore_refused"


def test_a_running_node_is_backed_up_beside_itself(node: Path, tmp_path: Path) -> None:
    store = open_store(LmdbEngine(node, cap_bytes=CAP))
    put(store, post(ANN, 990, "while it runs"))
    made = beside("backup", "create", "--data", node, "--to", tmp_path / "backups")
    assert made["cells_total"] == len(cells_of(store)) and made["sequence"] == store.sequence
    put(store, post(ANN, 991, "and on"))
    made = beside("backup", "create", "--data", node, "--to", tmp_path / "backups", "--incremental")
    assert (made["cells"], made["sequence"]) == (1, store.sequence)
    store.close()


def test_a_reader_that_was_killed_pins_no_page(node: Path) -> None:
    store = open_store(LmdbEngine(node, cap_bytes=CAP))
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from folkmoot.storage.lmdb_reader import LmdbReader\n"
        "transaction = LmdbReader(Path(sys.argv[1])).begin()\n"
        "print('reading', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(node)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "reading\n"
        process.kill()
    grown: list[int] = []
    for stamp in range(5, 45):
        put(store, *(post(ANN, number, "x" * 1000, stamp=stamp) for number in range(201, 231)))
        grown.append(store.usage().file_bytes)
    assert grown[-1] == grown[len(grown) // 2], "what a write frees, a later one uses"
    store.close()


def test_killed_in_the_middle_the_same_command_goes_on(node: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    command = [sys.executable, "-m", "folkmoot.cli", "backup", "create", "--data", node, "--to", folder]
    with subprocess.Popen([*map(str, command), "--rate", "0.1", "--json"]) as process:
        until_blocking(lambda: list(folder.glob(".partial-*/cells-*")), what="the first part to be begun")
        process.kill()
    assert list(folder.glob(f"*/{NAME}")) == []
    made = beside("backup", "create", "--data", node, "--to", folder)
    assert made["cells_total"] == 80 and [each.name for each in folder.iterdir()] == [made["name"]]


def test_what_is_wrong_is_said(node: Path, new: Path, tmp_path: Path, capsys: Printed) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    code, answer = backup(capsys, "create", "--data", node, "--to", folder, "--incremental")
    assert code == FAILED and answer["error"]["name"] == "backup_missing"
    code, answer = backup(capsys, "create", "--data", tmp_path / "nowhere", "--to", folder)
    assert code == FAILED and answer["error"]["name"] == "store_unusable"
    code, answer = backup(capsys, "verify", folder)
    assert code == FAILED and "no backups" in answer["error"]["message"]
    _, made = backup(capsys, "create", "--data", node, "--to", folder)
    code, answer = backup(capsys, "restore", made["folder"], "--data", tmp_path / "nothing")
    assert code == FAILED and answer["error"]["hint"].startswith("folkmoot init")
    part = Path(made["folder"]) / "cells-00001"
    os.truncate(part, 100)
    code, answer = backup(capsys, "verify", made["folder"])
    assert code == FAILED and answer["error"]["name"] == "backup_damaged"
    code, answer = backup(capsys, "verify", folder)
    assert code == FAILED and not answer["ok"] and "damaged" in answer["backups"][0]["reason"]
    code, answer = backup(capsys, "restore", made["folder"], "--data", new)
    assert code == FAILED and answer["error"]["name"] == "backup_damaged"
    code, more = backup(capsys, "create", "--data", node, "--to", folder, "--incremental")
    assert code == OK, "whether its base is whole is asked by verify"
    code, answer = backup(capsys, "verify", folder)
    reasons = {each["name"]: each["reason"] for each in answer["backups"]}
    assert code == FAILED and f"it stands on {made['name']}, which is damaged" in reasons[more["name"]]
    (Path(made["folder"]) / NAME).write_text('{"format": 9}')
    code, answer = backup(capsys, "show", folder)
    assert (
        code == DEGRADED
        and "later" in {each["name"]: each for each in answer["backups"]}[made["name"]]["reason"]
    )


def test_a_backup_named_from_anywhere(
    node: Path, new: Path, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backups"
    backup(capsys, "create", "--data", node, "--to", folder)
    _, made = backup(capsys, "create", "--data", node, "--to", folder, "--incremental")
    (folder / made["name"] / "below").mkdir()
    names = {".": "", "..": "below", f"../{made['name']}": "", f"../../{made['name']}": "below"}
    for named, inside in names.items():
        monkeypatch.chdir(folder / made["name"] / inside)
        code, answer = backup(capsys, "verify", named)
        assert (code, [each["name"] for each in answer["backups"]]) == (OK, [made["name"]])
        code, answer = backup(capsys, "show", named)
        assert (code, answer["backups"][0]["folder"]) == (OK, made["folder"])
    monkeypatch.chdir(folder / made["name"])
    code, done = backup(capsys, "restore", ".", "--data", new)
    assert (code, done["cells"]) == (OK, 80)
    monkeypatch.chdir(folder)
    assert backup(capsys, "verify", ".")[0] == OK
    Path(made["name"], NAME).write_text("{}")
    monkeypatch.chdir(made["name"])
    code, answer = backup(capsys, "show", ".")
    assert (code, answer["backups"][0]["name"]) == (DEGRADED, made["name"])


def test_no_key_is_in_a_backup(new: Path, tmp_path: Path, capsys: Printed) -> None:
    node_id = bytes.fromhex((new / "node.id").read_text())
    store = Store(LmdbEngine(new, cap_bytes=CAP), owner=Owner(node_id, OWNER.cluster), fresh_log_id=bytes(16))
    put(store, post(ANN, 1))
    store.close()
    _, made = backup(capsys, "create", "--data", new, "--to", tmp_path / "backups")
    content = b"".join(file.read_bytes() for file in Path(made["folder"]).iterdir())
    for key in (new / "keys").iterdir():
        secret = key.read_text().strip().rpartition(":")[2]
        assert secret.encode() not in content and bytes.fromhex(secret) not in content


def test_in_words(node: Path, new: Path, tmp_path: Path, capsys: Printed) -> None:
    folder = tmp_path / "backups"
    assert run(["backup", "create", "--data", str(node), "--to", str(folder)]) == OK
    assert "80 cells" in capsys.readouterr().out
    assert run(["backup", "show", str(folder)]) == OK
    assert "stands on" in capsys.readouterr().out
    (made,) = folder.iterdir()
    assert run(["backup", "verify", str(made)]) == OK
    assert "sound" in capsys.readouterr().out
    assert run(["backup", "restore", str(made), "--data", str(new)]) == OK
    assert "80 cells" in capsys.readouterr().out
    assert len(cells_in_any(new)) == 80


def cells_in_any(directory: Path) -> dict[bytes, bytes]:
    store = store_of(directory, None)
    try:
        return cells_of(store)
    finally:
        store.close()
