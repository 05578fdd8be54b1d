"""The change log, read on from where one stopped.

A lane's log has one row for each cell, at the position of its latest change (docs/decisions/0005). So
whoever reads on from position to position learns of every cell that changed, in the order of their latest
changes: a cell that changed twice between two reads is told of once. Positions are numbers of changes of the
whole store, so those of one lane have holes.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final, NamedTuple

from folkmoot.protocol.key import KIND_AT, block_start, lane_of
from folkmoot.protocol.limits import BLOCKS_PER_LANE, LANES
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
    transaction: Transaction,
    lane: int,
    after_sequence: int,
    limit: int,
    start: bytes,
    end: bytes,
    *,
    most: int | None = None,
    without: Container[int] = (),
) -> Changes:
    """Read a lane's log on from a position.

    Args:
        lane: 0–63.
        after_sequence: the position read last; 0 for the beginning.
        limit: at most so many rows of the log are looked at, whether they were asked for or not.
        start, end: of the cells with start ≤ key < end (an empty `end` is the end).
        most: stop when so many were found.
        without: kinds, as bytes of keys, that are passed over.

    Raises:
        StoreCorrupt: the number of the last change is damaged. Damaged rows of the log are told instead.
    """
    assert 0 <= lane < LANES and limit > 0, "a lane there is, and progress"
    head = last_sequence(transaction)
    found: list[Change] = []
    damaged: list[int] = []
    rows = transaction.scan(Table.LOG, log_key(lane, after_sequence + 1), bytes((lane + 1,)))
    for seen, (at, row) in enumerate(rows, start=1):
        try:
            key = unseal(Table.LOG, at, row)
        except StoreCorrupt:
            damaged.append(_position(at))
        else:
            if start <= key and (not end or key < end) and key[KIND_AT] not in without:
                found.append(Change(_position(at), key))
        if seen == limit or len(found) == most:
            return Changes(found, damaged, _position(at), head)
    return Changes(found, damaged, head, head)


def changes_between(
    transaction: Transaction,
    after_sequence: int,
    limit: int,
    start: bytes,
    end: bytes,
    *,
    most: int,
    without: Container[int] = (),
) -> Changes:
    """`changes` of a slice of the keys that may lie in several lanes: positions are those of the whole store.

    Args:
        limit: rows that are looked at, at most, if there are not more lanes.
        most: at most so many are found.
        after_sequence, start, end, without: as for `changes`.

    Raises:
        StoreCorrupt: as `changes`.
    """
    lanes = lanes_of(start, end)
    each = max(1, limit // len(lanes))
    read = [
        changes(transaction, lane, after_sequence, each, start, end, most=most, without=without)
        for lane in lanes
    ]
    reached = min(one.reached for one in read)
    found = sorted(row for one in read for row in one.rows if row.sequence <= reached)
    if len(found) > most:
        found = found[:most]
        reached = found[-1].sequence
    damaged = sorted(at for one in read for at in one.damaged if at <= reached)
    return Changes(found, damaged, reached, read[0].head)


def lanes_of(start: bytes, end: bytes) -> range:
    """The lanes with keys from `start` to before `end`; an empty `end` is the end."""
    first = lane_of(start or b"\0")
    return range(first, LANES if not end else max(first + 1, lane_of(end) + (end > _lane_start(end))))


def _lane_start(key: bytes) -> bytes:
    """The least key prefix of the lane that a key is in."""
    return block_start(lane_of(key) * BLOCKS_PER_LANE)


def _position(at: bytes) -> int:
    return int.from_bytes(at[_LANE_BYTES:], "big")
