"""Judging a folder of histories: which are linearizable, and whether that is what is said of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from folkmoot.cli.checking.histories import BadHistory, History, find_histories, read_history
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
        unreadable: why nothing could be judged, of a file that is no history; empty of one that is.
    """

    file: str
    operations: int
    objects: int
    linearizable: bool | None
    expected: bool | None
    blocked: tuple[str, Operation] | None = None
    unreadable: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it is as it is said to be; one of which nothing is said is to be linearizable.

        Of what is undecided that is not known.
        """
        return self.linearizable is (self.expected is not False)

    @property
    def verdict(self) -> str:
        """In a word."""
        if self.unreadable:
            return "no history"
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
            "undecided": self.linearizable is None and not self.unreadable,
            "expected": self.expected,
        }
        if self.unreadable:
            plain["unreadable"] = self.unreadable
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
        return sum(each.linearizable is None and not each.unreadable for each in self.judged)

    @property
    def unreadable(self) -> int:
        """How many files are no history."""
        return sum(bool(each.unreadable) for each in self.judged)

    @property
    def refuted(self) -> bool:
        """Whether one is certain not to be as it should be, or no history at all."""
        decided = (each for each in self.judged if each.linearizable is not None or each.unreadable)
        return any(not each.agrees for each in decided)

    def summary(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "passed": self.passed,
            "histories": len(self.judged),
            "agree": sum(each.agrees for each in self.judged),
            "linearizable": sum(each.linearizable is True for each in self.judged),
            "undecided": self.undecided,
            "unreadable": self.unreadable,
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
        left += f", {self.unreadable} no history" if self.unreadable else ""
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
        BadHistory: there is none, or what is expected of them cannot be read.
    """
    began = time.monotonic()
    histories = find_histories(folder)
    judged = []
    for done, (path, expected) in enumerate(histories, 1):
        try:
            judged.append(_judge(read_history(path, expected), tries_max))
        except BadHistory as error:
            judged.append(Judged(path.name, 0, 0, None, expected, unreadable=str(error)))
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
    if judged.unreadable:
        return f": {judged.unreadable}"
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
