"""All patterns of a policy as a few sets, which RE2 looks for at once.

One set would be the fastest to match and takes too long to compile: RE2 does that in one call, during which
no other thread of the process runs. So patterns are put together as long as their programs are small, and the
sets are compiled one by one. Each has an expression of its own that matches every text, whose absence betrays
a match that was given up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import re2
from folkmoot.node.moderation.budget import Budget
from folkmoot.protocol.moderation.bounds import PATTERN_SET_INSTRUCTIONS, PATTERN_SETS_BYTES

_ALWAYS: Final = r""
_INSTRUCTION_BYTES: Final = 384  # which an instruction of a program takes in twenty states of its automaton

Options = Callable[[int], Any]
"""How RE2 reads expressions, given how many bytes they may take."""


class MatchError(Exception):
    """A text could not be matched; nothing is known about it."""


Sized = tuple[str, int]
"""An expression, and how many instructions its program has."""


class PatternSets:
    """Expressions that are looked for together, numbered as they are given.

    Args:
        own: some that every policy has; they stand in the first set, however large it is then.
        patterns: those of the policy.
        options: see there.
    """

    def __init__(self, own: Sequence[Sized], patterns: Sequence[Sized], options: Options) -> None:
        groups = _groups(patterns)
        share = PATTERN_SETS_BYTES // len(groups)
        self._sets = []
        first = 0
        for group in ([*own, *groups[0]], *groups[1:]):
            needed = _INSTRUCTION_BYTES * sum(size for _expression, size in group)
            compiled = _compiled([expression for expression, _size in group], options(max(share, needed)))
            self._sets.append((first, compiled))
            first += len(group)

    def __len__(self) -> int:
        return len(self._sets)

    def match(self, text: str, budget: Budget) -> list[int]:
        """The numbers of the expressions that are found in `text`.

        Raises:
            MatchError: the matching was given up.
            OverBudget: it takes too long.
        """
        found: list[int] = []
        for first, each in self._sets:
            budget.take(len(text))
            members = each.Match(text)
            if not members:
                raise MatchError("a set of patterns ran out of memory on this text")
            found += [first + member - 1 for member in members if member]
        return found


def _groups(patterns: Sequence[Sized]) -> list[list[Sized]]:
    """Patterns in their order, put together as long as they are small; at least one group."""
    groups: list[list[Sized]] = [[]]
    size = 0
    for pattern in patterns:
        size += pattern[1]
        if groups[-1] and size > PATTERN_SET_INSTRUCTIONS:
            groups.append([])
            size = pattern[1]
        groups[-1].append(pattern)
    return groups


def _compiled(expressions: Sequence[str], options: Any) -> Any:
    matching = re2.Set.SearchSet(options)
    for expression in (_ALWAYS, *expressions):
        matching.Add(expression)
    matching.Compile()
    return matching
