"""Bugs of ranges that move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from folkmoot.node.actors.evictor import Evictor
from folkmoot.node.actors.mover import Mover
from folkmoot.node.actors.replica import Replica
from folkmoot.node.movement.fences import Fences
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


@mutant("moved-without-a-fence", "a slot moves on while older epochs can form quorums", "I4", faults=MOVING)
def moved_without_a_fence(plant: Plant) -> None:
    async def ask(self: Fences, node_id: bytes, range_id: int, epoch: int) -> bool:
        return True

    plant.setattr(Fences, "ask", ask)


@mutant("an-older-epoch-is-taken", "a replica takes what was meant for other slots", "I5", faults=MOVING)
def an_older_epoch_is_taken(plant: Plant) -> None:
    def check_epochs(self: Replica, ranges: Mapping[int, int], keys: Sequence[bytes]) -> None:
        return

    plant.setattr(Replica, "check_epochs", check_epochs)
    _give_nothing_away(plant)
