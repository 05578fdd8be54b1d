"""Runs in which something was found that the ordinary seeds do not show."""

from __future__ import annotations

import pytest
from folkmoot.node.simulation.run import simulate

from tests.mutants.mutant import plan_of


@pytest.mark.parametrize(
    "seed", [pytest.param(11, id="a log is gone back to after a replica that was behind was followed")]
)
def test_what_was_found_once_stays_away(seed: int) -> None:
    report = simulate(plan_of(seed))
    broken = [verdict for verdict in report.verdicts if not verdict.ok]
    assert not broken, [(verdict.invariant, verdict.complaints[:5]) for verdict in broken]
