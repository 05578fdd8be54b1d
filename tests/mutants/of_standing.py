"""Bugs of what keeps disks that went back out of quorums."""

from __future__ import annotations

from folkmoot.protocol import standing
from folkmoot.protocol.standing import Finding, Mark, Statement

from tests.mutants.mutant import Plant, mutant, plant_everywhere


@mutant("a-restored-disk-is-counted", "nobody finds anything against a disk that went back", "I5", "I6")
def a_restored_disk_is_counted(plant: Plant) -> None:
    def judge(known: Mark, statement: Statement) -> Finding:
        return Finding.FITS

    plant_everywhere(plant, standing.judge, judge)
    plant.setattr(standing, "majority_of_others", lambda others: 0)
