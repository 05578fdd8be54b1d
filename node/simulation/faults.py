"""The fault schedule: a pure function of its generator, made before the run begins.

An episode is one fault with a beginning and an end. Episodes overlap freely; what a link suffers is worked
out anew from all that are under way, so that the end of one never heals another. All of them end before the
run does, and then everything is mended: what follows must converge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import trio
from folkmoot.node.simulation.disk import CrashPoint
from folkmoot.node.simulation.disk_faults import DiskFaults, bring_up
from folkmoot.node.simulation.links import Conditions
from folkmoot.node.simulation.steward import Steward
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.protocol.errors import FolkmootError

LINK_FAULTS: Final = ("loss", "duplication", "reordering", "delay", "oneway")
DOWN_FAULTS: Final = ("crash", "torn", "restart")
REFUSING_FAULTS: Final = ("busy", "refused")
DISK_FAULTS: Final = ("olddisk", "clone")
NODE_FAULTS: Final = (*DOWN_FAULTS, "disk", "clock", *REFUSING_FAULTS)
FAULTS: Final = (*LINK_FAULTS, "partition", *NODE_FAULTS, *DISK_FAULTS)
MOVES: Final = "moves"
"""No fault, but it happens like one: a node is drained and joins again, and ranges are split. Not among
`all`: so much moves."""

QUIET_FIRST_S: Final = 3.0
REBUILD_S: Final = 20.0
QUIET_LAST_S: Final = 0.5
LIVE_COPY: Final = 0.5
LENGTH_S: Final = (1.0, 45.0)
DISK_SLOWDOWN: Final = 200.0
CLOCK_JUMP_US: Final = 60_000_000
EXTRA_S: Final = 0.4
REFUSED_SHARE: Final = 0.8


class UnknownFault(FolkmootError):
    """There is no fault of that name."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One fault.

    Args:
        fault: its name.
        begin_s, end_s: virtual times.
        pairs: the directed links it concerns, as node numbers.
        node: the node it concerns, or -1.
        strength: above 0, at most 1; what it means depends on the fault.
    """

    fault: str
    begin_s: float
    end_s: float
    pairs: tuple[tuple[int, int], ...] = ()
    node: int = -1
    strength: float = 1.0


def parse_faults(text: str) -> tuple[str, ...]:
    """The faults that `--faults` names: a list with commas, `all` or `none`.

    Raises:
        UnknownFault: naming those there are.
    """
    if text == "none":
        return ()
    names: dict[str, None] = {}
    for name in filter(None, map(str.strip, text.split(","))):
        if name not in (*FAULTS, MOVES, "all"):
            there_are = ", ".join((*FAULTS, MOVES))
            raise UnknownFault(f"no fault {name!r}; there are {there_are}, and `all` and `none`")
        names |= dict.fromkeys(FAULTS if name == "all" else (name,))
    return tuple(names)


def schedule(
    random: Random, faults: Sequence[str], node_count: int, duration_s: float, mean_gap_s: float
) -> list[Episode]:
    """The episodes of a run, in the order they begin.

    Args:
        random: draws everything.
        faults: names, of `FAULTS`.
        node_count: of the world.
        duration_s: of the run.
        mean_gap_s: mean time between the beginnings of two episodes.
    """
    last_s = duration_s - QUIET_LAST_S
    episodes: list[Episode] = []
    at_s = QUIET_FIRST_S
    while faults and (at_s := at_s + random.expovariate(1 / mean_gap_s)) < last_s:
        end_s = min(at_s + random.uniform(*LENGTH_S), last_s)
        episode = _episode(random, random.choice(faults), node_count, at_s, end_s)
        if not _too_many_down(episodes, episode, node_count) and not _two_disks(episodes, episode):
            episodes.append(episode)
    return episodes


def _episode(random: Random, fault: str, node_count: int, begin_s: float, end_s: float) -> Episode:
    if fault in (*NODE_FAULTS, *DISK_FAULTS, MOVES):
        node = random.randrange(node_count)
        return Episode(fault, begin_s, end_s, node=node, strength=random.uniform(0.1, 1.0))
    everyone = [(one, other) for one in range(node_count) for other in range(node_count) if one != other]
    if fault == "partition":
        side = set(random.sample(range(node_count), random.randint(1, max(1, node_count // 2))))
        pairs = [(one, other) for one, other in everyone if (one in side) != (other in side)]
    else:
        pairs = random.sample(everyone, random.randint(1, len(everyone))) if everyone else []
    return Episode(fault, begin_s, end_s, tuple(sorted(pairs)), strength=random.uniform(0.05, 1.0))


def _too_many_down(episodes: Iterable[Episode], new: Episode, node_count: int) -> bool:
    """Whether more than half of the nodes could be down at once, or one be crashed twice."""
    if new.fault not in DOWN_FAULTS:
        return False
    others = {
        episode.node
        for episode in episodes
        if episode.fault in DOWN_FAULTS and episode.end_s + 1.0 >= new.begin_s
    }
    return new.node in others or len(others) >= max(1, node_count // 2)


def _two_disks(episodes: Iterable[Episode], new: Episode) -> bool:
    """Whether a second disk could be lost before the first is rebuilt, or that node be down at the time."""

    def meet(one: Episode, other: Episode) -> bool:
        rest_s = REBUILD_S if other.fault in DISK_FAULTS else 1.0
        return other.end_s + rest_s >= one.begin_s

    return any(
        meet(new, episode)
        for episode in episodes
        if (new.fault in DISK_FAULTS and episode.fault in DISK_FAULTS)
        or (
            new.node == episode.node
            and {new.fault, episode.fault} & set(DISK_FAULTS)
            and {new.fault, episode.fault} & set(DOWN_FAULTS)
        )
    )


class FaultInjector:
    """Carries out a schedule.

    Args:
        world: to be broken.
        episodes: the schedule.
        steward: who moves what; None when nothing is to move.
    """

    def __init__(self, world: World, episodes: Sequence[Episode], steward: Steward | None = None) -> None:
        self._world = world
        self._steward = steward
        self._episodes = episodes
        self._under_way: list[Episode] = []
        self._disks = DiskFaults(world)

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
        await trio.sleep_until(episode.end_s)
        self._world.trace.note(f"fault {episode.fault} ends")
        self._under_way.remove(episode)
        self._world.coverage.fault_ends(episode.fault)
        await self._end(episode)

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
        elif episode.fault == "torn":
            early = episode.strength < 0.55
            node.disk.crash_point = CrashPoint.BEFORE_COMMIT if early else CrashPoint.BEFORE_ACKNOWLEDGEMENT
        elif episode.fault == "disk":
            node.disk.slowdown = 1 + DISK_SLOWDOWN * episode.strength
        elif episode.fault == MOVES and self._steward is not None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._steward.split, episode.end_s)
                await self._steward.drain(node, episode.end_s)
        elif episode.fault in DISK_FAULTS:
            self._disks.begin(episode.fault, node, live=episode.strength > LIVE_COPY)
        elif episode.fault == "clock":
            node.wall.jump_us = int(CLOCK_JUMP_US * (2 * episode.strength - 1.1))

    async def _end(self, episode: Episode) -> None:
        if episode.node < 0:
            self._apply_to_links()
            return
        node = self._world.nodes[episode.node]
        self._apply_to_node(node, episode.node)
        if episode.fault in DOWN_FAULTS:
            node.disk.crash_point = None
            await bring_up(self._world, node)
        elif episode.fault == MOVES and self._steward is not None:
            await self._steward.join(node)
        elif episode.fault in DISK_FAULTS:
            await self._disks.end(node)
        elif episode.fault == "disk":
            node.disk.slowdown = 1.0
        elif episode.fault == "clock":
            node.wall.jump_us = 0

    def _apply_to_links(self) -> None:
        nodes = self._world.nodes
        for one in range(len(nodes)):
            for other in range(len(nodes)):
                if one != other:
                    link = self._world.network.links.between(nodes[one].host, nodes[other].host)
                    suffered = [episode for episode in self._under_way if (one, other) in episode.pairs]
                    link.set(conditions_of(suffered))

    def _apply_to_node(self, node: SimulatedNode, number: int) -> None:
        suffered = [episode for episode in self._under_way if episode.node == number]
        node.disk.refused_share = refused_share_of("busy", suffered)
        self._world.network.refused_shares[node.host] = refused_share_of("refused", suffered)


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
        cut="partition" in worst or "oneway" in worst,
    )


def refused_share_of(fault: str, episodes: Iterable[Episode]) -> float:
    """How large a share a node refuses that suffers these: as the worst of them has it."""
    return REFUSED_SHARE * max((each.strength for each in episodes if each.fault == fault), default=0.0)
