"""The store on a real disk: sync, locks, permissions, damage, and a process killed while it writes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from folkmoot.protocol.limits import KIB, MIB
from folkmoot.storage.errors import (
    SchemaTooNew,
    StoreCorrupt,
    StoreLocked,
    StoreReadOnly,
    StoreUnusable,
    WrongStore,
)
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import LmdbEngine, audit
from folkmoot.storage.room import map_bytes_for
from folkmoot.storage.rows import seal
from folkmoot.storage.schema import SCHEMA
from folkmoot.storage.store import Owner, Store
from folkmoot.storage.verify import verify

from tests.read_only import unprivileged
from tests.storage.making import LOG_ID, OWNER, cells_of, open_store, person, post, put, reaction

ROOT = Path(__file__).resolve().parents[2]
ANN, BEN = person(1), person(2)
CAP = 64 * MIB


def opened(directory: Path) -> Store:
    return open_store(LmdbEngine(directory, cap_bytes=CAP))


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A closed store with some posts."""
    store = opened(tmp_path / "node")
    put(store, *(post(ANN, number, "y" * 200) for number in range(300)))
    store.close()
    return tmp_path / "node"


def test_files_are_private(filled: Path) -> None:
    modes = {path.relative_to(filled): stat.S_IMODE(path.stat().st_mode) for path in filled.rglob("*")}
    modes[Path()] = stat.S_IMODE(filled.stat().st_mode)
    assert modes.pop(Path()) == modes.pop(Path("store")) == 0o700
    assert modes and set(modes.values()) == {0o600}


def test_two_daemons_on_one_directory(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(StoreLocked) as refused:
        opened(tmp_path)
    assert refused.value.pid == os.getpid() and str(os.getpid()) in str(refused.value)
    store.close()
    opened(tmp_path).close()


def test_another_process_holds_the_directory(tmp_path: Path) -> None:
    with writing_process(tmp_path, first=0) as process:
        assert process.stdout is not None and process.stdout.readline()
        with pytest.raises(StoreLocked) as refused:
            opened(tmp_path)
        assert refused.value.pid == process.pid
        process.kill()
        process.wait()
    opened(tmp_path).close()


def test_the_map_has_headroom_over_the_cap(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store.usage().map_bytes == map_bytes_for(CAP) >= CAP + 64 * MIB
    assert (tmp_path / "store" / "data.mdb").stat().st_size < 1 * MIB
    store.close()
    assert map_bytes_for(1000 * MIB + 1) == 1251 * MIB


def test_a_store_of_another_node_or_cluster_or_a_later_version(filled: Path) -> None:
    engine = LmdbEngine(filled, cap_bytes=CAP)
    with pytest.raises(WrongStore, match="cluster test, not prod"):
        Store(engine, owner=Owner(OWNER.node, "prod"), fresh_log_id=LOG_ID)
    with pytest.raises(WrongStore, match="the node 6e6f64652d"):
        Store(engine, owner=Owner(bytes(16), "test"), fresh_log_id=LOG_ID)
    store = Store(engine, owner=None)
    assert (store.owner, store.log_id) == (OWNER, LOG_ID)
    with engine.begin(write=True) as transaction:
        transaction.put(Table.META, b"schema", seal(b"schema", (SCHEMA + 1).to_bytes(4, "big")))
        transaction.commit()
    with pytest.raises(SchemaTooNew):
        Store(engine, owner=OWNER)
    engine.close()


def test_the_log_id_of_a_store_never_changes(filled: Path) -> None:
    store = Store(LmdbEngine(filled, cap_bytes=CAP), owner=OWNER, fresh_log_id=bytes(16))
    assert store.log_id == LOG_ID
    store.close()


def test_an_empty_directory_is_no_store_to_read(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path, cap_bytes=CAP)
    with pytest.raises(StoreCorrupt):
        Store(engine, owner=None)
    engine.close()


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreUnusable, match="--data"):
            opened(place)


@pytest.mark.parametrize("unwritable", [".", "LOCK", "store", "store/data.mdb", "store/lock.mdb"])
def test_a_read_only_directory_or_file(unwritable: str) -> None:
    with unprivileged() as directory:
        place = directory / "node"
        if unwritable == ".":
            directory.chmod(0o500)
        else:
            store = opened(place)
            put(store, post(ANN, 1))
            store.close()
            (place / unwritable).chmod(0o500 if unwritable == "store" else 0o400)
            if unwritable == "store":
                (place / "store" / "lock.mdb").chmod(0o400)
        with pytest.raises(StoreReadOnly, match="cannot be written"):
            opened(place)
        for path in (directory, *directory.rglob("*")):
            path.chmod(0o700)
        opened(place).close()


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"x" * 100_000, bytes(8192), b"not a store\n" * 9000])
def test_a_file_that_is_not_a_store(filled: Path, content: bytes) -> None:
    (filled / "store" / "data.mdb").write_bytes(content)
    with pytest.raises(StoreCorrupt, match="folkmoot store verify"):
        opened(filled)
    # The failed attempt has let go of the directory.
    with pytest.raises(StoreCorrupt):
        opened(filled)


