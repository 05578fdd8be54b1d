"""What travels between nodes in pieces that each fit a message.

A client may ask for more than a message holds (256 cells of up to 576 KiB), and a node may have to give
another one more. A piece is bounded by `limits.REPLICATION_BATCH_BYTES`, which leaves room for the rest of
the message; whatever is larger alone, a single cell at most, still fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from folkmoot.protocol import limits

T = TypeVar("T")


def fitting(sizes: Iterable[int]) -> int:
    """How many of the first fit a message together; at least one, if there is any.

    Args:
        sizes: bytes.
    """
    total = count = 0
    for size in sizes:
        total += size
        if count and total > limits.REPLICATION_BATCH_BYTES:
            break
        count += 1
    return count


def in_messages(entries: Sequence[T], size_of: Callable[[T], int]) -> Iterator[Sequence[T]]:
    """The entries in their order, in parts that each fit a message.

    Args:
        entries: to be sent.
        size_of: the bytes of one.
    """
    start = 0
    while start < len(entries):
        end = start + fitting(size_of(entry) for entry in entries[start:])
        yield entries[start:end]
        start = end
