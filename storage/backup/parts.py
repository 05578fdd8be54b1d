"""Parts: the files of a backup, frames of a key and a cell one after another.

A part begins with `HEADING`; a frame is the lengths of key (2 bytes) and cell (4), key and cell. Whole parts
are summed (SHA-256, in the manifest), which is what any damage is told by.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from folkmoot.protocol.crdt.cell import Cell, shown_frame
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import HELD, KIND_AT, KIND_BYTE, held_key
from folkmoot.protocol.limits import CELL_BYTES, MIB, STORE_KEY_BYTES
from folkmoot.storage.backup.errors import BackupDamaged, os_error
from folkmoot.storage.backup.manifest import Part
from folkmoot.storage.directory import FILE_MODE

HEADING: Final = b"folkmoot backup part 1\n"
PART_BYTES: Final = 64 * MIB

_HELD: Final = KIND_BYTE[HELD]
_head = struct.Struct(">HI")


class PartWriter:
    """Writes one part; `close` brings it to disk.

    Attributes:
        bytes, cells, deletions: so far.

    Args:
        folder: the backup's.
        name: the file's; replaced if it is there.
        pass_number: see `Part`.

    Raises:
        OSError: from this and every method.
    """

    def __init__(self, folder: Path, name: str, pass_number: int) -> None:
        self._name = name
        self._pass_number = pass_number
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file: BinaryIO = os.fdopen(os.open(folder / name, flags, FILE_MODE), "wb")
        self._sum = hashlib.sha256()
        self.bytes = self.cells = self.deletions = 0
        self._write(HEADING)

    def add(self, key: bytes, cell: bytes) -> int:
        """Append a frame; how many bytes it has."""
        frame = _head.pack(len(key), len(cell)) + key + cell
        self._write(frame)
        self.cells += 1
        self.deletions += is_deletion(cell) and not is_held(key)
        return len(frame)

    def close(self) -> Part:
        """Bring the part to disk, and say what it is."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return Part(
            name=self._name,
            bytes=self.bytes,
            sha256=self._sum.hexdigest(),
            cells=self.cells,
            deletions=self.deletions,
            pass_number=self._pass_number,
        )

    def abandon(self) -> None:
        """Let go of the file as it is. Harmless after `close`."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._sum.update(data)
        self.bytes += len(data)


def read_part(folder: Path, part: Part) -> Iterator[tuple[bytes, bytes]]:
    """The frames of a part. What is damaged is said at the latest after the last of them.

    Raises:
        BackupDamaged: it is missing, cut off, changed, or not a part.
        BackupUnreadable: it cannot be read.
    """
    file = folder / part.name
    cells = 0
    try:
        if file.parent != folder or file.stat().st_size != part.bytes:
            raise BackupDamaged(file, f"it does not have the {part.bytes} bytes it was written with")
        with file.open("rb") as opened:
            reader = _Summed(opened)
            if reader.take(len(HEADING)) != HEADING:
                raise BackupDamaged(file, "it does not begin as a part does")
            while head := reader.take(_head.size):
                key, cell = _frame(file, reader, head)
                cells += 1
                yield key, cell
    except FileNotFoundError as error:
        raise BackupDamaged(file, "it is missing") from error
    except OSError as error:
        raise os_error(file, error) from error
    if reader.sum.hexdigest() != part.sha256 or cells != part.cells:
        raise BackupDamaged(file, "its checksum does not fit")


def is_deletion(cell: bytes) -> bool:
    """Whether an encoded cell is that of a deleted post."""
    return shown_frame(cell) is None


def is_held(key: bytes) -> bool:
    """Whether at `key` is what was held for review of a post: its deletion is there once more."""
    return key[KIND_AT] == _HELD


def check_frame(folder: Path, part: Part, key: bytes, data: bytes, *, signatures: bool) -> None:
    """Raise `BackupDamaged` unless `data` is a cell that may stand at `key`."""
    file = folder / part.name
    try:
        cell = Cell.decode(data)
        if key not in (cell.key, held_key(cell.key)):
            raise BackupDamaged(file, f"it has the cell of {cell.key.hex()} at {key.hex()}")
        if signatures:
            for record in cell.records():
                record.verify()
    except WireError as error:
        raise BackupDamaged(file, f"the cell at {key.hex()}: {error.message}") from error


class _Summed:
    """Reads a file and sums what it has read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sum = hashlib.sha256()

    def take(self, size: int) -> bytes:
        data = self._file.read(size)
        self.sum.update(data)
        return data


def _frame(file: Path, reader: _Summed, head: bytes) -> tuple[bytes, bytes]:
    if len(head) == _head.size:
        key_bytes, cell_bytes = _head.unpack(head)
        if 0 < key_bytes <= STORE_KEY_BYTES and 0 < cell_bytes <= CELL_BYTES:
            key, cell = reader.take(key_bytes), reader.take(cell_bytes)
            if (len(key), len(cell)) == (key_bytes, cell_bytes):
                try:
                    shown_frame(cell)
                except (WireError, IndexError) as error:
                    raise BackupDamaged(file, f"the cell at {key.hex()} is none") from error
                return key, cell
    raise BackupDamaged(file, "a frame in it is cut off or has impossible lengths")
