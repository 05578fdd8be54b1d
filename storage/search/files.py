"""Where a node's indexes are kept: a folder with one file a generation, the latest whole one being read."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from folkmoot.storage.directory import os_failure
from folkmoot.storage.search.index import MEMORY, SearchIndex

FOLDER: Final = "search"
_FILE: Final = re.compile(r"index-(\d{1,9})\.db")
# What stands beside an index goes before it: of what is named after no index nobody would know.
_PARTS: Final = ("-wal", "-shm", "-journal", "")


class Indexes(Protocol):
    """The indexes of one node, by the numbers of their generations."""

    def generations(self) -> list[int]:
        """Those there are, in order."""
        ...

    def open(self, generation: int) -> SearchIndex:
        """Open one, or make it.

        Raises:
            IndexDamaged: it is damaged, or of another version.
            StorageError: the folder cannot be used.
        """
        ...

    def remove(self, generation: int) -> None:
        """Remove one, which is closed, or whatever there is of it."""
        ...


class FileIndexes:
    """Indexes in files.

    Args:
        directory: the node's data directory.
    """

    def __init__(self, directory: Path) -> None:
        self._folder = directory / FOLDER

    def generations(self) -> list[int]:
        """See `Indexes`."""
        try:
            names = [file.name for file in self._folder.iterdir()] if self._folder.exists() else []
        except OSError as error:
            raise os_failure(self._folder, error) from error
        return sorted(int(match[1]) for match in map(_FILE.fullmatch, names) if match is not None)

    def open(self, generation: int) -> SearchIndex:
        """See `Indexes`."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            return SearchIndex(self._file(generation))
        except OSError as error:
            raise os_failure(self._folder, error) from error

    def remove(self, generation: int) -> None:
        """See `Indexes`."""
        for ending in _PARTS:
            with suppress(FileNotFoundError):
                self._file(generation).with_name(f"index-{generation}.db{ending}").unlink()

    def _file(self, generation: int) -> Path:
        return self._folder / f"index-{generation}.db"


class MemoryIndexes:
    """Indexes in memory, which are there for as long as this object is."""

    def __init__(self) -> None:
        self._kept: dict[int, SearchIndex] = {}

    def generations(self) -> list[int]:
        """See `Indexes`."""
        return sorted(self._kept)

    def newest(self) -> SearchIndex | None:
        """The latest one that is whole; None when there is none."""
        whole = [number for number, index in self._kept.items() if index.complete]
        return self._kept[max(whole)] if whole else None

    def open(self, generation: int) -> SearchIndex:
        """See `Indexes`."""
        if generation not in self._kept:
            self._kept[generation] = SearchIndex(MEMORY)
        return self._kept[generation]

    def remove(self, generation: int) -> None:
        """See `Indexes`."""
        self._kept.pop(generation, None)
