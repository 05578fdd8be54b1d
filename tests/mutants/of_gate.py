"""Bugs of what decides whether a record may come in at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from folkmoot.node import signatures
from folkmoot.node.actors import intake
from folkmoot.node.contracts import Put
from folkmoot.node.moderation import methods
from folkmoot.protocol.errors import REFUSED_BY_POLICY
from folkmoot.protocol.record import Record
from folkmoot.storage import pages, transaction

from tests.mutants.mutant import Plant, mutant, plant_everywhere


@mutant("signatures-are-not-checked", "a record is believed whoever signed it", "I10")
def signatures_are_not_checked(plant: Plant) -> None:
    async def check_signatures(records: Sequence[Record], executor: Any) -> list[bool]:
        return [True] * len(records)

    plant_everywhere(plant, signatures.check_signatures, check_signatures)


@mutant("held-is-not-held", "a record that waits for review is joined into its own cell as well", "gate")
def held_is_not_held(plant: Plant) -> None:
    plant.setattr(intake, "Put", lambda record, held=False: Put(record, held=False))


@mutant("released-in-word-only", "what a decision lets go is joined nowhere, and told to be", "review")
def released_in_word_only(plant: Plant) -> None:
    async def release(self: Any, version: Record, level: str) -> dict[str, Any]:
        return {"id": version.id, "status": "stored", "achieved": None}

    plant.setattr(methods.ModerationMethods, "_release", release)
    plant.setattr(transaction, "release", lambda transaction, key, cell, join_cell: None)


@mutant("removed-and-still-shown", "pages do not heed what was decided", "review")
def removed_and_still_shown(plant: Plant) -> None:
    plant.setattr(pages, "applied_to", lambda transaction, key, frame: [])


@mutant("refused-is-kept", "what the policy refuses is stored, and its author told that it was not", "gate")
def refused_is_kept(plant: Plant) -> None:
    real = intake.Intake._puts

    def puts(self: intake.Intake, entries: Sequence[Any]) -> list[Put]:
        refused = [
            Put(entry.record)
            for entry in entries
            if entry.record is not None and entry.error is not None and entry.error.kind is REFUSED_BY_POLICY
        ]
        return real(self, entries) + refused

    plant.setattr(intake.Intake, "_puts", puts)
