"""The signal keeper: has what the gate knew of posts on disk, a moment after they are stored.

It waits a little so that many posts share one commit and the replica of this node has them. What comes faster
than it can be written is left out and counted: it is material for previews, and no answer waits for it. So is
what was in memory when a node is killed. Where a node is to keep less than it did, what is too much goes a
little at a time, so that no put waits for it.
"""

from __future__ import annotations

import logging
from collections import deque

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.moderation.noting import Note
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.moderation import bounds
from folkmoot.storage import judged
from folkmoot.storage.errors import StorageError
from folkmoot.storage.judged import Judged
from folkmoot.storage.transaction import Admission

log = logging.getLogger(__name__)


class SignalKeeper:
    """See the module.

    Args:
        commits: this node's store.
        most: of how many posts something is kept; 0 keeps nothing.

    Attributes:
        left_out: of how many posts nothing was kept because there was no time or room for it.
    """

    def __init__(self, commits: Commits, most: int) -> None:
        self._commits = commits
        self._most = most
        self._waiting: deque[Judged] = deque()
        self._wake = trio.Event()
        self.left_out = 0

    def note(self, note: Note) -> None:
        """Have something kept soon."""
        if len(self._waiting) >= bounds.SIGNALS_WAITING:
            self.left_out += 1
            return
        record = note.record
        self._waiting.append(Judged(record.key, record.id, note.judged_us, note.signals, note.scores))
        self._wake.set()

    async def run(self) -> None:
        """Write what is noted, and forget what is more than is kept by now, for ever."""
        while True:
            if judged.count(self._commits.store.engine) > self._most:
                await self._trim()
            else:
                await self._wake.wait()
            await trio.sleep(bounds.SIGNALS_PAUSE_S)
            self._wake = trio.Event()
            while self._waiting:
                most = min(bounds.SIGNALS_WRITTEN, len(self._waiting))
                await self._write([self._waiting.popleft() for _ in range(most)])

    async def _trim(self) -> None:
        try:
            await self._commits.run(
                lambda writing: judged.trim(writing.rows, self._most, bounds.SIGNALS_FORGOTTEN),
                Admission.ESSENTIAL,
                rows=bounds.SIGNALS_FORGOTTEN,
            )
        except (WireError, StorageError) as error:
            log.warning("what is known of more posts than may be is kept for now: %s", error)

    async def _write(self, some: list[Judged]) -> None:
        try:
            await self._commits.run(
                lambda transaction: judged.keep(transaction, some, self._most),
                Admission.CLIENT_PUT,
                rows=len(some),
            )
        except (WireError, StorageError) as error:
            self.left_out += len(some)
            log.warning("what was known of %d posts is not kept for previews: %s", len(some), error)
