"""The engine on disk: one LMDB environment, always synced.

The map's size is fixed when the environment is opened: the disk cap and some headroom for pages that a
transaction copies before the old ones may be reused. The file is sparse, so that headroom costs nothing,
and it is never resized while readers look at it. What the cap refuses is decided above, on live pages; the
map is only the last resort, and a full map undoes the batch.

The disk may have less than the cap, and admission counts that (see `room`); but others fill the same disk,
in between. A commit that meets a full one has changed nothing, because LMDB writes and syncs all pages before
the one that makes them the newest state (`mdb_txn_commit`: flush, sync, meta page).

py-lmdb hands `Error` subclasses for what it finds; each is given one of this package's types here.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import lmdb
from folkmoot.protocol.limits import STORE_MAX_READERS
from folkmoot.storage.directory import DIRECTORY_MODE, FILE_MODE, DirectoryLock, os_failure
from folkmoot.storage.errors import (
    CommitFailed,
    DiskFull,
    StorageError,
    StoreClosed,
    StoreCorrupt,
    StoreReadOnly,
    StoreUnusable,
)
from folkmoot.storage.interface import Table, Usage
from folkmoot.storage.room import free_bytes, map_bytes_for, room_bytes_for, take_room_for, was_cut_short

SPARE_READ_TRANSACTIONS: Final = 8
COMPACTED: Final = "compact.mdb"  # a copy on its way into the place of `data.mdb` (see `compaction`)
# What LMDB makes of `lock.mdb`: 64 bytes a reader, and a heading of less than a page.
LOCK_BYTES: Final = 64 * STORE_MAX_READERS + 4096
DAMAGED = (
    lmdb.InvalidError,
    lmdb.CorruptedError,
    lmdb.VersionMismatchError,
    lmdb.PageNotFoundError,
    lmdb.IncompatibleError,
)


def audit(directory: Path) -> list[str]:
    """Read the closed file of the store in `directory` page by page, without LMDB, and say what is wrong.

    Opening a file whose pages are damaged can end the process; this cannot. It needs py-lmdb 3, and finds
    nothing without it.

    Raises:
        StoreCorrupt: the file is so far from being LMDB's that there are no pages to read.
        StoreLocked: a daemon has the store open.
        StoreUnusable, StoreReadOnly: it cannot be read.
    """
    lock = DirectoryLock(directory, reading=True)
    try:
        return audit_pages(directory / "store" / "data.mdb")
    finally:
        lock.release()


def audit_pages(data: Path) -> list[str]:
    """As `audit`, for who has the directory's lock."""
    if importlib.util.find_spec("lmdb.verify") is None:
        return []
    verifier = importlib.import_module("lmdb.verify")
    try:
        problems: list[str] = verifier.verify(str(data))
    except verifier.VerifyError as error:
        raise StoreCorrupt(str(data), str(error)) from error
    except OSError as error:
        raise os_failure(data, error) from error
    return problems


