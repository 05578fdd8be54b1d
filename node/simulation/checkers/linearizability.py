"""Linearizability: is there an order of the operations, within their times, in which one copy answers so?

The search goes through a history's events in the order of time and tries operations whose calls have come and
whose returns have not been passed yet. What it has done so far is the set of operations in order, and the
state: two ways to the same pair have the same future, so each pair is tried once. An operation whose outcome
is unknown may take effect at any time after its call, or never; one that is known to have failed never does.

Histories of several objects are checked object by object, which is the same (Herlihy and Wing's locality).

The question is NP-complete (P. Gibbons and E. Korach, "Testing shared memories", 1997), so a search has a
bound, and there says that it does not know.

Sources: J. Wing and C. Gong, "Testing and verifying concurrent objects" (1993); G. Lowe, "Testing for
linearizability" (2017), for the memo and the linked list.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

UNKNOWN: Final = object()
"""The result of an operation that nobody was told the outcome of."""

TRIES_MAX: Final = 5_000_000
"""Tries after which a search gives up: some ten seconds, and less than 1 GiB."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, from its call to its return.

    Args:
        process: who called.
        call: what was asked, as the model understands it.
        result: what was answered; `UNKNOWN` when nothing was.
        called_at: the position of the call in the history.
        returned_at: the position of the return; of no account when the result is unknown.
    """

    process: Hashable
    call: Any
    result: Any
    called_at: int
    returned_at: int = 0


class Model(Protocol):
    """What one copy does. States are immutable and hashable."""

    @property
    def initial(self) -> Hashable:
        """The state before any operation."""
        ...

    def step(self, state: Any, call: Any, result: Any) -> tuple[bool, Any]:
        """Whether `result` may answer `call` in `state`, and the state after; `UNKNOWN` is any answer."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """What was found.

    Args:
        linearizable: whether there is an order; None when the search came to its bound first.
        order: the operations in it; when none was found, those of the longest beginning of one.
        blocked: when there is no order, the operation whose return no beginning got past; else None.
        tried: how often an operation was tried in a state.
    """

    linearizable: bool | None
    order: tuple[Operation, ...]
    blocked: Operation | None
    tried: int


def linearize(operations: Sequence[Operation], model: Model, tries_max: int = TRIES_MAX) -> Order:
    """Look for an order of the operations of one object.

    Args:
        operations: in any order.
        model: the object's.
        tries_max: how often operations are tried before the search gives up.
    """
    return _Search(operations, model, tries_max).run()


class _Search:
    """One search; `run` runs it once.

    Events are numbered by time from 1; `_next` and `_previous` link those that are left, with 0 as the head.
    """

    def __init__(self, operations: Sequence[Operation], model: Model, tries_max: int) -> None:
        self._operations = operations
        self._model = model
        self._tries_max = tries_max
        self._tried = 0
        events = sorted(
            [(each.called_at, 0, number) for number, each in enumerate(operations)]
            + [
                (each.returned_at, 1, number)
                for number, each in enumerate(operations)
                if each.result is not UNKNOWN
            ]
        )
        self._operation_of = [-1, *(number for _, _, number in events)]
        self._is_call = [False, *(not is_return for _, is_return, _ in events)]
        self._return_of: dict[int, int] = {
            number: event for event, (_, is_return, number) in enumerate(events, 1) if is_return
        }
        self._next = [*range(1, len(events) + 1), -1]
        self._previous = [-1, *range(len(events))]
        self._returns_left = len(self._return_of)
        self._state: Any = model.initial
        self._done = 0  # a bit an operation
        self._path: list[tuple[int, Any]] = []  # call events lifted, with the state before each

    def run(self) -> Order:
        seen: set[tuple[int, Any]] = set()
        longest: list[int] = []
        blocked = -1
        event = self._next[0]
        while self._returns_left:
            if self._is_call[event]:
                if self._tried >= self._tries_max:
                    return self._found(None, longest, -1)
                self._tried += 1
                number = self._operation_of[event]
                operation = self._operations[number]
                possible, state = self._model.step(self._state, operation.call, operation.result)
                pair = (self._done | 1 << number, state)
                if possible and pair not in seen:
                    seen.add(pair)
                    self._lift(event, state)
                    event = self._next[0]
                    continue
                event = self._next[event]
                continue
            if len(self._path) >= len(longest):
                longest = [self._operation_of[each] for each, _ in self._path]
                blocked = self._operation_of[event]
            if not self._path:
                return self._found(False, longest, blocked)
            event = self._next[self._unlift()]
        return self._found(True, [self._operation_of[each] for each, _ in self._path], -1)

    def _lift(self, event: int, state: Any) -> None:
        """Take an operation's events out of the list: it comes next in the order."""
        number = self._operation_of[event]
        self._path.append((event, self._state))
        self._state = state
        self._done |= 1 << number
        self._unlink(event)
        if number in self._return_of:
            self._unlink(self._return_of[number])
            self._returns_left -= 1

    def _unlift(self) -> int:
        """Take the last operation of the order back; its call event."""
        event, self._state = self._path.pop()
        number = self._operation_of[event]
        self._done &= ~(1 << number)
        if number in self._return_of:
            self._relink(self._return_of[number])
            self._returns_left += 1
        self._relink(event)
        return event

    def _unlink(self, event: int) -> None:
        before, after = self._previous[event], self._next[event]
        self._next[before] = after
        if after >= 0:
            self._previous[after] = before

    def _relink(self, event: int) -> None:
        before, after = self._previous[event], self._next[event]
        self._next[before] = event
        if after >= 0:
            self._previous[after] = event

    def _found(self, linearizable: bool | None, order: Sequence[int], blocked: int) -> Order:
        return Order(
            linearizable,
            tuple(self._operations[number] for number in order),
            None if blocked < 0 else self._operations[blocked],
            self._tried,
        )
