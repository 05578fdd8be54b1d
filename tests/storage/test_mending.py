"""Mending: a damaged cell is replaced, and everything derived from it is what its cells say again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.key import block_of
from folkmoot.protocol.record import Record
from folkmoot.storage import counts
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.group import Job, commit_group
from folkmoot.storage.interface import Table
from folkmoot.storage.rows import counts_key
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import Admission, JoinOutcome, WriteTransaction
from folkmoot.storage.verify import verify

from tests.storage.making import deletion, person, post, put, reaction

ANN, BEN, CAT = person(1), person(2), person(3)


def run(store: Store, work: Callable[[WriteTransaction], object]) -> object:
    """The result of `work`, committed."""
    [ended] = commit_group(store, [Job(work, Admission.PEER_JOIN, lambda result, error: None)])
    if ended.error is not None:
        raise ended.error
    return ended.result


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
    assert run(store, lambda tx: tx.mend_cell(record.key, whole)) == JoinOutcome(True, whole)
    assert store.get_cell(record.key) == whole
    assert verify(store.engine).ok
    put(store, post(ANN, 3), reaction("like", BEN, ANN, 2))
    assert verify(store.engine).ok, "what is remembered of the last commit was mended too"


def test_a_newer_state_may_take_the_place_of_an_older(store: Store) -> None:
    first, edit = post(ANN, 1), post(ANN, 1, "other words", stamp=2)
    put(store, first)
    damage(store, first)
    whole = join(Cell.of(first), Cell.of(edit)).encode()
    run(store, lambda tx: tx.mend_cell(first.key, whole))
    assert store.get_cell(first.key) == whole
    assert verify(store.engine).ok


def test_what_is_whole_by_now_is_joined(store: Store) -> None:
    first, edit = post(ANN, 1), post(ANN, 1, "other words", stamp=2)
    put(store, edit)
    assert run(store, lambda tx: tx.mend_cell(first.key, Cell.of(first).encode())) != JoinOutcome(
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
        tx.mend_cell(like.key, Cell.of(like).encode())
        tx.put_record(reaction("like", ANN, ANN, 1))

    run(store, work)
    assert verify(store.engine).ok


def test_another_damaged_cell_of_the_block_counts_as_absent(store: Store) -> None:
    first, second = post(ANN, 1), post(ANN, 2)
    put(store, first, second)
    damage(store, first)
    damage(store, second)
    run(store, lambda tx: tx.mend_cell(first.key, Cell.of(first).encode()))
    with pytest.raises(StoreCorrupt) as found:
        store.get_cell(second.key)
    assert found.value.cell_key == second.key
    run(store, lambda tx: tx.mend_cell(second.key, Cell.of(second).encode()))
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
    assert run(store, lambda tx: tx.rebuild_block(block)) is True
    assert run(store, lambda tx: tx.rebuild_block(block)) is False
    assert store.fingerprint(b"", b"").count == before.count - 1
