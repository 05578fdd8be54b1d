"""Decisions of accounts that had lost their roles, in the store: passed over, and what follows from it."""

from __future__ import annotations

from functools import partial

import pytest
from folkmoot.protocol.community.value import Lapse
from folkmoot.protocol.key import held_key
from folkmoot.protocol.moderation.decision import Action, Role
from folkmoot.storage import relapsing, waiting
from folkmoot.storage.authors import standing
from folkmoot.storage.decided import all_decisions_on, decisions_on
from folkmoot.storage.interface import Table
from folkmoot.storage.relapsing import keep, resettle, step, unsettled
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction
from folkmoot.storage.verify import verify

from tests.storage.conftest import Engines
from tests.storage.making import NOW_US, cells_of, open_store, person, post, put, run
from tests.storage.test_decided import ANN, EVA, FIRST, MO, applied, decided
from tests.storage.test_waiting import listed, paged, walked

LAPSE = Lapse(MO.account, "moderator", NOW_US // 1000)


def settle_all(store: Store) -> int:
    """Do what a node does once it knows other lapses; in how many steps."""
    steps = 0
    while (note := unsettled(store)) is not None:
        held, following = step(store.engine, note)
        assert run(store, partial(resettle, held=held, note=note, following=following)) == [True]
        steps += 1
    return steps


def test_what_was_decided_without_the_role_is_applied_nowhere(store: Store) -> None:
    put(store, FIRST, decided(Action.REMOVE, FIRST), decided(Action.WARN, FIRST, 6, EVA, Role.EXPERT))
    assert standing(store.engine, ANN.account).settled == 1
    before = applied(store)
    assert run(store, partial(keep, lapses=[LAPSE])) == [True]
    assert run(store, partial(keep, lapses=[LAPSE])) == [False], "that was known"
    assert applied(store) == ["warn"] and before == ["warn"], "the expert's prevails either way"
    eva = Lapse(EVA.account, "expert", NOW_US // 1000)
    run(store, partial(keep, lapses=[eva]))
    assert applied(store) == ["remove"]
    run(store, partial(keep, lapses=[LAPSE, eva]))
    assert applied(store) == [] and standing(store.engine, ANN.account).settled == 0
    with store.engine.begin() as transaction:
        place, subject = FIRST.key[:40], waiting.subject_of(FIRST.key)
        assert decisions_on(transaction, place, subject) == []
        assert len(all_decisions_on(transaction, place, subject)) == 2, "they are still told"
    run(store, partial(keep, lapses=[]))
    assert applied(store) == ["warn"]


def test_edits_and_releases_go_by_what_counts(store: Store) -> None:
    run(store, partial(keep, lapses=[LAPSE]))
    put(store, FIRST, decided(Action.REJECT, FIRST))
    [edited] = put(store, post(ANN, 1, "two", stamp=9))
    assert edited.status.value == "stored", "nothing that counts holds it back"
    other = post(ANN, 2)
    run(store, partial(WriteTransaction.put_record, record=other, held=True))
    put(store, decided(Action.RELEASE, other))
    assert store.get_cell(other.key) is None and listed(store) == [held_key(other.key)]


@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_what_waits_is_settled_in_steps_and_after_a_restart(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(relapsing, "STORE_STEP_ROWS", rows)
    engine = engines.make()
    store = open_store(engine)
    posts = [post(ANN, 1), post(ANN, 2), *(post(person(who), 1) for who in range(5, 9))]
    for each in posts:
        run(store, partial(WriteTransaction.put_record, record=each, held=True))
    put(store, decided(Action.REJECT, posts[0]), decided(Action.REJECT, posts[1], 5, EVA, Role.EXPERT))
    assert len(listed(store)) == 4
    run(store, partial(keep, lapses=[LAPSE]))
    assert verify(engine).findings == (), "it is known not to be settled yet"
    note = unsettled(store)
    assert note is not None
    held, following = step(engine, note)
    run(store, partial(resettle, held=held, note=note, following=following))
    store = open_store(engines.reopen(engine))
    settle_all(store)
    assert len(listed(store)) == 5 and held_key(posts[0].key) in listed(store)
    assert listed(store) == paged(store)
    assert verify(store.engine).findings == ()
    assert walked(store) != listed(store), "whoever counts all decisions finds less"
    run(store, partial(keep, lapses=[]))
    stale = unsettled(store)
    assert stale is not None
    held, following = step(store.engine, stale)
    if following:
        run(store, partial(resettle, held=held, note=stale, following=following))
        assert run(store, partial(resettle, held=held, note=stale, following=following)) == [False]
    settle_all(store)
    assert listed(store) == walked(store) and len(cells_of(store)) == len(posts) + 2


def test_a_damaged_row_says_nothing_and_is_written_anew(store: Store) -> None:
    put(store, FIRST, decided(Action.REMOVE, FIRST))
    run(store, partial(keep, lapses=[LAPSE]))
    assert applied(store) == []
    with store.engine.begin(write=True) as transaction:
        transaction.put(Table.META, b"lapses", b"rubbish")
        transaction.commit()
    store.shown.forget_all()
    assert applied(store) == ["remove"]
    run(store, partial(keep, lapses=[LAPSE]))
    store.shown.forget_all()
    assert applied(store) == []
