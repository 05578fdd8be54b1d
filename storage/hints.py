"""Hints: which cells an absent node has not been given.

A hint is a pointer (node, cell key), so however often a cell changes while a node is away it costs one row;
what is delivered is the cell as it then is. Its *mark* is the store's change sequence when it was last
written: a delivery takes a hint back only with the mark it was read with, so that a change made during the
delivery keeps its hint. Hints are bounded in number, age and room. Past a bound they are dropped and no trace
of them is kept: repair compares with every node anyway, and hints only ever make it faster.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from folkmoot.protocol.key import prefix_end
from folkmoot.protocol.limits import HINT_AGE_S, HINTS_PER_NODE
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import (
    NO_HINTS,
    NODE_BYTES,
    HintState,
    hint_node_row,
    hint_row,
    row_hint,
    row_hint_node,
)


class Hint(NamedTuple):
    """One cell that a node lacks.

    Attributes:
        key: the cell's key.
        since_us: wall time of the first change it missed, microseconds since 1970.
        mark: what `HintBook.remove` compares.
    """

    key: bytes
    since_us: int
    mark: int


def state_of(transaction: Transaction, node: bytes) -> HintState:
    """What is kept for `node` (16 bytes).

    Raises:
        StoreCorrupt: the row is damaged.
    """
    row = transaction.get(Table.HINT_NODES, node)
    return NO_HINTS if row is None else row_hint_node(node, row)


def states(transaction: Transaction) -> dict[bytes, HintState]:
    """Every node for which something is kept.

    Raises:
        StoreCorrupt: a row is damaged.
    """
    return {node: row_hint_node(node, row) for node, row in transaction.scan(Table.HINT_NODES)}


def page(transaction: Transaction, node: bytes, *, after: bytes, limit: int) -> list[Hint]:
    """The next hints of `node` in key order, after the cell key `after`.

    Raises:
        StoreCorrupt: a row is damaged.
    """
    start = node + after + b"\0" if after else node
    rows = transaction.scan(Table.HINTS, start, prefix_end(node))
    return [Hint(key[NODE_BYTES:], *row_hint(key, row)) for key, row in islice(rows, limit)]


class HintBook:
    """The hints that one write transaction adds and removes; `write` settles the nodes' states.

    All of it raises `StoreCorrupt` when a row it meets is damaged.
    """

    __slots__ = ("_states", "_transaction")

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._states: dict[bytes, HintState] = {}

    def renew(self, node: bytes, key: bytes, mark: int) -> bool:
        """Give a hint that is kept already its new mark; False when there is none."""
        assert len(node) == NODE_BYTES, "a node id is 16 bytes"
        row = self._transaction.get(Table.HINTS, node + key)
        if row is None:
            return False
        since_us, _ = row_hint(node + key, row)
        self._transaction.put(Table.HINTS, node + key, hint_row(node + key, since_us, mark))
        return True

    def add(self, node: bytes, key: bytes, now_us: int, mark: int) -> bool:
        """Keep a new hint; False when the node has too many, or has been away for too long."""
        state = self._state(node)
        since_us = state.since_us if state.waiting else now_us
        if state.waiting >= HINTS_PER_NODE or now_us - since_us > HINT_AGE_S * 1_000_000:
            return False
        self._transaction.put(Table.HINTS, node + key, hint_row(node + key, now_us, mark))
        self._states[node] = HintState(state.waiting + 1, since_us)
        return True

    def remove(self, node: bytes, hints: Iterable[Hint]) -> int:
        """Take back hints that were delivered, unless their cell has changed since; how many went."""
        removed = 0
        for hint in hints:
            key = node + hint.key
            row = self._transaction.get(Table.HINTS, key)
            if row is not None and row_hint(key, row)[1] == hint.mark:
                self._transaction.delete(Table.HINTS, key)
                removed += 1
        state = self._state(node)
        self._states[node] = state._replace(waiting=state.waiting - removed)
        return removed

    def forget(self, start: bytes, end: bytes, most: int) -> bool:
        """Take back hints of cells with start ≤ key < end (an empty `end` is the end), of all nodes.

        Args:
            most: at most so many.

        Returns:
            Whether these were all.
        """
        room = most
        for node in sorted(states(self._transaction).keys() | self._states.keys()):
            stop = node + end if end else prefix_end(node)
            found = [key for key, _ in islice(self._transaction.scan(Table.HINTS, node + start, stop), room)]
            for key in found:
                self._transaction.delete(Table.HINTS, key)
            if found:
                state = self._state(node)
                self._states[node] = state._replace(waiting=state.waiting - len(found))
            room -= len(found)
            if not room:
                return False
        return True

    def write(self) -> None:
        """Write the states of the nodes that were touched."""
        for node in sorted(self._states):
            state = self._states[node]
            if state.waiting:
                self._transaction.put(Table.HINT_NODES, node, hint_node_row(node, state))
            else:
                self._transaction.delete(Table.HINT_NODES, node)

    def _state(self, node: bytes) -> HintState:
        state = self._states.get(node)
        return state_of(self._transaction, node) if state is None else state
