"""Disks that go back and nodes that run twice, in simulated clusters; and the bug that these faults find."""

from __future__ import annotations

import pytest
from folkmoot.node.simulation import run
from folkmoot.node.simulation.run import Plan, Report, simulate
from folkmoot.node.simulation.schedule import Episode
from folkmoot.node.simulation.trace import Trace

from tests.simulation.blindness import blind_to_old_disks
from tests.simulation.test_planted_bugs import Plant, complaints_of

# The first node and the third acknowledge without the second; then the first disk goes back to before that,
# and the first and the second are alone.
UNLUCKY = (
    Episode("olddisk", 7.0, 20.0, node=0),
    Episode("partition", 8.0, 21.0, pairs=((0, 1), (1, 0), (1, 2), (2, 1))),
    Episode("partition", 19.0, 48.0, pairs=((0, 2), (1, 2), (2, 0), (2, 1))),
)

# The second process of a node is accepted and ends while the first is cut off, and the first hears of it when
# all is mended.
LEFT_BEHIND = (
    Episode("partition", 8.0, 42.3, pairs=((0, 2), (1, 2), (2, 0), (2, 1))),
    Episode("clone", 10.0, 30.0, node=2),
)


def plan(seed: int, *faults: str) -> Plan:
    """A while of losing disks."""
    return Plan(seed, nodes=3, minutes=0.7, faults=faults, people=5, pause_s=0.4, fault_gap_s=4.0)


def unlucky(monkeypatch: Plant, seed: int = 1) -> Report:
    monkeypatch.setattr(run, "schedule", lambda *args, **more: list(UNLUCKY))
    return simulate(Plan(seed, nodes=3, minutes=0.9, faults=("olddisk",), people=10, pause_s=0.25))


@pytest.mark.parametrize("faults", [("olddisk",), ("clone",), ("olddisk", "clone", "crash", "partition")])
def test_nothing_is_lost_with_one_disk(faults: tuple[str, ...]) -> None:
    report = simulate(plan(1, *faults))
    assert report.ok, [verdict for verdict in report.verdicts if not verdict.ok]


def test_nothing_is_lost_when_who_knows_is_away(monkeypatch: Plant) -> None:
    report = unlucky(monkeypatch)
    assert report.ok, [verdict for verdict in report.verdicts if not verdict.ok]


def test_a_process_that_ends_for_a_copy_which_is_gone_is_started_again(monkeypatch: Plant) -> None:
    """Also when it hears of the copy after everything was mended, and the copy's episode is long over."""
    notes: list[str] = []
    real = Trace.note

    def note(self: Trace, what: str, data: bytes = b"") -> None:
        notes.append(what)
        real(self, what, data)

    monkeypatch.setattr(Trace, "note", note)
    monkeypatch.setattr(run, "schedule", lambda *args, **more: list(LEFT_BEHIND))
    report = simulate(plan(1, "clone"))
    assert report.ok, [verdict for verdict in report.verdicts if not verdict.ok]
    assert notes.index("refused n3") > notes.index("fault partition ends")
    assert notes.index("boot n3 2") > notes.index("refused n3")


def test_a_restored_disk_that_is_counted(monkeypatch: Plant) -> None:
    """I1 sees it at once; that somebody reads what was lost, or it returns, takes more bad luck."""
    blind_to_old_disks(monkeypatch)
    assert complaints_of(unlucky(monkeypatch), "I1"), "what was acknowledged is lost"
