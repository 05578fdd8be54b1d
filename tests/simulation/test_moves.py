"""Ranges move while everything else breaks: every promise holds, and who breaks one is found out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from folkmoot.node.actors.evictor import Evictor
from folkmoot.node.actors.mover import Mover
from folkmoot.node.simulation.run import Plan, Report, simulate
from folkmoot.node.simulation.schedule import FAULTS, MOVES
from folkmoot.protocol.ring.ranges import RangeDescriptor


def moving(seed: int, faults: Sequence[str] = (), minutes: float = 0.8) -> Plan:
    """A short run of a cluster in which two regions can do without a node."""
    return Plan(
        seed, nodes=5, minutes=minutes, faults=(MOVES, *faults), people=4, pause_s=0.8, fault_gap_s=4.0
    )


def facts(report: Report) -> dict[str, int | float]:
    """How often the descriptor of a range was changed, and how often one was split."""
    [verdict] = [each for each in report.verdicts if each.invariant == "I3"]
    return {"range_changes": 0, "splits": 0, **verdict.facts}


def test_every_promise_holds_while_ranges_move() -> None:
    report = simulate(moving(1, minutes=0.5))
    assert report.ok, report.checks_to_json()
    assert facts(report)["range_changes"] > 200, "32 ranges went away and came back"
    assert facts(report)["splits"] > 0


@pytest.mark.parametrize("seed", range(1, 7))
def test_every_promise_holds_while_ranges_move_and_much_breaks(seed: int) -> None:
    report = simulate(moving(seed, FAULTS if seed % 2 else ("crash", "partition", "torn")))
    assert report.ok, report.checks_to_json()


def test_who_moves_without_copying_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pretend(self: Mover, descriptor: RangeDescriptor, donors: Sequence[bytes], work: Any) -> None:
        work.facts.copied.update(donors)

    async def give_nothing(self: Evictor, owner: RangeDescriptor) -> None:
        return

    monkeypatch.setattr(Mover, "_copy", pretend)
    monkeypatch.setattr(Evictor, "_give_away", give_nothing)
    report = simulate(moving(1, minutes=0.5))
    assert [verdict.invariant for verdict in report.verdicts if not verdict.ok and verdict.invariant == "I5"]
