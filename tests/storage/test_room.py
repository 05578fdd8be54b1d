"""A disk that has less than the cap: writes are refused before it is full, and a full one ruins nothing."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.limits import KIB, MIB
from folkmoot.storage.errors import CommitFailed, DiskFull
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.outcomes import PutStatus
from folkmoot.storage.room import free_bytes, room_bytes_for, was_cut_short
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import Admission
from folkmoot.storage.verify import verify

from tests.small_disks import files_up_to, leave_no_room, small_disk
from tests.storage.making import cells_of, deletion, open_store, person, post, put, run

ANN = person(1)
CAP = 64 * MIB
ROOT = Path(__file__).resolve().parents[2]
ENOSPC, EIO = 28, 5


class Free:
    """A disk of so many bytes, of which the file takes its own; others may take more."""

    def __init__(self, whole: int) -> None:
        self.whole = whole

    def __call__(self, directory: Path) -> int:
        return max(0, self.whole - (directory / "data.mdb").stat().st_size)


def fill(store: Store, admission: Admission = Admission.CLIENT_PUT) -> int:
    """Write posts until they are refused; how many went in."""
    for number in range(10_000):
        try:
            put(store, post(ANN, number, "x" * 3000), admission=admission)
        except DiskFull as full:
            assert full.to_wire_error().kind.name == "disk_full"
            return number
    raise AssertionError("the disk refused nothing")


def test_the_room_is_the_cap_or_what_the_disk_has() -> None:
    assert room_bytes_for(100 * MIB, 10 * MIB, None) == 100 * MIB
    assert room_bytes_for(100 * MIB, 10 * MIB, 1000 * MIB) == 100 * MIB
    assert room_bytes_for(10_000 * MIB, 300 * MIB, 700 * MIB) == (1000 - 64) * MIB
    assert room_bytes_for(10_000 * MIB, 1 * MIB, 3 * MIB) == 3 * MIB, "a small disk keeps a quarter"
    assert room_bytes_for(10_000 * MIB, 0, 0) == 0


def test_what_is_free_is_asked_of_the_directory(tmp_path: Path) -> None:
    free = free_bytes(tmp_path)
    assert free is not None and free > 0
    assert free_bytes(tmp_path / "absent") is None


def test_a_disk_smaller_than_the_cap_refuses_by_class_and_deletions_last(tmp_path: Path) -> None:
    store = open_store(LmdbEngine(tmp_path, cap_bytes=CAP, free=Free(2 * MIB)))
    assert store.usage().room_bytes == 2 * MIB * 3 // 4
    clients = fill(store)
    assert store.usage().warn and store.usage().cap_bytes == CAP
    assert clients < fill(store, Admission.PEER_JOIN) < fill(store, Admission.ESSENTIAL)
    assert (tmp_path / "store" / "data.mdb").stat().st_size < 2 * MIB
    for number in range(clients):
        assert put(store, deletion(ANN, number))[0].status is PutStatus.STORED
    assert put(store, post(ANN, 9999, "x" * 3000))[0].status is PutStatus.STORED
    assert verify(store.engine).ok
    store.close()


def test_a_disk_that_others_fill_refuses_and_takes_again_when_they_make_room(tmp_path: Path) -> None:
    free = Free(16 * MIB)
    store = open_store(LmdbEngine(tmp_path, cap_bytes=CAP, free=free))
    put(store, *(post(ANN, number, "x" * 3000) for number in range(100)))
    free.whole = 0
    with pytest.raises(DiskFull, match="free the disk"):
        put(store, post(ANN, 100))
    assert store.usage().fraction > 1
    assert put(store, deletion(ANN, 1))[0].status is PutStatus.STORED
    run(store, lambda tx: tx.meta_put("incarnation", b"8"), admission=Admission.ESSENTIAL)
    free.whole = 16 * MIB
    assert put(store, post(ANN, 100))[0].status is PutStatus.STORED
    store.close()


def test_what_memory_has_is_its_cap(engines: object) -> None:
    engine: Engine = engines.make(cap_bytes=8 * MIB)  # type: ignore[attr-defined]  # of the conftest
    assert engine.room_bytes() == 8 * MIB == engine.usage().room_bytes


@pytest.mark.parametrize("free", [0, None, 100 * MIB])
@pytest.mark.parametrize("over_bytes", [0, 100], ids=["at once", "in the middle of a page"])
def test_a_commit_cut_short_has_changed_nothing(tmp_path: Path, free: int | None, over_bytes: int) -> None:
    """LMDB says EIO when part of a write went through: only a disk known to be full explains that."""
    told = [100 * MIB]
    engine = LmdbEngine(tmp_path, cap_bytes=CAP, free=lambda _: told[-1])
    store = open_store(engine)
    put(store, *(post(ANN, number, "x" * 3000) for number in range(50)))
    before = cells_of(store)
    told.append(free)  # type: ignore[arg-type]  # nobody knows how much
    limit = (tmp_path / "store" / "data.mdb").stat().st_size + over_bytes
    with files_up_to(limit), engine.begin(write=True) as transaction:
        transaction.put(Table.META, b"large", bytes(512 * KIB))
        with pytest.raises(CommitFailed if over_bytes and free != 0 else DiskFull):
            transaction.commit()
    told.append(100 * MIB)
    assert cells_of(store) == before
    assert put(store, post(ANN, 50))[0].status is PutStatus.STORED
    assert verify(engine).ok
    store.close()


def test_only_want_of_room_is_taken_for_a_full_disk() -> None:
    assert was_cut_short(ENOSPC, None) and was_cut_short(EIO, 0)
    assert not was_cut_short(EIO, None) and not was_cut_short(EIO, MIB) and not was_cut_short(None, 0)


def test_a_real_disk_is_filled_emptied_and_read_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=2048) as disk:
        store = open_store(LmdbEngine(disk, cap_bytes=CAP))
        kept = fill(store)
        assert kept > 100
        fill(store, Admission.ESSENTIAL)
        for number in range(kept):
            assert put(store, deletion(ANN, number))[0].status is PutStatus.STORED
        store.close()
        store = open_store(LmdbEngine(disk, cap_bytes=CAP))
        assert put(store, post(ANN, 9000, "x" * 3000))[0].status is PutStatus.STORED
        assert verify(store.engine).ok
        store.close()


def test_a_disk_that_others_fill_to_the_last_byte_ruins_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=2048) as disk:
        store = open_store(LmdbEngine(disk, cap_bytes=CAP))
        put(store, *(post(ANN, number, "x" * 3000) for number in range(200)))
        ballast = leave_no_room(disk)
        gone = 0
        for number in range(200):
            # What the file has free decides how much can still be copied; no answer but these two is right.
            with suppress(DiskFull):
                put(store, deletion(ANN, number))
                gone += 1
        assert gone < 200, "the disk was not full"
        store.close()
        store = open_store(LmdbEngine(disk, cap_bytes=CAP))
        assert sum(Cell.decode(cell).deleted for cell in cells_of(store).values()) == gone
        ballast.unlink()
        put(store, *(deletion(ANN, number) for number in range(200)))
        assert put(store, post(ANN, 9000, "x" * 3000))[0].status is PutStatus.STORED
        assert verify(store.engine).ok
        store.close()


OPEN = (
    "import sys; from pathlib import Path\n"
    "from folkmoot.storage.errors import DiskFull\n"
    "from folkmoot.storage.lmdb_engine import LmdbEngine\n"
    "from tests.storage.making import open_store\n"
    "try:\n"
    "    store = open_store(LmdbEngine(Path(sys.argv[1]), cap_bytes=1 << 26))\n"
    "    with store.engine.begin(), store.engine.begin(): print('opened')\n"
    "except DiskFull: print('disk full')\n"
)


def opened_in_a_process(directory: Path) -> str:
    """What the program printed."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done
    return done.stdout.strip()


@pytest.mark.parametrize("spare_kib", [0, 4, 8, 16, 24, 32, 40, 48, 128])
def test_a_new_store_on_a_disk_with_hardly_any_room(tmp_path: Path, spare_kib: int) -> None:
    """In a process of its own: to touch a page that a mapped file cannot have is a fatal signal."""
    with small_disk(tmp_path / "disk", kib=256) as disk:
        ballast = leave_no_room(disk, spare_kib=spare_kib)
        assert opened_in_a_process(disk / "node") == ("opened" if spare_kib == 128 else "disk full")
        ballast.unlink()
        assert opened_in_a_process(disk / "node") == "opened"
