"""Bugs of what brings writes to replicas and counts acknowledgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import trio
from folkmoot.node.actors.hinter import Hinter
from folkmoot.node.actors.peer_service import PeerService
from folkmoot.node.actors.repairer import Repairer
from folkmoot.node.actors.replica import Replica
from folkmoot.node.contracts import CellBatch, Joined
from folkmoot.node.spread import Spread
from folkmoot.node.tally import AckTally
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.ring import levels

from tests.mutants.mutant import Plant, mutant, plant_everywhere


@mutant("acknowledged-when-sent", "a cell that is on its way counts as kept", "I5")
def acknowledged_when_sent(plant: Plant) -> None:
    real = AckTally.expect

    def expect(self: AckTally, node_id: bytes) -> None:
        real(self, node_id)
        self.acked.add(node_id)

    plant.setattr(AckTally, "expect", expect)


@mutant("acknowledged-before-it-is-kept", "a join is answered before it is committed", "I1")
def acknowledged_before_it_is_kept(plant: Plant) -> None:
    real = PeerService._join_all

    async def join_all(self: PeerService, joins: Sequence[Any]) -> None:
        for join in joins:
            join.link.respond(join.msgid, self._standing.signed(Joined(len(join.batch.keys)).to_wire()))
        silent = [replace(join, link=_Silent(join.link.outbox)) for join in joins]
        await real(self, silent)

    plant.setattr(PeerService, "_join_all", join_all)


@dataclass(slots=True)
class _Silent:
    """A link whose requests have been answered."""

    outbox: Any

    def respond(self, msgid: int, result: Any) -> None: ...

    def refuse(self, msgid: int, error: WireError) -> None: ...


@mutant("a-hint-counts", "a replica that was left a hint counts as one that has the record", "I5")
def a_hint_counts(plant: Plant) -> None:
    real = AckTally.settle

    def settle(self: AckTally, node_id: bytes, *, acknowledged: bool, **more: Any) -> None:
        real(self, node_id, acknowledged=True)

    plant.setattr(AckTally, "settle", settle)


@mutant("less-is-called-done", "one acknowledgement is called enough, whatever was asked for", "I5")
def less_is_called_done(plant: Plant) -> None:
    plant.setattr(AckTally, "reached", property(lambda self: bool(self.acked)))


@mutant("a-level-it-does-not-have", "the coordinator reports the level asked for as achieved", "I5")
def a_level_it_does_not_have(plant: Plant) -> None:
    real = levels.achieved

    def achieved(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return {**real(*args, **kwargs), "level": "all"}

    plant.setattr(levels, "achieved", achieved)


@mutant("half-is-a-majority", "of three slots one is called a quorum", "I5")
def half_is_a_majority(plant: Plant) -> None:
    plant_everywhere(plant, levels.majority, lambda count: count // 2)


@mutant("refused-and-called-stored", "a replica whose store refuses says that it has joined", "I5")
def refused_and_called_stored(plant: Plant) -> None:
    real = Replica.join_all

    async def join_all(self: Replica, batches: Sequence[CellBatch]) -> list[Joined | WireError]:
        answers = await real(self, batches)
        return [Joined(0) if isinstance(answer, WireError) else answer for answer in answers]

    plant.setattr(Replica, "join_all", join_all)


@mutant("a-duplicate-is-not-brought-on", "what this node has already is called kept at the level", "I5")
def a_duplicate_is_not_brought_on(plant: Plant) -> None:
    real = Spread.add

    def add(self: Spread, *args: Any, status: str, changed: bool) -> None:
        real(self, *args, status=status, changed=changed)
        if status == "duplicate":
            [share] = [share for slots, share in self._shares.items() if slots == args[3].slots]
            share.tally.acked.update(node for slot in args[3].slots for node in slot.nodes)

    plant.setattr(Spread, "add", add)


@mutant("neither-hints-nor-repair", "what a replica missed is never brought to it", "I3", "I11")
def neither_hints_nor_repair(plant: Plant) -> None:
    async def idle(self: object) -> None:
        await trio.sleep_forever()

    plant.setattr(Hinter, "run", idle)
    plant.setattr(Repairer, "run", idle)


@mutant(
    "repair-skips-a-range", "comparisons never find a difference in one of four ranges", "I3", "I11", "I5"
)
def repair_skips_a_range(plant: Plant) -> None:
    real = Repairer.compare

    async def compare(self: Repairer, node_id: bytes, params: Params) -> dict[str, Any]:
        answer = await real(self, node_id, params)
        return {"different": [number for number in answer["different"] if number % 4]}

    plant.setattr(Repairer, "compare", compare)
