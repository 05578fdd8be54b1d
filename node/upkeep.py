"""Upkeep: what is wrong in this node's own store is put right here, whoever found it.

Blocks and logs are read off the event loop, a bounded amount at a time, and only what fits a bounded write
transaction is done in one. What changes meanwhile is caught up with; a block that changes faster than that
is left for another time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial, reduce
from typing import Final, Protocol, TypeVar

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import CellBatch
from folkmoot.node.environment import Executor
from folkmoot.node.signatures import check_signatures
from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import join
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.key import block_of
from folkmoot.protocol.limits import BLOCKS
from folkmoot.storage import mending, recount
from folkmoot.storage.mending import Surroundings
from folkmoot.storage.transaction import Admission, WriteTransaction

T = TypeVar("T")

ROUNDS_MAX: Final = 8
JOB_ROWS: Final = limits.STORE_SETTLE_ROWS  # too many to be committed on the event loop

Rest = Callable[[], Awaitable[None]]
"""Waited for after each step."""


class _Stepped(Protocol):
    def step(self) -> bool: ...

    def catch_up(self) -> None: ...


class Upkeep:
    """See the module.

    Args:
        commits: the store.
        executor: where it is read.
    """

    def __init__(self, commits: Commits, executor: Executor) -> None:
        self._commits = commits
        self._executor = executor

    async def mend(self, key: bytes, states: Sequence[bytes]) -> None:
        """Put the join of what other replicas hold in the place of a cell that is damaged here.

        Args:
            key: the cell's key.
            states: encoded cells, at least one.

        Raises:
            WireError: `bad_request` when one of them is not what it should be; `busy`.
            StorageError: it cannot be kept.
        """
        cells = CellBatch({}, [key] * len(states), list(states)).decoded()
        records = [record for cell in cells for record in cell.records()]
        if not all(await check_signatures(records, self._executor)):
            raise WireError(BAD_REQUEST, "a cell holds a record whose signature does not hold")
        whole = reduce(join, cells).encode()
        await self._around(key, partial(mending.mend_cell, cell=whole))
        self._commits.store.damage.mended(key)

    async def drop_stray(self, key: bytes) -> bool:
        """Remove what stands damaged where this node never had a cell; whether it did so.

        Raises:
            WireError: `busy`.
            StorageError: it cannot be told.
        """
        dropped = await self._around(key, mending.drop_stray)
        if dropped:
            self._commits.store.damage.mended(key)
        return dropped

    async def drop(self, key: bytes, still: Callable[[], bool]) -> bool:
        """Remove what stands damaged at `key` and is not to be mended; whether it did so.

        Args:
            still: asked in the transaction whether that still holds.

        Raises:
            WireError: `busy`.
            StorageError: it cannot be told.
        """

        def job(transaction: WriteTransaction, around: Surroundings) -> bool | None:
            return mending.drop(transaction, around) if still() else False

        return await self._around(key, job)

    async def recount(self, start: bytes, end: bytes) -> int:
        """See `contracts.Recounting`."""
        last = BLOCKS - 1 if not end else block_of(end + b"\0\0")
        return sum([await self.recount_block(at) for at in range(block_of(start + b"\0\0"), last + 1)])

    async def recount_block(self, block: int, rest: Rest = trio.lowlevel.checkpoint) -> bool:
        """Work out the sum of a block (0-4095) anew; whether it was wrong.

        What is remembered of a heavy block is forgotten: it would hide where a row is missing.

        Raises:
            WireError: `busy`.
            StorageError: it cannot be told.
        """
        store = self._commits.store
        count = await self._read(partial(recount.of_block, store.engine, block, store.damage.note), rest)
        store.heavy.forget(block)
        for _ in range(ROUNDS_MAX):
            wrong = await self._executor.run(partial(recount.is_wrong, store.engine, block, count))
            if wrong is False:
                return False
            rebuild = partial(mending.rebuild_block, block=block, recount=count)
            if wrong and await self._commit(rebuild) is not None:
                return True
            await self._executor.run(count.catch_up)
        raise _too_busy(block)

    async def _around(self, key: bytes, job: Callable[[WriteTransaction, Surroundings], T | None]) -> T:
        """Do something to a damaged cell and what is derived from it."""
        store = self._commits.store
        around = await self._read(partial(Surroundings, store.engine, key, store.damage.note))
        for _ in range(ROUNDS_MAX):
            done = await self._commit(partial(_with, job, around))
            if done is not None:
                return done
            await self._executor.run(around.catch_up)
        raise _too_busy(block_of(key))

    async def _read(self, begin: Callable[[], _S], rest: Rest = trio.lowlevel.checkpoint) -> _S:
        stepped = await self._executor.run(begin)
        while await self._executor.run(stepped.step):
            await rest()
        return stepped

    async def _commit(self, job: Callable[[WriteTransaction], T]) -> T:
        return await self._commits.run(job, Admission.PEER_JOIN, rows=JOB_ROWS)


_S = TypeVar("_S", bound=_Stepped)


def _with(
    job: Callable[[WriteTransaction, Surroundings], T], around: Surroundings, transaction: WriteTransaction
) -> T:
    return job(transaction, around)


def _too_busy(block: int) -> WireError:
    return WireError(BUSY, f"block {block} changes faster than it can be counted", retry_after_ms=1000)
