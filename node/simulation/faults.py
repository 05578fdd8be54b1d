"""Faults as they are carried out: an injector begins and ends what the schedule says.

Episodes overlap freely; what a link or a node suffers is worked out anew from all that are under way, so that
the end of one never heals another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import trio
from folkmoot.node.simulation.backups import Backups
from folkmoot.node.simulation.bit_flips import BitFlips
from folkmoot.node.simulation.disk import CommitPoint, SimulatedDisk
from folkmoot.node.simulation.disk_errors import EIO
from folkmoot.node.simulation.disk_faults import DiskFaults, bring_up
from folkmoot.node.simulation.links import Conditions
from folkmoot.node.simulation.losses import Losses
from folkmoot.node.simulation.next_version import NEXT_VERSION
from folkmoot.node.simulation.schedule import (
    BACKUP,
    DISK_FAULTS,
    DOWN_FAULTS,
    LOST,
    MOVES,
    PAUSE,
    UPGRADE,
    Episode,
)
from folkmoot.node.simulation.steward import Steward
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.protocol.messages import VERSIONS
from folkmoot.storage.errors import StorageError, StoreCorrupt

LIVE_COPY: Final = 0.5
PROCESS_ALONE: Final = 0.55


class Pulse(NamedTuple):
    """How long, in seconds, a fault lasts each time (between two bounds), and how long it then rests."""

    lasts_s: tuple[float, float]
    rests_s: tuple[float, float]


DISK_SLOWDOWN: Final = 200.0
CLOCK_JUMP_US: Final = 600_000_000
DRIFT_PERMILLE: Final = 50.0
CUTTING_FAULTS: Final = frozenset({"partition", "oneway", "flapping"})
EXTRA_S: Final = 0.4
REFUSED_SHARE: Final = 0.8
FAILING_READS_SHARE: Final = 0.01
SAID_OF_EIO: Final = frozenset({EIO, StoreCorrupt.plainly, StorageError.plainly})
"""By the node whose disk fails, and by others of what that one answered them."""
PULSES: Final = {
    "flapping": Pulse((0.05, 0.8), (0.05, 0.8)),
    "clogging": Pulse((0.5, 6.0), (0.05, 1.5)),
}
"""Faults that come and go within an episode: nobody has settled for the one when the other comes."""


@dataclass(frozen=True, slots=True)
class Hands:
    """Who carries out what a world cannot do by itself; None for what does not happen.

    Args:
        steward: changes who keeps what.
        losses: loses nodes, and replaces them.
        flips: damages cells.
        backups: makes backups.
    """

    steward: Steward | None = None
    losses: Losses | None = None
    flips: BitFlips | None = None
    backups: Backups | None = None


class FaultInjector:
    """Carries out a schedule.

    Args:
        world: to be broken.
        episodes: the schedule.
        hands: who helps with it.
    """

    def __init__(self, world: World, episodes: Sequence[Episode], hands: Hands | None = None) -> None:
        self._hands = hands or Hands()
        self._world = world
        self._episodes = episodes
        self._under_way: list[Episode] = []
        self._resting: list[Episode] = []
        self._random = world.random("pulses")
        self._disks = DiskFaults(world, self._hands.flips)

    async def run(self) -> None:
        """Let every episode happen; returns when the last has ended."""
        async with trio.open_nursery() as nursery:
            for episode in self._episodes:
                nursery.start_soon(self._happen, episode)

    async def _happen(self, episode: Episode) -> None:
        await trio.sleep_until(episode.begin_s)
        self._world.trace.note(f"fault {episode.fault} begins")
        self._under_way.append(episode)
        self._world.coverage.fault_begins(episode.fault)
        await self._begin(episode)
        if episode.fault in PULSES:
            await self._pulse(episode, PULSES[episode.fault])
        await trio.sleep_until(episode.end_s)
        self._world.trace.note(f"fault {episode.fault} ends")
        self._under_way.remove(episode)
        self._world.coverage.fault_ends(episode.fault)
        await self._end(episode)

    async def _pulse(self, episode: Episode, pulse: Pulse) -> None:
        """Have a fault of links that is under way go and come again until its end."""
        while trio.current_time() < episode.end_s:
            await self._sleep_until_or_for(episode.end_s, pulse.lasts_s)
            self._resting.append(episode)
            self._apply_to_links()
            await self._sleep_until_or_for(episode.end_s, pulse.rests_s)
            self._resting.remove(episode)
            self._apply_to_links()

    async def _sleep_until_or_for(self, end_s: float, bounds_s: tuple[float, float]) -> None:
        await trio.sleep_until(min(end_s, trio.current_time() + self._random.uniform(*bounds_s)))

    async def _begin(self, episode: Episode) -> None:
        if episode.node < 0:
            self._apply_to_links()
            return
        node = self._world.nodes[episode.node]
        self._apply_to_node(node, episode.node)
        if episode.fault == "crash" and node.up:
            self._world.crash(node)
        elif episode.fault == "restart" and node.clients is not None:
            await self._world.stop(node)
        elif episode.fault == UPGRADE:
            await self._speak(node, (1, NEXT_VERSION))
        elif episode.fault == "torn":
            early = episode.strength < 0.55
            node.disk.crash_point = CommitPoint.BEFORE_COMMIT if early else CommitPoint.BEFORE_ACKNOWLEDGEMENT
        elif episode.fault == "eio":
            self._world.expected_errors |= SAID_OF_EIO
            self._fail(node.disk, episode.strength)
        elif episode.fault == PAUSE and node.up:
            self._world.freeze(node, machine=episode.strength > PROCESS_ALONE)
        elif episode.fault == "disk":
            node.disk.slowdown = 1 + DISK_SLOWDOWN * episode.strength
        elif episode.fault == MOVES and self._hands.steward is not None:
            await self._hands.steward.begin(episode)
        elif episode.fault == LOST and self._hands.losses is not None:
            await self._hands.losses.begin(episode, self._disks.may_give_up)
        elif episode.fault == BACKUP and self._hands.backups is not None:
            await self._hands.backups.take(node, episode.end_s)
        elif episode.fault in DISK_FAULTS:
            self._disks.begin(episode.fault, node, live=episode.strength > LIVE_COPY)

    async def _end(self, episode: Episode) -> None:
        if episode.node < 0:
            self._apply_to_links()
            return
        node = self._world.nodes[episode.node]
        self._apply_to_node(node, episode.node)
        if episode.fault == LOST and self._hands.losses is not None:
            self._hands.losses.end(episode)
        elif episode.fault == UPGRADE:
            await self._speak(node, VERSIONS)
        elif episode.fault in DOWN_FAULTS:
            node.disk.crash_point = node.disk.failure_point = None
            node.disk.failing_reads_share = 0.0
            await bring_up(self._world, node)
        elif episode.fault == MOVES and self._hands.steward is not None:
            await self._hands.steward.end(episode)
        elif episode.fault in DISK_FAULTS:
            await self._disks.end(node)
        elif episode.fault == PAUSE:
            self._world.thaw(node)
        elif episode.fault == "disk":
            node.disk.slowdown = 1.0

    async def _speak(self, node: SimulatedNode, versions: tuple[int, int]) -> None:
        """Stop a node, and start a program that speaks these versions."""
        node.versions = versions
        if node.clients is not None:
            await self._world.stop(node)
        await bring_up(self._world, node)

    def _fail(self, disk: SimulatedDisk, strength: float) -> None:
        """Have the next commit fail, before anything or after everything of it is on the disk, or reads."""
        if strength < 0.4:
            disk.failure_point = CommitPoint.BEFORE_COMMIT
        elif strength < 0.7:
            disk.failure_point = CommitPoint.BEFORE_ACKNOWLEDGEMENT
        else:
            disk.failing_reads_share = FAILING_READS_SHARE * strength

    def _apply_to_links(self) -> None:
        nodes = self._world.nodes
        at_work = [episode for episode in self._under_way if episode not in self._resting]
        for one in range(len(nodes)):
            for other in range(len(nodes)):
                if one != other:
                    link = self._world.network.links.between(nodes[one].host, nodes[other].host)
                    suffered = [episode for episode in at_work if (one, other) in episode.pairs]
                    link.set(conditions_of(suffered))

    def _apply_to_node(self, node: SimulatedNode, number: int) -> None:
        suffered = [episode for episode in self._under_way if episode.node == number]
        node.disk.refused_share = refused_share_of("busy", suffered)
        self._world.network.refused_shares[node.host] = refused_share_of("refused", suffered)
        node.wall.jump_us = sum(jump_us_of(episode) for episode in suffered if episode.fault == "clock")
        if drifts := [drift_permille_of(episode) for episode in suffered if episode.fault == "drift"]:
            node.wall.drift(sum(drifts))
        else:
            node.wall.set_right()


def conditions_of(episodes: Iterable[Episode]) -> Conditions:
    """What a link suffers from these together: of each fault, the worst."""
    worst: dict[str, float] = {}
    for episode in episodes:
        worst[episode.fault] = max(worst.get(episode.fault, 0.0), episode.strength)
    return Conditions(
        loss=0.5 * worst.get("loss", 0.0),
        duplication=worst.get("duplication", 0.0),
        reordering=worst.get("reordering", 0.0),
        extra_s=EXTRA_S * worst.get("delay", 0.0),
        cut=not worst.keys().isdisjoint(CUTTING_FAULTS),
        clogged="clogging" in worst,
    )


def refused_share_of(fault: str, episodes: Iterable[Episode]) -> float:
    """How large a share a node refuses that suffers these: as the worst of them has it."""
    return REFUSED_SHARE * max((each.strength for each in episodes if each.fault == fault), default=0.0)


def jump_us_of(episode: Episode) -> int:
    """By how much a clock jumps: mostly by seconds, seldom past the five minutes that stamps may be ahead."""
    return int(CLOCK_JUMP_US * (2 * episode.strength - 1.1) ** 3)


def drift_permille_of(episode: Episode) -> float:
    """How much too fast a clock runs; below nought for too slow."""
    return DRIFT_PERMILLE * (2 * episode.strength - 1.1)
