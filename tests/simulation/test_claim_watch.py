"""I7: under which epochs nodes act on requests is read off their answers and their disks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from folkmoot.node.simulation.checkers import claims
from folkmoot.node.simulation.claim_watch import COPY, FENCE, JOIN
from folkmoot.node.simulation.wiretap import Question, Tap
from folkmoot.node.simulation.witness import Witness
from folkmoot.protocol import codec
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.ring.topology import Topology
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import Change, MemoryEngine
from folkmoot.storage.rows import seal

from tests.node.people import Author
from tests.ring.samples import descriptor, node_id, numbered, slot
from tests.simulation.test_verdicts import evidence

DISK = "n1"
NODE = node_id(1)
SLOTS = tuple(slot("eu", number) for number in (1, 2, 3))
POST = Author(1).post()


class Disk:
    """A disk, as the witness sees it, and what the process on it says to others."""

    def __init__(self, epoch: int) -> None:
        self.witness = Witness(lambda: 0.0)
        self.witness.booted(DISK, NODE, MemoryEngine())
        self.learns(epoch)

    def learns(self, epoch: int) -> None:
        """The one range is at this epoch from now on."""
        encoded = Topology(numbered(3), RangeMap((descriptor(0, epoch, b"", b"", *SLOTS),))).encode()
        self.commits(Change(Table.META, b"topology", seal(b"topology", encoded)))

    def commits(self, *changes: Change) -> None:
        self.witness.committed(DISK, NODE, changes, lambda key: True)

    def keeps(self, key: bytes = POST.key) -> None:
        """A commit touches a cell; what is in it is no matter here."""
        self.witness.claims.committed(DISK, [Change(Table.CELLS, key, b"row")])

    def asked(self, method: str, **params: Any) -> Question:
        question = Question(DISK, method, params)
        question.notes = self.witness.claims.asked(question)
        return question

    def answered(self, question: Question, **result: Any) -> None:
        self.witness.claims.answered(question, question.notes, result)

    def joins(self, epoch: int) -> Question:
        return self.asked(JOIN, ranges=[[0, epoch]], cells=[[POST.key, b"cell"]])

    def copies(self, session: bytes) -> Question:
        return self.asked(COPY, range=0, epoch=1, session=session, donor=node_id(2))

    def complaints(self) -> list[str]:
        """What the checker makes of it."""
        verdict = claims.check(replace(evidence(), witness=self.witness))
        assert verdict.compared > 0 and verdict.invariant == "I7"
        return list(verdict.complaints)


@pytest.mark.parametrize(
    ("at", "claimed", "then", "complaint"),
    [
        pytest.param(2, 2, 2, None, id="the epoch on the disk"),
        pytest.param(2, 2, 3, None, id="fenced after it was asked"),
        pytest.param(2, 3, 3, None, id="learned from who asked"),
        pytest.param(2, 1, 2, "under epoch 1 of range 0, which was at epoch 2 on its disk when", id="fenced"),
        pytest.param(2, 3, 2, "under epoch 3 of range 0, which is at epoch 2 on its disk", id="not kept"),
    ],
)
def test_an_answer_under_another_epoch_than_the_disk_has_is_told(
    at: int, claimed: int, then: int, complaint: str | None
) -> None:
    disk = Disk(at)
    question = disk.asked("replica.read", ranges=[[0, claimed]], keys=[POST.key])
    if then != at:
        disk.learns(then)
    disk.answered(question)
    told = disk.complaints()
    assert len(told) == (complaint is not None)
    assert complaint is None or complaint in told[0]


def test_what_is_committed_after_the_fence_is_told_although_it_was_asked_before() -> None:
    disk = Disk(1)
    early, late, again = disk.joins(1), disk.joins(1), disk.joins(1)
    disk.keeps()
    disk.answered(early, changed=1)
    disk.learns(2)
    disk.answered(again, changed=0)
    assert disk.complaints() == []
    assert disk.witness.claims.commits == 1
    disk.keeps()
    disk.answered(late, changed=1)
    assert disk.complaints() == [], "the commit before the fence may have been this one's"
    later = disk.joins(2)
    disk.learns(3)
    disk.keeps()
    disk.answered(later, changed=1)
    [told] = disk.complaints()
    assert "committed a replica.join under epochs [(0, 2)] after newer ones" in told


def test_a_change_that_no_commit_made_is_told() -> None:
    disk = Disk(1)
    question = disk.joins(1)
    disk.keeps(b"another")
    disk.answered(question, changed=1)
    assert disk.complaints() == ["n1 said that it joined cells, and no commit wrote any of them"]


def test_a_fence_is_up_when_it_is_on_the_disk() -> None:
    disk = Disk(4)
    disk.answered(disk.asked(FENCE, ranges=[[0, 4]]), ranges=[[0, 4]])
    assert disk.complaints() == []
    disk.answered(disk.asked(FENCE, ranges=[[0, 5]]), ranges=[[0, 5]])
    [told] = disk.complaints()
    assert "range 0 is fenced below epoch 5, and has epoch 4" in told


@pytest.mark.parametrize(("state", "is_told"), [("running", True), ("failed", False), ("complete", False)])
def test_a_session_that_was_replaced_is_not_carried_on(state: str, is_told: bool) -> None:
    disk = Disk(1)
    disk.answered(disk.copies(b"one"), state="running")
    overtaken = disk.copies(b"one")
    disk.answered(disk.copies(b"two"), state="running")
    disk.answered(overtaken, state="running")
    assert disk.complaints() == [], "that was said of the time before"
    disk.answered(disk.copies(b"one"), state=state)
    assert bool(disk.complaints()) is is_told
    assert disk.witness.claims.replaced == 1


def test_after_a_boot_a_session_begins_anew() -> None:
    disk = Disk(1)
    for session in (b"one", b"two"):
        disk.answered(disk.copies(session), state="running")
    disk.witness.claims.booted(DISK)
    disk.answered(disk.copies(b"one"), state="running")
    assert disk.complaints() == []


def test_of_a_disk_that_was_exchanged_nothing_is_known_until_it_has_learned() -> None:
    disk = Disk(3)
    before = disk.asked("replica.read", ranges=[[0, 3]], keys=[])
    disk.answered(before)
    disk.witness.forget(DISK)
    disk.answered(disk.asked("replica.read", ranges=[[0, 2]], keys=[]))
    assert disk.complaints() == []


class Overheard:
    """Everything a tap tells."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.answers: list[tuple[str, Any]] = []

    def is_of_interest(self, method: str) -> bool:
        return method.startswith("replica.")

    def asked(self, question: Question) -> None:
        self.questions.append(question)

    def answered(self, question: Question, result: Any) -> None:
        self.answers.append((question.method, result()))


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_a_tap_hears_requests_and_answers_in_whatever_pieces_they_come(piece: int) -> None:
    overheard = Overheard()
    tap = Tap(DISK, overheard)
    msgids = [0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1]
    requests = b"".join(
        codec.pack([0, msgid, method, [{"number": msgid}]])
        for msgid in msgids
        for method in ("replica.read", "gossip.push_pull_with_a_name_that_is_long", "topology.fetch")
    )
    for start in range(0, len(requests), piece):
        tap.arrived(requests[start : start + piece])
    assert [question.params["number"] for question in overheard.questions] == msgids
    refused, *others = msgids
    answers = codec.pack([1, refused, {"code": 402}, None]) + codec.pack([2, "goodbye", [{}]])
    answers += b"".join(codec.pack([1, msgid, None, {"told": msgid}]) for msgid in reversed(others))
    for start in range(0, len(answers), piece):
        tap.left(answers[start : start + piece])
    assert overheard.answers == [("replica.read", {"told": msgid}) for msgid in reversed(others)]
