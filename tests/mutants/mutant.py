"""What a mutant is, and how it is hunted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pytest
from folkmoot.node.simulation.checkers.verdict import NOTHING
from folkmoot.node.simulation.run import Plan, simulate
from folkmoot.node.simulation.schedule import DISK_FAULTS, FAULTS, MOVES

SEEDS_MAX: Final = 500
MINUTES: Final = 2.0
ENDED: Final = "the run"
"""Stands for a checker when the run itself cannot be brought to its end."""

Plant = pytest.MonkeyPatch

ORDINARY: Final = tuple(fault for fault in FAULTS if fault not in (*DISK_FAULTS, MOVES))


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug.

    Args:
        name: a few words with dashes.
        sentence: what is wrong then.
        caught_by: the checkers that are to find it; what only others say does not count.
        plant: puts it in place.
        faults: what happens while it is looked for.
    """

    name: str
    sentence: str
    caught_by: frozenset[str]
    plant: Callable[[Plant], None]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hunt:
    """What came of looking for a mutant under one seed.

    Args:
        seed: which.
        checkers: those that were to find it and did.
        complaint: the first thing that one of them said.
        idle: those that were to find it and had nothing to compare.
    """

    seed: int
    checkers: tuple[str, ...]
    complaint: str
    idle: frozenset[str] = frozenset()


MUTANTS: Final[dict[str, Mutant]] = {}


def mutant(
    name: str, sentence: str, *caught_by: str, faults: tuple[str, ...] = ORDINARY
) -> Callable[[Callable[[Plant], None]], Mutant]:
    """Enter a function that plants a bug into the catalogue."""

    def enter(plant: Callable[[Plant], None]) -> Mutant:
        assert name not in MUTANTS, f"two mutants are called {name}"
        MUTANTS[name] = Mutant(name, sentence, frozenset(caught_by), plant, faults)
        return MUTANTS[name]

    return enter


def plan_of(seed: int, minutes: float = MINUTES, faults: tuple[str, ...] = ORDINARY) -> Plan:
    """The run in which a mutant is looked for: every fault, and people who do something all the time.

    But for disks that are lost: where there are such, only what a quorum has is judged. And ranges move only
    where a bug has to do with it, or less would happen otherwise.
    """
    nodes = 5 if MOVES in faults else (3, 5, 4)[seed % 3]  # with fewer, no region can do without a node
    return Plan(seed, nodes=nodes, minutes=minutes, faults=faults, people=5, pause_s=1.0, fault_gap_s=4.0)


def hunt(chosen: Mutant, seed: int, minutes: float = MINUTES) -> Hunt:
    """Run one seed with the bug in place."""
    with pytest.MonkeyPatch.context() as plant:
        chosen.plant(plant)
        try:
            report = simulate(plan_of(seed, minutes, chosen.faults))
        except Exception as error:
            found = (ENDED,) if ENDED in chosen.caught_by else ()
            return Hunt(seed, found, repr(error), chosen.caught_by - {ENDED})
    # That nothing was compared tells nothing: the bug kept people from doing anything.
    broken = [
        verdict for verdict in report.verdicts if not verdict.ok and NOTHING not in str(verdict.complaints)
    ]
    wanted = [verdict for verdict in broken if verdict.invariant in chosen.caught_by]
    complaint = (wanted or broken)[0].complaints[0] if broken else ""
    awake = {verdict.invariant for verdict in report.verdicts if not verdict.skipped}
    idle = chosen.caught_by - awake - {ENDED}
    return Hunt(seed, tuple(verdict.invariant for verdict in wanted), complaint, idle)


@cache
def false_alarms(chosen: Mutant, seed: int) -> frozenset[str]:
    """Who finds something under a seed although no bug is in place: what they say of one proves nothing."""
    report = simulate(plan_of(seed, faults=chosen.faults))
    return frozenset(verdict.invariant for verdict in report.verdicts if not verdict.ok)


def plant_everywhere(plant: Plant, original: Any, changed: Any) -> None:
    """Replace a function in every module of ours that has imported it by name."""
    places = [
        (module, name)
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("folkmoot.")
        for name, value in vars(module).items()
        if value is original
    ]
    assert places, f"nobody uses {original!r}"
    for module, name in places:
        plant.setattr(module, name, changed)
