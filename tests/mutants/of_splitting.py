"""Bugs of ranges that are split."""

from __future__ import annotations

from folkmoot.node.simulation.schedule import MOVES
from folkmoot.protocol.ring import splitting

from tests.mutants.mutant import Plant, mutant


@mutant(
    "a-part-is-learned-alone",
    "whoever learns of the left part of a split does not read which range has the right one",
    "errors",
    faults=(MOVES,),
)
def a_part_is_learned_alone(plant: Plant) -> None:
    plant.setattr(splitting, "lacking", lambda ranges, found: [])


@mutant(
    "a-reservation-is-taken-over",
    "an id that is reserved for one split is given to another",
    "errors",
    faults=(MOVES, MOVES, "crash", "partition", "delay"),
)
def a_reservation_is_taken_over(plant: Plant) -> None:
    plant.setattr(splitting, "may_replace", lambda held, ranges: True)
