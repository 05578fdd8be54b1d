"""The directory of a store: made private, and held by one process at a time.

The lock is an advisory `flock` on the file LOCK, which the kernel lets go when the process ends, however it
ends. The file's text is the process id, for the sentence that the second daemon prints.

Who reads a store beside its daemon (a backup, a scrub) shares a second lock, on the folder `store` itself: a
file may be read and written at once, but not be put in the place of one that somebody reads.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from folkmoot.storage.errors import (
    DiskFull,
    StorageError,
    StoreBeingRead,
    StoreLocked,
    StoreReadOnly,
    StoreUnusable,
)

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class DirectoryLock:
    """The lock on one data directory, held from construction until `release`.

    Args:
        directory: made (mode 0700, with its parents) when it does not exist.
        reading: whether the holder changes nothing: then a directory that cannot be written is locked all the
            same, without a word of who did. One without a lock file cannot be, and needs no lock: whoever
            writes there makes that file first.

    Raises:
        StoreLocked: another process, or this one, already has it.
        StoreReadOnly, StoreUnusable, DiskFull: the directory or the lock file cannot be made.
    """

    def __init__(self, directory: Path, *, reading: bool = False) -> None:
        self.path = directory / "LOCK"
        named = True
        try:
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            if not reading or error.errno not in _UNWRITABLE:
                raise os_failure(directory, error) from error
            named = False
            self._file = self._open_as_it_is(directory)
        if self._file >= 0:
            self._hold(directory, named)

    def _open_as_it_is(self, directory: Path) -> int:
        try:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return -1
        except OSError as error:
            raise os_failure(directory, error) from error

    def _hold(self, directory: Path, named: bool) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if named:
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).strip()
            os.close(self._file)
            raise StoreLocked(directory, int(holder) if holder.isdigit() else None) from None
        except OSError as error:
            os.close(self._file)
            raise os_failure(directory, error) from error

    def release(self) -> None:
        """Let others have the directory. Harmless when repeated."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class ReadersLock:
    """The lock on the folder of a store's file, held from construction until `release`.

    Args:
        store: the folder.
        alone: for who is to replace the file; otherwise it is shared.

    Raises:
        StoreBeingRead: who wants to be alone is not, or somebody else is.
        StoreReadOnly, StoreUnusable: the folder cannot be opened.
    """

    def __init__(self, store: Path, *, alone: bool = False) -> None:
        try:
            self._folder = os.open(store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise os_failure(store, error) from error
        try:
            fcntl.flock(self._folder, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._folder)
            raise StoreBeingRead(store) from None
        except OSError as error:
            os.close(self._folder)
            raise os_failure(store, error) from error

    def release(self) -> None:
        """Let others have the folder. Harmless when repeated."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to disk.

    Raises:
        OSError: it cannot be done.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def os_failure(path: Path, error: OSError) -> StorageError:
    """The typed error for what the operating system said about `path`."""
    reason = error.strerror or str(error)
    if error.errno in _UNWRITABLE:
        return StoreReadOnly(path, reason)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{path}: {reason}")
    return StoreUnusable(path, reason)
