"""Backups are exact whatever is written meanwhile, go on where they stopped, and hold nothing deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.protocol.key import lane_of
from folkmoot.storage.backup.check import check
from folkmoot.storage.backup.create import create
from folkmoot.storage.backup.errors import (
    BackupForeign,
    BackupNoRoom,
    BackupOutrun,
    BackupUnderWay,
    BackupUnreadable,
)
from folkmoot.storage.backup.manifest import backups_in, chain_of, load
from folkmoot.storage.directory import DirectoryLock
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.store import Owner, Store

from tests.backup.making import (
    ANN,
    BEN,
    CAP,
    Meddling,
    backed_up,
    cells_in,
    everything_in,
    filled,
    now_us,
    restored,
)
from tests.small_disks import leave_no_room, small_disk
from tests.storage.making import OWNER, cells_of, deletion, open_store, person, post, put


class Killed(BaseException):
    """Ends a backup where it stands, as a signal would: nothing is tidied up but by the kernel."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return filled(tmp_path / "node")


def test_a_backup_is_the_store(store: Store, tmp_path: Path) -> None:
    made = backed_up(store, tmp_path / "backups")
    manifest = made.manifest
    assert load(made.folder) == made and backups_in(tmp_path / "backups") == [made.folder]
    assert (manifest.cluster, manifest.node) == (OWNER.cluster, OWNER.node.hex())
    assert (manifest.sequence, manifest.cells_total) == (store.sequence, len(cells_of(store)))
    assert manifest.cells == manifest.cells_total and manifest.deletions == 30
    assert len(manifest.parts) > 3, "several parts, as large backups have"
    assert check([made], signatures=True).cells == manifest.cells
    restored(made, tmp_path / "new")
    assert cells_in(tmp_path / "new") == cells_of(store)


def test_an_empty_store(tmp_path: Path) -> None:
    store = open_store(MemoryEngine())
    made = backed_up(store, tmp_path / "backups")
    assert made.manifest.cells_total == 0
    restored(made, tmp_path / "new")
    assert cells_in(tmp_path / "new") == {}


