"""Bugs of what is to stay bounded. The bounds themselves are lowered, so that a few people come to them."""

from __future__ import annotations

from typing import Final

from folkmoot.node.actors import replicator
from folkmoot.protocol import limits

from tests.mutants.mutant import Plant, mutant

FEW_HINTS: Final = 10
FEW_CELLS: Final = 2


@mutant("more-hints-than-promised", "a store keeps more hints for a node that is away than it is to", "I12")
def more_hints_than_promised(plant: Plant) -> None:
    plant.setattr(limits, "HINTS_PER_NODE", FEW_HINTS)  # the store took its bound when it was imported


@mutant("a-window-without-an-end", "what waits for a slow replica grows as long as anybody writes", "I12")
def a_window_without_an_end(plant: Plant) -> None:
    plant.setattr(limits, "REPLICATION_WINDOW_CELLS", FEW_CELLS)
    plant.setattr(replicator._Stream, "has_room", lambda self, cells: True)
