"""Bugs of what keeps disks that went back out of quorums."""

from __future__ import annotations

from typing import Final

from folkmoot.node.simulation.schedule import FAULTS, LOST, MOVES

from tests.mutants.mutant import Plant, mutant
from tests.simulation.blindness import blind_to_old_disks

STAYING: Final = tuple(fault for fault in FAULTS if fault not in (LOST, MOVES))


@mutant("a-restored-disk-is-counted", "a disk that went back counts", "I5", "I6", "I8", faults=STAYING)
def a_restored_disk_is_counted(plant: Plant) -> None:
    blind_to_old_disks(plant)
