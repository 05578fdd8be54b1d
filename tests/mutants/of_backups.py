"""Bugs of backups that are made while their node is written to, and falls."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, filterfalse
from typing import Any, Final

from folkmoot.node.simulation.schedule import BACKUP
from folkmoot.storage.backup import create
from folkmoot.storage.backup.create import _Making

from tests.mutants.mutant import Plant, mutant

BACKED_UP: Final = (BACKUP, BACKUP, "crash", "torn", "eio")
SET_BACK: Final = (BACKUP, BACKUP, "olddisk")


@mutant("a-backup-skips-a-cell", "of what changed, every fifth cell is left out", "backup", faults=BACKED_UP)
def a_backup_skips_a_cell(plant: Plant) -> None:
    real, seen = create._changed, count(1)

    def changed(*args: Any, **more: Any) -> Iterator[Any]:
        return filterfalse(lambda row: next(seen) % 5 == 0, real(*args, **more))

    plant.setattr(create, "_changed", changed)


@mutant(
    "read-before-it-is-kept",
    "a backup that is cut off goes on behind what it had read, and not behind what it had written",
    "backup",
    faults=BACKED_UP,
)
def read_before_it_is_kept(plant: Plant) -> None:
    real = _Making._page

    def page(self: _Making, lane: int) -> int:
        size = real(self, lane)
        self._at.save(self._partial)
        return size

    plant.setattr(_Making, "_page", page)


@mutant(
    "a-backup-on-what-was-lost",
    "an incremental backup stands on one of a disk that went back since",
    "backup",
    faults=SET_BACK,
)
def a_backup_on_what_was_lost(plant: Plant) -> None:
    plant.setattr(create, "check_base", lambda base, store: None)


@mutant(
    "deleted-and-backed-up",
    "what is deleted while a backup is made stays in it as it was read",
    "backup",
    faults=BACKED_UP,
)
def deleted_and_backed_up(plant: Plant) -> None:
    plant.setattr(create, "take_out_deleted", lambda folder, progress: None)
