"""Which operations were tried while which faults were under way: what was never tried proves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from folkmoot.node.simulation.schedule import DEEDS

REQUESTS: Final = (
    "post",
    "post_many",
    "edit",
    "reword",
    "delete",
    "edit_deleted",
    "like",
    "unlike",
    "follow",
    "answer",
    "bookmark",
    "read",
    "read_page",
    "settle_one",
    "replay_record",
    "replay_cell",
    "replay_chain",
    "forge",
    "forge_cell",
    "doubt",
    "register_read",
    "register_set",
    "account_change",
    "handle_change",
    "device_post",
    "thief_post",
    "rebuild",
    "show",
    "show_again",
    "exchange",
    "take_down",
    "portray",
    "put_aside",
    "look",
    "count",
    "tell",
    "admire",
    "opt",
    "prefer",
    "design",
    "block",
    "mute",
    "relent",
    "search",
    "rank",
    "review",
    "flock",
    "disperse",
    "thin_out",
)
"""What everybody does in every run."""

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


def operations_of(faults: Iterable[str]) -> tuple[str, ...]:
    """What is done in runs with these faults; what happens like a fault is an operation as well."""
    deeds = [deed for fault in faults for deed in DEEDS.get(fault, ())]
    return (*REQUESTS, *dict.fromkeys(deeds))


def never_tried(counts: Counts, faults: Iterable[str]) -> dict[str, list[str]]:
    """The operations that never overlapped with a fault, by the faults that have such."""
    faults = list(faults)
    left = {
        fault: [name for name in operations_of(faults) if not counts.get((fault, name))] for fault in faults
    }
    return {fault: names for fault, names in left.items() if names}


def table(counts: Counts, faults: Iterable[str]) -> list[str]:
    """Lines of text: a row a fault, a column an operation, and what was never tried, by name."""
    faults = list(faults)
    operations = operations_of(faults)
    widths = {name: max(len(name), 5) for name in operations}
    lines = ["  ".join([f"{'':<11}", *(f"{name:>{widths[name]}}" for name in operations)])]
    for fault in faults:
        cells = [f"{counts.get((fault, name), 0) or '-':>{widths[name]}}" for name in operations]
        lines.append("  ".join([f"{fault:<11}", *cells]))
    left = never_tried(counts, faults)
    total = len(faults) * len(operations)
    tried = total - sum(map(len, left.values()))
    lines.append(f"{tried} of {total} pairs of a fault and an operation were tried")
    lines += [f"NEVER TRIED under {fault}: {', '.join(names)}" for fault, names in left.items()]
    return lines
