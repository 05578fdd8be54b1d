"""Judging a folder of histories: which are linearizable, and whether that is what is said of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from folkmoot.cli.checking.histories import History, find_histories
from folkmoot.node.simulation.checkers.linearizability import Operation, Order, linearize


@dataclass(frozen=True, slots=True)
class Judged:
    """One history.

    Args:
        file: its name.
        operations, objects: how many.
        linearizable: whether each of its objects is.
        expected: what is said of it; None when nothing is.
        blocked: the object and the operation that no order gets past; None when there is an order.
    """

    file: str
    operations: int
    objects: int
    linearizable: bool
    expected: bool | None
    blocked: tuple[str, Operation] | None

    @property
    def agrees(self) -> bool:
        """Whether it is as it is said to be; one of which nothing is said is to be linearizable."""
        return self.linearizable if self.expected is None else self.linearizable == self.expected

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        plain: dict[str, Any] = {
            "file": self.file,
            "operations": self.operations,
            "objects": self.objects,
            "linearizable": self.linearizable,
            "expected": self.expected,
        }
        if self.blocked is not None:
            plain["blocked"] = _sentence(*self.blocked)
        return plain


@dataclass(frozen=True, slots=True)
class HistoriesResult:
    """What a folder's histories came to."""

    judged: Sequence[Judged]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether each is as it should be."""
        return all(each.agrees for each in self.judged)

    def summary(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "passed": self.passed,
            "histories": len(self.judged),
            "agree": sum(each.agrees for each in self.judged),
            "linearizable": sum(each.linearizable for each in self.judged),
            "operations": sum(each.operations for each in self.judged),
            "seconds": round(self.seconds, 2),
            "files": [each.to_json() for each in self.judged],
        }

    def text(self) -> list[str]:
        """For people: what is not as it should be, and how many are."""
        lines = []
        for each in self.judged:
            if each.agrees:
                continue
            found = "linearizable" if each.linearizable else "not linearizable"
            said = "" if each.expected is None else ", unlike what is said of it"
            stuck = "" if each.blocked is None else f": {_sentence(*each.blocked)}"
            lines.append(f"{each.file} is {found}{said}{stuck}")
        agree = sum(each.agrees for each in self.judged)
        lines.append(
            f"{'passed' if self.passed else 'FAILED'}: {agree} of {len(self.judged)} histories are as they"
            f" should be, in {self.seconds:.1f} s"
        )
        return lines


def judge_folder(
    folder: Path, on_judged: Callable[[int, int], None] = lambda done, total: None
) -> HistoriesResult:
    """Judge every history in a folder.

    Args:
        folder: see `histories.find_histories`.
        on_judged: called after each history with how many are judged and how many there are.

    Raises:
        BadHistory: a file is no history, or there is none.
    """
    began = time.monotonic()
    histories = find_histories(folder)
    judged = []
    for done, history in enumerate(histories, 1):
        judged.append(_judge(history))
        on_judged(done, len(histories))
    return HistoriesResult(judged, time.monotonic() - began)


def _judge(history: History) -> Judged:
    blocked: tuple[str, Operation] | None = None
    for key, operations in sorted(history.objects.items()):
        order: Order = linearize(operations, history.model)
        if order.blocked is not None:
            blocked = key, order.blocked
            break
    return Judged(
        file=history.path.name,
        operations=sum(map(len, history.objects.values())),
        objects=len(history.objects),
        linearizable=blocked is None,
        expected=history.expected,
        blocked=blocked,
    )


def _sentence(key: str, operation: Operation) -> str:
    argument = "" if operation.call.argument is None else f" {operation.call.argument!r}"
    where = f" of {key!r}" if key else ""
    return (
        f"no order has {operation.call.name}{argument}{where} by process {operation.process}"
        f" (lines {operation.called_at} to {operation.returned_at}) answer {operation.result!r}"
    )
