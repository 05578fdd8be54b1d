"""What was decided, in the store: releases are joined whatever comes first, and pages find what applies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import held_key, place_prefix
from folkmoot.protocol.limits import MIB
from folkmoot.protocol.moderation.bounds import DECISIONS_READ
from folkmoot.protocol.moderation.decision import Action, Decision, Role, Subject
from folkmoot.protocol.record import Record
from folkmoot.storage.decided import decisions_on
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.outcomes import PutStatus
from folkmoot.storage.pages import posts_at
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction

from tests.storage.conftest import Engines
from tests.storage.making import (
    NOW_US,
    cells_of,
    deletion,
    join_cell,
    label,
    open_store,
    person,
    post,
    post_item,
    run,
)

ANN, MO, EVA = person(1), person(2), person(3)
FIRST, EDIT = post(ANN, 1, "one"), post(ANN, 1, "two", stamp=2)

Job = Callable[[WriteTransaction], Any]


def decided(
    action: Action, version: Record, at: int = 5, by: KeyPair = MO, role: Role = Role.MODERATOR
) -> Record:
    """A decision about a version of a post or profile field of ANN's."""
    one = Decision(
        *(Subject(version.kind, version.item), version.id, action, role, by.account, NOW_US + at, "because")
    )
    return Record.sign(
        by, kind="decision", item=one.item, body=one.body(), stamp=NOW_US + at, place=ANN.account
    )


def put(record: Record, *, held: bool = False) -> Job:
    return lambda tx: tx.put_record(record, held=held)


def joined(record: Record, *, held: bool = False) -> Job:
    key = held_key(record.key) if held else record.key
    return lambda tx: tx.join_cell(key, Cell.of(record))


def test_a_release_is_joined_whichever_comes_first(engines: Engines) -> None:
    name = Record.sign(ANN, kind="profile", item=b"n" * 90, body={"value": "x"}, stamp=NOW_US)
    for version in (FIRST, name):
        release = decided(Action.RELEASE, version)
        for jobs in permutations([put(version, held=True), put(release)]):
            store = open_store(engines.make())
            run(store, jobs[0])
            assert store.get_cell(version.key) is None
            run(store, jobs[1])
            assert store.get_cell(version.key) == Cell.of(version).encode()


