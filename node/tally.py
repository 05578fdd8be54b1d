"""Counting acknowledgements: who has made one batch durable, and has the level been reached?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import Slot


class AckTally:
    """The acknowledgements of one batch of cells that share their slots.

    A node counts when every part of the batch that was sent to it has been acknowledged as fsynced; one
    failed part and it counts as missing. A hint never counts.

    A tally is *decided* once its level is reached or cannot be any more. A level that cannot be reached is
    only given up when all who were asked have answered, so that what the client is told of it, who has the
    record and who has not, is the truth.

    An acknowledgement under a newer epoch must not count towards the slots of an older one: while a slot
    moves, two nodes have to have what is written, and a tally of the older epoch waits for one.

    Args:
        slots: the slots of the cells' ranges.
        region: the coordinator's, for `local_quorum`.
        level: what is waited for.
        on_decided: called once, when the tally is decided; must not wait.
    """

    __slots__ = (
        "_decided",
        "_on_decided",
        "_outstanding",
        "acked",
        "failed",
        "level",
        "outdated",
        "region",
        "slots",
    )

    def __init__(
        self, slots: tuple[Slot, ...], region: str, level: Level, on_decided: Callable[[AckTally], None]
    ) -> None:
        self.slots = slots
        self.region = region
        self.level = level
        self.acked: set[bytes] = set()
        self.failed: set[bytes] = set()
        self.outdated = False
        self._on_decided = on_decided
        self._outstanding: Counter[bytes] = Counter()
        self._decided = False

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
        self.decide()

    def outdate(self, node_id: bytes) -> None:
        """One part met a newer epoch, at which other slots are to have it: it cannot count for these."""
        self.outdated = True
        self.settle(node_id, acknowledged=False)

    def decide(self) -> None:
        """Look whether there is a decision; called after each answer, and once when all have been asked."""
        if not self._decided and (self.reached or self._hopeless):
            self._decided = True
            self._on_decided(self)

    @property
    def reached(self) -> bool:
        """Whether the level is reached."""
        return levels.satisfied(self.level, self.slots, self.acked, self.region)

    @property
    def _hopeless(self) -> bool:
        return not any(self._outstanding.values()) and not levels.possible(
            self.level, self.slots, self.failed, self.region
        )
