"""Hints: which cells an absent node has not been given.

A hint is a pointer (node, cell key), so however often a cell changes while a node is away it costs one row;
what is delivered is the cell as it then is. Its *mark* is the store's change sequence when it was last
written: a delivery takes a hint back only with the mark it was read with, so that a change made during the
delivery keeps its hint. Hints are bounded in number and age. Past either bound they are no longer kept and
the node is marked for a full repair, which hints only ever make faster.
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
    pack_hint,
    pack_hint_node,
    unpack_hint,
    unpack_hint_node,
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
    """What is kept for `node` (16 bytes)."""
    row = transaction.get(Table.HINT_NODES, node)
    return NO_HINTS if row is None else unpack_hint_node(row)


def states(transaction: Transaction) -> dict[bytes, HintState]:
    """Every node for which something is kept."""
    return {node: unpack_hint_node(row) for node, row in transaction.scan(Table.HINT_NODES)}


def page(transaction: Transaction, node: bytes, *, after: bytes, limit: int) -> list[Hint]:
    """The next hints of `node` in key order, after the cell key `after`."""
    start = node + after + b"\0" if after else node
    rows = transaction.scan(Table.HINTS, start, prefix_end(node))
    return [Hint(key[NODE_BYTES:], *unpack_hint(row)) for key, row in islice(rows, limit)]


class HintBook:
    """The hints that one write transaction adds and removes; `write` settles the nodes' states."""

    __slots__ = ("_states", "_transaction")

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._states: dict[bytes, HintState] = {}

    def add(self, node: bytes, key: bytes, now_us: int, mark: int) -> bool:
        """Keep a hint; False when it is past a bound and the node now needs a full repair instead."""
        assert len(node) == NODE_BYTES, "a node id is 16 bytes"
        row = self._transaction.get(Table.HINTS, node + key)
        if row is not None:
            self._transaction.put(Table.HINTS, node + key, pack_hint(unpack_hint(row)[0], mark))
            return True
        state = self._state(node)
        since_us = state.since_us if state.waiting else now_us
        if state.waiting >= HINTS_PER_NODE or now_us - since_us > HINT_AGE_S * 1_000_000:
            self._states[node] = state._replace(overflow=True)
            return False
        self._transaction.put(Table.HINTS, node + key, pack_hint(now_us, mark))
        self._states[node] = HintState(state.waiting + 1, since_us, state.overflow)
        return True

    def remove(self, node: bytes, hints: Iterable[Hint]) -> int:
        """Take back hints that were delivered, unless their cell has changed since; how many went."""
        removed = 0
        for hint in hints:
            row = self._transaction.get(Table.HINTS, node + hint.key)
            if row is not None and unpack_hint(row)[1] == hint.mark:
                self._transaction.delete(Table.HINTS, node + hint.key)
                removed += 1
        state = self._state(node)
        self._states[node] = state._replace(waiting=state.waiting - removed)
        return removed

    def overflow(self, node: bytes, needed: bool) -> None:
        """Say that a node needs a full repair, or that it has had one."""
        self._states[node] = self._state(node)._replace(overflow=needed)

    def write(self) -> None:
        """Write the states of the nodes that were touched."""
        for node in sorted(self._states):
            state = self._states[node]
            if state.waiting or state.overflow:
                self._transaction.put(Table.HINT_NODES, node, pack_hint_node(state))
            else:
                self._transaction.delete(Table.HINT_NODES, node)

    def _state(self, node: bytes) -> HintState:
        state = self._states.get(node)
        return state_of(self._transaction, node) if state is None else state
