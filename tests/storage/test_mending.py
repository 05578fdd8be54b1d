"""Mending: a damaged cell is replaced, and everything derived from it is what its cells say again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.key import block_of, lane_of
from folkmoot.protocol.record import Record
from folkmoot.storage import counts, mending, recount
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.group import Job, commit_group
from folkmoot.storage.interface import Table
from folkmoot.storage.mending import (
    Gap,
    Surroundings,
    close_gap,
    drop_stray,
    gaps,
    mend_cell,
    rebuild_block,
)
from folkmoot.storage.outcomes import JoinOutcome
from folkmoot.storage.recount import of_block
from folkmoot.storage.rows import counts_key
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import Admission, WriteTransaction
from folkmoot.storage.verify import verify

from tests.storage.making import deletion, person, post, put, reaction

ANN, BEN, CAT = person(1), person(2), person(3)


def run(store: Store, work: Callable[[WriteTransaction], object]) -> object:
    """The result of `work`, committed."""
    [ended] = commit_group(store, [Job(work, Admission.PEER_JOIN, lambda result, error: None)])
    if ended.error is not None:
        raise ended.error
    return ended.result


def mend(store: Store, tx: WriteTransaction, key: bytes, whole: bytes) -> JoinOutcome | None:
    """Mend a cell with what is around it read just before, from what is committed."""
    around = Surroundings(store.engine, key, store.damage.note)
    while around.step():
        pass
    return mend_cell(tx, around, whole)


def damage(store: Store, record: Record, *, at: int = 20) -> None:
    """Change one byte of a row; the first eight say at which sequence it changed last."""
    with store.engine.begin(write=True) as transaction:
        row = bytearray(transaction.get(Table.CELLS, record.key) or b"")
        row[at] ^= 0x10
        transaction.put(Table.CELLS, record.key, bytes(row))
        transaction.commit()


CASES = [
    pytest.param(post(ANN, 1), id="post"),
    pytest.param(reaction("like", BEN, ANN, 1), id="like"),
    pytest.param(reaction("repost", BEN, ANN, 1, on=False), id="repost taken back"),
    pytest.param(deletion(ANN, 1), id="deletion"),
]


@pytest.mark.parametrize("at", [3, 20], ids=["its sequence", "its cell"])
@pytest.mark.parametrize("record", CASES)
def test_a_damaged_cell_is_replaced_and_all_is_as_it_should_be(store: Store, record: Record, at: int) -> None:
    put(store, post(ANN, 2), reaction("like", CAT, ANN, 1), reaction("like", CAT, ANN, 2))
    put(store, record)
    damage(store, record, at=at)
    assert not verify(store.engine).ok
    whole = Cell.of(record).encode()
    assert run(store, lambda tx: mend(store, tx, record.key, whole)) == JoinOutcome(True, whole)
    assert store.get_cell(record.key) == whole
    assert verify(store.engine).ok
    put(store, post(ANN, 3), reaction("like", BEN, ANN, 2))
    assert verify(store.engine).ok, "what is remembered of the last commit was mended too"


def test_a_newer_state_may_take_the_place_of_an_older(store: Store) -> None:
    first, edit = post(ANN, 1), post(ANN, 1, "other words", stamp=2)
    put(store, first)
    damage(store, first)
    whole = join(Cell.of(first), Cell.of(edit)).encode()
    run(store, lambda tx: mend(store, tx, first.key, whole))
    assert store.get_cell(first.key) == whole
    assert verify(store.engine).ok


def test_what_is_whole_by_now_is_joined(store: Store) -> None:
    first, edit = post(ANN, 1), post(ANN, 1, "other words", stamp=2)
    put(store, edit)
    assert run(store, lambda tx: mend(store, tx, first.key, Cell.of(first).encode())) != JoinOutcome(
        True, Cell.of(first).encode()
    )
    assert Cell.decode(store.get_cell(first.key) or b"").winner == edit
    assert verify(store.engine).ok


def test_what_the_same_group_changed_before_is_counted_once(store: Store) -> None:
    """A block's sum is worked out from rows that the transaction has written already."""
    put(store, post(ANN, 1), reaction("like", BEN, ANN, 1))
    like = reaction("like", BEN, ANN, 1)
    damage(store, like)

    def work(tx: WriteTransaction) -> None:
        tx.put_record(reaction("like", CAT, ANN, 1))
        mend(store, tx, like.key, Cell.of(like).encode())
        tx.put_record(reaction("like", ANN, ANN, 1))

    run(store, work)
    assert verify(store.engine).ok


def test_another_damaged_cell_of_the_block_counts_as_absent(store: Store) -> None:
    first, second = post(ANN, 1), post(ANN, 2)
    put(store, first, second)
    damage(store, first)
    damage(store, second)
    run(store, lambda tx: mend(store, tx, first.key, Cell.of(first).encode()))
    with pytest.raises(StoreCorrupt) as found:
        store.get_cell(second.key)
    assert found.value.cell_key == second.key
    run(store, lambda tx: mend(store, tx, second.key, Cell.of(second).encode()))
    assert verify(store.engine).ok


