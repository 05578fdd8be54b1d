"""Bugs of ranges that move.

A fence that nobody asks for is not among them: the donor's follows from its being copied from, and what those
of the others are for shows in no run of two minutes. `tests/ring/test_movement.py` plants that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from folkmoot.node.actors.evictor import Evictor
from folkmoot.node.actors.mover import Mover
from folkmoot.node.actors.replica import Replica
from folkmoot.node.simulation.schedule import MOVES
from folkmoot.protocol.ring.ranges import RangeDescriptor

from tests.mutants.mutant import Plant, mutant

MOVING: Final = (MOVES, MOVES, "partition", "oneway", "delay", "crash")


def _give_nothing_away(plant: Plant) -> None:
    """Or what a move left behind comes to its new place after all."""

    async def give_away(self: Evictor, owner: RangeDescriptor) -> None:
        return

    plant.setattr(Evictor, "_give_away", give_away)


@mutant("moved-without-a-copy", "a slot is read from before it has what the donor has", "I5", faults=MOVING)
def moved_without_a_copy(plant: Plant) -> None:
    async def copy(self: Mover, descriptor: RangeDescriptor, donors: Sequence[bytes], work: Any) -> None:
        work.facts.copied.update(donors)

    plant.setattr(Mover, "_copy", copy)
    _give_nothing_away(plant)


@mutant("an-older-epoch-is-taken", "a replica takes what was meant for other slots", "I5", faults=MOVING)
def an_older_epoch_is_taken(plant: Plant) -> None:
    def check_epochs(self: Replica, ranges: Mapping[int, int], keys: Sequence[bytes]) -> None:
        return

    plant.setattr(Replica, "check_epochs", check_epochs)
    _give_nothing_away(plant)
