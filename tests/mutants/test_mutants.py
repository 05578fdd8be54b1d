"""A fast part of the mutation gate: the mutants that the first seed finds. `make mutants` hunts all."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from typing import Final

import pytest
from folkmoot.node.simulation.run import simulate

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ENDED, hunt, plan_of

MINUTES: Final = 1.0
HUNTED: Final = (
    "a-backup-skips-a-cell",
    "a-fence-that-is-not-up",
    "acknowledged-before-it-is-kept",
    "an-edit-undoes-a-deletion",
    "collected-while-referenced",
    "counted-whatever-was-there",
    "deleted-and-still-found",
    "held-is-not-held",
    "handles-are-taken-over",
    "liked-for-ever",
    "moved-without-a-fence",
    "posts-never-age",
    "suspicion-ignored",
)
"""Mutants that the first seed finds, one for each checker or two."""
ELSEWHERE: Final = {"I3", "I5", "I8", "I9", "I12", "errors", "review"}
"""Checkers that are shown a bug in `tests.simulation`: in `test_planted_bugs`, or in a room of their own."""


def see_whether_it_fits(target: object, name: str, value: object) -> None:
    """Put nothing in place, but see to it that it would fit: else its callers find a bug of ours."""
    original = getattr(target, name)
    if inspect.isfunction(original) and inspect.isfunction(value):
        planted = inspect.signature(value)
        for call in calls_of(inspect.signature(original)):
            planted.bind(*call.args, **call.kwargs)


def calls_of(signature: inspect.Signature) -> list[inspect.BoundArguments]:
    """A call that says no more than it has to, and one that says all."""
    said = dict.fromkeys(signature.parameters, ())
    needed = [name for name, each in signature.parameters.items() if each.default is not each.empty]
    return [
        inspect.BoundArguments(signature, OrderedDict((name, ()) for name in said if name not in needed)),
        inspect.BoundArguments(signature, OrderedDict(said)),
    ]


def test_without_a_mutant_the_run_holds() -> None:
    report = simulate(plan_of(1, MINUTES))
    assert report.ok, [verdict.complaints for verdict in report.verdicts if not verdict.ok]


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 25
    checkers = {checker for chosen in MUTANTS.values() for checker in chosen.caught_by}
    hunting = {checker for name in HUNTED for checker in MUTANTS[name].caught_by}
    assert all(chosen.caught_by for chosen in MUTANTS.values())
    assert checkers - {ENDED} == hunting | ELSEWHERE


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_what_takes_the_place_of_a_function_takes_its_arguments(name: str) -> None:
    with pytest.MonkeyPatch.context() as plant:
        plant.setattr(plant, "setattr", see_whether_it_fits)
        MUTANTS[name].plant(plant)


@pytest.mark.parametrize("name", HUNTED)
def test_the_first_seed_finds(name: str) -> None:
    found = hunt(MUTANTS[name], 1, MINUTES)
    assert found.checkers, found.complaint
