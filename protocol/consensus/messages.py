"""What proposers ask of acceptors, and what those answer.

Every request names the seat it is for and carries the configuration its sender acts on, whole: whoever has
not heard of it learns it so.
"""

from __future__ import annotations

from typing import Annotated

from folkmoot.protocol import limits
from folkmoot.protocol.consensus.ballot import ZERO, Ballot
from folkmoot.protocol.consensus.configuration import Configuration, SeatId
from folkmoot.protocol.consensus.value import Value
from msgspec import Meta, Struct

Register = Annotated[str, Meta(min_length=1, max_length=limits.REGISTER_NAME_BYTES)]


class Prepare(Struct, frozen=True, tag="prepare"):
    """Promise `ballot`, and say what was accepted last."""

    seat: SeatId
    configuration: Configuration
    register: Register
    ballot: Ballot


class Accept(Struct, frozen=True, tag="accept"):
    """Accept `value` under `ballot`, and promise `following` with it, which saves the next change a round."""

    seat: SeatId
    configuration: Configuration
    register: Register
    ballot: Ballot
    value: Value | None
    following: Ballot


class Query(Struct, frozen=True, tag="query"):
    """Say what was accepted last, and promise nothing."""

    seat: SeatId
    configuration: Configuration
    register: Register


Ask = Prepare | Accept | Query


class Told(Struct, frozen=True, tag="told"):
    """The answer to `Prepare` and `Query`: what was accepted last; `ZERO` and None when nothing was."""

    ballot: Ballot
    value: Value | None


class Accepted(Struct, frozen=True, tag="accepted"):
    """The answer to `Accept`."""


class Refused(Struct, frozen=True, tag="refused"):
    """A greater ballot is promised already."""

    promised: Ballot


class Outdated(Struct, frozen=True, tag="outdated"):
    """The request acts on a configuration that was followed by this one."""

    configuration: Configuration


class Unseated(Struct, frozen=True, tag="unseated"):
    """The node that was asked does not hold the seat the request is for, but another or none."""

    seat: SeatId


Answer = Told | Accepted | Refused | Outdated | Unseated


class State(Struct, frozen=True):
    """What a seat keeps of one register.

    Args:
        promised: the greatest ballot promised; nothing under a lesser one is accepted any more.
        accepted: the ballot of what was accepted last.
        value: what was accepted last.
    """

    promised: Ballot = ZERO
    accepted: Ballot = ZERO
    value: Value | None = None
