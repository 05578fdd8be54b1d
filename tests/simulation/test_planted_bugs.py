"""Each checker is shown a bug of its own kind, planted in production code for one test, and must find it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import trio
from folkmoot.node.actors import reader
from folkmoot.node.actors.feed_reader import FeedReader
from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.actors.hinter import Hinter
from folkmoot.node.actors.repairer import Repairer
from folkmoot.node.actors.replicator import Replicator
from folkmoot.node.contracts import CellBatch, Tally
from folkmoot.node.pace import Pace
from folkmoot.node.simulation.disk import SimulatedDisk
from folkmoot.node.simulation.run import Plan, Report, simulate
from folkmoot.node.simulation.schedule import FAULTS
from folkmoot.node.tally import AckTally
from folkmoot.protocol import limits
from folkmoot.protocol.consensus import acceptor
from folkmoot.protocol.consensus.acceptor import Outcome
from folkmoot.protocol.consensus.configuration import Configuration
from folkmoot.protocol.consensus.messages import Ask, Query, State
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.feed.pages import PackedPage
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.token import Token
from folkmoot.storage import transaction
from folkmoot.storage.transaction import WriteTransaction

from tests.simulation.blindness import blind_to_old_disks

SEEDS = (1, 2, 3, 4)

Plant = pytest.MonkeyPatch


def first_broken(invariant: str, plan: Callable[[int], Plan]) -> Report:
    """The first run of a few seeds in which this invariant is broken."""
    for seed in SEEDS:
        report = simulate(plan(seed))
        if any(verdict.invariant == invariant and not verdict.ok for verdict in report.verdicts):
            return report
    raise AssertionError(f"{invariant} held in every run, though a bug was planted")


def busy(seed: int, faults: Sequence[str] = FAULTS) -> Plan:
    """A short run in which much happens."""
    return Plan(seed, nodes=3, minutes=0.6, faults=tuple(faults), people=5, pause_s=0.6, fault_gap_s=2.5)


def complaints_of(report: Report, invariant: str) -> str:
    """What was said about one invariant."""
    return "\n".join(
        complaint
        for verdict in report.verdicts
        if verdict.invariant == invariant
        for complaint in verdict.complaints
    )


def test_without_a_bug_these_plans_hold() -> None:
    assert simulate(busy(SEEDS[0])).ok


def test_i2_a_join_that_lets_the_later_arrival_win(monkeypatch: Plant) -> None:
    from folkmoot.node.simulation.checkers import join_laws

    def later_wins(one: Cell, other: Cell) -> Cell:
        return other

    checked = join_laws.check
    monkeypatch.setattr(
        "folkmoot.node.simulation.run.CHECKERS", (lambda evidence: checked(evidence, later_wins),)
    )
    assert "not commutative" in complaints_of(first_broken("I2", busy), "I2")


def test_i3_neither_hints_nor_repair(monkeypatch: Plant) -> None:
    async def idle(self: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(Hinter, "run", idle)
    monkeypatch.setattr(Repairer, "run", idle)
    report = first_broken("I3", busy)
    assert "has 2 states" in complaints_of(report, "I3")
    assert "equal_s was never reached" in complaints_of(report, "I11")


def test_i5_an_acknowledgement_before_the_other_replica_has_it(monkeypatch: Plant) -> None:
    real = AckTally.expect

    def expect(self: AckTally, node_id: bytes) -> None:
        real(self, node_id)
        self.acked.add(node_id)

    monkeypatch.setattr(AckTally, "expect", expect)
    assert "lacks stamp" in complaints_of(first_broken("I5", busy), "I5")


def test_i5_less_than_was_asked_for_called_done(monkeypatch: Plant) -> None:
    monkeypatch.setattr(AckTally, "reached", property(lambda self: bool(self.acked)))
    assert "was answered with" in complaints_of(first_broken("I5", busy), "I5")


def test_i5_a_page_from_the_nearest_replica_whatever_the_level(monkeypatch: Plant) -> None:
    real = FeedReader.author_page

    async def author_page(
        self: FeedReader, account: bytes, before: bytes | None, limit: int, level: Level, token: Token
    ) -> PackedPage:
        return await real(self, account, before, limit, "one", Token())

    monkeypatch.setattr(FeedReader, "author_page", author_page)
    report = first_broken("I5", lambda seed: busy(seed, ("partition", "delay")))
    assert "a page read at" in complaints_of(report, "I5")


def test_i5_a_disk_that_acknowledges_before_it_keeps(monkeypatch: Plant) -> None:
    def closed(self: SimulatedDisk) -> None:
        self.commits = None
        self.engine = self.engine.crash(lose_commits=min(60, max(0, self.engine.commits - 30)))

    monkeypatch.setattr(SimulatedDisk, "closed", closed)
    blind_to_old_disks(monkeypatch)  # or what is lost is missed, and fetched from the others
    report = first_broken("I5", lambda seed: busy(seed, ("crash", "torn", "partition")))
    assert complaints_of(report, "I5")


def test_i6_a_join_that_forgets_what_was_superseded(monkeypatch: Plant) -> None:
    monkeypatch.setattr(Cell, "covers", lambda self, record: False)
    monkeypatch.setattr(transaction, "join", lambda one, other: other)
    assert "went back" in complaints_of(first_broken("I6", busy), "I6")


def test_i8_a_seat_that_forgets_what_it_accepted(monkeypatch: Plant) -> None:
    real = acceptor.answer

    def answer(seat: bytes, newest: Configuration | None, state: State, ask: Ask) -> Outcome:
        return real(seat, newest, state if isinstance(ask, Query) else State(), ask)

    monkeypatch.setattr(acceptor, "answer", answer)
    assert "no order of" in complaints_of(first_broken("I8", lambda seed: busy(seed, ("partition",))), "I8")


def test_i8_a_quorum_of_one(monkeypatch: Plant) -> None:
    monkeypatch.setattr(Configuration, "is_quorum", lambda self, seats: len(seats) >= 1)
    report = first_broken("I8", lambda seed: busy(seed, ("partition", "delay")))
    assert "no order of" in complaints_of(report, "I8")


def test_i9_a_reader_that_ignores_tokens(monkeypatch: Plant) -> None:
    monkeypatch.setattr(reader, "_behind", lambda keys, cells, token: [])
    report = first_broken("I9", lambda seed: busy(seed, ("partition", "delay")))
    assert "than its token stands for" in complaints_of(report, "I9")


def test_i10_likes_that_are_not_counted(monkeypatch: Plant) -> None:
    monkeypatch.setattr(WriteTransaction, "_count", lambda self, key, change: None)
    assert "counts" in complaints_of(first_broken("I10", busy), "I10")


def test_i12_a_bound_that_is_not_kept(monkeypatch: Plant) -> None:
    """The store took its bound when it was imported, so only the gauges see this one."""
    monkeypatch.setattr(limits, "HINTS_PER_NODE", 0)
    report = first_broken("I12", lambda seed: busy(seed, ("crash", "partition")))
    assert "hints reached" in complaints_of(report, "I12")


def test_errors_an_actor_that_fails_and_is_started_again(monkeypatch: Plant) -> None:
    async def fail(self: Gatekeeper) -> None:
        await trio.sleep_until(trio.current_time() + 20)
        raise RuntimeError("planted")

    monkeypatch.setattr(Gatekeeper, "run", fail)
    assert "gatekeeper failed" in complaints_of(first_broken("errors", busy), "errors")


def test_errors_a_hinter_that_a_busy_store_ends(monkeypatch: Plant) -> None:
    async def deliver_to(self: Hinter, node_id: bytes) -> int:
        return await self._deliver_some(node_id, Pace())

    monkeypatch.setattr(Hinter, "_deliver_to", deliver_to)
    report = first_broken("errors", lambda seed: busy(seed, ("busy",)))
    assert "hinter failed" in complaints_of(report, "errors")


def test_errors_a_repairer_that_an_unreachable_peer_ends(monkeypatch: Plant) -> None:
    async def repair_with(self: Repairer, node_id: bytes) -> None:
        await self.repair(node_id)

    monkeypatch.setattr(Repairer, "_repair_with", repair_with)
    report = first_broken("errors", lambda seed: busy(seed, ("refused", "crash")))
    assert "repairer failed" in complaints_of(report, "errors")


def test_errors_a_node_that_ends_when_hints_cannot_be_left(monkeypatch: Plant) -> None:
    """What is not supervised takes the node with it: that it is gone is said, too."""

    async def give_up(self: Replicator, node_id: bytes, parts: Sequence[tuple[CellBatch, Tally]]) -> None:
        await self._leave_hints(node_id, [key for part, _ in parts for key in part.keys])
        for _, tally in parts:
            tally.settle(node_id, acknowledged=False)

    monkeypatch.setattr(Replicator, "_give_up", give_up)
    report = first_broken("errors", lambda seed: busy(seed, ("busy",)))
    assert "ended: " in complaints_of(report, "errors")
