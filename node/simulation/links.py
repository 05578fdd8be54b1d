"""Directed links between hosts: how long things take, what gets lost, and what is cut.

A link from A to B and the one from B to A are two, so that partitions may be one-way. A cut stalls the bytes
of streams (they arrive after it heals, as TCP's do) and swallows datagrams. A clogged link holds up both, as
a queue in a router does, and lets all of it go at once when it is clear again; so does one to a host that is
frozen. Loss, duplication and
reordering touch datagrams only; delay touches both, and never changes the order of a stream's bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import trio

LATE_S = 0.5


class Delay(NamedTuple):
    """How long a crossing takes: `least_s`, and up to `spread_s` more."""

    least_s: float
    spread_s: float


@dataclass(slots=True)
class Conditions:
    """What is wrong with a link; nothing by default.

    Args:
        loss, duplication, reordering: chances of a datagram to vanish, to arrive twice, to arrive late.
        extra_s: added to every crossing.
        cut: nothing gets through.
        clogged: nothing gets through now, and nothing is lost of it.
    """

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    extra_s: float = 0.0
    cut: bool = False
    clogged: bool = False


class Link:
    """One direction between two hosts.

    Args:
        delay: of a crossing when nothing is wrong.
        random: the network's generator.

    Attributes:
        conditions: what is wrong with it.
        frozen: whether the host that it leads to takes nothing in.
    """

    def __init__(self, delay: Delay, random: Random) -> None:
        self.conditions = Conditions()
        self.frozen = False
        self._delay = delay
        self._random = random
        self._stalled: list[Callable[[], None]] = []
        self._healed = trio.lowlevel.ParkingLot()

    @property
    def stalls(self) -> bool:
        """Whether nothing that waits gets through now."""
        return self.conditions.cut or self.clogged

    @property
    def clogged(self) -> bool:
        """Whether datagrams wait, too."""
        return self.conditions.clogged or self.frozen

    def crossing_s(self) -> float:
        """How long the next thing takes to cross, in seconds."""
        return self._delay.least_s + self._delay.spread_s * self._random.random() + self.conditions.extra_s

    def fates(self) -> Iterator[float]:
        """For each copy of a datagram that arrives, how long it takes; none when it is lost."""
        conditions = self.conditions
        if conditions.cut or self._random.random() < conditions.loss:
            return
        copies = 1 + (self._random.random() < conditions.duplication)
        for _ in range(copies):
            late = self._random.random() < conditions.reordering
            yield self.crossing_s() + (self._random.random() * LATE_S if late else 0.0)

    def stall(self, resume: Callable[[], None]) -> None:
        """Have `resume` called when the link no longer stalls."""
        self._stalled.append(resume)

    async def cross(self) -> None:
        """Take as long as a small message takes; while the link stalls, wait."""
        await trio.sleep(self.crossing_s())
        while self.stalls:
            await self._healed.park()
            await trio.sleep(self.crossing_s())

    def set(self, conditions: Conditions) -> None:
        """Put other conditions in force; what was stalled goes on when the link no longer stalls."""
        self.conditions = conditions
        self._resume()

    def freeze(self, *, frozen: bool) -> None:
        """Hold up everything from now on, or let it go."""
        self.frozen = frozen
        self._resume()

    def _resume(self) -> None:
        if not self.stalls:
            stalled, self._stalled = self._stalled, []
            for resume in stalled:
                resume()
            self._healed.unpark_all()


class Links:
    """Every link between hosts, made when first used.

    Args:
        delay_of: the delay of a healthy link between two hosts.
        random: the network's generator.
    """

    def __init__(self, delay_of: Callable[[str, str], Delay], random: Random) -> None:
        self._delay_of = delay_of
        self._random = random
        self._links: dict[tuple[str, str], Link] = {}
        self._frozen: set[str] = set()

    def between(self, source: str, target: str) -> Link:
        """The link from one host to another."""
        link = self._links.get((source, target))
        if link is None:
            link = self._links[source, target] = Link(self._delay_of(source, target), self._random)
            link.frozen = target in self._frozen
        return link

    def freeze(self, host: str) -> None:
        """Have everything wait that is on its way to a host; what it has sent goes on."""
        self._frozen.add(host)
        self._tell(host)

    def thaw(self, host: str) -> None:
        """Have arrive what waits for a host, if anything does."""
        self._frozen.discard(host)
        self._tell(host)

    def _tell(self, host: str) -> None:
        for (_, target), link in self._links.items():
            if target == host:
                link.freeze(frozen=host in self._frozen)

    def mend_all(self) -> None:
        """Have nothing wrong anywhere."""
        for link in self._links.values():
            link.set(Conditions())
