"""I1: what nodes acknowledged to each other is looked for on their disks, and what they owe is judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from folkmoot.node.simulation.checkers import keeping
from folkmoot.node.simulation.history import Ack, History
from folkmoot.node.simulation.wiretap import Question
from folkmoot.node.simulation.witness import Witness
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.ring.topology import Topology
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import Change, MemoryEngine
from folkmoot.storage.rows import seal
from folkmoot.storage.store import LOG_ID_BYTES, Owner, Store

from tests.node.people import Author
from tests.ring.samples import descriptor, node_id, numbered, slot
from tests.simulation.test_verdicts import evidence

NODE = node_id(1)
AUTHOR = Author(1)
POST = AUTHOR.post()
OTHER = AUTHOR.post()


class Disk:
    """A disk of the node with real rows on it, as the witness sees it."""

    def __init__(self, witness: Witness, name: str = "n1", engine: MemoryEngine | None = None) -> None:
        self.witness, self.name = witness, name
        self.engine = engine or MemoryEngine()
        self.boots()

    def boots(self) -> None:
        self.witness.booted(self.name, NODE, self.engine)

    def learns(self, *numbers: int) -> None:
        """The one range is these nodes' from now on, at a higher epoch with each of them."""
        slots = [slot("eu", number) for number in numbers]
        ranges = RangeMap((descriptor(0, sum(numbers), b"", b"", *slots),))
        encoded = Topology(numbered(9), ranges).encode()
        change = Change(Table.META, b"topology", seal(b"topology", encoded))
        self.witness.committed(self.name, NODE, [change], lambda key: True)

    def keeps(self, *records: Record) -> None:
        """Commit records."""
        store = Store(self.engine, owner=Owner(NODE, "simulated"), fresh_log_id=bytes(LOG_ID_BYTES))
        before = self.engine.commits
        with store.write() as transaction:
            for record in records:
                transaction.put_record(record)
            transaction.commit()
        self.witness.committed(
            self.name, NODE, self.engine.newest_changes(self.engine.commits - before), lambda key: True
        )

    def acknowledges(self, *records: Record, counted: bool = True, damaged: tuple[bytes, ...] = ()) -> None:
        """Answer a join of these."""
        cells = [[record.key, Cell.of(record).encode()] for record in records]
        self.says("replica.join", {"cells": cells}, damaged=list(damaged), counted=counted)

    def says(self, method: str, params: dict[str, Any], **result: Any) -> None:
        question = Question(self.name, method, params)
        self.witness.promises.answered(question, result if method == "replica.join" else None)


@pytest.fixture(name="witness")
def a_witness() -> Witness:
    return Witness(lambda: 10.0)


def complaints(witness: Witness, *acks: Ack) -> list[str]:
    """What the checker makes of it."""
    verdict = keeping.check(replace(evidence(), witness=witness, history=History(acks=list(acks))))
    assert verdict.invariant == "I1"
    return list(verdict.complaints)


def ack(record: Record, level: str = "quorum", at_s: float = 5.0) -> Ack:
    return Ack(record, at_s - 1, at_s, level, level, 1)


def test_what_was_acknowledged_and_is_on_the_disk_is_no_matter(witness: Witness) -> None:
    disk = Disk(witness)
    disk.learns(1, 2, 3)
    disk.keeps(POST)
    disk.acknowledges(POST)
    disk.engine = disk.engine.crash()
    disk.boots()
    assert complaints(witness) == []
    assert (witness.promises.compared, witness.promises.boots) == (2, 2)


def test_an_acknowledgement_before_the_commit_is_told(witness: Witness) -> None:
    disk = Disk(witness)
    disk.learns(1, 2, 3)
    disk.keeps(OTHER)
    disk.acknowledges(OTHER, POST)
    assert complaints(witness) == [f"n1 acknowledged {POST.key.hex()} and has not got it on its disk"]


