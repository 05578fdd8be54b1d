"""Looking at a file from place to place, without having it whole in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Read = Callable[[int, int], bytes]
"""From a place on so many bytes; fewer only at the end."""

WINDOW_BYTES: Final = 65_536


class Window:
    """A part of a file, which moves to wherever is looked at.

    Args:
        read: see `Read`.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._begins = 0
        self._data = b""

    def at(self, offset: int, size: int) -> bytes:
        """Up to so many bytes from a place on; fewer only at the end, however many are asked for."""
        within = offset - self._begins
        if within < 0 or within + size > len(self._data):
            self._begins, self._data = offset, self._read(offset, max(size, WINDOW_BYTES))
            within = 0
        return self._data[within : within + size]


def reader_of(data: bytes) -> Read:
    """How bytes in memory are read."""
    return lambda offset, size: data[offset : offset + size]
