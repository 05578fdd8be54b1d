"""Bugs of who is there."""

from __future__ import annotations

from folkmoot.protocol.gossip.claims import Claims

from tests.mutants.mutant import ENDED, Plant, mutant


@mutant("refutation-ignored", "a node that is held dead stays so, whatever it says", "I11", ENDED)
def refutation_ignored(plant: Plant) -> None:
    plant.setattr(Claims, "_contest", lambda self, claimed, now, reach: None)


@mutant("suspicion-ignored", "a suspect is never held dead", "I11")
def suspicion_ignored(plant: Plant) -> None:
    plant.setattr(Claims, "suspect", lambda self, subject, incarnation, accuser, now: False)


@mutant("silence-is-death-for-ever", "who is held dead is never asked again", "I11", ENDED)
def silence_is_death_for_ever(plant: Plant) -> None:
    plant.setattr(Claims, "lost", lambda self: [])
    plant.setattr(Claims, "merge", lambda self, members, informant, now: None)
