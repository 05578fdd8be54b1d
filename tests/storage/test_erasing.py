"""Erasing: after a slice is gone, the store is as if nothing had ever been in it."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import block_of, block_slices, lane_of
from folkmoot.protocol.limits import BLOCKS, STORE_BLOCK_PLAIN_CELLS
from folkmoot.protocol.record import Record
from folkmoot.storage import mending, recount
from folkmoot.storage.erasing import Erased, erase
from folkmoot.storage.interface import Table
from folkmoot.storage.mending import Surroundings
from folkmoot.storage.rows import unseal
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction
from folkmoot.storage.verify import verify

from tests.storage.conftest import Engines
from tests.storage.making import (
    ABSENT,
    NOW_US,
    cells_of,
    deletion,
    label,
    open_store,
    person,
    post,
    put,
    reaction,
    run,
)

OTHER_ABSENT = b"absent-node-0002"
PEOPLE = [person(number) for number in range(1, 9)]


def erase_all(store: Store, start: bytes, end: bytes, most: int = 7) -> list[Erased]:
    """What each of as many transactions as it takes removed."""
    done: list[Erased] = []
    at: bytes | None = start
    while at is not None:
        [erased] = run(store, partial(erase, start=at, end=end, most=most))
        done.append(erased)
        at = erased.resume
    return done


def history(random: Random, people: list[KeyPair]) -> list[Record]:
    """What people did: posts, edits, deletions, reactions, some taken back, and labels."""
    records = []
    for stamp in range(1, 120):
        who, whose, number = random.choice(people), random.choice(people), random.randrange(1, 5)
        done = [
            post(whose, number, f"words {stamp}", stamp=stamp),
            deletion(whose, number, stamp=stamp),
            reaction("like", who, whose, number, on=stamp % 3 > 0, stamp=stamp),
            reaction("repost", who, whose, number, on=stamp % 4 > 0, stamp=stamp),
            label(who, whose, number, stamp=stamp),
        ]
        records.append(random.choice(done))
    return records


def keep(store: Store, records: list[Record], hinted: Random) -> None:
    """Put records one by one; of some cells it is remembered that somebody lacks them."""

    def work(record: Record, nodes: list[bytes], tx: WriteTransaction) -> None:
        tx.put_record(record)
        for node in nodes:
            tx.hint(node, record.key, NOW_US)

    for record in records:
        nodes = [node for node in (ABSENT, OTHER_ABSENT) if hinted.random() < 0.3]
        run(store, partial(work, record, nodes))


def without_positions(store: Store) -> dict[str, object]:
    """All that a store says, but for when: sequences go on when cells have come and gone."""
    with store.engine.begin() as transaction:
        cells = {key: row[8:-4] for key, row in transaction.scan(Table.CELLS)}
        log = [(at[:1], unseal(Table.LOG, at, row)) for at, row in transaction.scan(Table.LOG)]
        hints = {key: row[:8] for key, row in transaction.scan(Table.HINTS)}
        others = {
            table.name: list(transaction.scan(table))
            for table in (Table.BLOCKS, Table.COUNTS, Table.HINT_NODES)
        }
    return {"cells": cells, "log": log, "hints": hints, **others}


@pytest.mark.parametrize("seed", range(4))
def test_a_store_that_lost_a_slice_equals_one_that_never_had_it(engines: Engines, seed: int) -> None:
    random = Random(seed)
    records = history(random, PEOPLE)
    keys = sorted({record.key for record in records})
    # Bounds lie anywhere, in the middle of an account too.
    start, end = sorted(random.sample([b"", *keys], 2))
    if seed % 3 == 0:
        end = b""
    here, never = open_store(engines.make()), open_store(engines.make())
    keep(here, records, Random(seed))

    def outside(record: Record) -> bool:
        return record.key < start or (end != b"" and record.key >= end)

    hinted = Random(seed)
    for record in records:
        chosen = Random()
        chosen.setstate(hinted.getstate())
        hinted.random(), hinted.random()
        if outside(record):
            keep(never, [record], chosen)
    erased = erase_all(here, start, end)
    assert sum(each.cells for each in erased) == sum(not outside_key(key, start, end) for key in keys)
    assert without_positions(here) == without_positions(never)
    assert verify(here.engine, signatures=True).ok
    assert here.fingerprint(b"", b"") == never.fingerprint(b"", b"")
    # What comes back later is kept as if it were new.
    keep(here, records, Random(seed + 1))
    assert verify(here.engine).ok
    assert cells_of(here).keys() == set(keys)


def outside_key(key: bytes, start: bytes, end: bytes) -> bool:
    return key < start or (end != b"" and key >= end)


def test_after_any_transaction_the_store_is_whole(engines: Engines) -> None:
    """A crash between two of them leaves less to be erased, and nothing else."""
    engine = engines.make()
    store = open_store(engine)
    keep(store, history(Random(1), PEOPLE), Random(1))
    at: bytes | None = b""
    left = len(cells_of(store))
    while at is not None:
        [erased] = run(store, partial(erase, start=at, end=b"", most=5))
        at = erased.resume
        engine = engines.reopen(engine)
        store = open_store(engine)
        assert verify(engine).ok
        assert len(cells_of(store)) == left - erased.cells
        left -= erased.cells
    assert left == 0 and not store.holds(b"", b"")
    assert store.hint_states() == {}


def test_a_slice_in_which_nothing_is(store: Store) -> None:
    put(store, post(PEOPLE[0], 1))
    key = post(PEOPLE[0], 1).key
    sequence = store.sequence
    assert erase_all(store, key + b"\0", b"") == [Erased(0, [], None)]
    assert store.sequence == sequence and store.holds(key, b"")


def test_hints_without_cells_are_taken_back_too(store: Store) -> None:
    keys = [post(PEOPLE[0], number).key for number in range(30)]

    def work(tx: WriteTransaction) -> None:
        for key in keys:
            tx.hint(ABSENT, key, NOW_US)

    run(store, work)
    assert store.hint_states()[ABSENT].waiting == 30
    erase_all(store, b"", b"", most=7)
    assert store.hint_states() == {}
    assert verify(store.engine).ok


def test_what_a_group_does_before_and_after_counts(store: Store) -> None:
    ann, ben = PEOPLE[:2]
    put(store, post(ann, 1), reaction("like", ben, ann, 1))

    def work(tx: WriteTransaction) -> Erased:
        tx.put_record(reaction("like", PEOPLE[2], ann, 1))
        tx.hint(ABSENT, post(ann, 1).key, NOW_US)
        erased = erase(tx, b"", b"", 100)
        tx.put_record(reaction("repost", ben, ann, 1))
        return erased

    assert run(store, work) == [Erased(3, [], None)]
    assert cells_of(store).keys() == {reaction("repost", ben, ann, 1).key}
    assert verify(store.engine).ok


@pytest.mark.parametrize("kind", ["post", "like"])
def test_damaged_cells_stand_until_they_are_dropped(store: Store, kind: str) -> None:
    ann, ben = PEOPLE[:2]
    record = post(ann, 1) if kind == "post" else reaction("like", ben, ann, 1)
    put(store, post(ann, 2), reaction("like", PEOPLE[2], ann, 1), record)
    with store.engine.begin(write=True) as transaction:
        transaction.put(Table.CELLS, record.key, b"damaged")
        transaction.commit()
    erased = erase_all(store, b"", b"")
    assert [key for each in erased for key in each.damaged] == [record.key]
    assert store.holds(b"", b"")
    around = Surroundings(store.engine, record.key, store.damage.note)
    while around.step():
        pass
    assert run(store, lambda tx: mending.drop(tx, around)) == [True]
    assert not store.holds(b"", b"")
    assert verify(store.engine).ok
    assert without_positions(store)["BLOCKS"] == []


def test_what_is_whole_is_not_dropped(store: Store) -> None:
    record = post(PEOPLE[0], 1)
    put(store, record)
    around = Surroundings(store.engine, record.key, store.damage.note)
    assert run(store, lambda tx: mending.drop(tx, around)) == [False]
    assert cells_of(store).keys() == {record.key}


def test_what_is_remembered_of_a_heavy_block_is_not_what_is_gone(store: Store) -> None:
    """Its log names what has changed, and nothing names what was erased."""
    ann = PEOPLE[0]
    records = [post(ann, number) for number in range(2 * STORE_BLOCK_PLAIN_CELLS)]
    put(store, *records)
    middle = records[STORE_BLOCK_PLAIN_CELLS // 2]
    assert store.fingerprint(middle.key, b"").count == len(records) - STORE_BLOCK_PLAIN_CELLS // 2
    gone = records[700:800]
    erase_all(store, gone[0].key, gone[-1].key + b"\0", most=64)
    assert store.fingerprint(middle.key, b"").count == len(cells_of(store)) - STORE_BLOCK_PLAIN_CELLS // 2
    put(store, *gone[:30])
    assert store.fingerprint(gone[0].key, records[900].key).count == 30 + 100


def test_a_recount_under_way_notices(store: Store) -> None:
    ann = PEOPLE[0]
    records = [post(ann, number) for number in range(20)]
    put(store, *records)
    block = block_of(records[0].key)
    count = recount.of_block(store.engine, block, store.damage.note)
    while count.step():
        pass
    erase_all(store, records[3].key, records[9].key)
    assert recount.is_wrong(store.engine, block, count) is None, "it cannot be told from what was read"
    count.catch_up()
    assert recount.is_wrong(store.engine, block, count) is False


def test_an_erasure_is_remembered_by_its_lane(store: Store) -> None:
    record = post(PEOPLE[0], 1)
    put(store, record)
    erase_all(store, b"", b"")
    assert store.meta_get(f"erased-{lane_of(record.key)}") == store.sequence.to_bytes(8, "big")


def test_slices_follow_blocks() -> None:
    assert len(list(block_slices(b"", b""))) == BLOCKS
    assert list(block_slices(b"\x00\x20", b"\x00\x40")) == [
        (b"\x00\x20", b"\x00\x30"),
        (b"\x00\x30", b"\x00\x40"),
    ]
    assert list(block_slices(b"\x00\x25", b"\x00\x31\x07")) == [
        (b"\x00\x25", b"\x00\x30"),
        (b"\x00\x30", b"\x00\x31\x07"),
    ]
    assert list(block_slices(b"\xff\xe0", b"")) == [(b"\xff\xe0", b"\xff\xf0"), (b"\xff\xf0", b"")]
    assert list(block_slices(b"\xff\xf3", b"\xff\xf3\x01")) == [(b"\xff\xf3", b"\xff\xf3\x01")]
    assert list(block_slices(b"\x10", b"\x10\x10")) == [(b"\x10", b"\x10\x10")]
