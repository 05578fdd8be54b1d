"""Short seeded runs of the production actors under every fault; `make simulate` runs longer ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from folkmoot.node.simulation.checkers.verdict import NOTHING
from folkmoot.node.simulation.run import Plan, simulate
from folkmoot.node.simulation.schedule import FAULTS

SEEDS = 64
MORE_PEOPLE = 5


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_every_promise_holds(seed: int) -> None:
    plan = Plan(seed, nodes=(3, 5, 4)[seed % 3], minutes=2.0, faults=FAULTS, fault_gap_s=5.0)
    report = simulate(plan)
    complaints = [said for verdict in report.verdicts for said in verdict.complaints]
    if complaints and all(said.endswith(NOTHING) for said in complaints):
        # So few were answered in so short a life that nothing could be compared: more people are.
        plan = replace(plan, people=MORE_PEOPLE)
        report = simulate(plan)
    broken = [verdict for verdict in report.verdicts if not verdict.ok]
    assert not broken, (plan, [(verdict.invariant, verdict.complaints[:5]) for verdict in broken])
