"""What is left of a memory store after a crash: whole finished commits, and at most those."""

from __future__ import annotations

import pytest
from folkmoot.storage.errors import StoreClosed
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.verify import verify

from tests.storage.making import cells_of, dump, open_store, person, post, put

ANN = person(1)


def test_finished_commits_survive_and_the_unfinished_one_does_not() -> None:
    engine = MemoryEngine()
    store = open_store(engine)
    put(store, post(ANN, 1), post(ANN, 2))
    before = dump(store)
    torn = store.write()
    torn.put_record(post(ANN, 3))
    survivor = open_store(engine.crash())
    assert dump(survivor) == before
    with pytest.raises(StoreClosed):
        store.get_cell(post(ANN, 1).key)
    put(survivor, post(ANN, 3))
    assert len(cells_of(survivor)) == 3 and verify(survivor.engine).ok


@pytest.mark.parametrize("lost", [0, 1, 2, 4])
def test_lost_commits_are_lost_whole_newest_first(lost: int) -> None:
    engine = MemoryEngine()
    store = open_store(engine)
    states = [dump(store)]
    for group in range(4):
        put(store, post(ANN, group), post(ANN, group + 10), post(ANN, 0, "edited", stamp=group + 2))
        states.append(dump(store))
    survivor = open_store(engine.crash(lose_commits=lost))
    assert dump(survivor) == states[4 - lost]
    assert verify(survivor.engine).ok


def test_a_journal_that_forgets_keeps_what_it_forgot() -> None:
    engine = MemoryEngine(journal_commits=2)
    store = open_store(engine)
    for number in range(6):
        put(store, post(ANN, number))
    with pytest.raises(AssertionError):
        engine.crash(lose_commits=3)
    assert len(cells_of(open_store(engine.crash(lose_commits=2)))) == 4


def test_crash_after_crash() -> None:
    store = open_store(MemoryEngine())
    for number in range(5):
        put(store, post(ANN, number))
        engine = store.engine
        assert isinstance(engine, MemoryEngine)
        usage = engine.usage()
        store = open_store(engine.crash())
        assert store.usage() == usage
    assert len(cells_of(store)) == 5


def test_a_reader_may_not_be_open_where_its_thread_writes() -> None:
    engine = MemoryEngine()
    with engine.begin() as reader:
        assert reader.count(Table.CELLS) == 0
        with pytest.raises(AssertionError, match="a reader is open"):
            engine.begin(write=True)
