"""Weighing: what a stretch comes to, and between which accounts half of it is."""

from __future__ import annotations

from random import Random

import pytest
from folkmoot.protocol.key import PLACE_PREFIX_BYTES, block_start
from folkmoot.storage import weighing
from folkmoot.storage.interface import Table
from folkmoot.storage.store import Store
from folkmoot.storage.weighing import Weighing, Weight

from tests.storage.making import cells_of, person, post, put


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighing, "STORE_STEP_ROWS", 4)


def weighed(store: Store, start: bytes = b"", end: bytes = b"") -> Weight:
    stretch = Weighing(store.engine, start, end)
    while stretch.step():
        pass
    return stretch.weight()


def sizes(store: Store, start: bytes = b"", end: bytes = b"") -> dict[bytes, int]:
    """How much each account has, worked out in the obvious way."""
    found: dict[bytes, int] = {}
    with store.engine.begin() as transaction:
        for key, row in transaction.scan(Table.CELLS, start, end):
            account = key[:PLACE_PREFIX_BYTES]
            found[account] = found.get(account, 0) + len(key) + len(row)
    return found


def imbalance(store: Store, bound: bytes) -> int:
    """By how much what is before a bound differs from what is behind it."""
    return abs(sum(sizes(store, b"", bound).values()) - sum(sizes(store, bound).values()))


@pytest.mark.parametrize("marks", [4, 1_024])
@pytest.mark.parametrize("seed", range(8))
def test_the_middle_is_between_two_accounts_and_near_half(
    store: Store, monkeypatch: pytest.MonkeyPatch, seed: int, marks: int
) -> None:
    monkeypatch.setattr(weighing, "MARKS_MAX", marks)
    random = Random(seed)
    for number in range(1, 41):
        texts = ["x" * random.randrange(1, 900) for _ in range(random.randrange(1, 4))]
        put(store, *[post(person(number), at, text) for at, text in enumerate(texts)])
    by_account = sizes(store)
    weight = weighed(store)
    total = sum(by_account.values())
    assert (weight.cells, weight.size) == (len(cells_of(store)), total)
    assert weight.middle in by_account and weight.middle != min(by_account)
    if marks == 4:
        assert imbalance(store, weight.middle) < total / 2, "a few marks are enough for about half"
    else:
        best = min(imbalance(store, bound) for bound in sorted(by_account)[1:])
        assert imbalance(store, weight.middle) == best


def test_only_what_is_within_bounds_is_weighed(store: Store) -> None:
    put(store, *[post(person(number), 1) for number in range(1, 30)])
    start, end = block_start(1_000), block_start(3_000)
    within = sizes(store, start, end)
    assert 0 < len(within) < 29
    weight = weighed(store, start, end)
    assert (weight.cells, weight.size) == (len(within), sum(within.values()))
    assert weight.middle in within


def test_one_account_has_no_middle(store: Store) -> None:
    assert weighed(store) == Weight(0, 0, None)
    put(store, *[post(person(1), number) for number in range(20)])
    assert weighed(store)[0::2] == (20, None)
