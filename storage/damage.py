"""Damage: which cells were found damaged and have not been mended yet.

Whoever meets a damaged cell reports it here, from whatever thread; whoever can mend cells looks here. What is
past the bound is found again when it is met again.
"""

from __future__ import annotations

from folkmoot.protocol.limits import STORE_DAMAGE_KEPT
from folkmoot.storage.errors import StorageError, StoreCorrupt


class Damage:
    """See the module."""

    def __init__(self) -> None:
        self._keys: dict[bytes, None] = {}
        self._mended = 0

    def note(self, error: StorageError) -> None:
        """Remember what is damaged, if it is a cell."""
        if (
            isinstance(error, StoreCorrupt)
            and error.cell_key is not None
            and len(self._keys) < STORE_DAMAGE_KEPT
        ):
            self._keys[error.cell_key] = None

    def mended(self, key: bytes) -> None:
        """The cell at `key` is whole again."""
        if key in self._keys:
            del self._keys[key]
            self._mended += 1

    @property
    def keys(self) -> list[bytes]:
        """Of the cells that are damaged, in the order they were met."""
        return list(self._keys)

    @property
    def mended_count(self) -> int:
        """How many cells were mended since the store was opened."""
        return self._mended