def test_all_orders_of_all_that_can_happen_come_to_the_same_cell() -> None:
    """Nothing deleted returns, a later edit goes on waiting, and what was rejected is not released."""
    jobs = [
        joined(FIRST, held=True),
        joined(EDIT, held=True),
        joined(decided(Action.RELEASE, FIRST)),
        joined(decided(Action.REJECT, EDIT, 6)),
    ]
    gone = deletion(ANN, 1, stamp=3)
    for more, own in (([], {FIRST.id}), ([joined(gone), joined(gone, held=True)], {gone.id})):
        states = set()
        orders = list(permutations([*jobs, *more]))
        for order in orders[:: 1 + len(orders) // 60]:
            store = open_store(MemoryEngine(cap_bytes=8 * MIB))
            run(store, *order)
            run(store, *order)  # as repair would bring it again
            states.add(tuple(sorted(cells_of(store).items())))
            cell = store.get_cell(FIRST.key)
            assert cell is not None and {each.id for each in Cell.decode(cell).records()} <= own | {FIRST.id}
        assert len(states) == 1


def test_of_what_waits_only_what_was_judged_is_released(store: Store) -> None:
    run(store, put(FIRST, held=True), put(EDIT, held=True), put(decided(Action.RELEASE, FIRST)))
    assert store.get_cell(FIRST.key) == Cell.of(FIRST).encode(), "it is in the history of what waits"
    other = post(ANN, 2)
    run(
        store,
        put(other, held=True),
        put(decided(Action.REJECT, other)),
        put(decided(Action.RELEASE, FIRST, 7)),
    )
    assert store.get_cell(other.key) is None


def test_a_decision_is_kept_where_there_is_no_room_for_what_it_releases(engines: Engines) -> None:
    store = open_store(engines.make(cap_bytes=2 * MIB))
    large = post(ANN, 1, "x" * 3_000)
    run(store, put(large, held=True))
    release = decided(Action.RELEASE, large)

    def job(transaction: WriteTransaction) -> None:
        room = transaction.make_room

        def refuse(added_bytes: int, limit: int | None = None) -> None:
            if added_bytes > 2_000:
                raise DiskFull("planted")
            room(added_bytes, limit)

        assert not hasattr(transaction, "__dict__"), "so it is planted where it is looked up"
        with pytest.MonkeyPatch.context() as plant:
            plant.setattr(WriteTransaction, "make_room", lambda self, *asked: refuse(*asked))
            transaction.put_record(release)

    run(store, job)
    assert store.get_cell(release.key) is not None and store.get_cell(large.key) is None
    run(store, put(large))  # as who decided asks for once more
    assert store.get_cell(large.key) == Cell.of(large).encode()


def test_held_records_count_against_the_cap(engines: Engines) -> None:
    store = open_store(engines.make(cap_bytes=1 * MIB))
    with pytest.raises(DiskFull):
        for number in range(0, 400, 100):
            run(store, *(put(post(ANN, number + each, "x" * 3_000), held=True) for each in range(100)))


def test_where_what_waits_has_filled_the_disk_it_can_be_decided_about(engines: Engines) -> None:
    """Put here and joined there, as at the coordinator and at a replica."""
    store = open_store(engines.make(cap_bytes=1 * MIB))
    with pytest.raises(DiskFull):
        for number in range(400):
            run(store, put(post(ANN, number, "x" * 3_000), held=True))
    with pytest.raises(DiskFull):
        run(store, put(post(ANN, 999)))
    for at, bring in ((1, put), (2, joined)):
        rejected = decided(Action.REJECT, post(ANN, at, "x" * 3_000))
        run(store, bring(rejected))
        assert store.get_cell(rejected.key) is not None


def applied(store: Store, number: int = 1) -> list[str]:
    """The actions that a page applies to a post, both as one of a page and by itself."""
    page = store.author_page(ANN.account, None, limit=10, bytes_max=100_000, trusted=frozenset)
    key = post(ANN, number).key
    with store.engine.begin() as transaction:
        [alone] = posts_at(transaction, [key], frozenset, 0)
    assert alone is not None
    on_page = page.decisions.get(post_item(number), [])
    assert list(alone.decisions) == on_page and (alone.telling or not on_page)
    return [each.action.word for each in alone.outcome.in_force]


def test_pages_find_what_applies(store: Store) -> None:
    run(store, put(FIRST), put(post(ANN, 2)))
    assert applied(store) == []
    run(store, put(decided(Action.REMOVE, FIRST)))
    assert applied(store) == ["remove"] and applied(store, 2) == []
    run(store, put(decided(Action.WARN, FIRST, 6, EVA, Role.EXPERT)))
    assert applied(store) == ["warn"]
    run(store, put(decided(Action.RESTORE, FIRST, 7, EVA, Role.EXPERT)))
    assert applied(store) == []
    run(store, put(decided(Action.REJECT, FIRST, 8)))
    assert applied(store) == ["reject"]
    run(store, joined(EDIT))
    assert applied(store) == [], "another version, that a node had let in which had not heard"


def test_what_is_shown_changes_with_the_commit_that_decides(store: Store) -> None:
    run(store, put(FIRST))
    [before] = store.posts([FIRST.key], frozenset)
    run(store, put(decided(Action.REMOVE, FIRST)))
    [after] = store.posts([FIRST.key], frozenset)
    assert before is not None and after is not None and (before.telling, after.telling) == (False, True)


def test_of_many_decisions_the_newest_count(store: Store) -> None:
    many = [decided(Action.WARN, FIRST, at, person(100 + at)) for at in range(DECISIONS_READ + 3)]
    run(store, *map(put, many))
    with store.engine.begin() as transaction:
        found = decisions_on(transaction, place_prefix(ANN.account), Subject("post", FIRST.item))
    assert [each.decision.number - NOW_US for each in found] == list(range(3, DECISIONS_READ + 3))
    assert join_cell(store, many[0].key, Cell.of(many[0])).changed is False


def test_no_number_of_decisions_hides_one_of_a_greater_role(store: Store) -> None:
    above = decided(Action.REMOVE, FIRST, 1, EVA, Role.EXPERT)
    run(store, put(FIRST), put(above), *(put(decided(Action.RESTORE, FIRST, 2 + at)) for at in range(99)))
    assert "remove" in applied(store)
    with store.engine.begin() as transaction:
        found = decisions_on(transaction, place_prefix(ANN.account), Subject("post", FIRST.item))
    assert len(found) == DECISIONS_READ and found[0].decision.action is Action.REMOVE


def test_what_a_greater_role_rejected_is_not_released(store: Store) -> None:
    rejected = decided(Action.REJECT, FIRST, 5, EVA, Role.EXPERT)
    release = decided(Action.RELEASE, FIRST, 9)
    run(store, put(FIRST, held=True), put(rejected), put(release))
    assert store.get_cell(FIRST.key) is None
    run(store, joined(FIRST, held=True), joined(release))
    assert store.get_cell(FIRST.key) is None
    run(store, put(decided(Action.RELEASE, FIRST, 10, EVA, Role.EXPERT)))
    assert store.get_cell(FIRST.key) == Cell.of(FIRST).encode()


def test_profile_fields_are_hidden_and_come_back(store: Store) -> None:
    name, bio = (
        Record.sign(ANN, kind="profile", item=item, body={"value": item.decode()}, stamp=NOW_US)
        for item in (b"name", b"bio")
    )
    run(store, put(name), put(bio), put(FIRST), put(decided(Action.REMOVE, FIRST)))
    assert not store.profile(ANN.account).decisions, "what is decided about posts hides posts"
    removed = decided(Action.REMOVE, name)
    run(store, put(removed))
    found = store.profile(ANN.account)
    assert list(found.fields) == ["bio", "name"] and list(found.decisions) == ["name"]
    [frame] = found.decisions["name"]
    assert Record.from_wire(codec.unpack(frame)) == removed
    run(store, put(decided(Action.RESTORE, name, 6)), put(decided(Action.REJECT, bio, 7)))
    assert list(store.profile(ANN.account).decisions) == ["bio"]
    run(store, joined(Record.sign(ANN, kind="profile", item=b"bio", body={"value": "new"}, stamp=NOW_US + 9)))
    assert not store.profile(ANN.account).decisions, "another version than the one that was rejected"


def test_labels_that_are_removed_are_on_no_page(store: Store) -> None:
    labels = [label(EVA, ANN, 1, value) for value in ("rude", "spam")]

    def shown() -> list[bytes]:
        page = store.author_page(ANN.account, None, limit=10, bytes_max=100_000, trusted=frozenset)
        [alone] = store.posts([FIRST.key], frozenset)
        assert alone is not None and sorted(alone.labels) == sorted(page.labels.get(FIRST.item, []))
        return sorted(Record.from_wire(codec.unpack(each)).id for each in alone.labels)

    run(store, put(FIRST), *map(put, labels))
    assert shown() == sorted(each.id for each in labels)
    run(store, put(decided(Action.REMOVE, labels[0])))
    assert shown() == [labels[1].id]
    again = label(EVA, ANN, 1, "rude", stamp=8)
    run(store, put(again))
    assert shown() == [labels[1].id], "saying it once more brings nothing back"
    run(store, put(decided(Action.RESTORE, again, 9)))
    assert shown() == sorted([again.id, labels[1].id])


def test_what_replaces_a_version_that_is_held_back_waits_as_well(engines: Engines) -> None:
    for action in (Action.HOLD, Action.REJECT):
        store = open_store(engines.make())
        assert run(store, put(FIRST), put(decided(action, FIRST)))
        [outcome] = run(store, put(EDIT))
        assert (outcome.status, outcome.key, outcome.changed) == (PutStatus.HELD, held_key(EDIT.key), True)
        assert store.get_cell(FIRST.key) == Cell.of(FIRST).encode()
        assert store.get_cell(held_key(EDIT.key)) == Cell.of(EDIT).encode()
        [again] = run(store, put(EDIT))
        assert (again.status, again.changed) == (PutStatus.HELD, False)
        assert run(store, put(FIRST))[0].status is PutStatus.DUPLICATE
        run(store, put(decided(Action.RELEASE, EDIT, 6)))
        shown = store.get_cell(EDIT.key)
        assert shown is not None and Cell.decode(shown).winner == EDIT
        later = post(ANN, 1, "three", stamp=3)
        assert run(store, put(later))[0].status is PutStatus.STORED, "what is shown now is not held back"


def test_replicas_that_keep_aside_and_that_let_in_come_to_the_same() -> None:
    stores = [open_store(MemoryEngine(cap_bytes=8 * MIB)) for _ in range(2)]
    hold = decided(Action.HOLD, FIRST)
    run(stores[0], put(FIRST), put(hold), put(EDIT))
    run(stores[1], put(FIRST), put(EDIT), put(hold))
    assert cells_of(stores[0]) != cells_of(stores[1])
    for one, other in (stores, stores[::-1]):
        for key, cell in cells_of(other).items():
            join_cell(one, key, cell)
    assert cells_of(stores[0]) == cells_of(stores[1])


def test_authors_take_back_what_is_held_back_and_what_others_hold_is_let_in(store: Store) -> None:
    name = Record.sign(ANN, kind="profile", item=b"name", body={"value": "x"}, stamp=NOW_US)
    run(store, put(FIRST), put(name), put(decided(Action.HOLD, FIRST)), put(decided(Action.HOLD, name)))
    emptied = Record.sign(ANN, kind="profile", item=b"name", body={"value": ""}, stamp=NOW_US + 1)
    for record in (deletion(ANN, 1, stamp=3), emptied):
        assert run(store, put(record))[0].status is PutStatus.STORED
    other = post(ANN, 2)
    by_policy = Decision(
        *(Subject("post", other.item), other.id, Action.HOLD, Role.AUTOMATIC, EVA.account, 0, "because")
    )
    said = Record.sign(
        EVA, kind="decision", item=by_policy.item, body=by_policy.body(), stamp=1, place=ANN.account
    )
    run(store, put(other), put(said))
    assert run(store, put(post(ANN, 2, "two", stamp=2)))[0].status is PutStatus.STORED


def test_who_erases_the_past_and_says_something_new_does_not_take_back(store: Store) -> None:
    name = Record.sign(ANN, kind="profile", item=b"name", body={"value": "x"}, stamp=NOW_US)
    friends = Record.sign(ANN, kind="list", item=b"l" * 16, body={"name": "x"}, stamp=NOW_US)
    run(store, *(put(each) for one in (name, friends) for each in (one, decided(Action.HOLD, one))))
    anew = Record.sign(
        ANN, kind="profile", item=b"name", body={"value": "y", "erase": True}, stamp=NOW_US + 1
    )
    assert run(store, put(anew))[0].status is PutStatus.HELD
    gone = Record.sign(ANN, kind="list", item=b"l" * 16, body={"deleted": True}, stamp=NOW_US + 1)
    assert run(store, put(gone))[0].status is PutStatus.STORED, "though it leaves what the list was called"
