"""The index of what waits for review is what a walk through everything that is held comes to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.key import HELD, KIND_AT, KIND_BYTE, held_key, place_prefix, prefix_end
from folkmoot.protocol.limits import MIB
from folkmoot.protocol.moderation.decision import Action, Role, parse_decision
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.protocol.record import Record
from folkmoot.storage import schema, waiting
from folkmoot.storage.erasing import erase
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.mending import Surroundings, drop, mend_cell
from folkmoot.storage.rows import seal
from folkmoot.storage.slices import Slice
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction
from folkmoot.storage.verify import verify
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.conftest import Engines
from tests.storage.making import NOW_US, cells_of, deletion, join_cell, open_store, person, post, run
from tests.storage.test_decided import ANN, EVA, MO, decided

_HELD = KIND_BYTE[HELD]
NAME = Record.sign(ANN, kind="profile", item=b"n" * 90, body={"value": "x"}, stamp=NOW_US)
VERSIONS = [post(ANN, number, f"{stamp}", stamp=stamp) for number in (1, 2) for stamp in (1, 2)] + [NAME]
DECISIONS = [
    decided(action, version, at, by, role)
    for version in VERSIONS
    for action, at, by, role in (
        (Action.RELEASE, 5, MO, Role.MODERATOR),
        (Action.REJECT, 6, EVA, Role.EXPERT),
        (Action.HOLD, 7, EVA, Role.EXPERT),
        (Action.REMOVE, 8, MO, Role.MODERATOR),
        (Action.RESTORE, 9, MO, Role.MODERATOR),
    )
]
DELETIONS = [deletion(ANN, number, stamp=stamp) for number in (1, 2) for stamp in (2, 3)]
RECORDS = [each for each in (*VERSIONS, *DECISIONS, *DELETIONS) if VERSIONS[2].item not in each.item]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "hold", "join", "join held", "erase", "drop", "mend"]),
        st.sampled_from(RECORDS),
    ),
    max_size=20,
)


def walked(store: Store) -> list[bytes]:
    """What waits, by all cells there are."""
    cells = {key: Cell.decode(cell) for key, cell in cells_of(store).items()}
    found = []
    for key in sorted(key for key in cells if key[KIND_AT] == _HELD):
        version, own = cells[key].winner, cells.get(waiting.without_held(key))
        said = [parse_decision(each.winner.item, each.winner.body) for each in _decisions(cells)]
        subject = waiting.subject_of(waiting.without_held(key))
        outcome = outcome_of(each for each in said if each.subject == subject)
        gone = cells[key].taken_back or (own is not None and own.covers(version))
        if not gone and outcome.awaits(version.id):
            found.append(key)
    return found


def _decisions(cells: dict[bytes, Cell]) -> list[Cell]:
    return [cell for key, cell in cells.items() if key[KIND_AT] == KIND_BYTE["decision"]]


def listed(store: Store) -> list[bytes]:
    with store.engine.begin() as transaction:
        return list(waiting.listed(transaction))


def paged(store: Store) -> list[bytes]:
    """What a queue tells, page by page."""
    keys: list[bytes] = []
    found = Slice([], b"")
    while found.resume is not None:
        found = waiting.page(store.engine, found.resume, b"")
        keys += found.keys
    return keys


def act(store: Store, what: str, record: Record) -> None:
    key = held_key(record.key) if "held" in what else record.key
    match what:
        case "put":
            run(store, lambda tx: tx.put_record(record))
        case "hold" if record.kind != "decision":
            run(store, lambda tx: tx.put_record(record, held=True))
        case "join" | "join held":
            if record.kind != "decision" or key == record.key:
                join_cell(store, key, Cell.of(record))
        case "erase":
            run(store, partial(erase, start=key, end=prefix_end(key), most=2))
        case "drop" | "mend" if key in cells_of(store):
            whole = cells_of(store)[key]
            spoil(store.engine, key)
            around = Surroundings(store.engine, key, lambda error: None)
            while around.step():
                pass
            run(store, partial(drop if what == "drop" else partial(mend_cell, cell=whole), around=around))


def spoil(engine: Engine, key: bytes) -> None:
    """Damage the cell at a key."""
    with engine.begin(write=True) as transaction:
        row = transaction.get(Table.CELLS, key) or b""
        transaction.put(Table.CELLS, key, row[:-1] + bytes((row[-1] ^ 1,)))
        transaction.commit()


@given(steps=STEPS)
@settings(max_examples=300)
def test_whatever_is_done_what_waits_is_listed_and_nothing_else(steps: list[tuple[str, Record]]) -> None:
    store = open_store(MemoryEngine(cap_bytes=8 * MIB))
    for what, record in steps:
        act(store, what, record)
        assert listed(store) == paged(store) == walked(store)
    assert verify(store.engine).findings == ()


def test_of_one_group_all_is_heeded(store: Store) -> None:
    """What waits and what decides about it come in one commit, in either order."""
    first, other = VERSIONS[0], VERSIONS[2]
    run(
        store,
        lambda tx: tx.put_record(first, held=True),
        lambda tx: tx.put_record(decided(Action.REJECT, first)),
        lambda tx: tx.put_record(decided(Action.REMOVE, other)),
        lambda tx: tx.put_record(other, held=True),
        lambda tx: tx.put_record(NAME, held=True),
    )
    assert listed(store) == [held_key(NAME.key)]


@pytest.mark.parametrize("version", [VERSIONS[0], NAME], ids=lambda each: each.kind)
@pytest.mark.parametrize("what", ["erase", "drop", "mend"])
def test_where_a_decision_is_not_any_more_what_it_was_about_waits(
    store: Store, what: str, version: Record
) -> None:
    reject = decided(Action.REJECT, version)
    act(store, "hold", version)
    act(store, "put", reject)
    assert listed(store) == []
    act(store, what, reject)
    assert listed(store) == walked(store) == ([] if what == "mend" else [held_key(version.key)])


def test_what_cannot_be_known_is_asked_again_when_it_is_whole(store: Store) -> None:
    first, reject = VERSIONS[0], decided(Action.REJECT, VERSIONS[0])
    run(store, lambda tx: tx.put_record(first, held=True), lambda tx: tx.put_record(reject))
    whole = cells_of(store)[reject.key]
    spoil(store.engine, reject.key)
    join_cell(store, held_key(first.key), Cell.of(VERSIONS[1]))
    assert listed(store) == [held_key(first.key)] and paged(store) == []
    assert {finding.table for finding in verify(store.engine).findings} == {"cells", "blocks"}
    around = Surroundings(store.engine, reject.key, lambda error: None)
    while around.step():
        pass
    run(store, partial(mend_cell, around=around, cell=whole))
    assert listed(store) == walked(store)


def test_a_queue_comes_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    posts = [post(person(who), number) for who in range(1, 6) for number in (1, 2)]
    run(store, *(partial(WriteTransaction.put_record, record=each, held=True) for each in posts))
    gone = posts[3]
    raw_delete(store, held_key(gone.key), Table.CELLS)  # so that its row says too much
    keys = sorted(held_key(each.key) for each in posts if each is not gone)
    for step, rows in ((1, 100), (3, 100), (100, 1), (100, 3)):
        monkeypatch.setattr(waiting, "QUEUE_STEP", step)
        monkeypatch.setattr(waiting, "REACTIONS_STEP_ROWS", rows)
        assert paged(store) == keys
    place = place_prefix(person(3).account)
    found = waiting.page(store.engine, place, prefix_end(place))
    assert set(found.keys) == {key for key in keys if key.startswith(place)} and found.keys


def raw_delete(store: Store, key: bytes, table: Table) -> None:
    with store.engine.begin(write=True) as transaction:
        transaction.delete(table, key)
        transaction.commit()


PLANTED: dict[str, Callable[[Transaction, bytes], object]] = {
    "a row is missing": lambda tx, key: tx.delete(Table.WAITING, key),
    "a row is at what was decided": lambda tx, key: _list(tx, held_key(VERSIONS[2].key)),
    "a row is where nothing is held": lambda tx, key: _list(tx, held_key(post(EVA, 1).key)),
    "a row is at what is shown": lambda tx, key: _list(tx, DELETIONS[0].key),
}


def _list(transaction: Transaction, key: bytes) -> None:
    transaction.put(Table.WAITING, key, seal(key, b""))


@pytest.mark.parametrize("what", PLANTED)
def test_verify_looks_both_ways(store: Store, what: str) -> None:
    first, other = VERSIONS[0], VERSIONS[2]
    act(store, "put", DELETIONS[0])
    for record in (NAME, other):
        run(store, partial(WriteTransaction.put_record, record=record, held=True))
    act(store, "put", decided(Action.REJECT, other))
    assert first.key == DELETIONS[0].key and verify(store.engine).findings == ()
    with store.engine.begin(write=True) as transaction:
        PLANTED[what](transaction, held_key(NAME.key))
        transaction.commit()
    assert [finding.table for finding in verify(store.engine).findings] == ["waiting"]


def test_a_store_of_the_first_version_gets_its_index(engines: Engines) -> None:
    engine = engines.make()
    store = open_store(engine)
    for record in (VERSIONS[0], VERSIONS[2], NAME, *(post(person(who), 1) for who in range(5, 9))):
        run(store, partial(WriteTransaction.put_record, record=record, held=True))
    act(store, "put", decided(Action.REJECT, VERSIONS[2]))
    known = listed(store)
    assert len(known) == 6
    with engine.begin(write=True) as transaction:
        for key in known:
            transaction.delete(Table.WAITING, key)
        transaction.put(Table.META, b"schema", seal(b"schema", (1).to_bytes(4, "big")))
        transaction.commit()
    assert verify(engine).findings == (), "it never had one"
    Store(engine, owner=None)
    assert listed(store) == [], "whoever only reads changes nothing"
    again = open_store(engines.reopen(engine))
    assert listed(again) == known
    with again.engine.begin() as transaction:
        assert schema.read_schema(transaction) == schema.SCHEMA
    assert verify(again.engine).findings == ()
