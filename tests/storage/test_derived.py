"""What is derived from cells: block sums, counts, pages, hints, and that `verify` would notice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import reduce
from itertools import pairwise

import pytest
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import block_of, block_start, place_prefix
from folkmoot.protocol.limits import HINT_AGE_S
from folkmoot.protocol.record import Record
from folkmoot.protocol.sync.fingerprint import Fingerprint
from folkmoot.storage import counts, hints
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction
from folkmoot.storage.verify import verify
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.making import (
    ABSENT,
    NOW_US,
    cells_of,
    deletion,
    dump,
    join_cell,
    label,
    log_page,
    open_store,
    person,
    post,
    post_item,
    put,
    reaction,
    run,
)

ANN, BEN, CAT = person(1), person(2), person(3)


def obvious_fingerprint(store: Store, start: bytes, stop: bytes) -> Fingerprint:
    hashes = [
        int.from_bytes(hashlib.sha256(key + cell).digest(), "big")
        for key, cell in cells_of(store).items()
        if start <= key and (not stop or key < stop)
    ]
    return Fingerprint(len(hashes), reduce(lambda total, one: (total + one) % 2**256, hashes, 0))


def test_fingerprints_of_any_slice_equal_the_sum_over_its_cells(store: Store) -> None:
    put(store, *(post(person(i), number) for i in range(40) for number in range(3)))
    put(store, *(deletion(person(i), 1) for i in range(0, 40, 7)))
    keys = sorted(cells_of(store))
    bounds = sorted({b"", b"\0", b"\0\0", b"\x80", b"\xff\xff", b"\xff\xff\xff"})
    bounds += [block_start(block_of(key)) for key in keys[::17]]
    bounds += [block_start(block_of(key) + 1) for key in keys[::19]]
    bounds += [key[:2] for key in keys[::23]] + [key[:9] for key in keys[::29]] + keys[::13]
    for start in bounds:
        for stop in bounds:
            assert store.fingerprint(start, stop) == obvious_fingerprint(store, start, stop)


def test_whole_blocks_are_looked_up_and_edges_are_read(store: Store) -> None:
    record = post(ANN, 1)
    put(store, record)
    start, stop = block_start(block_of(record.key)), block_start(block_of(record.key) + 1)
    with store.engine.begin(write=True) as transaction:
        transaction.put(Table.CELLS, record.key, b"damaged")
        transaction.commit()
    for slice_start, slice_stop in ((start, stop), (b"", b""), (b"", stop), (start, b"")):
        assert store.fingerprint(slice_start, slice_stop).count == 1
    assert store.damage.keys == []
    for slice_start, slice_stop in ((record.key, stop), (record.key, b""), (start, record.key + b"\0")):
        assert store.fingerprint(slice_start, slice_stop).count == 0, "what is damaged counts as absent"
        assert store.damage.keys == [record.key]


def test_leaves_are_keys_and_hashes(store: Store) -> None:
    put(store, *(post(person(i), 1) for i in range(5)))
    expected = [(key, hashlib.sha256(key + cell).digest()) for key, cell in sorted(cells_of(store).items())]
    assert store.leaves(b"", b"", 100) == expected
    assert store.leaves(expected[1][0], expected[4][0], 2) == expected[1:3]


def counts_of(store: Store, author: KeyPair, number: int) -> tuple[int, int]:
    with store.engine.begin() as transaction:
        return counts.read(transaction, place_prefix(author.account) + post_item(number))


def test_counts_follow_the_flags(store: Store) -> None:
    put(store, post(ANN, 1), reaction("like", BEN, ANN, 1), reaction("like", CAT, ANN, 1))
    put(store, reaction("repost", CAT, ANN, 1), reaction("like", CAT, ANN, 2))
    assert counts_of(store, ANN, 1) == (2, 1)
    assert counts_of(store, ANN, 2) == (1, 0)
    put(store, reaction("like", BEN, ANN, 1, on=False, stamp=2), reaction("like", BEN, ANN, 1))
    assert counts_of(store, ANN, 1) == (1, 1)
    put(store, reaction("like", CAT, ANN, 2, on=False, stamp=2))
    assert counts_of(store, ANN, 2) == (0, 0)
    assert verify(store.engine).ok


def test_on_wins_between_devices(store: Store) -> None:
    off = reaction("like", BEN, ANN, 1, on=False, stamp=9)
    on = reaction("like", CAT, ANN, 1, author=BEN.account)
    put(store, off, on)
    assert counts_of(store, ANN, 1) == (1, 0)


def test_counts_of_joined_cells(store: Store) -> None:
    on, off = reaction("like", BEN, ANN, 1), reaction("like", BEN, ANN, 1, on=False, stamp=2)
    run(store, lambda tx: tx.join_cell(on.key, Cell.of(on).encode()))
    assert counts_of(store, ANN, 1) == (1, 0)
    run(store, lambda tx: tx.join_cell(on.key, Cell.of(off)))
    assert counts_of(store, ANN, 1) == (0, 0)


def test_a_held_like_is_not_counted(store: Store) -> None:
    run(store, lambda tx: tx.put_record(reaction("like", BEN, ANN, 1), held=True))
    assert counts_of(store, ANN, 1) == (0, 0)
    assert verify(store.engine).ok


def test_hints_coalesce_and_are_bounded_in_number(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "HINTS_PER_NODE", 3)
    keys = [post(ANN, number).key for number in range(4)]
    kept = run(store, *(lambda tx, key=key: tx.hint(ABSENT, key, NOW_US) for key in (*keys[:3], keys[0])))
    assert kept == [True] * 4
    assert store.hint_states() == {ABSENT: (3, NOW_US)} and store.hints_dropped == 0
    assert run(store, lambda tx: tx.hint(ABSENT, keys[3], NOW_US + 1)) == [False]
    assert store.hint_states() == {ABSENT: (3, NOW_US)} and store.hints_dropped == 1
    assert [hint.key for hint in store.hints_for(ABSENT, 10)] == keys[:3]
    assert [hint.key for hint in store.hints_for(ABSENT, 1, keys[0])] == [keys[1]]
    assert verify(store.engine).ok


def test_hints_are_bounded_in_age(store: Store) -> None:
    late_us = NOW_US + int(HINT_AGE_S * 1e6) + 1
    run(store, lambda tx: tx.hint(ABSENT, b"old", NOW_US))
    assert run(store, lambda tx: tx.hint(ABSENT, b"new", late_us)) == [False]
    assert [hint.key for hint in store.hints_for(ABSENT, 10)] == [b"old"]
    run(store, lambda tx: tx.unhint(ABSENT, store.hints_for(ABSENT, 10)))
    assert store.hint_states() == {}
    assert run(store, lambda tx: tx.hint(ABSENT, b"new", late_us)) == [True]


def test_a_change_during_delivery_keeps_its_hint(store: Store) -> None:
    first, second = post(ANN, 1), post(ANN, 1, "edited", stamp=2)

    def write(record: Record) -> None:
        run(store, lambda tx: (tx.put_record(record), tx.hint(ABSENT, record.key, NOW_US)))

    write(first)
    delivered = store.hints_for(ABSENT, 10)
    write(second)
    assert run(store, lambda tx: tx.unhint(ABSENT, delivered)) == [0]
    assert run(store, lambda tx: tx.unhint(ABSENT, store.hints_for(ABSENT, 10))) == [1]
    assert store.hint_states() == {}


def test_what_was_dropped_leaves_no_trace(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "HINTS_PER_NODE", 0)
    before = dump(store)
    assert run(store, lambda tx: tx.hint(ABSENT, b"key", NOW_US)) == [False]
    assert dump(store) == before and store.hints_dropped == 1


def test_meta_values(store: Store) -> None:
    assert store.meta_get("incarnation") is None
    run(store, lambda tx: tx.meta_put("incarnation", b"7"))
    assert store.meta_get("incarnation") == b"7"
    assert run(store, lambda tx: tx.meta_get("incarnation")) == [b"7"]


RECORDS: list[Record] = [
    *(post(author, number, stamp=stamp) for author in (ANN, BEN) for number in (1, 2) for stamp in (1, 2, 3)),
    *(deletion(author, number, stamp=4) for author in (ANN, BEN) for number in (1, 2)),
    *(post(CAT, 1, "by another device", stamp=stamp, author=ANN.account) for stamp in (2, 6)),
    *(
        reaction(kind, who, ANN, number, on=stamp != 2, stamp=stamp)
        for kind in ("like", "repost")
        for who in (BEN, CAT)
        for number in (1, 2)
        for stamp in (1, 2, 3)
    ),
    *(label(CAT, ANN, number) for number in (1, 2)),
]
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "join", "held", "hint", "fail"]), st.lists(st.sampled_from(RECORDS))),
    max_size=12,
)


def acting(what: str, records: list[Record]) -> Callable[[WriteTransaction], None]:
    """The job of one step."""

    def act(tx: WriteTransaction) -> None:
        for record in records:
            if what == "join":
                tx.join_cell(record.key, Cell.of(record).encode())
            else:
                tx.put_record(record, held=what == "held")
            if what == "hint":
                tx.hint(ABSENT, record.key, NOW_US)
        if what == "fail":
            raise RuntimeError("after changing something")

    return act


@given(steps=STEPS, torn=st.integers(0, 3))
def test_everything_derived_equals_its_recomputation(
    steps: list[tuple[str, list[Record]]], torn: int
) -> None:
    """I10, after any operations, failing jobs and a crash that loses the last commits."""
    engine = MemoryEngine()
    store = open_store(engine)
    for what, records in steps:
        before = cells_of(store)
        if what == "fail":
            with pytest.raises(RuntimeError):
                run(store, acting(what, records))
            assert cells_of(store) == before
        else:
            run(store, acting(what, records))
        assert store.fingerprint(b"", b"") == obvious_fingerprint(store, b"", b"")
    assert verify(engine, signatures=True).findings == ()
    survivor = engine.crash(lose_commits=min(torn, engine.commits - 1))
    assert verify(survivor).findings == ()


def test_the_order_of_arrival_does_not_matter(engine: Engine) -> None:
    one = open_store(engine)
    put(one, *RECORDS)
    other = open_store(MemoryEngine())
    for record in reversed(RECORDS):
        join_cell(other, record.key, Cell.of(record))
    assert cells_of(one) == cells_of(other)
    assert one.fingerprint(b"", b"") == other.fingerprint(b"", b"")
    assert counts_of(one, ANN, 1) == counts_of(other, ANN, 1)


def test_sequences_ascend_by_lane_over_groups(store: Store) -> None:
    for number in range(5):
        put(store, *(post(person(i), number) for i in range(20)))
    for lane in range(64):
        entries = log_page(store, lane, 0, 1000)
        assert all(one.sequence < other.sequence for one, other in pairwise(entries))
    assert sum(len(log_page(store, lane, 0, 1000)) for lane in range(64)) == 100