def test_damaged_counts_are_derived_by_whoever_changes_them(store: Store) -> None:
    """They are no truth of their own: a stranger's like must not end a node over them."""
    put(store, post(ANN, 1), reaction("like", BEN, ANN, 1), reaction("repost", BEN, ANN, 1))
    at = counts_key(reaction("like", BEN, ANN, 1).key)
    with store.engine.begin(write=True) as transaction:
        transaction.put(Table.COUNTS, at, b"damaged")
        transaction.commit()
    put(store, reaction("like", CAT, ANN, 1), reaction("repost", BEN, ANN, 1, on=False, stamp=2))
    with store.engine.begin() as transaction:
        assert counts.read(transaction, at) == (2, 0)
    assert verify(store.engine).ok


def test_a_sum_that_is_wrong_is_worked_out_again(store: Store) -> None:
    kept, lost = post(ANN, 1), post(ANN, 2)
    put(store, kept, lost)
    with store.engine.begin(write=True) as transaction:
        transaction.delete(Table.CELLS, lost.key)
        transaction.commit()
    block = block_of(kept.key)
    before = store.fingerprint(b"", b"")
    counted = of_block(store.engine, block, store.damage.note)
    while counted.step():
        pass
    assert run(store, lambda tx: rebuild_block(tx, block, counted)) is True
    assert run(store, lambda tx: rebuild_block(tx, block, counted)) is False
    assert store.fingerprint(b"", b"").count == before.count - 1


def lose(store: Store, record: Record) -> bytes:
    """Remove a row behind the store's back; what it was."""
    with store.engine.begin(write=True) as transaction:
        row = transaction.get(Table.CELLS, record.key)
        assert row is not None and transaction.delete(Table.CELLS, record.key)
        transaction.commit()
    return row


def all_gaps(store: Store, lane: int) -> list[Gap]:
    found: list[Gap] = []
    after: int | None = 0
    while after is not None:
        some, after = gaps(store.engine, lane, after)
        found += some
    return found


@pytest.mark.parametrize("record", CASES)
def test_a_lost_cell_is_damaged_until_it_is_mended(
    store: Store, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "STORE_STEP_ROWS", 2)
    put(store, *[post(ANN, number) for number in range(2, 9)], reaction("like", CAT, ANN, 1))
    put(store, record)
    put(store, *[post(ANN, number) for number in range(9, 12)])
    assert all_gaps(store, lane_of(record.key)) == []
    lose(store, record)
    [gap] = all_gaps(store, lane_of(record.key))
    assert gap.key == record.key
    assert run(store, lambda tx: close_gap(tx, gap)) is True
    assert run(store, lambda tx: close_gap(tx, gap)) is False
    with pytest.raises(StoreCorrupt) as found:
        store.get_cell(record.key)
    assert found.value.cell_key == record.key
    with pytest.raises(StoreCorrupt):
        put(store, record)
    whole = Cell.of(record).encode()
    run(store, lambda tx: mend(store, tx, record.key, whole))
    assert store.get_cell(record.key) == whole
    assert verify(store.engine).ok and all_gaps(store, lane_of(record.key)) == []


def test_a_lost_cell_that_came_back_is_told_of_once(store: Store) -> None:
    first, edit = post(ANN, 1), post(ANN, 1, "other words", stamp=2)
    put(store, post(ANN, 2), first)
    lose(store, first)
    put(store, edit)
    [gap] = all_gaps(store, lane_of(first.key))
    assert run(store, lambda tx: close_gap(tx, gap)) is True
    assert all_gaps(store, lane_of(first.key)) == []
    assert store.get_cell(first.key) == Cell.of(edit).encode(), "what is whole stays"


def test_a_row_at_a_damaged_key_is_removed(store: Store) -> None:
    put(store, post(ANN, 1), post(ANN, 2))
    row = lose(store, post(ANN, 1))
    stray = post(ANN, 1).key[:-1] + bytes((post(ANN, 1).key[-1] ^ 4,))
    with store.engine.begin(write=True) as transaction:
        transaction.put(Table.CELLS, stray, row)
        transaction.commit()

    def drop(tx: WriteTransaction, key: bytes) -> bool | None:
        around = Surroundings(store.engine, key, store.damage.note)
        while around.step():
            pass
        return drop_stray(tx, around)

    assert run(store, lambda tx: drop(tx, stray)) is True
    assert run(store, lambda tx: drop(tx, stray)) is False
    [gap] = all_gaps(store, lane_of(stray))
    run(store, lambda tx: close_gap(tx, gap))
    assert run(store, lambda tx: drop(tx, gap.key)) is False, "the log says that this was a cell"
    run(store, lambda tx: mend(store, tx, gap.key, Cell.of(post(ANN, 1)).encode()))
    assert verify(store.engine).ok


def test_too_much_that_changed_meanwhile_changes_nothing_but_the_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recount, "STORE_SETTLE_ROWS", 8)
    record, whole = post(ANN, 1), Cell.of(post(ANN, 1)).encode()
    put(store, *[post(ANN, number) for number in range(1, 20)])
    damage(store, record)
    around = Surroundings(store.engine, record.key, store.damage.note)
    while around.step():
        pass
    put(store, *[post(ANN, number, "edited", stamp=2) for number in range(2, 12)])
    assert run(store, lambda tx: mend_cell(tx, around, whole)) is None
    with pytest.raises(StoreCorrupt):
        store.get_cell(record.key)
    around.catch_up()
    assert run(store, lambda tx: mend_cell(tx, around, whole)) == JoinOutcome(True, whole)
    assert verify(store.engine).ok
