"""The scrubber reads the whole store once in a while, and finds what is wrong where nobody reads.

Lane by lane it asks, of every cell that the log names, whether it is there; then it counts each block anew
from its rows. A lost cell is made a damaged one, which the mender replaces; a wrong sum is worked out anew,
so that the difference shows and repair fills it; what fails its checksum is met on the way. Lost cells come
first: once sums are right, repair would put back what any one replica has of them, and that may be less than
what this node had acknowledged.

A round takes `store.scrub_hours`, at most about a tenth of a core while it reads, and goes on after a
restart with the lane in which it was. While more is damaged than is remembered, lanes follow each other
without a pause.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.remembered import Scrubbed
from folkmoot.node.upkeep import Rest
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.limits import BLOCKS, BLOCKS_PER_LANE, LANES
from folkmoot.storage import mending
from folkmoot.storage.errors import StorageError
from folkmoot.storage.mending import Gap
from folkmoot.storage.transaction import Admission, WriteTransaction

log = logging.getLogger(__name__)

REST_S: Final = 0.05  # after each step, which takes about a tenth of it


class Counting(Protocol):
    """Counts a block anew."""

    async def recount_block(self, block: int, rest: Rest) -> bool: ...


class Memory(Protocol):
    """Keeps how far the scrubber has come."""

    def scrubbed(self) -> Scrubbed: ...

    async def keep_scrubbed(self, scrubbed: Scrubbed) -> None: ...


@dataclass(slots=True)
class ScrubStatistics:
    """How far the self-check is, and what it found since the start.

    Args:
        lane: the one it reads now, 0-63.
        ended_us: wall time at which it last came to the end, microseconds since 1970; 0 for never.
        lost: cells that the log named and that were not there, or had come back with less.
        wrong_sums: blocks whose sum was not that of their cells.
    """

    lane: int = 0
    ended_us: int = 0
    lost: int = 0
    wrong_sums: int = 0


class Scrubber:
    """See the module.

    Args:
        commits: the store.
        upkeep: counts blocks.
        memory: where it goes on after a restart.
        executor: where rows are read.
        wall: says when a round ended.
        hours: how long a round takes; 0 for never.
    """

    def __init__(
        self,
        commits: Commits,
        upkeep: Counting,
        memory: Memory,
        executor: Executor,
        wall: WallClock,
        hours: float,
    ) -> None:
        self._commits = commits
        self._upkeep = upkeep
        self._memory = memory
        self._executor = executor
        self._wall = wall
        self._pause_s = hours * 3600 / BLOCKS
        self._statistics = ScrubStatistics()

    def statistics(self) -> ScrubStatistics:
        return self._statistics

    async def run(self) -> None:
        """Read round after round, for ever."""
        if not self._pause_s:
            await trio.sleep_forever()
        self._go_on()
        while True:
            at = self._statistics
            for block in range(at.lane * BLOCKS_PER_LANE, (at.lane + 1) * BLOCKS_PER_LANE):
                if block % BLOCKS_PER_LANE == 0:
                    await self._close_gaps(at.lane)
                await self._count(block)
                await trio.sleep(REST_S if self._commits.store.damage.more else self._pause_s)
            await self._end_lane()

    def _go_on(self) -> None:
        try:
            kept = self._memory.scrubbed()
        except StorageError as error:
            log.error("the self-check begins anew: %s", error)
            return
        self._statistics.lane, self._statistics.ended_us = kept.lane % LANES, kept.ended_us

    async def _end_lane(self) -> None:
        at = self._statistics
        at.lane = (at.lane + 1) % LANES
        if at.lane == 0:
            at.ended_us = self._wall.now_us()
            self._commits.store.damage.checked()
        try:
            await self._memory.keep_scrubbed(Scrubbed(at.lane, at.ended_us))
        except (StorageError, WireError) as error:
            log.warning("how far the self-check has come is not kept: %s", error)

    async def _close_gaps(self, lane: int) -> None:
        """Look whether the cells are there that a lane's log names."""
        after: int | None = 0
        try:
            while after is not None:
                look = partial(mending.gaps, self._commits.store.engine, lane, after)
                found, after = await self._executor.run(look)
                if found:
                    await self._close(found)
                await trio.sleep(REST_S if after else 0)
        except (StorageError, WireError) as error:
            log.error("the log of lane %d cannot be checked: %s", lane, error)

    async def _close(self, found: Sequence[Gap]) -> None:
        job = partial(_close_all, found)
        for gap in await self._commits.run(job, Admission.ESSENTIAL, rows=len(found)):
            self._statistics.lost += 1
            log.error("the cell at %s was lost behind the store's back", gap.key.hex())
            self._commits.store.damage.add(gap.key)

    async def _count(self, block: int) -> None:
        try:
            if await self._upkeep.recount_block(block, partial(trio.sleep, REST_S)):
                self._statistics.wrong_sums += 1
                log.error("the sum of block %d was not that of its cells, and is worked out anew", block)
        except (StorageError, WireError) as error:
            log.error("block %d is not checked: %s", block, error)


def _close_all(found: Sequence[Gap], transaction: WriteTransaction) -> list[Gap]:
    """Close those that are gaps still."""
    return [gap for gap in found if mending.close_gap(transaction, gap)]
