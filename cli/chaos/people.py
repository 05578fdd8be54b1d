"""The load: the simulation's people and clerks, with real links to real nodes, and somebody who replays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from random import Random
from typing import Final

import trio
from folkmoot.cli.chaos.caller import Caller, Doors
from folkmoot.cli.journal import Acknowledged, Journal
from folkmoot.node.simulation.caller import UNANSWERED
from folkmoot.node.simulation.clerks import Clerk
from folkmoot.node.simulation.history import KEPT, Ack, History
from folkmoot.node.simulation.town import WRITE_LEVELS, Town
from folkmoot.node.simulation.workload import Person
from folkmoot.node.system import SystemWallClock
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import SEED_BYTES, KeyPair

CLERKS: Final = 3
# Registers are few, and every change of one waits for the one before it.
CLERK_PAUSE_S: Final = 0.5


class People:
    """Everybody who uses the cluster.

    Args:
        doors: where its nodes listen.
        journal: every acknowledgement is written down there as soon as it came.
        seed: decides what they do; who they are is new each time, so that runs on one cluster do not meet.
        count: how many.
        pause_s: mean time between two things one of them does.
        nursery: where their links run.
        operator: whose key the clerks prove, who read and change registers.

    Attributes:
        history: everything they were answered.
    """

    def __init__(
        self,
        doors: Doors,
        journal: Journal,
        seed: int,
        count: int,
        pause_s: float,
        nursery: trio.Nursery,
        operator: KeyPair,
    ) -> None:
        self.history = History()
        self._journal = journal
        self._pause_s = pause_s
        self._town = Town(self.history, self._write_down)
        self._people = [
            self._person(doors, Random(f"people/{seed}/{number}"), nursery)  # noqa: S311  # protects nothing
            for number in range(count)
        ]
        self._random = Random(f"people/{seed}/stranger")  # noqa: S311  # protects nothing
        self._stranger = Caller(doors, self._random, nursery)
        self._clerks = [
            self._clerk(doors, f"clerk-{number + 1}", seed, nursery, operator) for number in range(CLERKS)
        ]

    def _person(self, doors: Doors, random: Random, nursery: trio.Nursery) -> Person:
        key = KeyPair(os.urandom(SEED_BYTES))
        caller = Caller(doors, random, nursery)
        return Person(self._town, key, random, SystemWallClock(), caller, self._pause_s)

    def _clerk(self, doors: Doors, name: str, seed: int, nursery: trio.Nursery, operator: KeyPair) -> Clerk:
        random = Random(f"{name}/{seed}")  # noqa: S311  # protects nothing
        return Clerk(self.history, name, random, Caller(doors, random, nursery, operator), CLERK_PAUSE_S)

    async def begin(self) -> None:
        """Find out, while nothing is broken, what the registers hold."""
        await self._clerks[0].begin()

    def _write_down(self, ack: Ack) -> None:
        now_us = time.time_ns() // 1000
        self._journal.append([Acknowledged.of(ack.record, held=False, level=ack.level, time_us=now_us)])

    async def live(self, over: Callable[[], bool]) -> None:
        """Let them do things until `over` says so."""
        async with trio.open_nursery() as nursery:
            for person in self._people:
                nursery.start_soon(person.live, over)
            for clerk in self._clerks:
                nursery.start_soon(clerk.live, over)
            nursery.start_soon(self._replay, over)

    async def settle(self) -> None:
        """Let them conclude, and send again for up to a minute what has no certain answer yet."""
        for last in (Person.conclude, Person.settle):
            async with trio.open_nursery() as nursery:
                for person in self._people:
                    nursery.start_soon(last, person)

    async def _replay(self, over: Callable[[], bool]) -> None:
        """Send what others once signed to any node, as anybody may: it must bring nothing back."""
        while not over():
            await trio.sleep(self._random.expovariate(1 / self._pause_s))
            if not self.history.submitted:
                continue
            record = self._random.choice(self.history.submitted)
            params = {"records": [record.to_wire()], "level": self._random.choice(WRITE_LEVELS)}
            sent_s = trio.current_time()
            try:
                answer = await self._stranger.call("record.put", params)
            except (*UNANSWERED, WireError):
                self.history.count("replays unanswered")
                continue
            (result,) = answer["results"]
            self.history.count(f"replays {result['status']}")
            if result["status"] in KEPT:
                achieved = result["achieved"]["level"]
                ack = Ack(record, sent_s, trio.current_time(), str(params["level"]), achieved, None)
                self.history.acks.append(ack)
                self._write_down(ack)
