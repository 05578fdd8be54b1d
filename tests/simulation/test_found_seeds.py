"""Runs in which something was found that the ordinary seeds do not show."""

from __future__ import annotations

import pytest
from folkmoot.node.simulation.run import Plan, simulate
from folkmoot.node.simulation.schedule import FAULTS

from tests.mutants.mutant import plan_of

BUSY_EIGHT = Plan(8, nodes=5, minutes=2.0, faults=FAULTS, people=5, pause_s=1.0, fault_gap_s=4.0)


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(plan_of(11), id="a log is gone back to after a replica that was behind was followed"),
        pytest.param(BUSY_EIGHT, id="a record that erases comes after what superseded it"),
    ],
)
def test_what_was_found_once_stays_away(plan: Plan) -> None:
    report = simulate(plan)
    broken = [verdict for verdict in report.verdicts if not verdict.ok]
    assert not broken, [(verdict.invariant, verdict.complaints[:5]) for verdict in broken]
