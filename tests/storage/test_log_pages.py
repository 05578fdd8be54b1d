"""Pages of the change log: after moments the log went through, and otherwise where the asker says."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.key import KIND_BYTE, block_start, kind_prefix, lane_of, place_prefix, prefix_end
from folkmoot.protocol.limits import BLOCKS_PER_LANE, FOLLOW_EVENT_BYTES, FOLLOW_LOG_ROWS
from folkmoot.protocol.record import Record
from folkmoot.storage.boots import Moment, begin_boot
from folkmoot.storage.changes import changes_between
from folkmoot.storage.interface import Table
from folkmoot.storage.log_pages import LogAsked, LogPage
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.rows import log_key
from folkmoot.storage.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.making import LOG_ID, deletion, label, open_store, person, post, put, reaction, run

ANN, BEN = person(1), person(2)
ALL = LogAsked(b"", b"", LOG_ID, Moment(0, 0), None, 100, items=True)


def records_of(page: LogPage) -> list[Record | None]:
    return [Record.from_wire(codec.unpack(item)["record"]) if item else None for item in page.items]


def boot(store: Store, number: int) -> None:
    run(store, lambda transaction: begin_boot(transaction, number))


def test_what_stands_there_is_told_with_labels_and_counts(store: Store) -> None:
    first, edited = post(ANN, 1), post(ANN, 2)
    put(store, first, edited, reaction("like", BEN, ANN, 1), label(BEN, ANN, 1), deletion(ANN, 2))
    page = store.page_of_log(ALL)
    assert (page.exact, page.reached, page.head, page.damaged) == (True, 5, 5, 0)
    told = {
        record.id: codec.unpack(item)
        for record, item in zip(records_of(page), page.items, strict=True)
        if record
    }
    assert edited.id not in told and deletion(ANN, 2).id in told
    assert told[first.id]["counts"] == {"likes": 1, "reposts": 0, "replies": 0}
    assert told[first.id]["labels"] == [label(BEN, ANN, 1).to_wire()]
    assert told[label(BEN, ANN, 1).id]["labels"] == []


def test_a_moment_the_log_went_through_is_gone_on_from_exactly(store: Store) -> None:
    boot(store, 5)
    put(store, *(post(ANN, number) for number in range(4)))
    after = store.page_of_log(ALL._replace(after=Moment(5, 3)))
    assert (after.exact, after.boot, [row.sequence for row in after.rows]) == (True, 5, [4, 5])
    boot(store, 6)
    put(store, post(ANN, 9))
    again = store.page_of_log(ALL._replace(after=Moment(5, 4)))
    assert (again.exact, again.boot, [row.sequence for row in again.rows]) == (True, 6, [5, 7])


@pytest.mark.parametrize(
    ("log", "after"),
    [
        (b"another-log-of16", Moment(5, 3)),
        (LOG_ID, Moment(4, 3)),
        (LOG_ID, Moment(5, 99)),
        (None, Moment(0, 0)),
    ],
)
def test_any_other_begins_where_the_asker_says(store: Store, log: bytes | None, after: Moment) -> None:
    boot(store, 5)
    put(store, *(post(ANN, number) for number in range(4)))
    asked = ALL._replace(log=log, after=after)
    assert store.page_of_log(asked) == LogPage(False, 5, [], [], 0, 5, 5)
    page = store.page_of_log(asked._replace(otherwise=2))
    assert (page.exact, [row.sequence for row in page.rows]) == (False, [3, 4, 5])


def test_what_a_disk_that_went_back_never_wrote_is_no_moment_of_its(engine: MemoryEngine) -> None:
    """It has passed the number again, which stands for another change by now."""
    store = open_store(engine)
    boot(store, 5)
    put(store, post(ANN, 1), post(ANN, 2))
    boot(store, 7)  # the disk was put back here, after boot 6 had come to change 9
    put(store, *(post(ANN, number) for number in range(10, 20)))
    assert not store.page_of_log(ALL._replace(after=Moment(6, 9))).exact


def test_kinds_that_are_not_wanted_are_passed_over(store: Store) -> None:
    mute = Record.sign(ANN, kind="mute", item=BEN.account, body={"on": True}, stamp=1)
    put(store, mute, post(ANN, 1))
    page = store.page_of_log(ALL._replace(without=frozenset({KIND_BYTE["mute"]})))
    assert [record and record.kind for record in records_of(page)] == ["post"]
    assert (page.reached, page.head) == (2, 2)


def test_a_page_has_at_most_so_many_items_and_bytes(store: Store) -> None:
    posts = [post(ANN, number, "x" * 3000) for number in range(100)]
    put(store, *posts)
    few = store.page_of_log(ALL._replace(most=3))
    assert (len(few.rows), few.reached) == (3, 3)
    told: list[Any] = []
    after = 0
    while after < store.sequence:
        page = store.page_of_log(ALL._replace(after=Moment(0, after)))
        assert sum(map(len, page.items)) <= FOLLOW_EVENT_BYTES and len(page.items) == len(page.rows)
        after = page.reached
        told += records_of(page)
    assert told == posts


def test_damage_is_passed_over_and_said(store: Store) -> None:
    put(store, post(ANN, 1), post(ANN, 2), post(ANN, 3))
    with store.engine.begin(write=True) as transaction:
        transaction.put(Table.CELLS, post(ANN, 1).key, b"damaged")
        transaction.put(Table.LOG, log_key(lane_of(post(ANN, 2).key), 2), b"damaged")
        transaction.commit()
    page = store.page_of_log(ALL)
    assert records_of(page) == [None, post(ANN, 3)]
    assert page.damaged == 1
    assert post(ANN, 1).key in store.damage.keys


LANES_CUT = st.tuples(st.integers(0, 64), st.integers(0, 64))


@settings(max_examples=60, deadline=None)
@given(
    writes=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 2)), max_size=40),
    cut=LANES_CUT,
    limit=st.integers(1, 200),
    most=st.integers(1, 5),
    ann=st.booleans(),
)
def test_slices_over_many_lanes_are_told_in_one_order(
    writes: list[tuple[int, int]], cut: tuple[int, int], limit: int, most: int, ann: bool
) -> None:
    """Against a sorted list; bounds at lanes' edges and within one, steps of any size."""
    engine = MemoryEngine()
    store = open_store(engine)
    latest: dict[bytes, int] = {}
    for step, (number, item) in enumerate(writes):
        record = post(person(number), item, stamp=step + 1)
        put(store, record)
        latest[record.key] = store.sequence
    first, last = sorted(cut)
    start, end = block_start(first * BLOCKS_PER_LANE), block_start(last * BLOCKS_PER_LANE)
    if first == 0:
        start = b""
    if ann:
        start, end = kind_prefix(ANN.account, "post"), prefix_end(place_prefix(ANN.account))
    if start and end and start >= end:
        return
    wanted = sorted((at, key) for key, at in latest.items() if start <= key and (not end or key < end))
    found: list[Any] = []
    after = 0
    for _ in range(64 * (len(latest) + 2)):
        with engine.begin() as transaction:
            page = changes_between(transaction, after, limit, start, end, most=most)
        assert len(page.rows) <= most and after <= page.reached <= page.head == store.sequence
        found += page.rows
        after = page.reached
        if after == page.head:
            break
    assert found == wanted


def test_a_quiet_slice_of_a_busy_lane_costs_a_bounded_read(store: Store) -> None:
    put(store, *(post(ANN, number) for number in range(FOLLOW_LOG_ROWS + 10)))
    beyond = prefix_end(place_prefix(ANN.account))
    page = store.page_of_log(
        ALL._replace(start=beyond, end=block_start((lane_of(beyond) + 1) * BLOCKS_PER_LANE))
    )
    assert (page.rows, page.reached) == ([], FOLLOW_LOG_ROWS)
