"""Bugs of what keeps disks that went back out of quorums."""

from __future__ import annotations

from folkmoot.node.simulation.schedule import FAULTS

from tests.mutants.mutant import Plant, mutant
from tests.simulation.blindness import blind_to_old_disks


@mutant("a-restored-disk-is-counted", "a disk that went back counts", "I5", "I6", "I8", faults=FAULTS)
def a_restored_disk_is_counted(plant: Plant) -> None:
    blind_to_old_disks(plant)
