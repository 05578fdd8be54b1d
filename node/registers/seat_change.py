"""Changing the seats: two configurations, and every register between them.

1. The register of seats is changed, under the configuration of today, to the *joint* one.
2. Under the joint one every register is rewritten as it is: a majority of the seats to come then has it. The
   register of seats comes first: from then on a majority of the seats of before refuses what is older, so no
   register can be decided that their lists do not name.
3. The register of seats is changed, under the joint configuration, to the one with the seats to come alone.

Each step can be done again, by anyone: whoever finds a joint configuration goes on from the second.

Source: the theory is in `protocol.consensus.configuration`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import trio
from folkmoot.protocol import limits
from folkmoot.protocol.consensus.configuration import REGISTER, Configuration, Seat
from folkmoot.protocol.consensus.value import Make, Value

T = TypeVar("T")


class Registers(Protocol):
    """See `actors.registrar`."""

    async def change(self, name: str, make: Make) -> Value | None: ...

    async def rewrite(self, name: str) -> Value | None: ...

    async def names(self, configuration: Configuration) -> list[str]: ...


Learn = Callable[[Configuration], Awaitable[bool]]
"""Makes a configuration that is decided durable on this node, and acts on it."""


async def begin_change(
    registers: Registers, learn: Learn, today: Configuration, coming: Sequence[Seat]
) -> Configuration:
    """The first step; the configuration that was decided, by us or by who was faster.

    Raises:
        WireError: `bad_request`, when `coming` is no set of seats or seats are changing; `no_quorum`,
            `uncertain`.
    """
    return await _decide(registers, learn, today, today.joined_by(coming))


async def finish_change(registers: Registers, learn: Learn, joint: Configuration) -> Configuration:
    """The other steps; the configuration that was decided.

    Raises:
        WireError: `no_quorum`, `uncertain`; whoever comes next goes on.
    """
    await learn(joint)
    await registers.rewrite(REGISTER)
    names = [name for name in await registers.names(joint) if name != REGISTER]
    await each_of(names, registers.rewrite)
    return await _decide(registers, learn, joint, joint.settled())


async def _decide(
    registers: Registers, learn: Learn, today: Configuration, following: Configuration
) -> Configuration:
    """Have `following` follow `today`, unless something else does already."""

    def make(value: Value | None) -> bytes | None:
        present = today if value is None else Configuration.decode(value.body)
        return following.encode() if present.number <= today.number else None

    value = await registers.change(REGISTER, make)
    assert value is not None, "the register of seats has a value once it was changed"
    decided = Configuration.decode(value.body)
    await learn(decided)
    return decided


async def each_of(names: Sequence[T], do: Callable[[T], Awaitable[object]]) -> None:
    """Do something with each of many registers, a bounded number at a time.

    Raises:
        WireError: the first that one of them raised; the others are not waited for.
    """
    left = list(reversed(names))
    failures: list[Exception] = []

    async def work(nursery: trio.Nursery) -> None:
        while left:
            try:
                await do(left.pop())
            except Exception as error:
                failures.append(error)
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for _ in range(min(limits.REGISTERS_AT_ONCE, len(left))):
            nursery.start_soon(partial(work, nursery))
    if failures:
        raise failures[0]
