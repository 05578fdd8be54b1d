"""Rosters and maps the ring's tests are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap, Slot
from folkmoot.protocol.ring.roster import Roster, RosterNode


def node(name: str, region: str = "eu", capacity: float = 1.0) -> RosterNode:
    """A node whose ids follow from its name."""
    random = Random(f"node/{name}")
    return RosterNode(random.randbytes(16), name, region, capacity, b"\xed\x01" + random.randbytes(32))


def roster(regions: Mapping[str, int], epoch: int = 1, cluster: str = "demo") -> Roster:
    """So many nodes of capacity 1 in each region."""
    nodes = (
        node(f"{region}-{number}", region) for region, count in regions.items() for number in range(count)
    )
    return Roster(epoch, cluster, tuple(nodes))


def node_id(number: int) -> bytes:
    """A node id that reads as a number."""
    return number.to_bytes(16, "big")


def numbered(count: int, epoch: int = 1, cluster: str = "demo") -> Roster:
    """Nodes 1 to `count` by number, the even ones in another region."""
    nodes = (node(f"n{number}", "us" if number % 2 == 0 else "eu") for number in range(1, count + 1))
    ids = map(node_id, range(1, count + 1))
    return Roster(
        epoch, cluster, tuple(replace(each, node_id=own) for each, own in zip(nodes, ids, strict=True))
    )


def slot(region: str, *numbers: int) -> Slot:
    """A slot filled by numbered nodes."""
    return Slot(region, tuple(map(node_id, numbers)))


def descriptor(
    range_id: int = 0, epoch: int = 1, start: bytes = b"", end: bytes = b"", *slots: Slot
) -> RangeDescriptor:
    """A range; with one slot unless told otherwise."""
    return RangeDescriptor(range_id, epoch, start, end, slots or (slot("eu", 1),))


def thirds() -> RangeMap:
    """Three ranges: up to 0x40, up to 0x80, and the rest."""
    return RangeMap(
        (
            descriptor(0, 1, b"", b"\x40"),
            descriptor(1, 1, b"\x40", b"\x80"),
            descriptor(2, 1, b"\x80", b""),
        )
    )
