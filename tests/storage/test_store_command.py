"""`folkmoot store`: what it prints, what it ends with, and that looking changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.exit_codes import FAILED, OK
from folkmoot.cli.main import run
from folkmoot.protocol.limits import MIB
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import LmdbEngine

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
