"""Levels: what a write or a read waits for, as predicates over a range's slots.

A slot has acknowledged a write when *all* its nodes have (it has two only while it moves), and has answered
a read when its reader has. Counting slots and never nodes is what keeps quorums meeting through a move: a
slot's reader is among the nodes that acknowledged its writes, so two majorities of slots share a slot and,
in it, a node.

The levels in rising order, with n the slots of the range:

- `one`: any slot
- `local_quorum`: a majority of the slots of the coordinator's region; where it has none, `quorum`
- `quorum`: a majority of all slots
- `each_quorum`: a majority in every region that has slots (which is more than half of all)
- `all`: every slot
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, Literal, get_args

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.ring.ranges import Slot

Level = Literal["one", "local_quorum", "quorum", "each_quorum", "all"]

LEVELS: Final[tuple[Level, ...]] = get_args(Level)
NONE: Final = "none"


def parse_level(value: object) -> Level:
    """The level a request names.

    Raises:
        WireError: `bad_request`, when there is no such level.
    """
    for level in LEVELS:
        if level == value:
            return level
    raise WireError(BAD_REQUEST, f"level is not one of {', '.join(LEVELS)}")


def majority(count: int) -> int:
    """The least number of `count` such that two of that size always share a member."""
    return count // 2 + 1


def satisfied(
    level: Level, slots: Sequence[Slot], acked: AbstractSet[bytes], local_region: str, *, read: bool = False
) -> bool:
    """Whether what has answered is enough.

    Args:
        level: what was asked for.
        slots: the range's slots.
        acked: the ids of the nodes that acknowledged the write or answered the read.
        local_region: the coordinator's region.
        read: count a slot by its reader and not by all its nodes.
    """
    required = _required(level, slots, local_region)
    return all(_count(group, acked, read) >= needed for group, needed in required)


def possible(
    level: Level,
    slots: Sequence[Slot],
    unreachable: AbstractSet[bytes],
    local_region: str,
    *,
    read: bool = False,
) -> bool:
    """Whether the level can still be reached without the nodes in `unreachable`."""
    reachable = {node for slot in slots for node in slot.nodes} - unreachable
    return satisfied(level, slots, reachable, local_region, read=read)


def achieved(
    slots: Sequence[Slot], acked: AbstractSet[bytes], local_region: str, *, read: bool = False
) -> dict[str, Any]:
    """The wire's `achieved`: the highest level reached (`none` below `one`), slots that count, all slots."""
    reached = [level for level in LEVELS if satisfied(level, slots, acked, local_region, read=read)]
    return {
        "level": reached[-1] if reached else NONE,
        "acks": _count(slots, acked, read),
        "slots": len(slots),
    }


def missing(
    level: Level, slots: Sequence[Slot], acked: AbstractSet[bytes], local_region: str, *, read: bool = False
) -> list[dict[str, Any]]:
    """The wire's `missing`: the slots whose answer would have helped to the level, as `{region, nodes}`.

    Empty when the level is satisfied.
    """
    lacking = [
        slot
        for group, needed in _required(level, slots, local_region)
        if _count(group, acked, read) < needed
        for slot in group
        if not _counts(slot, acked, read)
    ]
    return [{"region": slot.region, "nodes": [node.hex() for node in slot.nodes]} for slot in lacking]


def _required(level: Level, slots: Sequence[Slot], local_region: str) -> list[tuple[Sequence[Slot], int]]:
    """The level as groups of slots and how many of each must count."""
    if level == "one":
        return [(slots, 1)]
    if level == "all":
        return [(slots, len(slots))]
    if level == "each_quorum":
        groups = [_of_region(slots, region) for region in sorted({slot.region for slot in slots})]
        return [(group, majority(len(group))) for group in groups]
    local = _of_region(slots, local_region) if level == "local_quorum" else ()
    group = local or slots
    return [(group, majority(len(group)))]


def _of_region(slots: Iterable[Slot], region: str) -> tuple[Slot, ...]:
    return tuple(slot for slot in slots if slot.region == region)


def _count(slots: Iterable[Slot], acked: AbstractSet[bytes], read: bool) -> int:
    return sum(_counts(slot, acked, read) for slot in slots)


def _counts(slot: Slot, acked: AbstractSet[bytes], read: bool) -> bool:
    return slot.reader in acked if read else all(node in acked for node in slot.nodes)
