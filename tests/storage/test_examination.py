"""The examination of a store: what it counts, slice by slice, and what it takes for damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.protocol.accounts.attestation import marks_of
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.key import lane_of, place_prefix, prefix_end
from folkmoot.protocol.limits import MIB
from folkmoot.protocol.record import Record
from folkmoot.protocol.sync.fingerprint import EMPTY
from folkmoot.storage import examination
from folkmoot.storage.compaction import compact
from folkmoot.storage.erasing import erase
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.examination import Examined, examine
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.rows import cell_row, log_key_of, row_sequence
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction

from tests.storage.making import (
    ABSENT,
    NOW_US,
    deletion,
    label,
    open_store,
    person,
    post,
    put,
    reaction,
    run,
)

ANN, BEN = person(1), person(2)
GONE = [deletion(ANN, number) for number in range(5)]


def said(kind: str, item: bytes, body: dict[str, Any], stamp: int = 1) -> Record:
    return Record.sign(ANN, kind=kind, item=item, body=body, stamp=NOW_US + stamp)


def look(store: Store, after: bytes | None = None) -> Examined:
    return examine(store.engine, ANN.account, after)


@pytest.fixture
def town(store: Store) -> Store:
    """Ann said five things and took them back; Ben likes one, and a node has labelled one."""
    for number in range(5):
        put(store, post(ANN, number, f"secret {number}"), GONE[number])
    put(store, reaction("like", BEN, ANN, 3), label(BEN, ANN, 2), post(BEN, 9))
    return store


def test_what_is_taken_back_is_told_by_the_records_that_say_so(town: Store) -> None:
    found = look(town)
    assert found.gone == marks_of(GONE)
    assert (found.left, found.staying, found.others, found.pointers) == (0, 0, 2, 0)
    assert (found.through, found.compacted, found.proven, found.moved) == (None, None, 0, False)
    assert found.change == town.sequence
    assert examine(town.engine, person(7).account).gone == EMPTY


def test_what_is_left_is_counted(town: Store) -> None:
    put(town, post(ANN, 20), said("profile", b"name", {"value": "Ann"}))
    put(town, said("follow", BEN.account, {"on": False}), reaction("like", ANN, ANN, 1))
    run(town, lambda tx: tx.put_record(post(ANN, 21), held=True))
    put(town, said("report", post(ANN, 1).item + ANN.account, {"why": "spam"}))
    found = look(town)
    assert (found.left, found.staying, found.gone) == (5, 1, marks_of(GONE))


def test_an_emptied_field_is_gone_and_one_with_a_history_is_not(town: Store) -> None:
    emptied = said("profile", b"name", {"value": "", "erase": True}, 3)
    put(town, said("profile", b"name", {"value": "Ann"}), emptied)
    assert look(town).gone == marks_of([*GONE, emptied])
    put(town, said("profile", b"motto", {"value": "secret"}), said("profile", b"motto", {"value": ""}, 2))
    assert look(town).left == 1


def test_what_takes_back_a_version_that_waited_is_told_once(town: Store) -> None:
    run(town, lambda tx: tx.put_record(post(ANN, 21), held=True))
    run(town, lambda tx: [tx.put_record(deletion(ANN, 21), held=held) for held in (False, True)])
    found = look(town)
    assert (found.gone, found.left) == (marks_of([*GONE, deletion(ANN, 21)]), 0)


@pytest.mark.parametrize("bound", ["ATTEST_CELLS", "ATTEST_BYTES"])
def test_slices_add_up(town: Store, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(examination, bound, 2 if bound == "ATTEST_CELLS" else 700)
    found = [look(town)]
    while found[-1].through is not None:
        found.append(look(town, found[-1].through))
    assert len(found) >= 3
    gone = EMPTY
    for each in found:
        gone = gone.combine(each.gone)
    assert gone == marks_of(GONE) and sum(each.others for each in found) == 2


def test_pointers_for_others_are_counted(town: Store) -> None:
    run(town, lambda tx: [tx.hint(ABSENT, record.key, NOW_US) for record in GONE[:3]])
    run(town, lambda tx: tx.hint(ABSENT, post(BEN, 9).key, NOW_US))
    assert look(town).pointers == 3


def plant(store: Store, key: bytes, cell: Cell) -> None:
    """Have a cell stand where a deletion stood, its checksum right and its place in the log kept."""

    def job(transaction: WriteTransaction) -> None:
        row = transaction.rows.get(Table.CELLS, key)
        assert row is not None
        transaction.rows.put(Table.CELLS, key, cell_row(key, row_sequence(row), cell.encode()))

    run(store, job)


def test_a_body_in_the_history_of_a_deletion_is_damage(town: Store) -> None:
    deleted = Cell.of(GONE[2])
    plant(town, GONE[2].key, Cell(deleted.survivors, deleted.clock, (post(ANN, 2, "secret"),)))
    with pytest.raises(StoreCorrupt) as damaged:
        look(town)
    assert damaged.value.cell_key == GONE[2].key


def test_so_is_one_in_the_history_of_an_emptied_field(town: Store) -> None:
    emptied = said("profile", b"name", {"value": "", "erase": True}, 3)
    put(town, emptied)
    whole = Cell.of(emptied)
    plant(town, emptied.key, Cell(whole.survivors, whole.clock, (said("profile", b"name", {"value": "x"}),)))
    with pytest.raises(StoreCorrupt):
        look(town)


def test_a_cell_of_another_key_is_damage(town: Store) -> None:
    plant(town, GONE[2].key, Cell.of(GONE[3]))
    with pytest.raises(StoreCorrupt, match="another cell"):
        look(town)


def test_a_log_that_does_not_know_the_cell_is_damage(town: Store) -> None:
    def job(transaction: WriteTransaction) -> None:
        row = transaction.rows.get(Table.CELLS, GONE[1].key)
        assert row is not None
        transaction.rows.delete(Table.LOG, log_key_of(GONE[1].key, row_sequence(row)))

    run(town, job)
    with pytest.raises(StoreCorrupt, match="log"):
        look(town)


def test_a_compaction_proves_what_was_gone_before_it(tmp_path: Path) -> None:
    store = open_store(LmdbEngine(tmp_path, cap_bytes=64 * MIB))
    for number in range(3):
        put(store, post(ANN, number, "secret"), deletion(ANN, number))
    store.close()
    compact(tmp_path)
    store = open_store(LmdbEngine(tmp_path, cap_bytes=64 * MIB))
    put(store, post(ANN, 3, "secret"), deletion(ANN, 3))
    found = look(store)
    assert (found.gone.count, found.proven, found.moved) == (4, 3, False)
    assert found.compacted is not None and found.compacted < found.change
    prefix = place_prefix(person(3).account)
    assert lane_of(prefix) != lane_of(place_prefix(ANN.account)), "another part of the key space"
    run(store, lambda tx: erase(tx, prefix, prefix_end(prefix), 10))
    assert not look(store).moved
    run(store, lambda tx: erase(tx, deletion(ANN, 3).key, prefix_end(deletion(ANN, 3).key), 10))
    assert look(store).moved, "what has left may be in free pages"
    store.close()
