"""Searching slices: several ranges with one question to each node, and one at a time where that fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.routing import Router
from folkmoot.node.slice_search import Around, SliceAsked, SliceSearch
from folkmoot.protocol.errors import BAD_REQUEST, LEVEL_UNREACHABLE, STALE_TOPOLOGY, WireError
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.storage.slices import Slice

HERE, *OTHERS = NODES = [bytes([number]) * 16 for number in range(1, 5)]
BOUNDS = [b"", b"b", b"c", b"d", b"e", b""]
RANGES = [
    RangeDescriptor(
        *(number, 1, BOUNDS[number], BOUNDS[number + 1]),
        # Of the last range this node and the first of the others are no replicas.
        tuple(Slot("eu", (node,)) for node in (NODES[:3] if number < 4 else NODES[2:])),
    )
    for number in range(5)
]


class World:
    """Nodes that have keys, as one of them sees them.

    Attributes:
        asked: whom about which ranges, in order.
        refuses: what a node answers instead, told the ranges it was asked about.
    """

    def __init__(self, keys: Mapping[bytes, list[bytes]]) -> None:
        self.keys = keys
        self.asked: list[tuple[bytes, list[int]]] = []
        self.refuses: dict[bytes, Callable[[list[int]], Exception | None]] = {}
        self.gone: set[bytes] = set()
        router: Any = Router(HERE, "eu", self, self, lambda node: True)  # type: ignore[arg-type]
        around = Around(router, self, self, self)  # type: ignore[arg-type]
        self.search = SliceSearch(
            *(around, "replica.found", SliceAsked, lambda asked: self.found(HERE, asked)),
            lambda asked, key: True,
        )

    def where(self, key: bytes) -> RangeDescriptor:
        return next(each for each in RANGES if each.covers(key))

    def region_of(self, node_id: bytes) -> str:
        return "eu"

    def reachable(self, node_id: bytes) -> bool:
        return node_id not in self.gone

    alive = reachable

    async def run(self, work: Callable[[], Slice]) -> Slice:
        return work()

    async def call(self, node_id: bytes, method: str, params: Any, timeout_s: float) -> Any:
        numbers = [number for number, _ in params["ranges"]]
        assert len(params["within"]) == (len(numbers) if len(params["within"]) else 0)
        for number, key in zip(numbers, params["within"], strict=False):
            assert RANGES[number].covers(key) and node_id in RANGES[number].nodes()
        refusal = self.refuses.get(node_id)
        if refusal is not None and (error := refusal(numbers)) is not None:
            raise error
        found = self.found(node_id, SliceAsked(**params))
        return {"keys": found.keys, **({} if found.resume is None else {"resume": found.resume})}

    def found(self, node_id: bytes, asked: SliceAsked) -> Slice:
        self.asked.append((node_id, [number for number, _ in asked.ranges]))
        keys = [
            key
            for key in self.keys.get(node_id, [])
            if asked.start <= key and (not asked.stop or key < asked.stop)
        ]
        return Slice(keys[:2], keys[2] if len(keys) > 2 else None)

    async def all(self, ranges: int) -> list[bytes]:
        """Everything there is to find."""
        position: bytes | None = b""
        keys: list[bytes] = []
        while position is not None:
            found, owner = await self.search.find("quorum", position, ranges=ranges)
            keys += found.keys
            position = found.resume or owner.end or None
        return keys


KEYS = {
    HERE: [b"a1", b"b1"],
    NODES[1]: [b"a1", b"b1", b"d1", b"d2"],
    NODES[2]: [b"d1", b"d2", b"e1"],
    NODES[3]: [b"e2"],
}


@pytest.mark.parametrize("ranges", [1, 2, 5, 64])
async def test_however_many_are_searched_at_once_the_same_is_found(ranges: int) -> None:
    assert await World(KEYS).all(ranges) == [b"a1", b"b1", b"d1", b"d2", b"e1", b"e2"]


async def test_each_node_is_asked_once_about_all_of_which_it_is_a_replica() -> None:
    world = World({})
    found, owner = await world.search.find("quorum", b"b5", ranges=64)
    assert (found.keys, found.resume, owner) == ([], None, RANGES[-1])
    asked = dict(world.asked)
    assert len(asked) == len(world.asked) == 4
    assert asked[HERE] == asked[NODES[1]] == [1, 2, 3]
    assert asked[NODES[2]] == [1, 2, 3, 4] and asked[NODES[3]] == [4]


async def test_who_takes_no_more_than_one_range_is_asked_about_one() -> None:
    """As a node of an earlier version, and as one that does not know yet what has moved."""
    world = World(KEYS)
    for node in OTHERS:
        world.refuses[node] = lambda asked: WireError(BAD_REQUEST, "too many") if len(asked) > 1 else None
    assert await world.all(64) == [b"a1", b"b1", b"d1", b"d2", b"e1", b"e2"]
    stale = World(KEYS)
    stale.refuses[NODES[1]] = lambda asked: WireError(STALE_TOPOLOGY, "moved") if 2 in asked else None
    assert await stale.all(64) == [b"a1", b"b1", b"d1", b"d2", b"e1", b"e2"]


async def test_what_cannot_be_reached_ends_the_slice_and_is_told_where_it_begins() -> None:
    world = World(KEYS)
    world.gone = {NODES[2]}
    with pytest.raises(WireError) as told:
        await world.search.find("all", b"", ranges=64)
    assert told.value.kind is LEVEL_UNREACHABLE and world.asked == []
    found, owner = await world.search.find("quorum", b"", ranges=64)
    assert owner == RANGES[3] and found.keys == [b"a1", b"b1"]
    with pytest.raises(WireError, match="cannot be reached"):
        await world.search.find("all", b"e", ranges=64)


async def test_who_does_not_answer_is_replaced() -> None:
    world = World({NODES[2]: [b"c1"]})
    world.refuses[NODES[1]] = lambda asked: PeerUnreachable("gone")
    found, owner = await world.search.find("quorum", b"", ranges=4)
    assert (found.keys, owner) == ([b"c1"], RANGES[3])
    assert NODES[2] in dict(world.asked)
