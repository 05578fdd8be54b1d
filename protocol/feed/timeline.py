"""Pages: how a scan over rows, newest first, becomes one bounded answer and the place to go on from.

A page ends at its limit of items, before the message would grow too large, or after so many rows that the
scan must let others go first. Rows that show nothing (deleted posts) count as scanned but not as items, so
a page may be short, even empty, and still have a cursor: only a page without a cursor is the last.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.limits import PAGE_BYTES, PAGE_ITEMS, PAGE_ITEMS_DEFAULT, PAGE_ROWS_SCANNED

T = TypeVar("T")


def parse_limit(value: object) -> int:
    """The number of items a request asks for; the default when it does not say.

    Raises:
        WireError: `bad_request`, when it is not 1 to 200.
    """
    if value is None:
        return PAGE_ITEMS_DEFAULT
    if type(value) is not int or not 1 <= value <= PAGE_ITEMS:
        raise WireError(BAD_REQUEST, f"limit is not a number from 1 to {PAGE_ITEMS}")
    return value


class Page(Generic[T]):
    """One page being filled.

    Args:
        limit: the most items.
        page_bytes: the most bytes all items may have together; the first item always fits.
        rows: the most rows to look at.
    """

    __slots__ = ("_bytes_left", "_limit", "_position", "_rows_left", "items")

    def __init__(self, limit: int, page_bytes: int = PAGE_BYTES, rows: int = PAGE_ROWS_SCANNED) -> None:
        self.items: list[T] = []
        self._limit = limit
        self._bytes_left = page_bytes
        self._rows_left = rows
        self._position: bytes | None = None

    @property
    def full(self) -> bool:
        """Whether the scan must stop before another row."""
        return len(self.items) >= self._limit or self._rows_left <= 0

    def skip(self, position: bytes) -> None:
        """Pass over a row that shows nothing."""
        self._rows_left -= 1
        self._position = position

    def add(self, position: bytes, item: T, item_bytes: int) -> bool:
        """Add the item of a row; False when it does not fit, and the page ends before it."""
        if self.items and item_bytes > self._bytes_left:
            return False
        self._rows_left -= 1
        self._bytes_left -= item_bytes
        self._position = position
        self.items.append(item)
        return True

    def next_position(self, *, exhausted: bool) -> bytes | None:
        """The row after which the next page begins.

        Args:
            exhausted: whether the scan came to the end of the rows.

        Returns:
            None when this is the last page.
        """
        return None if exhausted else self._position
