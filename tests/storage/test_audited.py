"""Posts are found with all that was done to them: those since a time, each once, in bounded steps."""

from __future__ import annotations

import pytest
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.key import held_key
from folkmoot.protocol.moderation.decision import Action, Role, Subject
from folkmoot.protocol.moderation.fairness.counting import Found
from folkmoot.protocol.record import Record
from folkmoot.storage import audited
from folkmoot.storage.audited import posts_since
from folkmoot.storage.store import Store

from tests.moderation.decisions import MO, NODE, decided
from tests.moderation.samples import answered, drawn, signed_answer, signed_draw
from tests.storage.making import NOW_US, deletion, join_cell, label, person, post, post_item, put

ANN, BEN, STRANGER = person(1), person(2), person(3)
MINUTE_MS = 60_000


def found_in(store: Store, since_us: int = 0) -> tuple[list[Found], int]:
    """Everything, and in how many steps."""
    found: list[Found] = []
    start, steps = b"", 0
    while True:
        steps += 1
        step = None
        for step in posts_since(store.engine, start, b"", since_us, [NODE.account]):
            found += [] if step.found is None else [step.found]
        assert step is not None
        if step.next is None:
            return found, steps
        assert step.next > start, "it gets on"
        start = step.next


def wait(store: Store, record: Record) -> None:
    """Put a record aside."""
    join_cell(store, held_key(record.key), Cell.of(record))


def test_those_since_a_time_are_found_whether_shown_or_waiting(store: Store) -> None:
    old, new, waiting = post(ANN, 1), post(ANN, MINUTE_MS), post(BEN, 2 * MINUTE_MS)
    put(store, old, new, deletion(BEN, 3 * MINUTE_MS))
    wait(store, waiting)
    wait(store, post(BEN, 5))
    found, _ = found_in(store, NOW_US + 30_000_000)
    assert {(each.record.id, each.shown) for each in found} == {(new.id, True), (waiting.id, False)}
    assert len(found_in(store)[0]) == 4, "what is deleted says nothing more"


def test_what_was_let_go_is_found_once_where_it_is_shown(store: Store) -> None:
    shown = post(ANN, 1)
    put(store, shown)
    wait(store, post(ANN, 1, "worse", stamp=2))
    [found] = found_in(store)[0]
    assert found.record.id == shown.id and found.shown


def test_what_stands_beside_a_post_is_found_with_it(store: Store) -> None:
    written = post(ANN, 1)
    subject = Subject("post", post_item(1))
    why = decided(Action.HOLD, NODE, role=Role.AUTOMATIC, rule="r", subject=subject, version=written.id)
    why_record = Record.sign(
        NODE, kind="decision", item=why.item, body=why.body(), stamp=written.stamp, place=ANN.account
    )
    decision = decided(Action.RESTORE, subject=subject, version=written.id)
    decision_record = Record.sign(
        MO,
        kind="decision",
        item=decision.item,
        body=decision.body(),
        stamp=decision.number,
        place=ANN.account,
    )
    draw = signed_draw(drawn(post_item=post_item(1), version=written.id), place=ANN.account)
    answer = signed_answer(answered(draw), place=ANN.account)
    put(store, written, label(NODE, ANN, 1), label(STRANGER, ANN, 1, "mine"), decision_record, draw, answer)
    put(store, post(ANN, 2))
    wait(store, why_record)
    found = {each.record.id: each for each in found_in(store)[0]}
    one = found.pop(written.id)
    assert [each.value for each in one.labels] == ["spam"], "what strangers say is theirs"
    assert one.held == [(why, written.stamp)] and one.decisions == [decision]
    assert {each.id for each in one.votes} == {draw.id, answer.id}
    [other] = found.values()
    assert not (other.labels or other.held or other.decisions or other.votes)


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_steps_are_bounded_and_lose_nothing(store: Store, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audited, "AUDIT_ROWS", rows)
    written = [post(person(who), number) for who in range(1, 5) for number in (1, 2)]
    put(store, *written)
    wait(store, post(person(9), 1))
    found, steps = found_in(store)
    assert len(found) == len({each.record.id for each in found}) == 9
    assert steps >= 9 / rows


def test_an_empty_store_has_an_end(store: Store) -> None:
    assert found_in(store) == ([], 1)
