"""The engine in memory, for the simulator and for tests: sorted tables and a journal of commits.

The journal is what a disk would hold. `crash` gives the engine that a restart would find: finished commits,
whole, and nothing of what was under way; on request also without the last few, which is a group commit torn
before its end, or a disk that went back in time.

Stricter than LMDB on purpose: a reader may not be open while its own thread writes. The store never needs
it, and code that would is code that holds a reader too long.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from folkmoot.protocol.limits import MIB
from folkmoot.storage.errors import DiskFull, StoreClosed
from folkmoot.storage.interface import Table, Usage
from sortedcontainers import SortedDict

ROW_OVERHEAD_BYTES: Final = 16
JOURNAL_COMMITS: Final = 256


class Change(NamedTuple):
    """One row that a commit wrote, or deleted (value None)."""

    table: Table
    key: bytes
    value: bytes | None


_Base = list[dict[bytes, bytes]]


class MemoryEngine:
    """Tables in memory.

    Args:
        cap_bytes: as for LMDB; a row counts its bytes and a fixed overhead.
        map_bytes: past which a write raises `DiskFull`; by default the cap and a quarter of it.
        journal_commits: how many of the last commits `crash` can undo.
    """

    beside_bytes: int = 0

    def __init__(
        self,
        *,
        cap_bytes: int = 1024 * MIB,
        map_bytes: int | None = None,
        journal_commits: int = JOURNAL_COMMITS,
    ) -> None:
        self._cap_bytes = cap_bytes
        self.map_bytes = map_bytes or cap_bytes + cap_bytes // 4
        self.tables: list[Any] = [SortedDict() for _ in Table]
        self.live_bytes = 0
        self.open_readers = 0
        self.lock = threading.RLock()
        self._commits = 0
        self._closed = False
        self._journal_commits = journal_commits
        self._base: _Base = [{} for _ in Table]
        self._journal: deque[list[Change]] = deque()

    @property
    def commits(self) -> int:
        return self._commits

    @property
    def cap_bytes(self) -> int:
        return self._cap_bytes

    def room_bytes(self) -> int:
        return max(0, self._cap_bytes - self.beside_bytes)

    def begin(self, *, write: bool = False) -> MemoryTransaction:
        self.lock.acquire()
        try:
            if self._closed:
                raise StoreClosed
            assert not (write and self.open_readers), "a reader is open where this thread writes"
            return MemoryTransaction(self, write=write)
        except BaseException:
            self.lock.release()
            raise

    def usage(self) -> Usage:
        with self.begin():
            return Usage(self.live_bytes, self.live_bytes, self.map_bytes, self._cap_bytes, self.room_bytes())

    def close(self) -> None:
        with self.lock:
            self._closed = True

    def crash(self, *, lose_commits: int = 0) -> MemoryEngine:
        """The engine that a restart finds after this one stopped here; this one is closed.

        Args:
            lose_commits: how many finished commits are gone as well, newest first.
        """
        survivor = self.copy(lose_commits=lose_commits)
        self.close()
        return survivor

    def copy(self, *, lose_commits: int = 0) -> MemoryEngine:
        """An engine with what is committed in this one, which goes on; as `crash` gives it."""
        assert 0 <= lose_commits <= len(self._journal), "the journal does not reach back that far"
        survivor = MemoryEngine(
            cap_bytes=self._cap_bytes, map_bytes=self.map_bytes, journal_commits=self._journal_commits
        )
        survivor._base = [dict(table) for table in self._base]
        for changes in list(self._journal)[: len(self._journal) - lose_commits]:
            _apply(survivor._base, changes)
        survivor.tables = [SortedDict(table) for table in survivor._base]
        survivor.live_bytes = sum(
            row_bytes(key, value) for table in survivor._base for key, value in table.items()
        )
        return survivor

    def newest_changes(self, commits: int) -> list[Change]:
        """What the last `commits` commits changed, oldest first: for those who watch a simulation."""
        newest = list(self._journal)[len(self._journal) - commits :]
        return [change for changes in newest for change in changes]

    def append(self, changes: list[Change]) -> None:
        """Journal a commit (for `MemoryTransaction`)."""
        self._commits += 1
        self._journal.append(changes)
        if len(self._journal) > self._journal_commits:
            _apply(self._base, self._journal.popleft())


class MemoryTransaction:
    """A transaction of `MemoryEngine`; made by its `begin`, which took the engine's lock.

    Writes go straight into the tables; what they replaced is kept until the end, to be put back by `abort`.
    """

    def __init__(self, engine: MemoryEngine, *, write: bool) -> None:
        self._engine = engine
        self._write = write
        self._open = True
        self._changes: list[Change] = []
        self._undo: list[Callable[[], None]] = []
        self._broken: DiskFull | None = None
        engine.open_readers += not write

    def get(self, table: Table, key: bytes) -> bytes | None:
        value: bytes | None = self._engine.tables[table].get(key)
        return value

    def scan(
        self, table: Table, start: bytes = b"", stop: bytes = b"", *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._engine.tables[table]
        for key in rows.irange(start, stop or None, inclusive=(True, False), reverse=reverse):
            yield key, rows[key]

    def last(self, table: Table, start: bytes, stop: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return list(islice(self.scan(table, start, stop, reverse=True), limit))

    def holds(self, table: Table, start: bytes, stop: bytes) -> bool:
        return any(True for _ in self.scan(table, start, stop))

    def count(self, table: Table) -> int:
        return len(self._engine.tables[table])

    def live_bytes(self) -> int:
        return self._engine.live_bytes

    def insert(self, table: Table, key: bytes, value: bytes) -> bool:
        if key in self._engine.tables[table]:
            return False
        self.put(table, key, value)
        return True

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        before = self._engine.tables[table].get(key)
        grown = self._engine.live_bytes + row_bytes(key, value) - row_bytes(key, before)
        if grown > self._engine.map_bytes:
            self._broken = DiskFull(f"the map of {self._engine.map_bytes} bytes is full")
        if self._broken is not None:
            raise self._broken
        self._change(table, key, before, value)

    def delete(self, table: Table, key: bytes) -> bool:
        before = self._engine.tables[table].get(key)
        if before is None:
            return False
        self._change(table, key, before, None)
        return True

    def commit(self) -> None:
        assert self._write and self._open, "only an open write transaction is committed"
        if self._broken is not None:
            raise self._broken
        if self._changes:
            self._engine.append(self._changes)
        self._undo = []
        self._end()

    def abort(self) -> None:
        if self._open:
            for undo in reversed(self._undo):
                undo()
            self._end()

    def _change(self, table: Table, key: bytes, before: bytes | None, after: bytes | None) -> None:
        assert self._write and self._open, "only an open write transaction writes"
        self._undo.append(lambda: self._set(table, key, after, before))
        self._changes.append(Change(table, key, after))
        self._set(table, key, before, after)

    def _set(self, table: Table, key: bytes, before: bytes | None, after: bytes | None) -> None:
        self._engine.live_bytes += row_bytes(key, after) - row_bytes(key, before)
        if after is None:
            del self._engine.tables[table][key]
        else:
            self._engine.tables[table][key] = after

    def _end(self) -> None:
        self._open = False
        self._engine.open_readers -= not self._write
        self._engine.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


def row_bytes(key: bytes, value: bytes | None) -> int:
    """What a row counts for; nothing when it is not there."""
    return 0 if value is None else len(key) + len(value) + ROW_OVERHEAD_BYTES


def _apply(tables: _Base, changes: list[Change]) -> None:
    for table, key, value in changes:
        if value is None:
            tables[table].pop(key, None)
        else:
            tables[table][key] = value
