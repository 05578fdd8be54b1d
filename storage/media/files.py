"""What media ask of a file system, and the one of the machine.

A simulated node has another one, which forgets at a power cut what was never brought to disk.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, Protocol

from folkmoot.storage.directory import DIRECTORY_MODE, FILE_MODE, sync_folder
from folkmoot.storage.room import free_bytes


class Status(NamedTuple):
    """What is known of a file without reading it.

    Attributes:
        size: in bytes.
        changed_us: its time of change, microseconds since 1970.
    """

    size: int
    changed_us: int


class File(Protocol):
    """A file that is open. Everything may raise `OSError`."""

    def read(self, size: int, offset: int) -> bytes:
        """Up to so many bytes from a place on; fewer only at the end."""
        ...

    def write(self, data: bytes, offset: int) -> None:
        """Write all of `data` at a place."""
        ...

    def resize(self, size: int) -> None:
        """Have it be so long; what comes to it is zeros."""
        ...

    def sync(self) -> None:
        """Bring what it holds, and its time of change, to disk."""
        ...

    def close(self) -> None: ...


class Files(Protocol):
    """See the module. Everything may raise `OSError`, such as `FileNotFoundError`."""

    def create(self, path: Path, *, anew: bool = False) -> File:
        """A new file, empty.

        Args:
            path: where.
            anew: whether one that is there is emptied; else there must be none.
        """
        ...

    def open(self, path: Path, *, write: bool = False) -> File: ...

    def exists(self, path: Path) -> bool:
        """Whether there is a file, or a folder."""
        ...

    def status(self, path: Path) -> Status: ...

    def set_time(self, path: Path, at_us: int) -> None:
        """Say when a file was changed, microseconds since 1970."""
        ...

    def rename(self, old: Path, new: Path) -> None: ...

    def unlink(self, path: Path) -> None: ...

    def names(self, folder: Path) -> list[str]:
        """What is in a folder, in no order."""
        ...

    def make_folder(self, folder: Path) -> None:
        """Make a folder, unless there is one."""
        ...

    def remove_folder(self, folder: Path) -> None:
        """Take a folder away that is empty."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Bring the names in a folder to disk."""
        ...

    def free_bytes(self, folder: Path) -> int | None:
        """How much room the disk has; None when nobody knows."""
        ...


class OsFile:
    """A file of the machine.

    Args:
        descriptor: taken over.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int, offset: int) -> bytes:
        """See `File`."""
        return os.pread(self._descriptor, size, offset)

    def write(self, data: bytes, offset: int) -> None:
        """See `File`; the system may take little at once."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            view, offset = view[written:], offset + written

    def resize(self, size: int) -> None:
        """See `File`."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """See `File`."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """See `File`."""
        os.close(self._descriptor)


class OsFiles:
    """The file system of the machine; see `Files`."""

    def create(self, path: Path, *, anew: bool = False) -> OsFile:
        """See `Files`; nobody else may read it."""
        how = os.O_TRUNC if anew else os.O_EXCL
        return OsFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | how, FILE_MODE))

    def open(self, path: Path, *, write: bool = False) -> OsFile:
        """See `Files`."""
        return OsFile(os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC))

    def exists(self, path: Path) -> bool:
        """See `Files`."""
        return path.exists()

    def status(self, path: Path) -> Status:
        """See `Files`."""
        found = path.stat()
        return Status(found.st_size, found.st_mtime_ns // 1000)

    def set_time(self, path: Path, at_us: int) -> None:
        """See `Files`."""
        os.utime(path, ns=(at_us * 1000, at_us * 1000))

    def rename(self, old: Path, new: Path) -> None:
        """See `Files`."""
        old.rename(new)

    def unlink(self, path: Path) -> None:
        """See `Files`."""
        path.unlink()

    def names(self, folder: Path) -> list[str]:
        """See `Files`."""
        return [each.name for each in folder.iterdir()]

    def make_folder(self, folder: Path) -> None:
        """See `Files`; nobody else may look into it."""
        folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)

    def remove_folder(self, folder: Path) -> None:
        """See `Files`."""
        folder.rmdir()

    def sync_folder(self, folder: Path) -> None:
        """See `Files`."""
        sync_folder(folder)

    def free_bytes(self, folder: Path) -> int | None:
        """See `Files`."""
        return free_bytes(folder)
