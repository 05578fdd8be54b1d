"""The checker of reviews: it is content with what was decided, and sees each way of not heeding it."""

from __future__ import annotations

import pytest
from folkmoot.node.simulation.checkers import review
from folkmoot.node.simulation.checkers.verdict import HeldCells
from folkmoot.node.simulation.history import Review
from folkmoot.protocol.moderation.decision import Action
from folkmoot.protocol.record import Record
from folkmoot.storage import pages
from folkmoot.storage.memory_engine import MemoryEngine

from tests.simulation.test_verdicts import NODE, OTHER, evidence
from tests.storage.making import open_store, run
from tests.storage.test_decided import FIRST, decided, put


def holding(node_id: bytes, *puts: tuple[Record, bool]) -> HeldCells:
    """A node that was given records, of each whether it waits for review."""
    engine = MemoryEngine()
    run(open_store(engine), *(put(record, held=held) for record, held in puts))
    return HeldCells(node_id[:1].decode(), node_id, engine, {})


def complaints(action: Action, *nodes: HeldCells) -> tuple[str, ...]:
    judged = evidence(*nodes)
    judged.history.reviews[FIRST.key] = Review(FIRST, action.word)
    return review.check(judged).complaints


RELEASE, REJECT, REMOVE = (decided(each, FIRST) for each in (Action.RELEASE, Action.REJECT, Action.REMOVE))
RELEASED = (FIRST, True), (RELEASE, False)
REJECTED = (FIRST, True), (REJECT, False)
REMOVED = (FIRST, False), (REMOVE, False)


@pytest.mark.parametrize(
    ("action", "puts"),
    [(Action.RELEASE, RELEASED), (Action.REJECT, REJECTED), (Action.REMOVE, REMOVED)],
)
def test_it_is_content_with_what_was_decided(action: Action, puts: tuple[tuple[Record, bool], ...]) -> None:
    assert complaints(action, holding(NODE, *puts), holding(OTHER, *puts)) == ()


@pytest.mark.parametrize(
    ("action", "puts", "instead"),
    [
        (Action.RELEASE, RELEASED, ((FIRST, True),)),
        (Action.REJECT, REJECTED, RELEASED),
        (Action.REMOVE, REMOVED, ((FIRST, False),)),
        (Action.RESTORE, ((FIRST, False),), REMOVED),
    ],
)
def test_one_replica_that_does_not_heed_it_is_seen(
    action: Action, puts: tuple[tuple[Record, bool], ...], instead: tuple[tuple[Record, bool], ...]
) -> None:
    [complaint] = complaints(action, holding(NODE, *puts), holding(OTHER, *instead))
    assert action.word in complaint and complaint.startswith(OTHER[:1].decode())


def test_a_planted_bug_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "applied_to", lambda transaction, key, frame: [])
    assert len(complaints(Action.REMOVE, holding(NODE, *REMOVED), holding(OTHER, *REMOVED))) == 2
