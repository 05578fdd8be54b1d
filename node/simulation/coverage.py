"""Which operations were tried while which faults were under way: what was never tried proves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

OPERATIONS: Final = (
    "post",
    "post_many",
    "edit",
    "reword",
    "delete",
    "edit_deleted",
    "like",
    "unlike",
    "follow",
    "read",
    "read_page",
    "settle_one",
    "replay_record",
    "replay_cell",
    "forge",
    "forge_cell",
    "doubt",
)

Counts = Mapping[tuple[str, str], int]


class Coverage:
    """Counts pairs of a fault and an operation that overlapped.

    Attributes:
        counts: (fault, operation) → how often.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._under_way: Counter[str] = Counter()
        self._operations: dict[object, tuple[str, set[str]]] = {}

    def fault_begins(self, fault: str) -> None:
        """An episode of `fault` is under way from now on."""
        self._under_way[fault] += 1
        for _, met in self._operations.values():
            met.add(fault)

    def fault_ends(self, fault: str) -> None:
        """One episode less."""
        self._under_way[fault] -= 1

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """Somebody tries something meanwhile."""
        token = object()
        met = {fault for fault, episodes in self._under_way.items() if episodes}
        self._operations[token] = name, met
        try:
            yield
        finally:
            del self._operations[token]
            self.counts.update((fault, name) for fault in met)


def never_tried(counts: Counts, faults: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs of these faults and any operation that never overlapped."""
    return [(fault, name) for fault in faults for name in OPERATIONS if not counts.get((fault, name))]


def table(counts: Counts, faults: Iterable[str]) -> list[str]:
    """Lines of text: a row a fault, a column an operation, and what was never tried."""
    faults = list(faults)
    widths = {name: max(len(name), 5) for name in OPERATIONS}
    lines = ["  ".join([f"{'':<11}", *(f"{name:>{widths[name]}}" for name in OPERATIONS)])]
    for fault in faults:
        cells = [f"{counts.get((fault, name), 0) or '-':>{widths[name]}}" for name in OPERATIONS]
        lines.append("  ".join([f"{fault:<11}", *cells]))
    missing = never_tried(counts, faults)
    total = len(faults) * len(OPERATIONS)
    lines.append(f"{total - len(missing)} of {total} pairs of a fault and an operation were tried")
    return lines
