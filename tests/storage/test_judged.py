"""What was known of posts when they were judged: beside posts that are kept, and gone with them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from folkmoot.protocol.key import prefix_end
from folkmoot.protocol.limits import MIB
from folkmoot.protocol.moderation.bounds import VERSIONS_JUDGED
from folkmoot.protocol.moderation.decision import Action, Subject
from folkmoot.protocol.record import Record
from folkmoot.storage import judged, verify
from folkmoot.storage.erasing import erase
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.interface import Table
from folkmoot.storage.judged import Judged
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.store import Store

from tests.moderation.decisions import decided, signed
from tests.storage.making import NOW_US, deletion, open_store, person, post, put, run

ANN, BEN = person(1), person(2)


def known_of(record: Record, at: int = 0, rate: float = 1.0) -> Judged:
    return Judged(record.key, record.id, NOW_US + at, {"flood.author_rate": rate})


def keep(store: Store, *some: Judged, most: int = 100) -> int:
    kept: int = run(store, lambda tx: judged.keep(tx, some, most))[0]
    return kept


def known(store: Store, most: int = 100) -> list[Judged]:
    """All that is known, in the order of time, read a few at a time."""
    start, count = judged.latest(store.engine, most)
    found: list[Judged] = []
    while start is not None:
        stretch = judged.stretch(store.engine, start, 2)
        found += (each.judged for each in stretch.found)
        start = stretch.resume
    assert len(found) <= count
    return found


def rows_of(store: Store) -> Sequence[int]:
    with store.engine.begin() as transaction:
        return transaction.count(Table.JUDGED), transaction.count(Table.JUDGED_ORDER)


def test_what_is_known_is_told_in_the_order_of_time_with_its_post(store: Store) -> None:
    one, two, three = (post(ANN, number) for number in (1, 2, 3))
    put(store, one, two, three)
    assert keep(store, known_of(two, 20), known_of(one, 10), known_of(three, 30)) == 3
    assert known(store) == [known_of(one, 10), known_of(two, 20), known_of(three, 30)]
    assert known(store, most=2) == [known_of(two, 20), known_of(three, 30)]
    start, _ = judged.latest(store.engine, 100)
    assert start is not None
    assert [each.record for each in judged.stretch(store.engine, start, 9).found] == [one, two, three]
    assert judged.latest(store.engine, 0) == (None, 0)


def test_the_first_judgement_of_a_version_stays_and_posts_that_are_elsewhere_have_none(store: Store) -> None:
    here, elsewhere = post(ANN, 1), post(ANN, 2)
    put(store, here)
    assert keep(store, known_of(here), known_of(elsewhere)) == 1
    assert keep(store, known_of(here, 50, rate=9.0)) == 0
    assert known(store) == [known_of(here)]


def test_what_was_judged_longest_ago_gives_way(store: Store) -> None:
    posts = [post(ANN, number) for number in range(1, 6)]
    put(store, *posts)
    keep(store, *(known_of(each, number) for number, each in enumerate(posts)), most=3)
    assert known(store) == [known_of(each, number) for number, each in enumerate(posts)][2:]
    assert rows_of(store) == (3, 3)


def test_a_lower_bound_is_come_down_to_in_steps(store: Store) -> None:
    posts = [post(ANN, number) for number in range(1, 10)]
    put(store, *posts)
    some = [known_of(each, number) for number, each in enumerate(posts)]
    keep(store, *some[:8])
    keep(store, some[8], most=2)
    assert known(store) == some[2:], "two go for one that comes"
    run(store, lambda tx: judged.trim(tx.rows, 2, 3))
    assert known(store) == some[5:]
    run(store, lambda tx: judged.trim(tx.rows, 0, 100))
    assert judged.count(store.engine) == 0 and rows_of(store) == (0, 0)


def test_the_newest_versions_of_a_post_are_known(store: Store) -> None:
    versions = [post(ANN, 1, f"version {stamp}", stamp=stamp) for stamp in range(1, VERSIONS_JUDGED + 3)]
    for at, version in enumerate(versions):
        put(store, version)
        keep(store, known_of(version, at))
    assert [each.record for each in known(store)] == [each.id for each in versions[2:]]
    assert rows_of(store) == (1, VERSIONS_JUDGED)


def test_rows_are_kept_as_far_as_there_is_room_for_what_they_take() -> None:
    store = open_store(MemoryEngine(cap_bytes=MIB))
    posts = [post(ANN, number) for number in range(1, 151)]
    put(store, *posts)
    some = [known_of(each)._replace(scores={"ab" * 32: [0.5] * 400}) for each in posts]
    with pytest.raises(DiskFull):
        keep(store, *some)
    assert rows_of(store) == (0, 0)
    assert keep(store, *some[:10]) == 10


@pytest.mark.parametrize("held", [False, True])
def test_nothing_is_known_of_a_post_that_was_deleted(store: Store, held: bool) -> None:
    one, other = post(ANN, 1), post(ANN, 2)
    run(store, lambda tx: tx.put_record(one, held=held))
    put(store, other)
    assert keep(store, known_of(one), known_of(other)) == 2
    run(store, lambda tx: tx.put_record(deletion(ANN, 1), held=held))
    assert known(store) == [known_of(other)] and rows_of(store) == (1, 1)
    assert keep(store, known_of(one), known_of(deletion(ANN, 1))) == 0, "it was deleted before it was kept"
    assert known(store) == [known_of(other)]


def test_nothing_is_known_of_a_post_that_went_to_another_node(store: Store) -> None:
    one, other = post(ANN, 1), post(BEN, 1)
    put(store, one, other)
    keep(store, known_of(one), known_of(other))
    start = one.key[:40]
    run(store, lambda tx: erase(tx, start, prefix_end(start), 100))
    assert known(store) == [known_of(other)]
    assert verify.verify(store.engine).ok


def test_what_was_judged_stands_in_both_orders(store: Store) -> None:
    one, other = post(ANN, 1), post(BEN, 1)
    put(store, one, other)
    keep(store, known_of(one), known_of(other, 1))
    run(store, lambda tx: tx.rows.delete(Table.JUDGED_ORDER, known_of(one).at))
    [found] = verify.verify(store.engine).findings
    assert (found.table, found.where) == ("judged", one.key.hex())
    run(store, lambda tx: tx.rows.delete(Table.JUDGED, other.key))
    findings = verify.verify(store.engine).findings
    assert [(each.table, each.where) for each in findings] == [
        ("judged", one.key.hex()),
        ("judged_order", known_of(other, 1).at.hex()),
    ]


def test_what_people_decided_is_told_with_a_post(store: Store) -> None:
    one = post(ANN, 1)
    decision = decided(Action.REMOVE, subject=Subject("post", one.item), version=one.id)
    put(store, one, signed(decision, place=ANN.account))
    keep(store, known_of(one))
    [found] = judged.stretch(store.engine, known_of(one).at, 1).found
    assert found.outcome.settled() == [decision]
