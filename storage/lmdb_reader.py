"""The engine of a second process: reads a store that its node may have open meanwhile, and changes nothing.

LMDB lets any number of processes read beside the one that writes. Each transaction sees the last commit
before it began and keeps the pages of that state from being used again for as long as it lives, so those who
read a whole store do it in many short ones.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import lmdb
from folkmoot.protocol.limits import MIB, STORE_MAX_READERS
from folkmoot.storage.directory import DirectoryLock, ReadersLock, os_failure
from folkmoot.storage.errors import StoreCorrupt, StoreLocked, StoreReadOnly, StoreUnusable
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import DAMAGED, LmdbEngine, audit_pages, failure
from folkmoot.storage.room import free_bytes

# The node may start with a larger map meanwhile; what is mapped and not there costs nothing.
_MAP_SPARE: Final = 64 * 1024 * MIB
_BESIDE: Final = (
    "nothing can be written there, as reading beside a daemon takes: stop it first, or run this as its user"
)


def check_at_rest(directory: Path) -> None:
    """Where no node runs: what a node looks at when it opens a store, its file's length before all.

    Raises:
        StorageError: as `LmdbEngine`, but for `StoreLocked`: a running node has looked.
    """
    size = _size(directory)
    with contextlib.suppress(StoreLocked):
        LmdbEngine(directory, cap_bytes=max(MIB, size)).close()


class LmdbReader(LmdbEngine):
    """A read-only view of the environment in `directory`/store.

    Args:
        directory: a node's data directory.
        alone: whether nobody else may read it now: for who is to replace its file.
        locked: whether LMDB's own lock file says what is read; who has the directory's lock can do without.

    Raises:
        StoreBeingRead, StoreReadOnly, StoreUnusable, StoreCorrupt: see `errors`.
    """

    def __init__(self, directory: Path, *, alone: bool = False, locked: bool = True) -> None:
        self._path = directory / "store"
        self._free = free_bytes
        self._commits = 0
        self._cap_bytes = _size(directory)
        self._readers = ReadersLock(self._path, alone=alone)
        try:
            self._env = _open(self._path, self._cap_bytes + _MAP_SPARE, locked)
            try:
                self._tables = self._open_tables()
                self._page_bytes = self._env.stat()["psize"]
            except BaseException:
                self._env.close()
                raise
        except BaseException:
            self._readers.release()
            raise

    def room_bytes(self) -> int:
        return self._cap_bytes

    def close(self) -> None:
        self._env.close()
        self._readers.release()

    def _open_tables(self) -> list[lmdb._Database]:
        try:
            return [self._env.open_db(table.name.lower().encode(), create=False) for table in Table]
        except (*DAMAGED, lmdb.NotFoundError) as error:
            raise StoreCorrupt(str(self._path), str(error)) from error


class LmdbAtRest(LmdbReader):
    """A read-only view of the store of a node that does not run, where nothing can be written.

    Args:
        directory: a node's data directory.

    Raises:
        StoreLocked: the node runs.
        StoreBeingRead, StoreReadOnly, StoreUnusable, StoreCorrupt: see `errors`.
    """

    def __init__(self, directory: Path) -> None:
        data = directory / "store" / "data.mdb"
        self._lock = DirectoryLock(directory, reading=True)
        try:
            # A file that ends early cannot be stretched here, so its pages are looked at before LMDB does.
            if problems := audit_pages(data):
                raise StoreCorrupt(str(data), problems[0])
            super().__init__(directory, locked=False)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        super().close()
        self._lock.release()


def open_beside(directory: Path) -> LmdbReader:
    """The store of a node that runs or not, to be read; where nothing can be written, of one that does not.

    Raises:
        StorageError: as `check_at_rest` and `LmdbReader`, or `LmdbAtRest` where nothing can be written.
    """
    try:
        check_at_rest(directory)
    except StoreReadOnly:
        try:
            return LmdbAtRest(directory)
        except StoreLocked as error:
            raise StoreLocked(directory, error.pid, _BESIDE) from error
    return LmdbReader(directory)


def open_at_rest(directory: Path) -> tuple[LmdbEngine, bool]:
    """The store of a node that does not run, to be looked into; and whether it can be written.

    Raises:
        StorageError: as `LmdbEngine`, or `LmdbAtRest` where nothing can be written.
    """
    try:
        # The map is as large as the file is, whatever the cap: nothing is written here.
        return LmdbEngine(directory, cap_bytes=max(MIB, _size(directory))), True
    except StoreReadOnly:
        return LmdbAtRest(directory), False


def _size(directory: Path) -> int:
    """The length of the file of the store in `directory`.

    Raises:
        StoreUnusable, StoreReadOnly: there is none, or it cannot be looked at.
        StoreCorrupt: it is empty.
    """
    data = directory / "store" / "data.mdb"
    try:
        size = data.stat().st_size
    except FileNotFoundError as error:
        raise StoreUnusable(directory, "there is no store in it") from error
    except OSError as error:
        raise os_failure(data, error) from error
    if size == 0:
        raise StoreCorrupt(str(data), "it is empty")
    return size


def _open(path: Path, map_bytes: int, locked: bool) -> lmdb.Environment:
    try:
        return lmdb.open(
            str(path),
            map_size=map_bytes,
            readonly=True,
            lock=locked,
            create=False,
            sync=True,
            metasync=True,
            writemap=False,
            max_readers=STORE_MAX_READERS,
            max_dbs=len(Table) + 1,
        )
    except DAMAGED as error:
        raise StoreCorrupt(str(path / "data.mdb"), str(error)) from error
    except lmdb.Error as error:
        raise failure(path, error) from error