def test_who_does_not_count_or_says_what_is_damaged_has_promised_nothing(witness: Witness) -> None:
    disk = Disk(witness)
    disk.learns(1, 2, 3)
    disk.keeps(OTHER)
    disk.acknowledges(OTHER)
    disk.acknowledges(POST, counted=False)
    disk.acknowledges(POST, damaged=(POST.key,))
    assert complaints(witness) == []


def test_what_went_elsewhere_before_the_answer_left_is_no_matter(witness: Witness) -> None:
    disk = Disk(witness)
    disk.keeps(OTHER)
    disk.learns(2, 3, 4)
    disk.acknowledges(OTHER, POST)
    assert complaints(witness) == []


def test_a_boot_without_what_was_acknowledged_is_told(witness: Witness) -> None:
    disk = Disk(witness)
    disk.learns(1, 2, 3)
    disk.keeps(POST)
    disk.acknowledges(POST)
    disk.engine = disk.engine.crash(lose_commits=1)
    disk.boots()
    [told] = complaints(witness)
    assert told == f"n1 was booted at 10.000 s and has not got what it acknowledged of {POST.key.hex()}"


def test_a_damaged_cell_is_nobodys_fault(witness: Witness) -> None:
    disk = Disk(witness)
    disk.learns(1, 2, 3)
    disk.keeps(POST, OTHER)
    disk.acknowledges(POST, OTHER)
    with disk.engine.begin(write=True) as transaction:
        row = bytearray(transaction.get(Table.CELLS, POST.key) or b"")
        row[0] ^= 1
        transaction.put(Table.CELLS, POST.key, bytes(row))
        transaction.commit()
    witness.forget_cell("n1", POST.key)
    disk.boots()
    assert complaints(witness) == []


@pytest.mark.parametrize(
    ("level", "at_s", "regained", "is_told"),
    [
        pytest.param("quorum", 5.0, False, True, id="a quorum had it"),
        pytest.param("quorum", 5.0, True, False, id="rebuilt first"),
        pytest.param("one", 5.0, False, False, id="only this disk had it, for all one knows"),
        pytest.param("quorum", 11.0, False, False, id="acknowledged after the disk went back"),
    ],
)
def test_a_disk_that_went_back_counts_when_it_is_rebuilt(
    witness: Witness, level: str, at_s: float, regained: bool, is_told: bool
) -> None:
    disk = Disk(witness)
    disk.learns(1, 2, 3)
    old = disk.engine.copy()
    disk.keeps(POST)
    disk.acknowledges(POST)
    witness.forget("n1")
    disk.engine = old
    disk.boots()
    disk.learns(1, 2, 3)
    disk.acknowledges(OTHER, counted=False)
    if regained:
        disk.keeps(POST)
    disk.says("replica.read", {})
    assert len(witness.promises.owed) == 1
    told = complaints(witness, ack(POST, level, at_s))
    assert bool(told) is is_told
    if is_told:
        assert "n1 counts at 10.000 s without stamp" in told[0] and "acknowledged at quorum" in told[0]


def test_of_a_node_that_ran_twice_each_disk_owes_what_the_other_had(witness: Witness) -> None:
    disk = Disk(witness)
    disk.learns(1, 2, 3)
    copy = Disk(witness, "n1-copy-1", disk.engine.copy())
    copy.keeps(POST)
    copy.acknowledges(POST)
    assert witness.promises.owed == []
    disk.boots()
    disk.acknowledges(OTHER, counted=False)
    assert complaints(witness, ack(POST)) == []
    disk.says("replica.page", {})
    [told] = complaints(witness, ack(POST))
    assert told.startswith("n1 counts at")


def test_what_is_others_by_now_is_not_owed(witness: Witness) -> None:
    disk = Disk(witness)
    disk.learns(1, 2, 3)
    old = disk.engine.copy()
    disk.keeps(POST)
    disk.acknowledges(POST)
    witness.forget("n1")
    disk.engine = old
    disk.boots()
    disk.learns(2, 3, 4)
    disk.says("replica.put", {})
    assert complaints(witness, ack(POST)) == []
