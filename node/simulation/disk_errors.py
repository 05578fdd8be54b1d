"""Reads that fail: an engine in front of a store's, whose disk answers some of them with EIO.

As with LMDB, a transaction in which a read has failed is good for nothing more: whatever else is asked of it
fails, too, and it cannot be committed. What fails outside of any job is then a commit that failed, after
which a node must end.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self

from folkmoot.storage.errors import CommitFailed, StoreCorrupt
from folkmoot.storage.interface import Engine, Table, Transaction, Usage

EIO: Final = os.strerror(errno.EIO)
"""What the system says, and so the store's errors and the log."""


class FallibleEngine:
    """See the module.

    Args:
        engine: the sound one.
        fails: asked before every read whether it fails.
    """

    beside_bytes: int = 0

    def __init__(self, engine: Engine, fails: Callable[[], bool]) -> None:
        self._engine = engine
        self._fails = fails

    @property
    def commits(self) -> int:
        return self._engine.commits

    @property
    def cap_bytes(self) -> int:
        return self._engine.cap_bytes

    def room_bytes(self) -> int:
        return self._engine.room_bytes()

    def begin(self, *, write: bool = False) -> Transaction:
        return FallibleTransaction(self._engine.begin(write=write), self._fails)

    def usage(self) -> Usage:
        return self._engine.usage()

    def close(self) -> None:
        self._engine.close()


class FallibleTransaction:
    """A transaction of `FallibleEngine`."""

    __slots__ = ("_broken", "_fails", "_transaction")

    def __init__(self, transaction: Transaction, fails: Callable[[], bool]) -> None:
        self._transaction = transaction
        self._fails = fails
        self._broken: StoreCorrupt | None = None

    def get(self, table: Table, key: bytes) -> bytes | None:
        self._read(table)
        return self._transaction.get(table, key)

    def scan(
        self, table: Table, start: bytes = b"", stop: bytes = b"", *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        self._read(table)
        yield from self._transaction.scan(table, start, stop, reverse=reverse)

    def last(self, table: Table, start: bytes, stop: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        self._read(table)
        return self._transaction.last(table, start, stop, limit)

    def holds(self, table: Table, start: bytes, stop: bytes) -> bool:
        self._read(table)
        return self._transaction.holds(table, start, stop)

    def count(self, table: Table) -> int:
        return self._transaction.count(table)

    def live_bytes(self) -> int:
        return self._transaction.live_bytes()

    def insert(self, table: Table, key: bytes, value: bytes) -> bool:
        self._read(table)
        return self._transaction.insert(table, key, value)

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        self._read(table)
        self._transaction.put(table, key, value)

    def delete(self, table: Table, key: bytes) -> bool:
        self._read(table)
        return self._transaction.delete(table, key)

    def commit(self) -> None:
        if self._broken is not None:
            raise CommitFailed(f"a read before it had failed: {EIO}")
        self._transaction.commit()

    def abort(self) -> None:
        self._transaction.abort()

    def _read(self, table: Table) -> None:
        """A page is read, as every access does."""
        if self._broken is None and self._fails():
            self._broken = StoreCorrupt(f"table {table.name.lower()}", EIO)
        if self._broken is not None:
            raise self._broken

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()
