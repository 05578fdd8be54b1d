"""What a node made of its media when it looked at them: a small file for each, beside the areas.

    media/notes/AA/PLACE/HASH

They can be made again, so they are not brought to disk at once, and one that a crash cut off is no note. They
go when the medium does.
"""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import Final

from folkmoot.storage.media import folders
from folkmoot.storage.media.files import Files
from folkmoot.storage.media.layout import Name, folder_of

NOTE_BYTES_MAX: Final = 4_096
_CRC_BYTES: Final = 4


class Notes:
    """See the module. Everything blocks, and may raise `OSError`.

    Args:
        files: where media lie.
        directory: of all notes.
    """

    def __init__(self, files: Files, directory: Path) -> None:
        self._files = files
        self._directory = directory
        self._any = files.exists(directory)

    def get(self, name: Name) -> bytes | None:
        """What was noted of a medium; None when nothing was, or it is not as it was written."""
        try:
            with contextlib.closing(self._files.open(self._file(name))) as opened:
                data = opened.read(NOTE_BYTES_MAX + _CRC_BYTES, 0)
        except FileNotFoundError:
            return None
        note, told = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
        return note if zlib.crc32(note).to_bytes(_CRC_BYTES, "big") == told else None

    def put(self, name: Name, note: bytes) -> None:
        """Note something of a medium, in place of what was noted before."""
        assert len(note) <= NOTE_BYTES_MAX
        file, self._any = self._file(name), True
        for folder in (self._directory, file.parent.parent, file.parent):
            self._files.make_folder(folder)
        with contextlib.closing(self._files.create(file, anew=True)) as made:
            made.write(note + zlib.crc32(note).to_bytes(_CRC_BYTES, "big"), 0)

    def forget(self, name: Name) -> None:
        """The medium is gone, and so is what was noted of it."""
        if not self._any:  # most nodes never look
            return
        file = self._file(name)
        with contextlib.suppress(FileNotFoundError):
            self._files.unlink(file)
            folders.tidy(self._files, file.parent)

    def _file(self, name: Name) -> Path:
        return folder_of(self._directory, name.account) / name.hash.hex()
