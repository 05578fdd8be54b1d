"""What stands round one actor that is tested alone, on virtual time: a real store on a simulated disk, and in
place of the cluster what a test says of it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TypeVar

import trio
from folkmoot.node.simulation.disk import SimulatedCommits, SimulatedDisk
from folkmoot.node.simulation.trace import Trace
from folkmoot.node.simulation.witness import Witness
from folkmoot.protocol.ring.ranges import OPEN, RangeDescriptor, RangeMap, Slot
from folkmoot.storage.interface import Table
from folkmoot.storage.store import Owner, Store
from folkmoot.storage.transaction import Admission, WriteTransaction

T = TypeVar("T")


class Commits:
    """`node.commits.Commits` on virtual time, which a test may have refuse what comes.

    Args:
        node_id: whose store it is.
        nursery: where it writes.

    Attributes:
        refusals: what the next runs raise instead of committing, one each.
    """

    def __init__(self, node_id: bytes, nursery: trio.Nursery) -> None:
        disk = SimulatedDisk("alone", Random(1), Trace(), Witness(), nursery, lambda: None)
        self._commits: SimulatedCommits = disk.open(Path("alone"), Owner(node_id, "alone"))
        self.refusals: deque[Exception] = deque()

    @property
    def store(self) -> Store:
        return self._commits.store

    async def run(
        self,
        job: Callable[[WriteTransaction], T],
        admission: Admission,
        *,
        rows: int = 1,
        urgent: bool = False,
    ) -> T:
        if self.refusals:
            raise self.refusals.popleft()
        return await self._commits.run(job, admission, rows=rows, urgent=urgent)

    async def wait_past(self, sequence: int) -> None:
        await self._commits.wait_past(sequence)

    def notice(self, call: Callable[[], None]) -> None:
        self._commits.notice(call)

    async def watch(self) -> None:
        await self._commits.watch()

    async def aclose(self) -> None:
        await self._commits.aclose()


class Ranges:
    """A topology: the key space cut at `bounds`, every range on all of `nodes`.

    Attributes:
        map: as it is now.
        refreshed: the nodes that were asked for something newer.
    """

    def __init__(self, nodes: Sequence[bytes], bounds: Sequence[bytes] = ()) -> None:
        slots = tuple(Slot(f"region-{number}", (node,)) for number, node in enumerate(nodes))
        starts, ends = [OPEN, *bounds], [*bounds, OPEN]
        self._changed = trio.Event()
        self._map = RangeMap(
            tuple(
                RangeDescriptor(number, 1, start, end, slots)
                for number, (start, end) in enumerate(zip(starts, ends, strict=True))
            )
        )
        self.refreshed: list[bytes] = []

    @property
    def map(self) -> RangeMap:
        return self._map

    @map.setter
    def map(self, changed: RangeMap) -> None:
        self._map = changed
        self._changed.set()
        self._changed = trio.Event()

    @property
    def ranges(self) -> RangeMap:
        return self.map

    async def wait_changed(self) -> None:
        await self._changed.wait()

    def where(self, key: bytes) -> RangeDescriptor:
        return self.map.lookup(key)

    def region_of(self, node_id: bytes) -> str:
        return ""

    async def refresh(self, node_id: bytes) -> None:
        self.refreshed.append(node_id)

    def advance(self) -> None:
        """Every range is at its next epoch."""
        self.map = RangeMap(
            tuple(
                RangeDescriptor(owner.id, owner.epoch + 1, owner.start, owner.end, owner.slots)
                for owner in self.map.ranges
            )
        )


class Gossip:
    """A liveness: everyone is there but those who are `gone`."""

    def __init__(self) -> None:
        self.gone: set[bytes] = set()

    def reachable(self, node_id: bytes) -> bool:
        return node_id not in self.gone

    def alive(self, node_id: bytes) -> bool:
        return node_id not in self.gone


@asynccontextmanager
async def disks_first() -> AsyncIterator[tuple[trio.Nursery, trio.Nursery]]:
    """A nursery for disks and one for actors, which ends first: a commit under way is waited for by whoever
    asked for it, even when cancelled."""
    async with trio.open_nursery() as disks:
        async with trio.open_nursery() as actors:
            yield disks, actors
            actors.cancel_scope.cancel()
        disks.cancel_scope.cancel()


def damage(store: Store, table: Table, key: bytes) -> bytes:
    """Write over a row behind the store's back, as a failing disk does; what stood there."""
    with store.engine.begin(write=True) as transaction:
        before = transaction.get(table, key)
        assert before is not None, "there is nothing to damage"
        transaction.put(table, key, b"damaged")
        transaction.commit()
    return before


def mend(store: Store, table: Table, key: bytes, row: bytes) -> None:
    """Put back what `damage` wrote over."""
    with store.engine.begin(write=True) as transaction:
        transaction.put(table, key, row)
        transaction.commit()
