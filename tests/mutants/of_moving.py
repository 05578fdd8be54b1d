"""Bugs of ranges that move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import trio
from folkmoot.node.actors import copier
from folkmoot.node.actors.evictor import Evictor
from folkmoot.node.actors.mover import Mover
from folkmoot.node.actors.replica import Replica
from folkmoot.node.actors.topology import TopologyHolder
from folkmoot.node.contracts import CellBatch, Joined
from folkmoot.node.movement.fences import Fences
from folkmoot.node.simulation.schedule import MOVES
from folkmoot.protocol.key import block_slices
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.ring.topology import News
from folkmoot.storage.transaction import WriteTransaction

from tests.mutants.mutant import Plant, mutant

MOVING: Final = (MOVES, MOVES, "partition", "oneway", "delay", "crash")
FENCED: Final = (MOVES, MOVES, "disk", "delay")


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


@mutant(
    "a-slice-ends-early",
    "of each slice of a range that is copied only the first block is compared",
    "I5",
    faults=MOVING,
)
def a_slice_ends_early(plant: Plant) -> None:
    real = copier._slices

    def slices(owner: RangeDescriptor) -> Iterator[Any]:
        for part in real(owner):
            [first, *_] = block_slices(part.start, part.end)
            yield part._replace(end=first[1])

    plant.setattr(copier, "_slices", slices)
    _give_nothing_away(plant)


@mutant("moved-without-a-fence", "a slot moves on while older epochs can form quorums", "I4", faults=MOVING)
def moved_without_a_fence(plant: Plant) -> None:
    async def ask(self: Fences, node_id: bytes, range_id: int, epoch: int) -> bool:
        return True

    plant.setattr(Fences, "ask", ask)


@mutant("a-fence-that-is-not-up", "a fence is said to be up by who knows no newer epoch", "I7", faults=MOVING)
def a_fence_that_is_not_up(plant: Plant) -> None:
    async def answer(self: Fences, asker: bytes, params: Any) -> dict[str, Any]:
        return {"ranges": params["ranges"]}

    plant.setattr(Fences, "answer", answer)


@mutant(
    "an-epoch-before-it-is-kept", "a newer epoch is acted on before it is on the disk", "I7", faults=MOVING
)
def an_epoch_before_it_is_kept(plant: Plant) -> None:
    async def adopt(self: TopologyHolder, news: News) -> bool:
        accepted = news.joined_to(self._accepted, self._cluster)
        if accepted is None or accepted is self._current:
            return False
        self._accepted = self._current = accepted
        self._announce(accepted.summary.encode())
        self._learned.set()
        self._changed.set()
        self._changed = trio.Event()
        await self._save(accepted.encode())
        return True

    plant.setattr(TopologyHolder, "adopt", adopt)


@mutant(
    "epochs-are-looked-at-once", "what is fenced while it waits for its commit is kept", "I7", faults=FENCED
)
def epochs_are_looked_at_once(plant: Plant) -> None:
    def join_batch(self: Replica, transaction: WriteTransaction, batch: CellBatch) -> Joined:
        cells = zip(batch.keys, batch.cells, strict=True)
        return Joined(sum(transaction.join_cell(key, cell).changed for key, cell in cells))

    plant.setattr(Replica, "_join_batch", join_batch)


@mutant(
    "an-older-epoch-is-taken", "a replica takes what was meant for other slots", "I7", "I5", faults=MOVING
)
def an_older_epoch_is_taken(plant: Plant) -> None:
    def check_epochs(self: Replica, ranges: Mapping[int, int], keys: Sequence[bytes]) -> None:
        return

    plant.setattr(Replica, "check_epochs", check_epochs)
    _give_nothing_away(plant)
