"""The ordered key-value interface: both engines do the same."""

from __future__ import annotations

import pytest
from folkmoot.protocol.limits import KIB, MIB
from folkmoot.storage.errors import DiskFull, StoreClosed
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.memory_engine import MemoryEngine, row_bytes
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.conftest import Engines


def write(engine: Engine, rows: dict[bytes, bytes], table: Table = Table.CELLS) -> None:
    with engine.begin(write=True) as transaction:
        for key, value in rows.items():
            transaction.put(table, key, value)
        transaction.commit()


def contents(engine: Engine, table: Table = Table.CELLS) -> dict[bytes, bytes]:
    with engine.begin() as transaction:
        return dict(transaction.scan(table))


def test_a_commit_is_seen_and_an_abort_is_not(engine: Engine) -> None:
    write(engine, {b"a": b"1", b"b": b"2"})
    with engine.begin(write=True) as transaction:
        transaction.put(Table.CELLS, b"a", b"changed")
        transaction.put(Table.CELLS, b"c", b"new")
        assert transaction.delete(Table.CELLS, b"b")
        assert transaction.get(Table.CELLS, b"a") == b"changed"
        assert transaction.get(Table.CELLS, b"b") is None
        assert [key for key, _ in transaction.scan(Table.CELLS)] == [b"a", b"c"]
    assert contents(engine) == {b"a": b"1", b"b": b"2"}


def test_tables_are_apart(engine: Engine) -> None:
    for table in Table:
        write(engine, {b"key": table.name.encode()}, table)
    for table in Table:
        assert contents(engine, table) == {b"key": table.name.encode()}


def test_insert_never_replaces_and_delete_says_whether(engine: Engine) -> None:
    with engine.begin(write=True) as transaction:
        assert transaction.insert(Table.META, b"a", b"1")
        assert not transaction.insert(Table.META, b"a", b"2")
        assert transaction.get(Table.META, b"a") == b"1"
        assert transaction.delete(Table.META, b"a")
        assert not transaction.delete(Table.META, b"a")
        assert transaction.count(Table.META) == 0


KEYS = (b"a", b"b", b"ba", b"c", b"\xff", b"\xff\xff")


@pytest.mark.parametrize("start", [b"", b"\0", b"a", b"b", b"bb", b"\xff", b"\xff\xff\xff"])
@pytest.mark.parametrize("stop", [b"", b"\0", b"a", b"b", b"bb", b"\xff", b"\xff\xff\xff"])
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_bounds(engine: Engine, start: bytes, stop: bytes, reverse: bool) -> None:
    write(engine, {key: key for key in KEYS})
    expected = [key for key in KEYS if start <= key and (not stop or key < stop)]
    with engine.begin() as transaction:
        rows = list(transaction.scan(Table.CELLS, start, stop, reverse=reverse))
    assert rows == [(key, key) for key in (reversed(expected) if reverse else expected)]


@pytest.mark.parametrize("start", [b"", b"b", b"bb", b"\xff\xff\xff"])
@pytest.mark.parametrize("stop", [b"", b"\0", b"b", b"bb", b"\xff\xff\xff"])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_last_is_the_beginning_of_a_scan_backwards(
    engine: Engine, start: bytes, stop: bytes, limit: int
) -> None:
    write(engine, {key: key for key in KEYS})
    with engine.begin() as transaction:
        backwards = list(transaction.scan(Table.CELLS, start, stop, reverse=True))
        assert transaction.last(Table.CELLS, start, stop, limit) == backwards[:limit]
        assert transaction.last(Table.LOG, start, stop, limit) == []
        assert transaction.holds(Table.CELLS, start, stop) is bool(backwards)
        assert not transaction.holds(Table.LOG, start, stop)


def test_scan_of_an_empty_table(engine: Engine) -> None:
    with engine.begin() as transaction:
        assert list(transaction.scan(Table.LOG)) == []
        assert list(transaction.scan(Table.LOG, b"a", b"b", reverse=True)) == []


def test_commits_are_counted_once_each(engine: Engine) -> None:
    before = engine.commits
    write(engine, {bytes((i,)): b"x" for i in range(200)})
    assert engine.commits == before + 1
    with engine.begin(write=True) as transaction:
        transaction.put(Table.CELLS, b"k", b"v")
    assert engine.commits == before + 1


def test_a_restart_finds_what_was_committed(engines: Engines) -> None:
    engine = engines.make()
    write(engine, {b"a": b"1"})
    write(engine, {b"a": b"2", b"b": b"3"})
    assert contents(engines.reopen(engine)) == {b"a": b"2", b"b": b"3"}


def test_a_closed_engine_says_so(engine: Engine) -> None:
    engine.close()
    with pytest.raises(StoreClosed):
        engine.begin()


@pytest.mark.parametrize("swallowed", [False, True])
def test_a_full_map_undoes_the_batch_and_nothing_else(engines: Engines, swallowed: bool) -> None:
    engine = engines.make(cap_bytes=256 * KIB, map_bytes=256 * KIB)
    write(engine, {b"kept": b"1"})
    with engine.begin(write=True) as transaction, pytest.raises(DiskFull):
        for i in range(1000):
            try:
                transaction.put(Table.CELLS, i.to_bytes(2, "big"), bytes(1000))
            except DiskFull:
                if not swallowed:
                    raise
        transaction.commit()
    assert contents(engine) == {b"kept": b"1"}
    write(engine, {b"kept": b"2"})
    assert contents(engine) == {b"kept": b"2"}


def test_usage_counts_what_is_live(engines: Engines) -> None:
    engine = engines.make(cap_bytes=8 * MIB)
    empty = engine.usage()
    assert empty.cap_bytes == 8 * MIB <= empty.map_bytes
    rows = {i.to_bytes(2, "big"): bytes(1000) for i in range(1000)}
    write(engine, rows)
    full = engine.usage()
    assert full.live_bytes - empty.live_bytes >= 1000 * 1000
    assert full.fraction == full.live_bytes / full.cap_bytes
    with engine.begin(write=True) as transaction:
        for key in rows:
            transaction.delete(Table.CELLS, key)
        transaction.commit()
    emptied = engine.usage()
    assert emptied.live_bytes < empty.live_bytes + 100 * KIB
    assert engines.kind == "memory" or emptied.file_bytes >= full.live_bytes > 2 * emptied.live_bytes


OPERATIONS = st.lists(
    st.lists(st.tuples(st.integers(0, 30), st.one_of(st.none(), st.binary(max_size=8))), max_size=8),
    max_size=8,
)


@given(operations=OPERATIONS, aborted=st.sets(st.integers(0, 7)))
def test_memory_is_a_dictionary_with_transactions(
    operations: list[list[tuple[int, bytes | None]]], aborted: set[int]
) -> None:
    engine = MemoryEngine(journal_commits=3)
    model: dict[bytes, bytes] = {}
    for index, changes in enumerate(operations):
        after = dict(model)
        with engine.begin(write=True) as transaction:
            for number, value in changes:
                key = bytes((number,))
                if value is None:
                    assert transaction.delete(Table.CELLS, key) == (after.pop(key, None) is not None)
                else:
                    transaction.put(Table.CELLS, key, value)
                    after[key] = value
            if index not in aborted:
                transaction.commit()
                model = after
        assert contents(engine) == dict(sorted(model.items()))
        assert engine.usage().live_bytes == sum(row_bytes(key, value) for key, value in model.items())
    survivor = engine.crash()
    assert contents(survivor) == dict(sorted(model.items()))
