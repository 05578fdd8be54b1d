"""Counting acknowledgements: who has made one batch durable, and has the level been reached?"""

from __future__ import annotations

from collections import Counter

import trio
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import Slot


class AckTally:
    """The acknowledgements of one batch of cells that share their slots.

    A node counts when every part of the batch that was sent to it has been acknowledged as fsynced; one
    failed part and it counts as missing. A hint never counts.

    Args:
        slots: the slots of the cells' ranges.
        region: the coordinator's, for `local_quorum`.
    """

    __slots__ = ("_changed", "_outstanding", "acked", "failed", "region", "slots")

    def __init__(self, slots: tuple[Slot, ...], region: str) -> None:
        self.slots = slots
        self.region = region
        self.acked: set[bytes] = set()
        self.failed: set[bytes] = set()
        self._outstanding: Counter[bytes] = Counter()
        self._changed = trio.Event()

    def expect(self, node_id: bytes) -> None:
        """One more part is on its way to `node_id`."""
        self._outstanding[node_id] += 1

    def settle(self, node_id: bytes, *, acknowledged: bool) -> None:
        """One part has been acknowledged, or will not be."""
        self._outstanding[node_id] -= 1
        if not acknowledged:
            self.failed.add(node_id)
        elif self._outstanding[node_id] <= 0 and node_id not in self.failed:
            self.acked.add(node_id)
        self._changed.set()

    def reached(self, level: Level) -> bool:
        return levels.satisfied(level, self.slots, self.acked, self.region)

    def hopeless(self, level: Level) -> bool:
        return not levels.possible(level, self.slots, self.failed, self.region)

    async def wait_for(self, level: Level) -> bool:
        """Wait until `level` is reached (True) or cannot be any more (False); the caller sets a deadline.

        A level that cannot be reached is only given up when all who were asked have answered, so that what
        the client is told of it, who has the record and who has not, is the truth.
        """
        while not self.reached(level):
            if self.hopeless(level) and not any(self._outstanding.values()):
                return False
            self._changed = trio.Event()
            await self._changed.wait()
        return True
