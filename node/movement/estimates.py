"""How much there is to move, and how long that may take: what a plan says of itself before it is carried out.

A range's cells are counted by a node that holds it, from its sums, and their bytes are taken from the mean of
a few of them. How long it takes is what it took before: movers tell how many changes they have made and how
many cells they have copied in how many seconds. Until something has moved an assumption stands in for that,
and is called one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple

import trio
from cachetools import TTLCache
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.environment import Executor
from folkmoot.node.movement.contracts import Holder, Liveness
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.ring.driving import passes_to_hand_on
from folkmoot.protocol.ring.movement import Change, Drop
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeId
from folkmoot.protocol.ring.topology import Topology
from folkmoot.storage.errors import StorageError
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

METHOD: Final = "range.size"
TIMEOUT_S: Final = 2.0
SAMPLE_CELLS: Final = 32
SAMPLE_BYTES: Final = 64 * 1024
KEPT_S: Final = 10.0
CHANGE_S: Final = 0.5  # assumed until something has moved, as the next
CELL_S: Final = 1 / 2000


class _Asked(Struct):
    """`range.size`: some ranges."""

    ranges: Annotated[list[RangeId], Meta(max_length=limits.RANGES)]


class _Sizes(Struct):
    """The answer: [range id, cells, bytes] of those that the answerer holds."""

    sizes: Annotated[
        list[tuple[RangeId, Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=0)]]],
        Meta(max_length=limits.RANGES),
    ]


class Size(NamedTuple):
    """About how much a range is: cells, and their bytes as they travel."""

    cells: int
    bytes: int


class Estimates:
    """See the module.

    Args:
        node_id: this node's.
        topology, liveness: see `movement.contracts`.
        store: this node's.
        peers: see `contracts`.
        executor: where cells are counted.
    """

    def __init__(
        self,
        node_id: bytes,
        topology: Holder,
        liveness: Liveness,
        store: Store,
        peers: Peers,
        executor: Executor,
    ) -> None:
        self._node_id = node_id
        self._topology = topology
        self._liveness = liveness
        self._store = store
        self._peers = peers
        self._executor = executor
        # Whoever watches a plan asks twice a second.
        self._known: TTLCache[int, Size] = TTLCache(limits.RANGES, KEPT_S, timer=trio.current_time)

    def methods(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {METHOD: self.answer}

    async def answer(self, asker: bytes, params: Any) -> dict[str, Any]:
        """Count the cells of those of some ranges that this node holds."""
        asked = codec.shaped(params, _Asked, METHOD)
        sizes = await self._own(asked.ranges)
        return {"sizes": [[range_id, *size] for range_id, size in sizes.items()]}

    async def of(
        self, changes: Sequence[Change], progress: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """What a plan comes to: `cells`, `bytes`, `unknown`, `handed`, `eta_s` and `eta_assumed` of its map.

        Args:
            changes: all of them.
            progress: how far nodes are, as `Progresses` tells it.
        """
        copied = [change.range_id for change in changes if not isinstance(change, Drop)]
        sizes = await self._sizes(set(copied))
        known = [sizes[range_id] for range_id in copied if range_id in sizes]
        handed = handed_on(changes, self._topology.current())
        eta_s, assumed = eta(changes, sizes, progress, handed)
        return {
            "cells": sum(size.cells for size in known),
            "bytes": sum(size.bytes for size in known),
            "unknown": len(copied) - len(known),
            "handed": sum(handed.values()),
            "eta_s": eta_s,
            "eta_assumed": assumed,
        }

    async def _sizes(self, range_ids: Collection[int]) -> dict[int, Size]:
        """The sizes of ranges, of those for which a node that holds them answers."""
        found = {range_id: size for range_id in range_ids if (size := self._known.get(range_id)) is not None}
        asked: dict[bytes, list[int]] = {}
        for range_id in sorted(set(range_ids) - found.keys()):
            owner = self._topology.current().ranges.get(range_id)
            holder = None if owner is None else self._holder(owner)
            if holder is not None:
                asked.setdefault(holder, []).append(range_id)

        async def ask(node_id: bytes, theirs: Sequence[int]) -> None:
            counted = await self._counted_by(node_id, theirs)
            found.update(counted)
            self._known.update(counted)

        async with trio.open_nursery() as nursery:
            for node_id, theirs in asked.items():
                nursery.start_soon(ask, node_id, theirs)
        return found

    def _holder(self, owner: RangeDescriptor) -> bytes | None:
        """Who is to count a range: this node if it can, or else the first that is alive."""
        if any(slot.reader == self._node_id for slot in owner.slots):
            return self._node_id
        readers = (slot.reader for slot in owner.slots)
        return next((node_id for node_id in readers if self._liveness.alive(node_id)), None)

    async def _counted_by(self, node_id: bytes, range_ids: Sequence[int]) -> dict[int, Size]:
        """What a node counts in ranges; what it does not say stays unknown."""
        if node_id == self._node_id:
            return await self._own(range_ids)
        try:
            answer = await self._peers.call(node_id, METHOD, {"ranges": list(range_ids)}, TIMEOUT_S)
            told = codec.shaped(answer, _Sizes, f"the result of {METHOD}")
        except (WireError, PeerUnreachable):
            return {}
        asked = set(range_ids)
        return {range_id: Size(cells, size) for range_id, cells, size in told.sizes if range_id in asked}

    async def _own(self, range_ids: Sequence[int]) -> dict[int, Size]:
        ranges = self._topology.current().ranges
        owners = [owner for owner in map(ranges.get, range_ids) if owner is not None]
        held = [owner for owner in owners if self._node_id in owner.nodes()]

        def count() -> dict[int, Size]:
            found: dict[int, Size] = {}
            for owner in held:
                try:
                    found[owner.id] = self._size(owner)
                except StorageError:
                    continue  # the store says what is wrong with it where that is looked at
            return found

        return await self._executor.run(count)

    def _size(self, owner: RangeDescriptor) -> Size:
        cells = self._store.view.fingerprint(owner.start, owner.end).count
        sample = self._store.cells_between(owner.start, owner.end, limit=SAMPLE_CELLS, bytes_max=SAMPLE_BYTES)
        if not sample:
            return Size(cells, 0)
        return Size(cells, cells * sum(len(key) + len(cell) for key, cell in sample) // len(sample))


def handed_on(changes: Sequence[Change], topology: Topology) -> dict[Drop, int]:
    """By how many passes the copy of each slot that is dropped is handed on before.

    Args:
        changes: of a plan, in the order in which those of one range are made.
        topology: for which it was made.
    """
    given_up = topology.roster.given_up()
    handed: dict[Drop, int] = {}
    present: dict[int, RangeDescriptor] = {}
    for change in changes:
        owner = present.get(change.range_id) or topology.ranges.get(change.range_id)
        if not isinstance(change, Drop) or owner is None:
            continue
        handed[change] = passes_to_hand_on(change, owner, given_up)
        left = tuple(slot for slot in owner.slots if change.donor not in slot.nodes)
        if left:
            present[change.range_id] = replace(owner, slots=left)
    return handed


def eta(
    changes: Sequence[Change],
    sizes: Mapping[int, Size],
    progress: Mapping[str, Mapping[str, Any]],
    handed: Mapping[Drop, int] = MappingProxyType({}),
) -> tuple[float, bool]:
    """About how many seconds a plan takes, and whether that is an assumption.

    Nodes work side by side, each on what comes to it, so it takes as long as the one with most to do. Each
    change has a price of its own, and so has each cell; the higher of the two sums decides.

    Args:
        changes: all of them.
        sizes: of ranges, those that are known.
        progress: how far nodes are: of each how many `cells` in how many changes (`done`) it took `busy_s`.
        handed: see `handed_on`.
    """
    busy_s = sum(told["busy_s"] for told in progress.values())
    done = sum(told["done"] for told in progress.values())
    cells = sum(told["cells"] for told in progress.values())
    change_s = busy_s / done if done else CHANGE_S
    cell_s = busy_s / cells if done and cells else CELL_S
    to_make: Counter[bytes] = Counter()
    to_copy: Counter[bytes] = Counter()
    for change in changes:
        worker = change.donor if isinstance(change, Drop) else change.recipient
        to_make[worker] += 1 + (handed.get(change, 0) if isinstance(change, Drop) else 0)
        if not isinstance(change, Drop) and change.range_id in sizes:
            to_copy[worker] += sizes[change.range_id].cells
    seconds = (max(to_make[worker] * change_s, to_copy[worker] * cell_s) for worker in to_make)
    return math.ceil(round(max(seconds, default=0.0) * 10, 3)) / 10, not done  # only no work takes no time