class LmdbEngine:
    """An open environment in `directory`/store, with the directory's lock.

    Args:
        directory: the node's data directory; made when it does not exist.
        cap_bytes: the operator's disk cap, in bytes of live pages.
        map_bytes: the hard bound of the file; by default `map_bytes_for(cap_bytes)`.
        free: how much the disk of a directory has free; see `room.free_bytes`.

    Raises:
        StoreLocked, StoreReadOnly, StoreUnusable, StoreCorrupt, DiskFull: see `errors`.
    """

    beside_bytes: int = 0

    def __init__(
        self,
        directory: Path,
        *,
        cap_bytes: int,
        map_bytes: int | None = None,
        free: Callable[[Path], int | None] = free_bytes,
    ) -> None:
        self._path = directory / "store"
        self._cap_bytes = cap_bytes
        self._free = free
        self._commits = 0
        self._lock = DirectoryLock(directory)
        try:
            self._env = _open(self._path, map_bytes or map_bytes_for(cap_bytes))
            try:
                self._check_length()
                self._env.reader_check()
                self._tables = self._open_tables()
                self._page_bytes: int = self._env.stat()["psize"]
            except BaseException:
                self._env.close()
                raise
        except BaseException:
            self._lock.release()
            raise

    @property
    def commits(self) -> int:
        return self._commits

    def begin(self, *, write: bool = False) -> LmdbTransaction:
        try:
            return LmdbTransaction(self, self._env.begin(write=write), self._tables)
        except DAMAGED as error:
            raise StoreCorrupt(str(self._path), str(error)) from error
        except lmdb.Error as error:
            raise StoreClosed from error

    @property
    def cap_bytes(self) -> int:
        return self._cap_bytes

    def room_bytes(self) -> int:
        # A process that read beside this one and was killed would keep freed pages from being used again.
        self._env.reader_check()
        # Asked of the file itself: a commit that was cut short leaves pages that LMDB does not count.
        file_bytes = (self._path / "data.mdb").stat().st_size
        return room_bytes_for(max(0, self._cap_bytes - self.beside_bytes), file_bytes, self._free(self._path))

    def usage(self) -> Usage:
        with self.begin() as transaction:
            live_bytes = transaction.live_bytes()
        info = self._env.info()
        return Usage(
            live_bytes=live_bytes,
            file_bytes=(info["last_pgno"] + 1) * self._page_bytes,
            map_bytes=info["map_size"],
            cap_bytes=self._cap_bytes,
            room_bytes=self.room_bytes(),
        )

    def close(self) -> None:
        self._env.close()
        self._lock.release()

    def committed(self) -> None:
        """Count a commit (for `LmdbTransaction`)."""
        self._commits += 1

    def had_no_room(self, error: lmdb.Error) -> bool:
        """Whether a commit failed for want of room and left everything as it was (for `LmdbTransaction`)."""
        if not was_cut_short(getattr(error, "code", None), self._free(self._path)):
            return False
        try:
            # When it failed later, at the page that makes a state the newest, LMDB begins nothing any more.
            self._env.begin(write=True).abort()
        except lmdb.Error:
            return False
        return True

    def live_bytes(self, transaction: lmdb.Transaction[bytes]) -> int:
        """Bytes of the pages that the tables and the table of tables stand on."""
        stats = [transaction.stat(table) for table in self._tables]
        stats.append(self._env.stat())
        pages = sum(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in stats)
        return pages * self._page_bytes

    def _open_tables(self) -> list[lmdb._Database]:
        try:
            with self._env.begin(write=True) as transaction:
                return [self._env.open_db(table.name.lower().encode(), transaction) for table in Table]
        except DAMAGED as error:
            raise StoreCorrupt(str(self._path), str(error)) from error
        except lmdb.Error as error:
            raise failure(self._path, error) from error

    def _check_length(self) -> None:
        """A page beyond the end of a cut-off file would be a fatal signal, not an error, when it is read.

        LMDB never writes pages that were taken and given back within one transaction, so a sound file may
        end a few of those early: it is stretched to its full length, and every page in use is then read.
        """
        data = self._path / "data.mdb"
        expected = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        found = data.stat().st_size
        if found >= expected:
            return
        reason = f"{found} bytes of a file that was {expected} bytes long"
        with data.open("r+b") as file:
            file.truncate(expected)
        try:
            self._read_everything()
        except lmdb.Error as error:
            raise StoreCorrupt(str(data), reason) from error

    def _read_everything(self) -> None:
        with self._env.begin() as transaction:
            names = [name for name, _ in transaction.cursor()]
        for name in names:
            database = self._env.open_db(name, create=False)
            with self._env.begin() as transaction:
                rows = sum(1 for _ in transaction.cursor(database))
                if rows != transaction.stat(database)["entries"]:
                    raise lmdb.CorruptedError(f"{rows} rows in table {name.decode()}")


