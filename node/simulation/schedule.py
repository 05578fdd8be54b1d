"""The fault schedule: a pure function of its generator, made before the run begins.

An episode is one fault with a beginning and an end. Episodes overlap freely. All of them end before the run
does, and then everything is mended: what follows must converge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from folkmoot.protocol.errors import FolkmootError

PULSING_FAULTS: Final = ("flapping", "clogging")
LINK_FAULTS: Final = ("loss", "duplication", "reordering", "delay", "oneway", *PULSING_FAULTS)
UPGRADE: Final = "upgrade"
EIO: Final = "eio"
DOWN_FAULTS: Final = ("crash", "torn", "restart", EIO, UPGRADE)
LOST: Final = "lost"
AWAY_FAULTS: Final = (*DOWN_FAULTS, LOST)
PAUSE: Final = "pause"
REFUSING_FAULTS: Final = ("busy", "refused")
LOSING_FAULTS: Final = ("olddisk", "clone", LOST)
FLIP: Final = "flip"
DISK_FAULTS: Final = (*LOSING_FAULTS, FLIP)
NODE_FAULTS: Final = (*DOWN_FAULTS, PAUSE, "disk", "clock", "drift", *REFUSING_FAULTS)
BACKUP: Final = "backup"
"""No fault either: a backup of a node is made, whatever else goes on."""
MOVES: Final = "moves"
"""No fault, but it happens like one: an operator changes who keeps what (see `steward`)."""
FAULTS: Final = (*LINK_FAULTS, "partition", *NODE_FAULTS, *DISK_FAULTS, BACKUP, MOVES)
DEEDS: Final = {
    MOVES: ("drain", "decommission", "join", "replicas", "seats", "split"),
    LOST: ("replace", "join", "decommission"),
    BACKUP: (BACKUP,),
}
"""What is done in such episodes: operations as well, that others are tried against."""

QUIET_FIRST_S: Final = 3.0
REBUILD_S: Final = 20.0
QUIET_LAST_S: Final = 0.5
LENGTH_S: Final = (1.0, 45.0)
PAUSED_SHARE: Final = 0.5
"""Of the length of other episodes: long enough for a node to be held dead, and mostly shorter."""
WHOLE_LINKS: Final = 0.5


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
        if name not in (*FAULTS, "all"):
            there_are = ", ".join(FAULTS)
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
        length_s = random.uniform(*LENGTH_S)
        fault = random.choice(faults)
        end_s = min(at_s + length_s * (PAUSED_SHARE if fault == PAUSE else 1.0), last_s)
        episode = _episode(random, fault, node_count, at_s, end_s)
        if not _too_many_down(episodes, episode, node_count) and not _two_disks(episodes, episode):
            episodes.append(episode)
    return episodes


def _episode(random: Random, fault: str, node_count: int, begin_s: float, end_s: float) -> Episode:
    if fault in (*NODE_FAULTS, *DISK_FAULTS, BACKUP, MOVES):
        node = random.randrange(node_count)
        return Episode(fault, begin_s, end_s, node=node, strength=random.uniform(0.1, 1.0))
    everyone = [(one, other) for one in range(node_count) for other in range(node_count) if one != other]
    if fault == "partition":
        side = set(random.sample(range(node_count), random.randint(1, max(1, node_count // 2))))
        pairs = [(one, other) for one, other in everyone if (one in side) != (other in side)]
    else:
        pairs = random.sample(everyone, random.randint(1, len(everyone))) if everyone else []
        if fault in PULSING_FAULTS and random.random() < WHOLE_LINKS:
            pairs = list({*pairs, *((other, one) for one, other in pairs)})
    return Episode(fault, begin_s, end_s, tuple(sorted(pairs)), strength=random.uniform(0.05, 1.0))


def _too_many_down(episodes: Iterable[Episode], new: Episode, node_count: int) -> bool:
    """Whether more than half of the nodes could be down or frozen at once, or one be crashed twice.

    One that is frozen may be crashed, but not the other way round.
    """
    silent = (*AWAY_FAULTS, PAUSE)
    if new.fault not in silent:
        return False
    before = [each for each in episodes if each.fault in silent and each.end_s + 1.0 >= new.begin_s]
    same = {each.fault for each in before if each.node == new.node}
    others = {each.node for each in before if each.node != new.node}
    if new.fault != PAUSE:
        same.discard(PAUSE)
    return bool(same) or len(others) >= max(1, node_count // 2)


def _two_disks(episodes: Iterable[Episode], new: Episode) -> bool:
    """Whether a second disk could be lost before the first is rebuilt, or that node be down at the time.

    A seat whose disk answers EIO is given up, and no other may be lost with its machine meanwhile.
    """

    def meet(one: Episode, other: Episode) -> bool:
        rest_s = REBUILD_S if other.fault in (*DISK_FAULTS, EIO) else 1.0
        return other.end_s + rest_s >= one.begin_s

    return any(
        meet(new, episode)
        for episode in episodes
        if (new.fault in DISK_FAULTS and episode.fault in DISK_FAULTS)
        or {new.fault, episode.fault} == {EIO, LOST}
        or (
            new.node == episode.node
            and {new.fault, episode.fault} & set(LOSING_FAULTS)
            and {new.fault, episode.fault} & set(DOWN_FAULTS)
        )
    )
