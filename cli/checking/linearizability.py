"""Judging a folder of histories: which are linearizable, and whether that is what is said of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from folkmoot.cli.checking.histories import History, find_histories
from folkmoot.node.simulation.checkers.linearizability import TRIES_MAX, Operation, linearize


@dataclass(frozen=True, slots=True)
class Judged:
    """One history.

    Args:
        file: its name.
        operations, objects: how many.
        linearizable: whether each of its objects is; None when that was not found out within the bound.
        expected: what is said of it; None when nothing is.
        blocked: the object and the operation that no order gets past; None when there is an order.
    """

    file: str
    operations: int
    objects: int
    linearizable: bool | None
    expected: bool | None
    blocked: tuple[str, Operation] | None

    @property
    def agrees(self) -> bool:
        """Whether it is as it is said to be; one of which nothing is said is to be linearizable.

        Of what is undecided that is not known.
        """
        return self.linearizable is (self.expected is not False)

    @property
    def verdict(self) -> str:
        """In a word."""
        if self.linearizable is None:
            return "undecided"
        return "linearizable" if self.linearizable else "not linearizable"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        plain: dict[str, Any] = {
            "file": self.file,
            "operations": self.operations,
            "objects": self.objects,
            "linearizable": self.linearizable,
            "undecided": self.linearizable is None,
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

    @property
    def undecided(self) -> int:
        """How many were left undecided."""
        return sum(each.linearizable is None for each in self.judged)

    @property
    def refuted(self) -> bool:
        """Whether one is certain not to be as it should be."""
        return any(not each.agrees for each in self.judged if each.linearizable is not None)

    def summary(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "passed": self.passed,
            "histories": len(self.judged),
            "agree": sum(each.agrees for each in self.judged),
            "linearizable": sum(each.linearizable is True for each in self.judged),
            "undecided": self.undecided,
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
            lines.append(f"{each.file} is {each.verdict}{_because(each)}")
        agree = sum(each.agrees for each in self.judged)
        word = "passed" if self.passed else "FAILED" if self.refuted else "UNDECIDED"
        left = f", {self.undecided} undecided" if self.undecided else ""
        lines.append(
            f"{word}: {agree} of {len(self.judged)} histories are as they should be{left}, in"
            f" {self.seconds:.1f} s"
        )
        return lines


def judge_folder(
    folder: Path,
    on_judged: Callable[[int, int], None] = lambda done, total: None,
    tries_max: int = TRIES_MAX,
) -> HistoriesResult:
    """Judge every history in a folder.

    Args:
        folder: see `histories.find_histories`.
        on_judged: called after each history with how many are judged and how many there are.
        tries_max: the bound of the search for one object's order, see `linearize`.

    Raises:
        BadHistory: a file is no history, or there is none.
    """
    began = time.monotonic()
    histories = find_histories(folder)
    judged = []
    for done, history in enumerate(histories, 1):
        judged.append(_judge(history, tries_max))
        on_judged(done, len(histories))
    return HistoriesResult(judged, time.monotonic() - began)


def _judge(history: History, tries_max: int) -> Judged:
    blocked: tuple[str, Operation] | None = None
    linearizable: bool | None = True
    for key, operations in sorted(history.objects.items()):
        order = linearize(operations, history.model, tries_max)
        if order.blocked is not None:
            linearizable, blocked = False, (key, order.blocked)
            break  # whatever is undecided of the others
        if order.linearizable is None:
            linearizable = None
    return Judged(
        file=history.path.name,
        operations=sum(map(len, history.objects.values())),
        objects=len(history.objects),
        linearizable=linearizable,
        expected=history.expected,
        blocked=blocked,
    )


def _because(judged: Judged) -> str:
    if judged.linearizable is None:
        return ": the search came to its bound; a greater --tries may decide it"
    said = "" if judged.expected is None else ", unlike what is said of it"
    return said if judged.blocked is None else f"{said}: {_sentence(*judged.blocked)}"


def _sentence(key: str, operation: Operation) -> str:
    argument = "" if operation.call.argument is None else f" {operation.call.argument!r}"
    where = f" of {key!r}" if key else ""
    return (
        f"no order has {operation.call.name}{argument}{where} by process {operation.process}"
        f" (lines {operation.called_at} to {operation.returned_at}) answer {operation.result!r}"
    )
