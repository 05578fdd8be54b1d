"""Recounting: what rows come to, read a little at a time while others write."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random

import pytest
from folkmoot.protocol.key import block_of, block_start
from folkmoot.protocol.record import Record
from folkmoot.protocol.sync.fingerprint import Fingerprint, leaf_hash
from folkmoot.storage import recount
from folkmoot.storage.interface import Table
from folkmoot.storage.recount import Recount, is_wrong, of_block, of_edges
from folkmoot.storage.rows import LIKE, counts_key
from folkmoot.storage.store import Store

from tests.storage.making import cells_of, deletion, person, post, put, reaction

ANN, BEN = person(1), person(2)
BLOCK = block_of(post(ANN, 1).key)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recount, "STORE_STEP_ROWS", 4)
    monkeypatch.setattr(recount, "STORE_SETTLE_ROWS", 12)


def of_cells(store: Store, block: int) -> Fingerprint:
    """The same, worked out the slow and obvious way."""
    cells = cells_of(store).items()
    return Fingerprint.of(leaf_hash(key, cell) for key, cell in cells if block_of(key) == block)


def settled(store: Store, counted: Recount) -> Fingerprint:
    """What a recount comes to, with as much catching up as it asks for."""
    for _ in range(5):
        with store.engine.begin() as transaction:
            found = counted.settle(transaction)
        if found is not None:
            return found
        counted.catch_up()
    raise AssertionError("it never settles, and nobody writes any more")


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_written_meanwhile_is_counted_once(store: Store, seed: int) -> None:
    random, stamps = Random(seed), count(2)

    def write() -> Record:
        number, stamp = random.randrange(60), next(stamps)
        make: Callable[..., Record] = deletion if random.random() < 0.2 else post
        return make(ANN, number, stamp=stamp)

    put(store, *[write() for _ in range(30)])
    counted = of_block(store.engine, BLOCK, store.damage.note)
    going = True
    while going:
        for _ in range(random.randrange(3)):
            put(store, write())
        going = counted.step()
    put(store, *[write() for _ in range(random.randrange(4))])
    assert (
        settled(store, counted)
        == of_cells(store, BLOCK)
        == store.fingerprint(block_start(BLOCK), block_start(BLOCK + 1))
    )
    put(store, *[write() for _ in range(6)])
    assert settled(store, counted) == of_cells(store, BLOCK), "and again, as things are then"


def test_no_more_is_read_in_one_transaction_than_is_allowed(store: Store) -> None:
    put(store, *[post(ANN, number) for number in range(40)])
    counted = of_block(store.engine, BLOCK, store.damage.note)
    assert sum(1 for _ in iter(counted.step, False)) == 10
    put(store, *[post(ANN, number, "edited", stamp=2) for number in range(0, 40, 4)])
    with store.engine.begin() as transaction:
        assert counted.settle(transaction) is None, "ten pieces of four are more than twelve rows"
    counted.catch_up()
    with store.engine.begin() as transaction:
        assert counted.settle(transaction) == of_cells(store, BLOCK)


def test_a_row_lost_behind_the_store_s_back_is_missed(store: Store) -> None:
    put(store, *[post(ANN, number) for number in range(10)])

    def wrong() -> bool | None:
        counted = of_block(store.engine, BLOCK, store.damage.note)
        while counted.step():
            pass
        return is_wrong(store.engine, BLOCK, counted)

    assert wrong() is False
    with store.engine.begin(write=True) as transaction:
        transaction.delete(Table.CELLS, post(ANN, 5).key)
        transaction.commit()
    assert wrong() is True
    assert store.damage.keys == [], "of what is not there no row tells"


def test_edges_are_counted_when_they_are_on(store: Store) -> None:
    likes = [reaction("like", person(number), ANN, 1, on=number % 3 > 0) for number in range(2, 20)]
    put(store, post(ANN, 1), *likes, reaction("repost", BEN, ANN, 1), reaction("like", BEN, ANN, 2))
    counted = of_edges(store.engine, counts_key(likes[0].key), LIKE, store.damage.note)
    while counted.step():
        pass
    assert settled(store, counted).count == 12
    put(store, reaction("like", person(4), ANN, 1, on=False, stamp=2), reaction("like", person(99), ANN, 1))
    put(store, reaction("like", person(5), ANN, 1, on=False, stamp=2))
    assert settled(store, counted).count == 11
