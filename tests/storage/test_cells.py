"""Records and cells going in: what is answered, what stands there afterwards, what the log says."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import pytest
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.errors import TOO_LARGE, WireError
from folkmoot.protocol.key import held_key, lane_of
from folkmoot.protocol.limits import CELL_DEVICES
from folkmoot.protocol.record import Record
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.outcomes import PutStatus
from folkmoot.storage.store import Store
from folkmoot.storage.verify import verify

from tests.crdt.resigning import sign_again
from tests.storage.making import (
    cells_of,
    deletion,
    dump,
    join_cell,
    log_page,
    open_store,
    person,
    post,
    put,
    run,
)

ANN, TABLET = person(1), person(2)


def statuses(store: Store, *records: Record) -> list[PutStatus]:
    return [outcome.status for outcome in put(store, *records)]


def joined(*records: Record) -> bytes:
    cell = Cell.of(records[0])
    for record in records[1:]:
        cell = join(cell, Cell.of(record))
    return cell.encode()


def test_a_new_record_is_stored_as_it_came(store: Store) -> None:
    record = post(ANN, 1)
    (outcome,) = put(store, record)
    assert outcome == (PutStatus.STORED, Cell.of(record).encode(), record.key, True)
    assert store.get_cell(record.key) == outcome.cell
    assert store.get_cell(post(ANN, 2).key) is None
    assert store.get_cells([post(ANN, 2).key, record.key]) == [None, outcome.cell]


def test_the_same_record_again_changes_nothing(store: Store) -> None:
    put(store, post(ANN, 1), post(ANN, 2))
    before = dump(store)
    assert statuses(store, post(ANN, 1)) == [PutStatus.DUPLICATE]
    assert dump(store) == before


def test_twice_in_one_group(store: Store) -> None:
    assert statuses(store, post(ANN, 1), post(ANN, 1)) == [PutStatus.STORED, PutStatus.DUPLICATE]


def test_an_edit_supersedes_and_what_it_superseded_is_a_duplicate(store: Store) -> None:
    first, second = post(ANN, 1, "one"), post(ANN, 1, "two", stamp=2)
    assert statuses(store, first, second, first) == [
        PutStatus.STORED,
        PutStatus.STORED,
        PutStatus.DUPLICATE,
    ]
    assert store.get_cell(first.key) == joined(first, second)


def test_two_devices_are_siblings(store: Store) -> None:
    phone, tablet = post(ANN, 1, "phone"), post(TABLET, 1, "tablet", author=ANN.account, stamp=5)
    assert statuses(store, phone, tablet) == [PutStatus.STORED, PutStatus.STORED]
    assert Cell.decode(store.get_cell(phone.key) or b"").conflict


def test_a_deletion_absorbs_what_comes_later(store: Store) -> None:
    gone = deletion(ANN, 1, stamp=2)
    late = post(TABLET, 1, "late", author=ANN.account, stamp=9)
    assert statuses(store, post(ANN, 1), gone, gone, late, late) == [
        PutStatus.STORED,
        PutStatus.STORED,
        PutStatus.DUPLICATE,
        PutStatus.ABSORBED,
        PutStatus.DUPLICATE,
    ]
    cell = Cell.decode(store.get_cell(gone.key) or b"")
    assert cell.deleted and cell.history == () and cell.covers(late)


@pytest.mark.parametrize("stamp", [1, 3])
def test_deleting_again_is_a_duplicate(store: Store, stamp: int) -> None:
    """Whichever of the two deletions the cell keeps: the author asked for what is so already."""
    again = deletion(ANN, 1, stamp=stamp)
    other = deletion(TABLET, 1, stamp=9, author=ANN.account)
    assert statuses(store, deletion(ANN, 1, stamp=2), again, other) == [
        PutStatus.STORED,
        PutStatus.DUPLICATE,
        PutStatus.DUPLICATE,
    ]
    cell = Cell.decode(store.get_cell(again.key) or b"")
    assert cell.covers(again) and cell.covers(other)
    everything = [Cell.of(each) for each in (deletion(ANN, 1, stamp=2), again, other)]
    assert cell == reduce(join, everything), "putting and joining come to the same, in whatever order"


def test_a_deletion_older_than_what_it_deletes(store: Store) -> None:
    old = deletion(ANN, 1, stamp=1)
    assert statuses(store, post(ANN, 1, stamp=5), old) == [PutStatus.STORED, PutStatus.STORED]
    assert Cell.decode(store.get_cell(old.key) or b"").survivors == (old,)


def test_a_cloned_device_resolves_alike_whatever_the_order(engine: Engine, store: Store) -> None:
    one, other = sorted((post(ANN, 1, "one"), post(ANN, 1, "other")), key=lambda record: record.id)
    assert statuses(store, other) == [PutStatus.STORED]
    (outcome,) = put(store, one)
    assert outcome.status is PutStatus.DUPLICATE and outcome.changed
    assert store.get_cell(one.key) == Cell.of(one).encode()
    (outcome,) = put(store, other)
    assert outcome.status is PutStatus.DUPLICATE and not outcome.changed


def test_of_two_signatures_the_smaller_is_kept(store: Store) -> None:
    record = post(ANN, 1)
    again = sign_again(ANN, record)
    smaller, larger = sorted((record, again), key=lambda one: one.signature)
    put(store, larger, smaller)
    assert store.get_cell(record.key) == Cell.of(smaller).encode()
    assert statuses(store, larger) == [PutStatus.DUPLICATE]
    assert store.get_cell(record.key) == Cell.of(smaller).encode()


def test_one_device_too_many_is_refused_and_changes_nothing(store: Store) -> None:
    devices = [person(100 + i) for i in range(CELL_DEVICES)]
    put(store, *(post(device, 1, author=ANN.account, stamp=i) for i, device in enumerate(devices)))
    before = dump(store)
    with pytest.raises(WireError) as refused:
        put(store, post(person(99), 1, author=ANN.account))
    assert refused.value.kind is TOO_LARGE
    assert dump(store) == before


def test_a_held_record_waits_beside_its_cell(store: Store) -> None:
    record = post(ANN, 1)
    run(store, lambda tx: tx.put_record(record, held=True))
    assert store.get_cell(record.key) is None
    assert store.get_cell(held_key(record.key)) == Cell.of(record).encode()


def test_joining_a_cell(store: Store) -> None:
    first, second = post(ANN, 1, "one"), post(ANN, 1, "two", stamp=2)
    changed, cell = join_cell(store, first.key, Cell.of(first))
    assert changed and cell == Cell.of(first).encode()
    changed, cell = join_cell(store, first.key, Cell.of(second).encode())
    assert changed and cell == joined(first, second) == store.get_cell(first.key)
    for known in (Cell.of(first), Cell.of(second).encode(), cell):
        assert join_cell(store, first.key, known) == (False, cell)


def test_a_joined_cell_of_too_many_devices_is_not_refused(store: Store) -> None:
    for i in range(CELL_DEVICES + 2):
        record = post(person(100 + i), 1, author=ANN.account, stamp=i)
        join_cell(store, record.key, Cell.of(record))
    assert len(Cell.decode(store.get_cell(record.key) or b"").clock) == CELL_DEVICES + 2


def test_whoever_has_too_many_devices_can_still_delete(store: Store) -> None:
    devices = [person(100 + i) for i in range(CELL_DEVICES + 2)]
    for device in devices:
        record = post(device, 1, author=ANN.account)
        join_cell(store, record.key, Cell.of(record))
    with pytest.raises(WireError):
        put(store, post(devices[0], 1, "edit", author=ANN.account, stamp=2))
    assert statuses(store, deletion(ANN, 1)) == [PutStatus.STORED]
    deleted = store.get_cell(record.key) or b""
    assert Cell.decode(deleted).deleted
    # Deleting on and on from new devices makes the cell no larger.
    again = [deletion(person(200 + i), 1, author=ANN.account) for i in range(3)]
    assert statuses(store, *again) == [PutStatus.DUPLICATE] * 3
    assert store.get_cell(record.key) == deleted
    assert verify(store.engine).ok


def test_the_log_has_one_row_a_cell_at_its_latest_change(store: Store) -> None:
    one, two = post(ANN, 1), post(ANN, 2)
    lane = lane_of(one.key)
    put(store, one, two)
    assert [entry.key for entry in log_page(store, lane, 0, 10)] == [one.key, two.key]
    put(store, post(ANN, 1, "edited", stamp=2))
    entries = log_page(store, lane, 0, 10)
    assert [entry.key for entry in entries] == [two.key, one.key]
    assert log_page(store, lane, 0, 1) == entries[:1]
    assert log_page(store, lane, entries[0].sequence, 10) == entries[1:]
    assert log_page(store, lane, store.sequence, 10) == []
    assert all(log_page(store, other, 0, 10) == [] for other in range(64) if other != lane)


def test_sequences_go_on_after_a_restart(store: Store) -> None:
    put(store, post(ANN, 1), post(ANN, 2))
    again = open_store(store.engine)
    assert again.sequence == store.sequence == 2
    put(again, post(ANN, 3))
    assert log_page(again, lane_of(post(ANN, 3).key), 2, 10) == [(3, post(ANN, 3).key)]


def test_cells_between_is_bounded(store: Store) -> None:
    records = [post(person(i), 1) for i in range(10)]
    put(store, *records)
    everything = sorted(cells_of(store).items())
    assert store.cells_between(b"", b"", limit=100, bytes_max=10**6) == everything
    assert store.cells_between(b"", b"", limit=3, bytes_max=10**6) == everything[:3]
    assert store.cells_between(b"", b"", limit=100, bytes_max=1) == everything[:1]
    start, stop = everything[2][0], everything[7][0]
    assert store.cells_between(start, stop, limit=100, bytes_max=10**6) == everything[2:7]


@pytest.mark.parametrize("at", [0, 7, 8, 50, -5, -1])
def test_a_changed_byte_is_never_returned(engine: Engine, store: Store, at: int) -> None:
    record = post(ANN, 1)
    put(store, record, post(ANN, 2))
    with engine.begin(write=True) as transaction:
        row = bytearray(transaction.get(Table.CELLS, record.key) or b"")
        row[at] ^= 1
        transaction.put(Table.CELLS, record.key, bytes(row))
        transaction.commit()
    readers: list[Callable[[], object]] = [
        lambda: store.get_cell(record.key),
        lambda: store.author_page(ANN.account, limit=10, bytes_max=10**6),
        lambda: store.cells_between(b"", b"", limit=10, bytes_max=10**6),
        lambda: put(store, post(ANN, 1, "edit", stamp=2)),
        lambda: join_cell(store, record.key, Cell.of(record)),
    ]
    for reader in readers:
        with pytest.raises(StoreCorrupt) as found:
            reader()
        assert record.key.hex() in str(found.value)
    assert store.get_cell(post(ANN, 2).key) == Cell.of(post(ANN, 2)).encode()


def test_a_row_moved_to_another_key_is_damage(engine: Engine, store: Store) -> None:
    put(store, post(ANN, 1), post(ANN, 2))
    with engine.begin(write=True) as transaction:
        row = transaction.get(Table.CELLS, post(ANN, 1).key) or b""
        transaction.put(Table.CELLS, post(ANN, 2).key, row)
        transaction.commit()
    with pytest.raises(StoreCorrupt):
        store.get_cell(post(ANN, 2).key)
