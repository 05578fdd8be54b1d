"""Everybody in a simulated town: people and householders, photographers and curators, a crowd, and others.

A stranger, a skeptic, clerks, a renovator and a magistrate have no account of their own. They live at once,
then settle.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple, Protocol

import trio
from folkmoot.node.simulation.caller import Caller
from folkmoot.node.simulation.clerks import Clerk
from folkmoot.node.simulation.crowd import Crowd
from folkmoot.node.simulation.curator import Curator
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.householder import Householder
from folkmoot.node.simulation.layout import OPERATOR
from folkmoot.node.simulation.magistrate import Magistrate
from folkmoot.node.simulation.pen import Pen
from folkmoot.node.simulation.photographer import Photographer
from folkmoot.node.simulation.renovator import Renovator
from folkmoot.node.simulation.skeptic import Skeptic
from folkmoot.node.simulation.stranger import Stranger
from folkmoot.node.simulation.surroundings import SKEW_US_MAX, SimulatedWallClock
from folkmoot.node.simulation.town import Town
from folkmoot.node.simulation.workload import Person
from folkmoot.node.simulation.world import World
from folkmoot.protocol.identity import SEED_BYTES, KeyPair

CLERKS: Final = 3
FANS: Final = 3  # more than are put into inboxes in some runs


class Account(Protocol):
    """Somebody who writes."""

    async def live(self, over: Callable[[], bool]) -> None:
        """Do things until `over` says so."""
        ...

    async def settle(self) -> None:
        """Have everything answered for certain."""
        ...


class _Kit(NamedTuple):
    """What somebody with one device has."""

    key: KeyPair
    random: Random
    wall: SimulatedWallClock
    caller: Caller


class Everybody:
    """See the module.

    Args:
        world: whose nodes are asked.
        history: where everything answered goes.
        people: how many write and read; without any there are only a stranger, a skeptic and operators.
        pause_s: mean time between two things one of them does.
        nursery: where their links run.

    Attributes:
        photographers, curators: see there; they look once more in the quiet.
    """

    def __init__(
        self, world: World, history: History, people: int, pause_s: float, nursery: trio.Nursery
    ) -> None:
        self._world, self._history, self._pause_s, self._nursery = world, history, pause_s, nursery
        self._town = town = Town(
            history,
            lambda ack: world.trace.note(f"ack {ack.level}", ack.record.id),
            world.coverage.operation,
        )
        self._people = [
            Person(town, *self._kit("person", number + 1), pause_s, hoards=number == 0)
            for number in range(people)
        ]
        busy = range(1, 3) if people else ()  # two of each, who may want the same
        self._householders = [self._householder(number) for number in busy]
        self.photographers = [
            Photographer(town, *self._kit("photographer", number, proven=True), pause_s) for number in busy
        ]
        self.curators = [
            Curator(town, *self._kit("curator", number, proven=True), pause_s) for number in busy
        ]
        self._crowds = [self._crowd()] if people else []
        self._clerks = [self._clerk(number + 1) for number in range(CLERKS)]
        self._stranger = Stranger(world, town, nursery, pause_s)
        self._skeptic = Skeptic(world, town, "skeptic", nursery, pause_s)
        random = world.random("renovator")
        caller = Caller(world, "renovator", random, nursery, OPERATOR)
        self._renovator = Renovator(history, random, caller, pause_s, world.coverage.operation)
        self._magistrates = [self._magistrate()] if people else []

    def _kit(self, kind: str, number: int, *, proven: bool = False) -> _Kit:
        """What one of a kind has.

        Args:
            proven: whether they prove their account to the nodes they ask.
        """
        name = f"{kind}-{number}"
        random = self._world.random(f"{kind}/{name}")
        key = KeyPair(random.randbytes(SEED_BYTES))
        wall = SimulatedWallClock(random.randint(-SKEW_US_MAX, SKEW_US_MAX))
        caller = Caller(self._world, name, random, self._nursery, key if proven else None)
        return _Kit(key, random, wall, caller)

    def _householder(self, number: int) -> Householder:
        world, name = self._world, f"householder-{number}"
        random = world.random(f"householder/{name}")
        wall = SimulatedWallClock(random.randint(-SKEW_US_MAX, SKEW_US_MAX))
        caller = Caller(world, name, random, self._nursery)
        thief = Caller(world, f"{name}-thief", random, self._nursery)
        clocks, gullible = world.wall_clocks, world.witness.keys.gullible
        return Householder(self._town, random, wall, caller, thief, self._pause_s, clocks, gullible)

    def _crowd(self) -> Crowd:
        """An idol and their fans."""
        idol = self._kit("idol", 1)
        fans = [Pen(self._town, *self._kit("fan", number + 1)) for number in range(FANS)]
        pen = Pen(self._town, *idol)
        return Crowd(self._town, self._world.random("crowd"), pen, fans, idol.caller.leave, self._pause_s)

    def _clerk(self, number: int) -> Clerk:
        name = f"clerk-{number}"
        random = self._world.random(f"clerk/{name}")
        caller = Caller(self._world, name, random, self._nursery, OPERATOR)
        return Clerk(self._history, name, random, caller, self._pause_s, self._world.coverage.operation)

    def _magistrate(self) -> Magistrate:
        accused = self._kit("accused", 1)
        caller = Caller(self._world, "magistrate", self._world.random("magistrate"), self._nursery, OPERATOR)
        watched = self._world.coverage.operation
        history, pause_s = self._history, 3 * self._pause_s
        return Magistrate(history, accused.key, accused.random, accused.wall, caller, pause_s, watched)

    async def live_and_settle(self, until_s: float) -> None:
        """Let them live until the virtual time `until_s`, then settle; returns when all have finished."""
        accounts: list[Account] = [*self._people, *self._householders, *self.photographers, *self.curators]
        accounts += self._crowds
        async with trio.open_nursery() as nursery:
            for each in accounts:
                nursery.start_soon(each.live, lambda: trio.current_time() >= until_s)
            for clerk in self._clerks:
                nursery.start_soon(clerk.live, lambda: trio.current_time() >= until_s)
            for other in (self._stranger, self._skeptic, self._renovator):
                nursery.start_soon(other.live, until_s)
            for magistrate in self._magistrates:
                nursery.start_soon(magistrate.live, until_s)
        async with trio.open_nursery() as nursery:
            for each in accounts:
                nursery.start_soon(each.settle)
        await self._stranger.conclude()
