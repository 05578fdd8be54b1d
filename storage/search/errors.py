"""What can go wrong with an index. None of it concerns the store: an index is made anew from that."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from folkmoot.storage.errors import DiskFull, StorageError


class IndexDamaged(StorageError):
    """The file is damaged or unreadable: what it says is not to be believed, and it is made anew."""

    plainly = "this node's search index is being made anew; another node may answer"


# What says nothing of what is in the file: it cannot be written, or made, just now.
_NO_ROOM: Final = (
    "SQLITE_FULL",
    "SQLITE_CANTOPEN",
    "SQLITE_READONLY",
    "SQLITE_BUSY",
    "SQLITE_IOERR_WRITE",
    "SQLITE_IOERR_FSYNC",
    "SQLITE_IOERR_TRUNCATE",
    "SQLITE_IOERR_SHM",
)


@contextmanager
def of_index(where: str) -> Iterator[None]:
    """Have errors of SQLite's told as what they mean here.

    Args:
        where: the index, for people.

    Raises:
        DiskFull: there is no room, or nothing can be written; nothing was changed.
        IndexDamaged: anything else.
    """
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "").startswith(_NO_ROOM):
            raise DiskFull(f"{where}: {error}") from error
        raise IndexDamaged(f"{where}: {error}") from error
