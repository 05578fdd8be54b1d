"""Of a disk that went back and was written to again, no backup mixes what it was with what it has become."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from folkmoot.cli.backups import newest
from folkmoot.storage.backup.check import check
from folkmoot.storage.backup.errors import BackupForeign, BackupMissing
from folkmoot.storage.backup.manifest import Backup, chain_of
from folkmoot.storage.boots import BOOTS_KEPT, begin_boot, present_moment, went_through
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.store import Store

from tests.backup.making import ANN, BEN, Meddling, backed_up, cells_in, restored
from tests.storage.making import cells_of, deletion, open_store, post, put, run


class Killed(BaseException):
    """Ends a backup where it stands."""


def booted(engine: MemoryEngine, boot: int) -> Store:
    store = open_store(engine)
    run(store, partial(begin_boot, boot=boot))
    return store


def write(store: Store, count: int, first: int = 0) -> None:
    put(store, *(post(ANN, number) for number in range(first, first + count)))


def is_sound(made: Backup, store: Store, directory: Path) -> bool:
    """Whether a restore from it gives what the store has."""
    check(chain_of(made), signatures=True)
    restored(made, directory)
    return cells_in(directory) == cells_of(store)


def test_a_base_of_what_was_lost_is_refused(tmp_path: Path) -> None:
    engine, folder = MemoryEngine(), tmp_path / "backups"
    write(booted(engine, 1), 5)
    old = engine.copy()
    store = booted(engine, 2)
    write(store, 6, first=100)
    base = backed_up(store, folder)
    assert newest(folder, store) == base

    again = booted(old, 3)
    write(again, 12, first=200)
    assert again.log_id == store.log_id and again.sequence > base.manifest.sequence
    with pytest.raises(BackupForeign, match=r"set back.*without --incremental"):
        backed_up(again, folder, base)
    with pytest.raises(BackupForeign, match="set back"):
        newest(folder, again)

    full = backed_up(again, folder)
    write(store, 30, first=300)
    later = backed_up(store, folder, base)
    assert later.manifest.sequence > full.manifest.sequence, "and yet it is nothing to stand on"
    put(again, deletion(ANN, 200))
    assert newest(folder, again) == full
    assert is_sound(backed_up(again, folder, full), again, tmp_path / "new")


def test_a_base_from_before_still_serves(tmp_path: Path) -> None:
    engine, folder = MemoryEngine(), tmp_path / "backups"
    store = booted(engine, 1)
    write(store, 5)
    base = backed_up(store, folder)
    write(store, 5, first=50)
    old = engine.copy()
    write(booted(engine, 2), 9, first=100)
    again = booted(old, 3)
    write(again, 12, first=200)
    made = backed_up(again, folder, base)
    assert made.manifest.cells == 17 and is_sound(made, again, tmp_path / "new")


def test_a_copy_made_within_a_boot(tmp_path: Path) -> None:
    engine, folder = MemoryEngine(), tmp_path / "backups"
    store = booted(engine, 1)
    write(store, 5)
    old = engine.copy()
    write(store, 5, first=100)
    base = backed_up(store, folder)
    again = booted(old, 2)
    write(again, 20, first=200)
    with pytest.raises(BackupForeign, match="set back"):
        backed_up(again, folder, base)


def test_what_was_cut_off_is_begun_anew(tmp_path: Path) -> None:
    engine, folder = MemoryEngine(), tmp_path / "backups"
    write(booted(engine, 1), 40)
    old = engine.copy()
    store = booted(engine, 2)
    put(store, *(post(BEN, number) for number in range(40)))

    def kill() -> None:
        raise Killed

    with pytest.raises(Killed):
        backed_up(store, folder, part_bytes=1, pace=Meddling(2, kill))
    again = booted(old, 3)
    put(again, *(post(BEN, number) for number in range(100, 160)))
    assert is_sound(backed_up(again, folder), again, tmp_path / "new")


def test_what_is_remembered_of_boots_is_bounded() -> None:
    engine = MemoryEngine()
    store = booted(engine, 1)
    with engine.begin() as transaction:
        first = present_moment(transaction)
    for boot in range(2, BOOTS_KEPT + 1):
        run(store, partial(begin_boot, boot=boot))
    size = len(store.meta_get("boots") or b"")
    with engine.begin() as transaction:
        assert went_through(transaction, first)
        last = present_moment(transaction)
    for boot in range(BOOTS_KEPT + 1, BOOTS_KEPT + 50):
        run(store, partial(begin_boot, boot=boot))
    assert len(store.meta_get("boots") or b"") <= size + 8 * BOOTS_KEPT
    with engine.begin() as transaction:
        assert went_through(transaction, last) and not went_through(transaction, first)


def test_no_backup_at_all_is_another_answer(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    with pytest.raises(BackupMissing, match="full one"):
        newest(tmp_path / "backups", booted(MemoryEngine(), 1))
