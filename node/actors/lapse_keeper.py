"""The lapse keeper: has the list of what waits for review go by which roles were lost.

What a dismissed account decided may count no more, and what it was about waits again then. Everything that is
held here is gone through in steps, each a short transaction (see `storage.relapsing`).
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.environment import Executor
from folkmoot.protocol.errors import WireError
from folkmoot.storage import relapsing
from folkmoot.storage.errors import CommitFailed, StorageError
from folkmoot.storage.transaction import Admission

log = logging.getLogger(__name__)

_RETRY_S: Final = 5.0


class LapseKeeper:
    """See the module.

    Args:
        commits: this node's store.
        executor: where it is read.
    """

    def __init__(self, commits: Commits, executor: Executor) -> None:
        self._commits = commits
        self._executor = executor
        self._wake = trio.Event()

    def look_now(self) -> None:
        """Other lapses may be known."""
        self._wake.set()

    async def run(self) -> None:
        """Go through what is still to be gone through, for ever."""
        while True:
            try:
                while await self._step():
                    pass
            except CommitFailed:
                raise
            except (WireError, StorageError) as error:
                log.warning("what waits for review is not settled after a loss of roles: %s", error)
                await trio.sleep(_RETRY_S)
                continue
            await self._wake.wait()
            self._wake = trio.Event()

    async def _step(self) -> bool:
        """One step; whether there may be another."""
        store = self._commits.store
        note = relapsing.unsettled(store)
        if note is None:
            return False
        held, following = await self._executor.run(partial(relapsing.step, store.engine, note))
        settle = partial(relapsing.resettle, held=held, note=note, following=following)
        await self._commits.run(settle, Admission.ESSENTIAL, rows=max(1, len(held)))
        return True
