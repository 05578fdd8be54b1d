"""The tiny ordered key-value interface on which the whole store is one logic.

Two engines implement it: LMDB and memory. Keys and values are bytes; the order of keys is the order of
their bytes. One write transaction at a time; any number of readers, each seeing the last commit before it
began. A commit that returned is on disk.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from folkmoot.protocol.limits import DISK_WARN


class Table(enum.IntEnum):
    """The tables of a store. Numbers index; names (in lower case) are what is on disk."""

    CELLS = 0  # cell key → row (see `rows`)
    LOG = 1  # lane, sequence → cell key (this and all that follow: sealed, see `rows`)
    BLOCKS = 2  # block → count and sum of its cells
    COUNTS = 3  # place prefix, post item → likes and reposts
    HINTS = 4  # node id, cell key → since when, and at which sequence
    HINT_NODES = 5  # node id → how many hints, and since when
    META = 6  # name → a small value
    REGISTERS = 7  # name → what this node's seat promised and accepted
    REGISTER_LOG = 8  # change → name, and name → change, of registers that others follow
    ACCOUNTS = 9  # account → its chain (see `accounts`)
    HANDLES = 10  # register of a handle, account → nothing
    UNCONFIRMED = 11  # change → a post whose key could not be confirmed when it was taken
    ENTRIES = 12  # index, generation, group, member → value (see `projections`)
    TALLIES = 13  # index, generation, group → how many entries
    SOURCES = 14  # projection, generation, cell key → the entries made of it
    CURSORS = 15  # how far projections have come, and which generations there are
    POLICIES = 16  # hash → a policy document (see `policies`)
    REFUSALS = 17  # when, number → what the gate has sent back (see `refusals`)
    JUDGED = 18  # key of a post's cell → what the gate knew of it (see `judged`)
    JUDGED_ORDER = 19  # when it was judged → key of its cell
    DRAWS = 20  # number drawn by chance, post's key → what this node drew for a blind review (see `draws`)
    WAITING = 21  # key of a held cell whose version waits for review → nothing (see `waiting`)


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a store is.

    Args:
        live_bytes: in pages that hold something.
        file_bytes: the file's length; what is not live is free for reuse and never given back.
        map_bytes: the hard bound of the file.
        cap_bytes: the operator's disk cap.
        room_bytes: what may be live in all, against which writes are admitted: the cap, or what the disk has.
    """

    live_bytes: int
    file_bytes: int
    map_bytes: int
    cap_bytes: int
    room_bytes: int

    @property
    def fraction(self) -> float:
        """How much of the room is live; past 1 on a disk that others have filled."""
        return self.live_bytes / max(1, self.room_bytes)

    @property
    def warn(self) -> bool:
        """Whether it is time to tell the operator: writes will soon be refused."""
        return self.fraction >= DISK_WARN


class Transaction(Protocol):
    """One transaction; used as a context manager, which aborts what was not committed."""

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value at `key`, or None."""
        ...

    def scan(
        self, table: Table, start: bytes = b"", stop: bytes = b"", *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """The rows with start ≤ key < stop in order (an empty `stop` is the end); nothing may be written
        meanwhile."""
        ...

    def last(self, table: Table, start: bytes, stop: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """The last `limit` rows with start ≤ key < stop, last first: a `scan` backwards in one step."""
        ...

    def holds(self, table: Table, start: bytes, stop: bytes) -> bool:
        """Whether there is a row with start ≤ key < stop: the cheapest question of all."""
        ...

    def count(self, table: Table) -> int:
        """How many rows a table has."""
        ...

    def live_bytes(self) -> int:
        """As `Usage.live_bytes`, as this transaction sees it."""
        ...

    def insert(self, table: Table, key: bytes, value: bytes) -> bool:
        """Write unless the key exists; whether it was written.

        Raises:
            DiskFull: the map is full; the transaction can only be aborted.
        """
        ...

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Write, replacing.

        Raises:
            DiskFull: the map is full; the transaction can only be aborted.
        """
        ...

    def delete(self, table: Table, key: bytes) -> bool:
        """Remove; whether there was something to remove."""
        ...

    def commit(self) -> None:
        """Make everything durable, at once or not at all. Returns after the fsync.

        Raises:
            DiskFull: nothing was changed.
            CommitFailed: nobody knows; the process must end.
        """
        ...

    def abort(self) -> None:
        """Forget everything. Harmless after a commit."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Engine(Protocol):
    """An open store's engine.

    Attributes:
        beside_bytes: what is kept beside the store and counts for its disk cap, too.
    """

    beside_bytes: int

    @property
    def commits(self) -> int:
        """How many commits (each one fsync) this engine has made."""
        ...

    @property
    def cap_bytes(self) -> int:
        """The operator's disk cap."""
        ...

    def room_bytes(self) -> int:
        """How many bytes may be live in all: the cap, or less where the disk has less. At least 0."""
        ...

    def begin(self, *, write: bool = False) -> Transaction:
        """Start a transaction; a write transaction begins and ends on one thread."""
        ...

    def usage(self) -> Usage: ...

    def close(self) -> None:
        """Let go of the directory. Every transaction has ended before."""
        ...
