"""A slice of the key space that was searched, as far as one step goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from folkmoot.protocol.key import KIND_AT, prefix_end
from folkmoot.storage.interface import Table, Transaction


class Slice(NamedTuple):
    """What a step has found.

    Args:
        keys: of what was searched for, in order.
        resume: where to go on; None at the end.
        beside: the keys of what belongs to it, wherever that lies in the range.
    """

    keys: list[bytes]
    resume: bytes | None
    beside: Sequence[bytes] = ()


class Walk(NamedTuple):
    """One look at a row.

    Args:
        next: where the next look is; None at the end.
        key, row: of a cell that is wanted; None where something else was passed by.
    """

    next: bytes | None
    key: bytes | None = None
    row: bytes = b""


def walk(transaction: Transaction, kind: int, start: bytes, stop: bytes) -> Iterator[Walk]:
    """Go through the cells of one kind with start ≤ key < stop, leaping from place to place.

    Args:
        kind: the kind's byte.
        start, stop: where to look; an empty `stop` is the end.
    """
    position: bytes | None = start
    while position is not None and (not stop or position < stop):
        found = next(iter(transaction.scan(Table.CELLS, position, stop)), None)
        if found is None:
            return
        key, row = found
        if key[KIND_AT] == kind:
            position = key + b"\0"
            yield Walk(position, key, row)
        else:
            before = key[KIND_AT] < kind
            position = key[:KIND_AT] + bytes((kind,)) if before else prefix_end(key[:KIND_AT]) or None
            yield Walk(position)