class LmdbTransaction:
    """A transaction of `LmdbEngine`; made by its `begin`.

    After a failed write LMDB refuses the rest of the transaction; so does this, always with the first error.
    """

    __slots__ = ("_broken", "_engine", "_tables", "_transaction")

    def __init__(
        self, engine: LmdbEngine, transaction: lmdb.Transaction[bytes], tables: list[lmdb._Database]
    ) -> None:
        self._engine = engine
        self._transaction = transaction
        self._tables = tables
        self._broken: StorageError | None = None

    def get(self, table: Table, key: bytes) -> bytes | None:
        try:
            return self._transaction.get(key, db=self._tables[table])
        except lmdb.Error as error:
            raise self._broken or _read_failure(table, error) from error

    def scan(
        self, table: Table, start: bytes = b"", stop: bytes = b"", *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        try:
            cursor = self._transaction.cursor(self._tables[table])
            if reverse:
                if not (cursor.prev() if stop and cursor.set_range(stop) else cursor.last()):
                    return
                for row in cursor.iterprev():
                    if row[0] < start:
                        return
                    yield row
            elif cursor.set_range(start):
                for row in cursor.iternext():
                    if stop and row[0] >= stop:
                        return
                    yield row
        except lmdb.Error as error:
            raise self._broken or _read_failure(table, error) from error

    def last(self, table: Table, start: bytes, stop: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        try:
            cursor = self._transaction.cursor(self._tables[table])
            if not (cursor.prev() if stop and cursor.set_range(stop) else cursor.last()):
                return []
            if cursor.key() < start:  # most ranges that are asked for are empty, and others' rows are long
                return []
            rows = list(islice(cursor.iterprev(), limit))
        except lmdb.Error as error:
            raise self._broken or _read_failure(table, error) from error
        while rows and rows[-1][0] < start:
            rows.pop()
        return rows

    def holds(self, table: Table, start: bytes, stop: bytes) -> bool:
        try:
            cursor = self._transaction.cursor(self._tables[table])
            return cursor.set_range(start) and (not stop or cursor.key() < stop)
        except lmdb.Error as error:
            raise self._broken or _read_failure(table, error) from error

    def count(self, table: Table) -> int:
        entries: int = self._transaction.stat(self._tables[table])["entries"]
        return entries

    def live_bytes(self) -> int:
        return self._engine.live_bytes(self._transaction)

    def insert(self, table: Table, key: bytes, value: bytes) -> bool:
        try:
            return self._transaction.put(key, value, overwrite=False, db=self._tables[table])
        except lmdb.Error as error:
            raise self._write_failure(table, error) from error

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        try:
            self._transaction.put(key, value, db=self._tables[table])
        except lmdb.Error as error:
            raise self._write_failure(table, error) from error

    def delete(self, table: Table, key: bytes) -> bool:
        try:
            return self._transaction.delete(key, db=self._tables[table])
        except lmdb.Error as error:
            raise self._write_failure(table, error) from error

    def commit(self) -> None:
        if self._broken is not None:
            raise self._broken
        try:
            self._transaction.commit()
        except lmdb.MapFullError as error:
            raise DiskFull(str(error)) from error
        except lmdb.Error as error:
            if self._engine.had_no_room(error):
                raise DiskFull(f"the disk is full ({error})") from error
            raise CommitFailed(str(error)) from error
        self._engine.committed()

    def abort(self) -> None:
        self._transaction.abort()

    def _write_failure(self, table: Table, error: lmdb.Error) -> StorageError:
        if self._broken is None:
            full = isinstance(error, lmdb.MapFullError)
            self._broken = DiskFull(str(error)) if full else _read_failure(table, error)
        return self._broken

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transaction.abort()


def _open(path: Path, map_bytes: int) -> lmdb.Environment:
    data = path / "data.mdb"
    fresh = False
    try:
        path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        fresh = not data.exists()
        if not fresh and data.stat().st_size == 0:
            # LMDB would take it for a new store, and a node that lost everything must not pass for a new one.
            raise StoreCorrupt(str(data), "it is empty")
        (path / COMPACTED).unlink(missing_ok=True)  # of a compaction that was cut off
        take_room_for(path / "lock.mdb", LOCK_BYTES)
        return lmdb.open(
            str(path),
            map_size=map_bytes,
            mode=FILE_MODE,
            sync=True,
            metasync=True,
            writemap=False,
            max_readers=STORE_MAX_READERS,
            max_dbs=len(Table) + 1,
            max_spare_txns=SPARE_READ_TRANSACTIONS,
        )
    except OSError as error:
        raise os_failure(path, error) from error
    except DAMAGED as error:
        raise StoreCorrupt(str(data), str(error)) from error
    except lmdb.Error as error:
        if fresh:
            # What there is of it would be refused from now on, as a store that has lost everything.
            data.unlink(missing_ok=True)
        raise failure(path, error) from error


def failure(path: Path, error: lmdb.Error) -> StorageError:
    """The typed error for a failure to open."""
    text = str(error)
    if isinstance(error, lmdb.ReadonlyError) or "Permission denied" in text or "Read-only" in text:
        return StoreReadOnly(path, text)
    if isinstance(error, lmdb.MapFullError) or was_cut_short(getattr(error, "code", None), free_bytes(path)):
        return DiskFull(f"{path}: {text}")
    return StoreUnusable(path, text)


def _read_failure(table: Table, error: lmdb.Error) -> StoreCorrupt:
    return StoreCorrupt(f"table {table.name.lower()}", str(error))
