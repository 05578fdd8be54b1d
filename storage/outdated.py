"""Rows of projections of a generation that is neither read nor built: they are erased bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from folkmoot.protocol.key import prefix_end
from folkmoot.protocol.projections.entries import INDEXES, Projection
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.projections import HEAD_BYTES, Generation


def erase_outdated(rows: Transaction, generations: Mapping[Projection, Generation], most: int) -> bool:
    """Erase at most so many rows of generations that are neither read nor built; whether none is left."""
    left = most
    for projection, generation in generations.items():
        heads = [(Table.SOURCES, int(projection))]
        heads += [(table, int(i)) for i in INDEXES[projection] for table in (Table.ENTRIES, Table.TALLIES)]
        for table, head in heads:
            left -= _erase_but(rows, table, head, set(generation), left)
            if left <= 0:
                return False
    return True


def _erase_but(rows: Transaction, table: Table, head: int, kept: set[int | None], most: int) -> int:
    """Erase the rows that begin with one byte and go on with a generation that is not kept."""
    outdated: list[bytes] = []
    start, stop = bytes((head,)), bytes((head + 1,))
    while len(outdated) < most:
        first = next(iter(rows.scan(table, start, stop)), None)
        if first is None:
            break
        prefix = first[0][:HEAD_BYTES]
        end = prefix_end(prefix)
        if prefix[1] not in kept:
            scan = rows.scan(table, prefix, end)
            outdated += [key for key, _ in islice(scan, most - len(outdated))]
        start = end
    for key in outdated:
        rows.delete(table, key)
    return len(outdated)
