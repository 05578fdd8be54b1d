"""`folkmoot store`: what it prints, what it ends with, and that looking changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.exit_codes import FAILED, OK
from folkmoot.cli.main import run
from folkmoot.protocol.limits import MIB
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.lmdb_reader import LmdbAtRest

from tests.read_only import read_only, unprivileged
from tests.storage.making import OWNER, cells_of, open_store, person, post, put

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    store = open_store(LmdbEngine(tmp_path / "node", cap_bytes=64 * MIB))
    put(store, *(post(person(1), number) for number in range(20)))
    store.close()
    return tmp_path / "node"


def store_command(printed: Printed, *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(["store", *arguments, "--json"])
    answer: dict[str, Any] = json.loads(printed.readouterr().out)
    return code, answer


def test_a_sound_store(directory: Path, capsys: Printed) -> None:
    code, answer = store_command(capsys, "verify", "--data", str(directory), "--signatures")
    assert code == OK
    assert (answer["ok"], answer["cells"], answer["signatures"], answer["findings"]) == (True, 20, 20, [])
    assert run(["store", "verify", "--data", str(directory)]) == OK
    assert capsys.readouterr().out.endswith("sound\n")


def test_a_damaged_cell(directory: Path, capsys: Printed) -> None:
    engine = LmdbEngine(directory, cap_bytes=64 * MIB)
    key = post(person(1), 7).key
    with engine.begin(write=True) as transaction:
        row = transaction.get(Table.CELLS, key) or b""
        transaction.put(Table.CELLS, key, row[:30] + bytes((row[30] ^ 1,)) + row[31:])
        transaction.commit()
    engine.close()
    code, answer = store_command(capsys, "verify", "--data", str(directory))
    assert code == FAILED and not answer["ok"]
    assert key.hex() in [finding["where"] for finding in answer["findings"]]


def test_damaged_pages(directory: Path, capsys: Printed) -> None:
    data = directory / "store" / "data.mdb"
    content = bytearray(data.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 + 10 : page * 4096 + 16] = bytes(6)
    data.write_bytes(content)
    code, answer = store_command(capsys, "verify", "--data", str(directory))
    assert code == FAILED and answer["pages"]


def test_usage(directory: Path, capsys: Printed) -> None:
    code, answer = store_command(capsys, "usage", "--data", str(directory))
    assert code == OK
    assert (answer["node"], answer["cluster"]) == (OWNER.node.hex(), "test")
    assert 0 < answer["live_bytes"] <= answer["file_bytes"]


@pytest.mark.parametrize("action", ["verify", "usage"])
def test_no_store_is_made_by_looking(tmp_path: Path, action: str, capsys: Printed) -> None:
    code, answer = store_command(capsys, action, "--data", str(tmp_path / "nowhere"))
    assert code == FAILED and "no store" in answer["error"]["message"]
    assert not (tmp_path / "nowhere").exists()


def test_a_store_in_use(directory: Path, capsys: Printed) -> None:
    store = open_store(LmdbEngine(directory, cap_bytes=64 * MIB))
    code, answer = store_command(capsys, "verify", "--data", str(directory))
    assert (code, answer["error"]["name"]) == (FAILED, "store_locked")
    assert len(cells_of(store)) == 20
    store.close()


@pytest.mark.parametrize("lock", ["kept", "gone"])
def test_what_belongs_to_another_user_is_checked_without_a_word_into_it(lock: str, capsys: Printed) -> None:
    with unprivileged() as place:
        store = open_store(LmdbEngine(place / "node", cap_bytes=64 * MIB))
        put(store, *(post(person(1), number) for number in range(20)))
        store.close()
        if lock == "gone":
            (place / "node" / "LOCK").unlink()
            (place / "node" / "store" / "lock.mdb").unlink()
        inside = sorted(place.rglob("*"), reverse=True)
        for path in inside:
            path.chmod(0o500 if path.is_dir() else 0o400)
        code, answer = store_command(capsys, "verify", "--data", str(place / "node"))
        assert (code, answer["ok"], answer["cells"], answer["read_only"]) == (OK, True, 20, True)
        code, answer = store_command(capsys, "usage", "--data", str(place / "node"))
        assert (code, answer["node"], answer["read_only"]) == (OK, OWNER.node.hex(), True)
        assert run(["store", "verify", "--data", str(place / "node")]) == OK
        assert "cannot be written; it is only read" in capsys.readouterr().err
        assert sorted(place.rglob("*"), reverse=True) == inside


def test_a_read_only_disk(directory: Path) -> None:
    with read_only(directory) as prefix:
        verify = [sys.executable, "-m", "folkmoot.cli", "store", "verify", "--data", str(directory), "--json"]
        done = subprocess.run([*prefix, *verify], capture_output=True, check=False)
    assert done.returncode == OK, done.stderr
    assert json.loads(done.stdout)["ok"] and json.loads(done.stdout)["read_only"]


def test_a_store_in_use_that_cannot_be_written(capsys: Printed) -> None:
    with unprivileged() as place:
        store = open_store(LmdbEngine(place / "node", cap_bytes=64 * MIB))
        (place / "node" / "LOCK").chmod(0o400)
        code, answer = store_command(capsys, "verify", "--data", str(place / "node"))
        assert (code, answer["error"]["name"]) == (FAILED, "store_locked")
        store.close()


def test_a_file_that_ends_early_and_cannot_be_stretched(directory: Path) -> None:
    data = directory / "store" / "data.mdb"
    with data.open("r+b") as opened:
        opened.truncate(data.stat().st_size // 2 // 4096 * 4096)
    with pytest.raises(StoreCorrupt, match="is damaged"):
        LmdbAtRest(directory)
