"""Bugs of what keeps disks that went back out of quorums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from folkmoot.node.actors.rebuilder import Rebuilder
from folkmoot.node.actors.standing import Standing
from folkmoot.node.simulation.schedule import FAULTS, LOST, MOVES

from tests.mutants.mutant import Plant, mutant
from tests.simulation.blindness import blind_to_old_disks

WENT_BACK: Final = ("olddisk", "olddisk", "partition", "oneway")
STAYING: Final = tuple(fault for fault in FAULTS if fault not in (LOST, MOVES))


@mutant(
    "a-restored-disk-is-counted", "a disk that went back counts", "I1", "I5", "I6", "I8", faults=WENT_BACK
)
def a_restored_disk_is_counted(plant: Plant) -> None:
    blind_to_old_disks(plant)


@mutant(
    "an-unproven-disk-counts-itself",
    "a node says that it counts before it is proven",
    "I1",
    faults=STAYING,
)
def an_unproven_disk_counts_itself(plant: Plant) -> None:
    def signed(self: Standing, result: dict[str, Any]) -> dict[str, Any]:
        result["mark"] = self.mark
        return result

    plant.setattr(Standing, "signed", signed)
    plant.setattr(Standing, "counted", property(lambda self: True))


@mutant(
    "whole-without-a-rebuild", "who was found out calls itself whole at once", "I1", "I5", faults=WENT_BACK
)
def whole_without_a_rebuild(plant: Plant) -> None:
    async def rebuild(self: Rebuilder, is_old: Callable[[bytes], bool]) -> None:
        return

    plant.setattr(Rebuilder, "rebuild", rebuild)