def open_in_a_process(directory: Path) -> str:
    """Open and verify in a process of its own, which damage might kill; what it printed last."""
    program = (
        "import sys; from pathlib import Path\n"
        "from folkmoot.storage.lmdb_engine import LmdbEngine\n"
        "from folkmoot.storage.store import Store\n"
        "from folkmoot.storage.verify import verify\n"
        "from folkmoot.storage.errors import StoreCorrupt\n"
        "try:\n"
        f"    store = Store(LmdbEngine(Path(sys.argv[1]), cap_bytes={CAP}), owner=None)\n"
        "    print('ok' if verify(store.engine).ok else 'findings')\n"
        "except StoreCorrupt: print('corrupt')\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, str(directory)], capture_output=True, text=True, timeout=60
    )
    assert finished.returncode == 0, finished
    return finished.stdout.strip()


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.2])
def test_a_cut_off_file(filled: Path, kept: float) -> None:
    data = filled / "store" / "data.mdb"
    os.truncate(data, int(data.stat().st_size * kept) // 4096 * 4096)
    assert open_in_a_process(filled) in ("corrupt", "findings")


def test_a_sound_file_may_end_before_its_unused_last_pages(filled: Path) -> None:
    store = opened(filled)
    with store.engine.begin(write=True) as transaction:
        transaction.put(Table.META, b"large", bytes(50 * 4096))
        transaction.delete(Table.META, b"large")
        transaction.commit()
    whole, before = store.usage().file_bytes, cells_of(store)
    store.close()
    data = filled / "store" / "data.mdb"
    assert data.stat().st_size < whole, "LMDB wrote pages that it never used"
    store = opened(filled)
    assert data.stat().st_size == whole
    assert cells_of(store) == before and verify(store.engine).ok
    store.close()


def test_a_flipped_bit_in_a_value(filled: Path) -> None:
    data = filled / "store" / "data.mdb"
    content = bytearray(data.read_bytes())
    store = opened(filled)
    keys = sorted(cells_of(store))
    cell = store.get_cell(keys[7]) or b""
    store.close()
    at = content.index(cell)
    while at >= 0:  # older copies of the page may hold it too
        content[at + len(cell) // 2] ^= 0x10
        at = content.find(cell, at + 1)
    data.write_bytes(content)
    store = opened(filled)
    with pytest.raises(StoreCorrupt, match=keys[7].hex()):
        store.get_cell(keys[7])
    assert store.get_cell(keys[8]) is not None
    findings = verify(store.engine).findings
    assert ("cells", keys[7].hex()) in {(finding.table, finding.where) for finding in findings}
    store.close()


def test_damaged_pages_are_found_without_opening_the_file(filled: Path) -> None:
    assert audit(filled) == []
    data = filled / "store" / "data.mdb"
    content = bytearray(data.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 + 10 : page * 4096 + 16] = bytes(6)
    data.write_bytes(content)
    assert audit(filled)
    data.write_bytes(b"nothing of the kind" * 1000)
    with pytest.raises(StoreCorrupt):
        audit(filled)


@contextmanager
def writing_process(directory: Path, first: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.lmdb_writer_process", str(directory), str(first)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_killed_while_writing_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    acknowledged: set[int] = set()
    for attempt in range(4):
        with writing_process(tmp_path, first=attempt * 100_000) as process:
            assert process.stdout is not None
            for _ in range(40 + 17 * attempt):
                acknowledged.add(int(process.stdout.readline()))
            process.kill()
            rest, _ = process.communicate()
            acknowledged.update(int(line) for line in rest.split("\n")[:-1] if line)
        store = opened(tmp_path)
        for number in acknowledged:
            record = post(ANN, number, "x" * (number % 3000))
            assert store.get_cell(record.key), f"post {number} was acknowledged and is gone"
            assert store.get_cell(reaction("like", BEN, ANN, number).key)
        report = verify(store.engine)
        assert report.findings == () and report.cells >= 2 * len(acknowledged)
        store.close()
        assert audit(tmp_path) == []
    assert len(acknowledged) >= 4 * 40


def test_a_cap_smaller_than_what_is_there(filled: Path) -> None:
    engine = LmdbEngine(filled, cap_bytes=64 * KIB)
    store = open_store(engine)
    assert store.usage().fraction > 1
    assert verify(engine).ok
    store.close()
