"""Damage: which cells were found damaged and have not been mended yet.

Whoever meets a damaged cell reports it here, from whatever thread; whoever can mend cells looks here. The
list is bounded. When it is full, what was tried in vain gives way to what is new, the oldest first, so that
cells which nobody can mend keep no others from being mended; whatever has no place is met again by the next
self-check, and until one has found room for everything, `more` says that the list is not the whole of it.
"""

from __future__ import annotations

import threading

from folkmoot.protocol.limits import STORE_DAMAGE_KEPT
from folkmoot.storage.errors import StorageError, StoreCorrupt


class Damage:
    """See the module."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tried: dict[bytes, bool] = {}  # in the order they were met, or tried last
        self._mended = 0
        self._overflowed = self._overflowed_before = False

    def note(self, error: StorageError) -> None:
        """Remember what is damaged, if it is a cell."""
        if isinstance(error, StoreCorrupt) and error.cell_key is not None:
            self.add(error.cell_key)

    def add(self, key: bytes) -> None:
        """Remember that the cell at `key` is damaged, or that what it was has to be asked for again."""
        with self._lock:
            if key in self._tried:
                return
            if len(self._tried) >= STORE_DAMAGE_KEPT:
                self._overflowed = True
                vain = next((other for other, tried in self._tried.items() if tried), None)
                if vain is None:
                    return
                del self._tried[vain]
            self._tried[key] = False

    def tried_in_vain(self, key: bytes) -> None:
        """The cell at `key` cannot be mended now: others come first."""
        with self._lock:
            if self._tried.pop(key, None) is not None:
                self._tried[key] = True

    def mended(self, key: bytes) -> None:
        """The cell at `key` is whole again, or there is none."""
        with self._lock:
            if self._tried.pop(key, None) is not None:
                self._mended += 1

    def forget(self, start: bytes, end: bytes) -> None:
        """There are no cells any more with start ≤ key < end (an empty `end` is the end)."""
        with self._lock:
            for key in [key for key in self._tried if start <= key and (not end or key < end)]:
                del self._tried[key]

    def checked(self) -> None:
        """A self-check of the whole store has ended: it has met whatever is damaged."""
        with self._lock:
            self._overflowed_before, self._overflowed = self._overflowed, False

    @property
    def keys(self) -> list[bytes]:
        """Of the cells that are damaged, first those for which nothing was tried yet, as they were met."""
        with self._lock:
            return sorted(self._tried, key=self._tried.__getitem__)

    @property
    def waiting(self) -> int:
        """For how many of them mending was tried in vain."""
        with self._lock:
            return sum(self._tried.values())

    @property
    def more(self) -> bool:
        """Whether there may be more than there was room for."""
        return self._overflowed or self._overflowed_before

    @property
    def mended_count(self) -> int:
        """How many cells were mended since the store was opened."""
        return self._mended
