"""Compaction: the same rows, no byte of what was erased, and harmless whenever it is cut off."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from folkmoot.cli.exit_codes import FAILED
from folkmoot.cli.main import run as run_command
from folkmoot.protocol.limits import MIB
from folkmoot.storage.compaction import compact, compacted_at
from folkmoot.storage.directory import ReadersLock
from folkmoot.storage.errors import DiskFull, StoreBeingRead, StoreCorrupt, StoreLocked, StoreUnusable
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import COMPACTED, LmdbEngine, audit
from folkmoot.storage.outcomes import PutStatus
from folkmoot.storage.store import Store
from folkmoot.storage.verify import verify

from tests.small_disks import leave_no_room, small_disk
from tests.storage.making import deletion, dump, open_store, person, post, put, reaction
from tests.waiting import until_blocking

ANN, BEN = person(1), person(2)
CAP = 64 * MIB
POSTS = 400


def secret(number: int) -> str:
    return f"SECRET {number} " * (1 + number % 200)


def fill(directory: Path) -> None:
    """A store in which every second post was deleted, and in which others were written since."""
    store = open_store(LmdbEngine(directory, cap_bytes=CAP))
    for first in range(0, POSTS, 50):
        put(store, *(post(ANN, number, secret(number)) for number in range(first, first + 50)))
    put(store, *(reaction("like", BEN, ANN, number) for number in range(0, POSTS, 3)))
    for first in range(0, POSTS, 50):
        put(store, *(deletion(ANN, number) for number in range(first, first + 50, 2)))
        put(store, *(post(BEN, number, "open " * number) for number in range(first, first + 50)))
    store.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "node"
    fill(directory)
    return directory


@pytest.fixture
def node(made: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(made, tmp_path / "node"))


def content(directory: Path) -> bytes:
    return (directory / "store" / "data.mdb").read_bytes()


def reopened(directory: Path) -> Store:
    return open_store(LmdbEngine(directory, cap_bytes=CAP))


def rows_of(directory: Path) -> list[list[tuple[bytes, bytes]]]:
    """Every row but the one that says that the store was compacted."""
    store = reopened(directory)
    rows = dump(store)
    store.close()
    rows[Table.META] = [row for row in rows[Table.META] if row[0] != b"compacted"]
    return rows


def left_in(data: bytes) -> int:
    """How many deleted bodies there is something of."""
    return sum(f"SECRET {number} ".encode() in data for number in range(0, POSTS, 2))


def test_the_same_rows_and_nothing_else(node: Path) -> None:
    before = rows_of(node)
    assert left_in(content(node)) > POSTS // 4, "pages that are free or half used still show what was deleted"
    done = compact(node)
    assert done.after_bytes == len(content(node)) < done.before_bytes
    assert left_in(content(node)) == 0
    assert rows_of(node) == before
    assert audit(node) == []
    store = reopened(node)
    assert verify(store.engine, signatures=True).ok
    with store.engine.begin() as transaction:
        assert compacted_at(transaction) == done.sequence == store.sequence
    store.close()


def test_what_lmdb_copies_is_not_enough(node: Path, tmp_path: Path) -> None:
    """Why compaction writes rows: LMDB's own compacting copy takes the ends of large values' pages along."""
    (tmp_path / "copy").mkdir()
    engine = LmdbEngine(node, cap_bytes=CAP)
    engine._env.copy(str(tmp_path / "copy"), compact=True)
    engine.close()
    copied = (tmp_path / "copy" / "data.mdb").read_bytes()
    assert left_in(copied) > 0, "if LMDB has learned to erase, compaction can leave it to that"


def test_a_replay_of_what_was_deleted_is_a_duplicate_for_ever(node: Path) -> None:
    compact(node)
    store = reopened(node)
    outcomes = put(store, *(post(ANN, number, secret(number)) for number in range(0, POSTS, 2)))
    assert {outcome.status for outcome in outcomes} == {PutStatus.DUPLICATE}
    assert not any(outcome.changed for outcome in outcomes)
    store.close()
    assert left_in(content(node)) == 0


def test_a_compacted_store_goes_on_and_is_compacted_again(node: Path) -> None:
    compact(node)
    store = reopened(node)
    put(store, *(deletion(ANN, number) for number in range(1, POSTS, 2)))
    store.close()
    compact(node)
    assert b"SECRET" not in content(node)


def test_progress_reaches_the_end(node: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = compact(node, progress=lambda *at: seen.append(at))
    assert seen == sorted(seen) and seen[-1] == (done.rows, done.rows)


def test_a_running_node_is_left_alone(node: Path) -> None:
    store = reopened(node)
    with pytest.raises(StoreLocked):
        compact(node)
    store.close()


def test_who_reads_is_left_alone(node: Path) -> None:
    reading = ReadersLock(node / "store")
    with pytest.raises(StoreBeingRead, match="try again"):
        compact(node)
    reading.release()
    compact(node)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="no store"):
        compact(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_row_stops_it(node: Path) -> None:
    engine = LmdbEngine(node, cap_bytes=CAP)
    with engine.begin(write=True) as transaction:
        key = post(ANN, 7).key
        row = transaction.get(Table.CELLS, key)
        assert row is not None
        transaction.put(Table.CELLS, key, row[:-1] + bytes((row[-1] ^ 1,)))
        transaction.commit()
    engine.close()
    before = content(node)
    with pytest.raises(StoreCorrupt) as refused:
        compact(node)
    assert refused.value.cell_key == key
    assert content(node) == before and not (node / "store" / COMPACTED).exists()


def test_room_is_asked_for_first(node: Path) -> None:
    before = content(node)
    with pytest.raises(DiskFull, match="second file"):
        compact(node, free=lambda directory: 100_000)
    assert content(node) == before


def test_a_disk_that_fills_on_the_way(made: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=8 * 1024) as disk:
        node = Path(shutil.copytree(made, disk / "node"))
        before = content(node)
        leave_no_room(disk, spare_kib=512)
        with pytest.raises(DiskFull):
            compact(node, free=lambda directory: None)
        assert content(node) == before
        assert sorted(file.name for file in (node / "store").iterdir()) == ["data.mdb", "lock.mdb"]


@pytest.mark.parametrize("after_rows", [0, 1, 3, 4])
def test_killed_at_any_point_it_has_changed_nothing(node: Path, after_rows: int) -> None:
    """The process stops at a row count of its own and waits there to be killed."""
    before = content(node)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from folkmoot.storage.compaction import compact\n"
        "calls = 0\n"
        "def stop(done, total):\n"
        "    global calls\n"
        "    calls += 1\n"
        f"    if calls > {after_rows}:\n"
        "        print('here', flush=True)\n"
        "        sys.stdin.read()\n"
        "compact(Path(sys.argv[1]), progress=stop)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(node)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        assert (node / "store" / COMPACTED).exists()
        process.kill()
    assert content(node) == before
    rows = rows_of(node)
    assert not (node / "store" / COMPACTED).exists(), "the next start takes away what was left"
    compact(node)
    assert rows_of(node) == rows and left_in(content(node)) == 0


def test_killed_at_any_moment_either_file_is_whole(made: Path, tmp_path: Path) -> None:
    """Killed as soon as the new file is there, and later and later, to the end and past it."""
    rows = rows_of(made)
    for attempt in range(6):
        node = Path(shutil.copytree(made, tmp_path / str(attempt)))
        process = subprocess.Popen(
            [sys.executable, "-m", "folkmoot.cli", "store", "compact", "--data", str(node)],
            stdout=subprocess.DEVNULL,
        )
        wanted = attempt * 128 * 1024
        new = node / "store" / COMPACTED

        def far_enough(
            process: subprocess.Popen[bytes] = process, new: Path = new, wanted: int = wanted
        ) -> bool:
            try:
                return new.stat().st_size >= wanted
            except FileNotFoundError:
                return process.poll() is not None

        until_blocking(far_enough, what="the compaction to get that far")
        process.kill()
        process.wait()
        assert rows_of(node) == rows


def test_the_command(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["store", "compact", "--data", str(node)]) == 0
    assert "saved" in capsys.readouterr().out
    store = reopened(node)
    assert run_command(["store", "compact", "--data", str(node)]) == FAILED
    assert "in use by process" in capsys.readouterr().err
    store.close()
