"""The change log, read on from where one stopped.

A lane's log has one row for each cell, at the position of its latest change (docs/decisions/0005). So
whoever reads on from position to position learns of every cell that changed, in the order of their latest
changes: a cell that changed twice between two reads is told of once. Positions are numbers of changes of the
whole store, so those of one lane have holes.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

from folkmoot.protocol.limits import LANES
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.heads import last_sequence
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import log_key, unseal

_LANE_BYTES: Final = 1


class Change(NamedTuple):
    """The latest change of one cell: its position, and the cell's key."""

    sequence: int
    key: bytes


class Changes(NamedTuple):
    """Some rows of a lane's log.

    Attributes:
        rows: those that were asked for, in order of their positions.
        damaged: positions of rows that do not say any more which cell changed.
        reached: up to and including this position the log was looked at; the next read goes on after it.
        head: the position of the store's last change, of any lane; when `reached` is as far, there is no
            more.
    """

    rows: list[Change]
    damaged: list[int]
    reached: int
    head: int


def changes(
    transaction: Transaction, lane: int, after_sequence: int, limit: int, start: bytes, end: bytes
) -> Changes:
    """Read a lane's log on from a position.

    Args:
        lane: 0–63.
        after_sequence: the position read last; 0 for the beginning.
        limit: at most so many rows of the log are looked at, whether they were asked for or not.
        start, end: of the cells with start ≤ key < end (an empty `end` is the end).

    Raises:
        StoreCorrupt: the number of the last change is damaged. Damaged rows of the log are told instead.
    """
    assert 0 <= lane < LANES and limit > 0, "a lane there is, and progress"
    head = last_sequence(transaction)
    found: list[Change] = []
    damaged: list[int] = []
    at = log_key(lane, after_sequence)
    seen = 0
    rows = transaction.scan(Table.LOG, log_key(lane, after_sequence + 1), bytes((lane + 1,)))
    for at, row in islice(rows, limit):
        seen += 1
        try:
            key = unseal(Table.LOG, at, row)
        except StoreCorrupt:
            damaged.append(_position(at))
            continue
        if start <= key and (not end or key < end):
            found.append(Change(_position(at), key))
    return Changes(found, damaged, _position(at) if seen == limit else head, head)


def _position(at: bytes) -> int:
    return int.from_bytes(at[_LANE_BYTES:], "big")