def test_an_increment_has_only_what_changed(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    full = backed_up(store, folder)
    put(store, *(post(BEN, number, "new") for number in range(500, 520)))
    put(store, post(ANN, 1, "an edit", stamp=5), deletion(ANN, 2, stamp=5))
    first = backed_up(store, folder, full)
    assert first.manifest.cells == 22 and first.manifest.deletions == 1
    second = backed_up(store, folder, first)
    assert second.manifest.cells == 0 and second.manifest.parts == ()
    assert [each.manifest.id for each in chain_of(second)] == [
        full.manifest.id,
        first.manifest.id,
        second.manifest.id,
    ]
    restored(second, tmp_path / "new")
    assert cells_in(tmp_path / "new") == cells_of(store)
    restored(full, tmp_path / "older")
    assert len(cells_in(tmp_path / "older")) == full.manifest.cells_total


def test_what_is_written_meanwhile_is_in_it(store: Store, tmp_path: Path) -> None:
    def write() -> None:
        put(store, *(post(BEN, number, "meanwhile") for number in range(800, 900)))
        put(store, post(ANN, 3, "an edit meanwhile", stamp=9), deletion(ANN, 5, stamp=9))

    made = backed_up(store, tmp_path / "backups", pace=Meddling(2, write))
    assert made.manifest.sequence == store.sequence
    restored(made, tmp_path / "new")
    assert cells_in(tmp_path / "new") == cells_of(store)


def test_what_is_deleted_meanwhile_is_not_in_it(tmp_path: Path) -> None:
    """Read in an early pass, deleted before the last moment: the early part is written without it."""
    store = open_store(LmdbEngine(tmp_path / "node", cap_bytes=CAP))
    people = [person(number) for number in range(1, 60)]
    put(store, *(post(who, 1, f"SECRET of {lane_of(post(who, 1).key)}") for who in people))
    put(store, *(post(who, 2, "open") for who in people))

    def delete() -> None:
        put(store, *(deletion(who, 1) for who in people))

    made = backed_up(store, tmp_path / "backups", pace=Meddling(30, delete), part_bytes=1024)
    assert b"SECRET" not in everything_in(tmp_path / "backups")
    assert everything_in(tmp_path / "backups").count(b"open") == len(people)
    assert check([made]).deletions == made.manifest.deletions == len(people)
    restored(made, tmp_path / "new")
    assert cells_in(tmp_path / "new") == cells_of(store)


def test_a_backup_after_a_deletion_has_no_byte_of_it(store: Store, tmp_path: Path) -> None:
    put(store, post(ANN, 700, "SECRET"), post(ANN, 700, "SECRET edit", stamp=2))
    before = backed_up(store, tmp_path / "before")
    put(store, deletion(ANN, 700, stamp=3))
    backed_up(store, tmp_path / "after")
    backed_up(store, tmp_path / "before", before)
    assert b"SECRET" in everything_in(before.folder)
    assert b"SECRET" not in everything_in(tmp_path / "after")
    assert sum(b"SECRET" in everything_in(each) for each in backups_in(tmp_path / "before")) == 1


@pytest.mark.parametrize("pages", [1, 5, 20, 60])
def test_a_backup_that_is_cut_off_goes_on(store: Store, tmp_path: Path, pages: int) -> None:
    folder = tmp_path / "backups"
    done = 0

    def die() -> None:
        raise Killed

    with pytest.raises(Killed):
        backed_up(store, folder, pace=Meddling(pages, die), part_bytes=2048)
    assert backups_in(folder) == [], "nothing that could be taken for a backup"
    put(store, deletion(ANN, 11, stamp=4), post(BEN, 950, "meanwhile"))

    def count(size: int) -> None:
        nonlocal done
        done += size

    made = backed_up(store, folder, pace=count, part_bytes=2048)
    if pages > 20:
        assert done < made.manifest.bytes * 0.9, "what was whole is not read again"
    assert list(folder.iterdir()) == [made.folder]
    restored(made, tmp_path / "new")
    assert cells_in(tmp_path / "new") == cells_of(store)


def test_another_backup_does_not_go_on_with_it(store: Store, tmp_path: Path) -> None:
    """A full backup that was cut off is nothing to an incremental one."""
    folder = tmp_path / "backups"
    full = backed_up(store, folder)

    def die() -> None:
        raise Killed

    with pytest.raises(Killed):
        backed_up(store, folder, pace=Meddling(20, die), part_bytes=2048)
    assert backed_up(store, folder, full).manifest.cells == 0


def test_two_at_once(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "backups"

    def another() -> None:
        with pytest.raises(BackupUnderWay):
            backed_up(store, folder)

    backed_up(store, folder, pace=Meddling(1, another))


def test_a_node_that_writes_faster_than_it_is_read(tmp_path: Path) -> None:
    class Racing(MemoryEngine):
        """Nothing read was ever the last: the store grows with every look at it."""

    engine = Racing()
    store = open_store(engine)
    put(store, *(post(ANN, number, "x") for number in range(100)))
    stamp = 1

    def write(done: int, total: int) -> None:
        nonlocal stamp
        stamp += 1
        put(store, *(post(ANN, number, "y", stamp=stamp) for number in range(30)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("folkmoot.storage.backup.create._LAST_ROWS", 10)
        patch.setattr("folkmoot.storage.backup.create._PASSES_MAX", 5)
        patch.setattr("folkmoot.storage.backup.create._PAGE_ROWS", 50)
        with pytest.raises(BackupOutrun):
            create(store, tmp_path / "backups", base=None, now_us=now_us, progress=write)


def test_a_base_of_another_store(store: Store, tmp_path: Path) -> None:
    base = backed_up(store, tmp_path / "backups")
    other = Store(MemoryEngine(), owner=OWNER, fresh_log_id=b"other-log-16-byt")
    with pytest.raises(BackupForeign, match="full backup"):
        backed_up(other, tmp_path / "backups", base)


def test_a_store_that_went_back(tmp_path: Path) -> None:
    engine = MemoryEngine()
    store = open_store(engine)
    put(store, post(ANN, 1))
    put(store, post(ANN, 2))
    base = backed_up(store, tmp_path / "backups")
    older = Store(engine.crash(lose_commits=1), owner=Owner(*OWNER), fresh_log_id=None)
    with pytest.raises(BackupForeign, match="set back"):
        backed_up(older, tmp_path / "backups", base)


def test_a_damaged_cell_stops_it(store: Store, tmp_path: Path) -> None:
    key = post(ANN, 7).key
    with store.engine.begin(write=True) as transaction:
        row = transaction.get(Table.CELLS, key)
        assert row is not None
        transaction.put(Table.CELLS, key, row[:-1] + bytes((row[-1] ^ 1,)))
        transaction.commit()
    with pytest.raises(StoreCorrupt) as refused:
        backed_up(store, tmp_path / "backups")
    assert refused.value.cell_key == key and backups_in(tmp_path / "backups") == []


def test_room_is_asked_for_first(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BackupNoRoom, match="goes on"):
        backed_up(store, tmp_path / "backups", free=lambda directory: 1000)


def test_a_disk_that_fills_on_the_way(store: Store, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=256) as disk:
        ballast = leave_no_room(disk, spare_kib=64)
        with pytest.raises(BackupNoRoom, match="goes on"):
            backed_up(store, disk / "backups", free=lambda directory: None)
        ballast.unlink()
        made = backed_up(store, disk / "backups")
        assert check([made]).cells == made.manifest.cells


def test_a_folder_that_cannot_be_made(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BackupUnreadable, match="check the path"):
        backed_up(store, tmp_path / "file" / "backups")


def test_a_lock_that_is_held(store: Store, tmp_path: Path) -> None:
    partial = tmp_path / "backups" / f".partial-{OWNER.node.hex()[:8]}-full"
    lock = DirectoryLock(partial)
    with pytest.raises(BackupUnderWay):
        backed_up(store, tmp_path / "backups")
    lock.release()
    backed_up(store, tmp_path / "backups")
