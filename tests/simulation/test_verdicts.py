"""A check that compared nothing has failed."""

from __future__ import annotations

import pytest
from folkmoot.node.simulation.checkers import CHECKERS, convergence, quorum, recovery
from folkmoot.node.simulation.checkers.verdict import Evidence, HeldCells, Inquiry, Quiet, Verdict
from folkmoot.node.simulation.history import Ack, CellRead, History
from folkmoot.node.simulation.run import Plan, simulate
from folkmoot.node.simulation.witness import Witness
from folkmoot.protocol.ring.ranges import OPEN, RangeDescriptor, RangeMap, Slot
from folkmoot.storage.memory_engine import MemoryEngine

from tests.node.people import Author

NODE = b"n" * 16
OTHER = b"o" * 16
SOON = Quiet(2.0, 2.0, 2.0, 2.0, 2.0, 2.0)


def evidence(*held: HeldCells, quiet: Quiet = SOON) -> Evidence:
    """A run in which nothing happened."""
    slots = (Slot("eu", (NODE,)), Slot("us", (OTHER,)))
    return Evidence(
        seed="1",
        history=History(),
        witness=Witness(),
        held=held,
        ranges=RangeMap((RangeDescriptor(0, 1, OPEN, OPEN, slots),)),
        quiet=quiet,
        peaks={},
        samples=0,
    )


def held(node_id: bytes, cells: dict[bytes, bytes]) -> HeldCells:
    """What a node holds; its engine is not looked at."""
    return HeldCells(f"node {node_id[:1].decode()}", node_id, MemoryEngine(), cells)


def test_an_inquiry_without_comparisons_fails() -> None:
    verdict = Inquiry("I5").verdict()
    assert not verdict.ok
    assert "nothing could be compared" in verdict.complaints[0]
    assert verdict.skipped and verdict.to_json()["skipped"] is True
    assert verdict.state == "BROKEN, 1 complaints"


def test_a_verdict_on_nothing_never_looks_like_one_on_something() -> None:
    nothing, something = Verdict("backup", 0, ()), Verdict("backup", 1, ())
    assert nothing.ok and nothing.to_json() == {"ok": True, "compared": 0, "skipped": True}
    assert "NOT CHECKED" in nothing.state
    assert something.to_json() == {"ok": True, "compared": 1}
    assert something.state == "holds"


@pytest.mark.parametrize("check", CHECKERS)
def test_no_checker_passes_a_run_in_which_nothing_happened(check: object) -> None:
    assert callable(check)
    verdict = check(evidence())
    assert not verdict.ok or verdict.invariant in ("I11", "errors")


def test_a_node_that_cannot_be_compared_is_not_passed_over() -> None:
    verdict = convergence.check(evidence(held(NODE, {b"key": b"cell"})))
    assert "could not be compared" in verdict.complaints[0]


def test_different_bytes_and_missing_cells_are_found() -> None:
    one, other = held(NODE, {b"a": b"1", b"b": b"1"}), held(OTHER, {b"a": b"2"})
    verdict = convergence.check(evidence(one, other))
    assert len(verdict.complaints) == 2
    assert "lacked by ['node o']" in verdict.complaints[1]
    assert convergence.check(evidence(one, held(OTHER, dict(one.cells)))).ok


@pytest.mark.parametrize(
    "quiet",
    [
        Quiet(None, 2.0, 2.0, 2.0, 2.0, 2.0),
        Quiet(2.0, None, 2.0, 2.0, 2.0, 2.0),
        Quiet(2.0, 2.0, None, 2.0, 2.0, 2.0),
        Quiet(61.0, 2.0, 2.0, 2.0, 2.0, 2.0),
        Quiet(2.0, 61.0, 2.0, 2.0, 2.0, 2.0),
        Quiet(2.0, 2.0, 46.0, 2.0, 2.0, 2.0),
        Quiet(2.0, 2.0, 2.0, 31.0, 2.0, 2.0),
        Quiet(2.0, 2.0, 2.0, None, 2.0, 2.0),
    ],
)
def test_a_recovery_that_took_too_long_is_told(quiet: Quiet) -> None:
    assert not recovery.check(evidence(quiet=quiet)).ok
    assert recovery.check(evidence()).ok


def test_a_run_without_people_compares_nothing_and_fails() -> None:
    report = simulate(Plan(1, nodes=1, minutes=0.1, people=0))
    assert not report.ok
    assert {verdict.invariant for verdict in report.verdicts if not verdict.ok} >= {"I5", "I6", "I9"}


@pytest.mark.parametrize(("read_at", "is_missed"), [("local_quorum", False), ("quorum", True)])
def test_of_a_node_that_ran_twice_only_what_a_quorum_has_is_judged(read_at: str, is_missed: bool) -> None:
    """The one of the two that was not reached may be the one that is asked alone."""
    post = Author(1).post()
    lived = History(
        acks=[Ack(post, 9.0, 10.0, "all", "all", 1), Ack(post, 9.0, 10.0, "one", "one", 1)],
        reads=[CellRead(post.key, None, 11.0, 12.0, read_at, read_at, 2)],
    )

    def found(history: History) -> int:
        inquiry = Inquiry("I5")
        quorum.judge(inquiry, history)
        return len(inquiry.verdict().complaints)

    assert found(lived) == found(lived.without_weak_acks()) == 1
    assert found(lived.without_weak_acks(ran_twice=True)) == is_missed
