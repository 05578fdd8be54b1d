"""The change log, read on from a position: against a model, in steps of any length, over both engines."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from folkmoot.protocol.key import block_start, lane_of, place_prefix, prefix_end
from folkmoot.protocol.limits import BLOCKS_PER_LANE, LANES, MIB
from folkmoot.protocol.record import Record
from folkmoot.storage.changes import Change, Changes
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.rows import log_key
from folkmoot.storage.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.conftest import Engines
from tests.storage.making import deletion, open_store, person, post, put, reaction, run

ANN, BEN = person(1), person(2)
LANE = lane_of(place_prefix(ANN.account))


@contextmanager
def engine_of(kind: str) -> Iterator[Engine]:
    """An empty engine for one example."""
    with tempfile.TemporaryDirectory() as directory:
        engine: Engine = (
            LmdbEngine(Path(directory) / "s", cap_bytes=64 * MIB) if kind == "lmdb" else MemoryEngine()
        )
        try:
            yield engine
        finally:
            engine.close()


def read_all(store: Store, lane: int, limit: int, start: bytes, end: bytes, after: int = 0) -> list[Change]:
    """Everything after a position, read in steps; no step looks at more than it may."""
    found: list[Change] = []
    steps = 0
    while True:
        page = store.changes(lane, after, limit, start, end)
        assert len(page.rows) <= limit
        assert after <= page.reached <= page.head == store.sequence
        assert all(after < each.sequence <= page.reached for each in page.rows)
        found += page.rows
        after = page.reached
        if page.reached == page.head:
            return found
        steps += 1
        assert steps <= store.sequence, "each step that is not the last gets on"


# Two people in one lane among others; a write, a second write at the same key, a like, a deletion.
WRITES = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 3), st.sampled_from(["post", "edit", "like", "delete"])),
    max_size=40,
)


def written(number: int, item: int, what: str, stamp: int) -> Record:
    who = person(number)
    if what == "like":
        return reaction("like", BEN, who, item, stamp=stamp)
    if what == "delete":
        return deletion(who, item, stamp=stamp)
    return post(who, item, what, stamp=stamp)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["lmdb", "memory"]),
    writes=WRITES,
    limit=st.integers(1, 7),
    resumed_at=st.integers(0, 40),
    bounds=st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
def test_each_changed_cell_is_told_once_at_its_latest_change(
    kind: str,
    writes: list[tuple[int, int, str]],
    limit: int,
    resumed_at: int,
    bounds: tuple[int, int],
) -> None:
    with engine_of(kind) as engine:
        store = open_store(engine)
        latest: dict[bytes, int] = {}
        midway = 0
        for step, (number, item, what) in enumerate(writes):
            record = written(number, item, what, stamp=step + 1)
            if put(store, record)[0].changed:
                latest[record.key] = store.sequence
            if step == resumed_at:
                midway = store.sequence
        start, end = sorted(place_prefix(person(max(1, each)).account) for each in bounds)
        for lane in {lane_of(key) for key in latest} | {0}:
            ours = sorted((at, key) for key, at in latest.items() if lane_of(key) == lane)
            assert read_all(store, lane, limit, b"", b"") == ours
            late = [each for each in ours if each[0] > midway]
            assert read_all(store, lane, limit, b"", b"", midway) == late
            within = [each for each in ours if start <= each[1] < end]
            assert read_all(store, lane, limit, start, end) == within


def test_what_others_write_moves_the_position_on(store: Store) -> None:
    """Whoever follows a quiet slice of a busy lane does not look at the same rows again and again."""
    put(store, *(post(ANN, number) for number in range(10)))
    beyond = prefix_end(place_prefix(ANN.account))
    assert store.changes(LANE, 0, 4, beyond, b"") == Changes([], [], 4, 10)
    assert store.changes(LANE, 8, 4, beyond, b"") == Changes([], [], 10, 10)


def test_other_lanes_move_the_head_too(store: Store) -> None:
    other = next(each for each in map(person, range(2, 99)) if lane_of(place_prefix(each.account)) != LANE)
    put(store, post(ANN, 1), post(other, 1))
    assert store.changes(LANE, 0, 10) == Changes([Change(1, post(ANN, 1).key)], [], 2, 2)
    run(store, lambda transaction: transaction.meta_put("name", b"value"))
    assert store.changes(LANE, 2, 10) == Changes([], [], 3, 3)


def test_a_position_past_the_head_finds_nothing_and_says_where_the_head_is(store: Store) -> None:
    put(store, post(ANN, 1))
    assert store.changes(LANE, 7, 10) == Changes([], [], 1, 1)


def test_an_empty_store_has_no_changes(store: Store) -> None:
    assert store.changes(LANES - 1, 0, 10) == Changes([], [], 0, 0)


def test_the_last_lane_ends_with_the_log(store: Store) -> None:
    first = block_start((LANES - 1) * BLOCKS_PER_LANE)
    last = next(each for each in map(person, range(1, 999)) if place_prefix(each.account) >= first)
    put(store, post(last, 1))
    assert [each.key for each in store.changes(LANES - 1, 0, 10, first, b"").rows] == [post(last, 1).key]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_damaged_rows_are_told_and_stop_nothing(store: Store, number: int) -> None:
    records = [post(ANN, each) for each in range(1, 4)]
    put(store, *records)
    with store.engine.begin(write=True) as transaction:
        transaction.put(Table.LOG, log_key(LANE, number), b"not a row that was sealed")
        transaction.commit()
    whole = [Change(each, records[each - 1].key) for each in (1, 2, 3) if each != number]
    assert store.changes(LANE, 0, 10) == Changes(whole, [number], 3, 3)


def test_lanes_that_did_not_change_are_known_without_reading(engines: Engines) -> None:
    engine = engines.make()
    store = open_store(engine)
    other = next(each for each in map(person, range(2, 99)) if lane_of(place_prefix(each.account)) != LANE)
    put(store, post(ANN, 1), post(other, 1))
    bounds = [(place_prefix(each.account), prefix_end(place_prefix(each.account))) for each in (ANN, other)]
    put(store, post(ANN, 2))
    assert [store.may_have_changed(*each, 2) for each in bounds] == [True, False]
    run(store, lambda transaction: transaction.meta_put("name", b"value"))
    assert [store.may_have_changed(*each, 3) for each in bounds] == [False, False]
    assert store.may_have_changed(b"", b"", 2) and not store.may_have_changed(b"", b"", 3)
    again = open_store(engines.reopen(engine))
    assert [again.may_have_changed(*each, 3) for each in bounds] == [True, True], "it is not known any more"
    assert [again.may_have_changed(*each, 4) for each in bounds] == [False, False]
