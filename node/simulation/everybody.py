"""Everybody in a simulated town: people, householders, a stranger, a skeptic, clerks and a renovator.

They live at once, then settle.
"""

from __future__ import annotations

from typing import Final

import trio
from folkmoot.node.simulation.caller import Caller
from folkmoot.node.simulation.clerks import Clerk
from folkmoot.node.simulation.curator import Curator
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.householder import Householder
from folkmoot.node.simulation.layout import OPERATOR
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
HOUSEHOLDERS: Final = 2  # who want the same handles
PHOTOGRAPHERS: Final = 2
CURATORS: Final = 2


class Everybody:
    """See the module.

    Args:
        world: whose nodes are asked.
        history: where everything answered goes.
        people: how many write and read; without any there are no householders either.
        pause_s: mean time between two things one of them does.
        nursery: where their links run.
    """

    def __init__(
        self, world: World, history: History, people: int, pause_s: float, nursery: trio.Nursery
    ) -> None:
        town = Town(
            history,
            lambda ack: world.trace.note(f"ack {ack.level}", ack.record.id),
            world.coverage.operation,
        )

        def person(name: str, *, hoards: bool) -> Person:
            random = world.random(f"person/{name}")
            key = KeyPair(random.randbytes(SEED_BYTES))
            wall = SimulatedWallClock(random.randint(-SKEW_US_MAX, SKEW_US_MAX))
            caller = Caller(world, name, random, nursery)
            return Person(town, key, random, wall, caller, pause_s, hoards=hoards)

        self._people = [person(f"person-{number + 1}", hoards=number == 0) for number in range(people)]

        def householder(name: str) -> Householder:
            random = world.random(f"householder/{name}")
            wall = SimulatedWallClock(random.randint(-SKEW_US_MAX, SKEW_US_MAX))
            caller = Caller(world, name, random, nursery)
            thief = Caller(world, f"{name}-thief", random, nursery)
            clocks, gullible = world.wall_clocks, world.witness.keys.gullible
            return Householder(town, random, wall, caller, thief, pause_s, clocks, gullible)

        self._householders = [
            householder(f"householder-{number + 1}") for number in range(HOUSEHOLDERS if people else 0)
        ]

        def photographer(name: str) -> Photographer:
            random = world.random(f"photographer/{name}")
            key = KeyPair(random.randbytes(SEED_BYTES))
            wall = SimulatedWallClock(random.randint(-SKEW_US_MAX, SKEW_US_MAX))
            return Photographer(town, key, random, wall, Caller(world, name, random, nursery, key), pause_s)

        self.photographers = [
            photographer(f"photographer-{number + 1}") for number in range(PHOTOGRAPHERS if people else 0)
        ]

        def curator(name: str) -> Curator:
            random = world.random(f"curator/{name}")
            key = KeyPair(random.randbytes(SEED_BYTES))
            wall = SimulatedWallClock(random.randint(-SKEW_US_MAX, SKEW_US_MAX))
            return Curator(town, key, random, wall, Caller(world, name, random, nursery, key), pause_s)

        self.curators = [curator(f"curator-{number + 1}") for number in range(CURATORS if people else 0)]
        self._stranger = Stranger(world, town, nursery, pause_s)
        self._skeptic = Skeptic(world, town, "skeptic", nursery, pause_s)

        def clerk(name: str) -> Clerk:
            random = world.random(f"clerk/{name}")
            caller = Caller(world, name, random, nursery, OPERATOR)
            return Clerk(history, name, random, caller, pause_s, world.coverage.operation)

        self._clerks = [clerk(f"clerk-{number + 1}") for number in range(CLERKS)]
        random = world.random("renovator")
        caller = Caller(world, "renovator", random, nursery, OPERATOR)
        self._renovator = Renovator(history, random, caller, pause_s, world.coverage.operation)

    async def live_and_settle(self, until_s: float) -> None:
        """Let them live until the virtual time `until_s`, then settle; returns when all have finished."""
        async with trio.open_nursery() as nursery:
            for person in self._people:
                nursery.start_soon(person.live, lambda: trio.current_time() >= until_s)
            nursery.start_soon(self._stranger.live, until_s)
            nursery.start_soon(self._skeptic.live, until_s)
            nursery.start_soon(self._renovator.live, until_s)
            for clerk in self._clerks:
                nursery.start_soon(clerk.live, lambda: trio.current_time() >= until_s)
            for householder in self._householders:
                nursery.start_soon(householder.live, lambda: trio.current_time() >= until_s)
            for photographer in self.photographers:
                nursery.start_soon(photographer.live, lambda: trio.current_time() >= until_s)
            for curator in self.curators:
                nursery.start_soon(curator.live, lambda: trio.current_time() >= until_s)
        async with trio.open_nursery() as nursery:
            for person in self._people:
                nursery.start_soon(person.settle)
            for householder in self._householders:
                nursery.start_soon(householder.settle)
            for photographer in self.photographers:
                nursery.start_soon(photographer.settle)
            for curator in self.curators:
                nursery.start_soon(curator.settle)
        await self._stranger.conclude()
