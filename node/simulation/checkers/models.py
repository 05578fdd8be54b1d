"""Models of single objects for `linearizability`: what one copy answers to each call."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from folkmoot.node.simulation.checkers.linearizability import UNKNOWN


class Call(NamedTuple):
    """What was asked of an object.

    Args:
        name: `read`, `write`, `cas` of a register; `get`, `put`, `append` of a text.
        argument: the value written or appended; for `cas` the pair (expected, new); nothing for reads.
    """

    name: str
    argument: Any = None


class Register:
    """A register of one value, at first None: read, write, compare and set.

    A `cas` is answered by whether it took effect.
    """

    initial: Final = None

    def step(self, state: Any, call: Call, result: Any) -> tuple[bool, Any]:
        """See `linearizability.Model`."""
        if call.name == "read":
            return result is UNKNOWN or result == state, state
        if call.name == "write":
            return True, call.argument
        expected, new = call.argument
        if result is False:
            return state != expected, state
        return state == expected, new


class Text:
    """A text, at first empty: get, put, append."""

    initial: Final = ""

    def step(self, state: Any, call: Call, result: Any) -> tuple[bool, Any]:
        """See `linearizability.Model`."""
        if call.name == "get":
            return result is UNKNOWN or result == state, state
        return True, call.argument if call.name == "put" else f"{state}{call.argument}"
