"""Files on a simulated disk: what was not brought there before the power was cut may be there or not.

What counts is told apart as POSIX does. The bytes of a file are safe once the *file* was synced, its name
once its *folder* was; a rename is two names in two folders. Of what was written since, a crash keeps some: of
each write nothing, all or its first pages, of the changes of names in a folder the first few. The crash may
also come in the middle of what a program was at: then it does the first few of its steps, and no more.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from folkmoot.storage.media.files import Status

PAGE_BYTES: Final = 4_096


class PowerCut(BaseException):
    """The power is gone: whatever a program would have done next it does not."""


class _Inode:
    """A file, as programs see it and as it is on the disk."""

    def __init__(self, data: bytes = b"", at_us: int = 0) -> None:
        self.data = bytearray(data)
        self.at_us = at_us
        self.safe = (data, at_us)
        self.unsafe: list[tuple[int, bytes | None]] = []  # where what was written; or the new size

    def sync(self) -> None:
        self.safe = (bytes(self.data), self.at_us)
        self.unsafe.clear()

    def copy(self) -> _Inode:
        made = _Inode(*self.safe)
        made.data, made.at_us, made.unsafe = bytearray(self.data), self.at_us, list(self.unsafe)
        return made

    def crash(self, random: Random) -> _Inode:
        """What is left of it."""
        data = bytearray(self.safe[0])
        for offset, written in self.unsafe:
            if random.random() < 0.5:
                continue
            if written is None:
                data[offset:] = bytes(max(0, offset - len(data)))
            else:
                pages = -(-len(written) // PAGE_BYTES)
                kept = written[: random.randint(1, pages) * PAGE_BYTES] if pages else b""
                data.extend(bytes(max(0, offset - len(data))))
                data[offset : offset + len(kept)] = kept
        return _Inode(bytes(data), random.choice((self.at_us, self.safe[1])))


class _Folder:
    """A folder, as programs see it and as it is on the disk."""

    def __init__(self) -> None:
        self.names: dict[str, _Inode | _Folder] = {}
        self.safe: dict[str, _Inode | _Folder] = {}
        self.unsafe: list[tuple[str, _Inode | _Folder | None]] = []

    def put(self, name: str, what: _Inode | _Folder) -> None:
        self.names[name] = what
        self.unsafe.append((name, what))

    def remove(self, name: str) -> None:
        del self.names[name]
        self.unsafe.append((name, None))

    def sync(self) -> None:
        self.safe = dict(self.names)
        self.unsafe.clear()

    def copy(self) -> _Folder:
        copies: dict[int, _Inode | _Folder] = {}

        def of(what: _Inode | _Folder) -> _Inode | _Folder:
            if id(what) not in copies:
                copies[id(what)] = what.copy()
            return copies[id(what)]

        made = _Folder()
        made.names = {name: of(what) for name, what in self.names.items()}
        made.safe = {name: of(what) for name, what in self.safe.items()}
        made.unsafe = [(name, None if what is None else of(what)) for name, what in self.unsafe]
        return made

    def crash(self, random: Random) -> _Folder:
        """What is left of it and of all that is in it."""
        left = dict(self.safe)
        for name, what in self.unsafe[: random.randint(0, len(self.unsafe))]:
            if what is None:
                left.pop(name, None)
            else:
                left[name] = what
        made = _Folder()
        made.names = {name: what.crash(random) for name, what in left.items()}
        made.safe = dict(made.names)
        return made


class SimulatedFile:
    """An open file; see `storage.media.files.File`."""

    def __init__(self, files: SimulatedFiles, inode: _Inode) -> None:
        self._files = files
        self._inode = inode

    def read(self, size: int, offset: int) -> bytes:
        """See `File`."""
        return bytes(self._inode.data[offset : offset + size])

    def write(self, data: bytes, offset: int) -> None:
        """See `File`."""
        self._files.step()
        inode = self._inode
        inode.data.extend(bytes(max(0, offset - len(inode.data))))
        inode.data[offset : offset + len(data)] = data
        inode.unsafe.append((offset, bytes(data)))

    def resize(self, size: int) -> None:
        """See `File`."""
        self._files.step()
        data = self._inode.data
        data[size:] = bytes(max(0, size - len(data)))
        self._inode.unsafe.append((size, None))

    def sync(self) -> None:
        """See `File`."""
        self._files.step()
        self._inode.sync()

    def close(self) -> None:
        """See `File`."""


class SimulatedFiles:
    """See the module, and `storage.media.files.Files`.

    Attributes:
        on_unlink: told of each file that is taken away.
    """

    def __init__(self) -> None:
        self.on_unlink: Callable[[Path], None] = lambda path: None
        self._root = _Folder()
        self._steps_left: int | None = None

    def copy(self) -> SimulatedFiles:
        """The same files on another disk."""
        made = SimulatedFiles()
        made._root = self._root.copy()
        return made

    def crash(self, random: Random) -> SimulatedFiles:
        """What is there after a power cut; who had these open changes nothing of it any more."""
        made = SimulatedFiles()
        made._root = self._root.crash(random)
        return made

    def cut_after(self, steps: int | None) -> None:
        """Have the power fail after so many changes more; None for never."""
        self._steps_left = steps

    def is_safe(self, path: Path) -> bool:
        """Whether a file would be there after a power cut, as it is now."""
        at: _Inode | _Folder | None = self._root
        for part in path.parts:
            if not isinstance(at, _Folder):
                return False
            at = at.safe.get(part)
        return isinstance(at, _Inode) and at.safe[0] == at.data

    def step(self) -> None:
        """Something is about to change.

        Raises:
            PowerCut: there is no power for it.
        """
        if self._steps_left is not None:
            if not self._steps_left:
                raise PowerCut
            self._steps_left -= 1

    def create(self, path: Path, *, anew: bool = False) -> SimulatedFile:
        """See `Files`."""
        self.step()
        folder = self._folder(path.parent)
        found = folder.names.get(path.name)
        if found is None:
            found = _Inode()
            folder.put(path.name, found)
        elif not anew or isinstance(found, _Folder):
            raise FileExistsError(errno.EEXIST, "there is one", str(path))
        else:
            found.data.clear()
            found.unsafe.append((0, None))
        return SimulatedFile(self, found)

    def open(self, path: Path, *, write: bool = False) -> SimulatedFile:
        """See `Files`."""
        return SimulatedFile(self, self._file(path))

    def exists(self, path: Path) -> bool:
        """See `Files`."""
        return self._find(path) is not None

    def status(self, path: Path) -> Status:
        """See `Files`."""
        found = self._file(path)
        return Status(len(found.data), found.at_us)

    def set_time(self, path: Path, at_us: int) -> None:
        """See `Files`."""
        self.step()
        self._file(path).at_us = at_us

    def rename(self, old: Path, new: Path) -> None:
        """See `Files`."""
        self.step()
        inode = self._file(old)
        if old == new:
            return
        self._folder(new.parent).put(new.name, inode)
        self._folder(old.parent).remove(old.name)

    def unlink(self, path: Path) -> None:
        """See `Files`."""
        self.step()
        self._file(path)
        self._folder(path.parent).remove(path.name)
        self.on_unlink(path)

    def names(self, folder: Path) -> list[str]:
        """See `Files`."""
        return list(self._folder(folder).names)

    def make_folder(self, folder: Path) -> None:
        """See `Files`; what it lies in is a node's data directory, which is always there."""
        at = self._root
        for part in folder.parent.parts:
            found = at.names.get(part)
            if found is None:
                found = at.safe[part] = at.names[part] = _Folder()
            assert isinstance(found, _Folder), "a file stands where a folder is to be"
            at = found
        if folder.name not in at.names:
            self.step()
            at.put(folder.name, _Folder())

    def remove_folder(self, folder: Path) -> None:
        """See `Files`."""
        self.step()
        if self._folder(folder).names:
            raise OSError(errno.ENOTEMPTY, "it is not empty", str(folder))
        self._folder(folder.parent).remove(folder.name)

    def sync_folder(self, folder: Path) -> None:
        """See `Files`."""
        self.step()
        self._folder(folder).sync()

    def free_bytes(self, folder: Path) -> int | None:
        """See `Files`."""
        return None

    def _find(self, path: Path) -> _Inode | _Folder | None:
        at: _Inode | _Folder | None = self._root
        for part in path.parts:
            if not isinstance(at, _Folder):
                return None
            at = at.names.get(part)
        return at

    def _file(self, path: Path) -> _Inode:
        found = self._find(path)
        if not isinstance(found, _Inode):
            raise FileNotFoundError(errno.ENOENT, "there is no such file", str(path))
        return found

    def _folder(self, path: Path) -> _Folder:
        found = self._find(path)
        if not isinstance(found, _Folder):
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path))
        return found
