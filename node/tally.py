"""Counting acknowledgements: who has made one batch durable, and has the level been reached?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import Slot


class AckTally:
    """The acknowledgements of one batch of cells that share their slots.

    A node counts when every part of the batch that was sent to it has been acknowledged as fsynced; one
    failed part and it counts as missing. A hint never counts. What a node could not keep of a part, because
    its cell there is damaged, goes on under a tally of its own: the rest of the batch is none the worse.

    A tally is *decided* once its level is reached or cannot be any more. A level that cannot be reached is
    only given up when all who were asked have answered, so that what the client is told of it, who has the
    record and who has not, is the truth.

    An acknowledgement under a newer epoch must not count towards the slots of an older one: while a slot
    moves, two nodes have to have what is written, and a tally of the older epoch waits for one.

    Args:
        slots: the slots of the cells' ranges.
        region: the coordinator's, for `local_quorum`.
        level: what is waited for.
        on_decided: called with this tally when it, or what went apart from it, is decided; must not wait.
    """

    __slots__ = (
        "_apart",
        "_on_decided",
        "_outstanding",
        "acked",
        "decided",
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
        self.decided = False
        self._on_decided = on_decided
        self._outstanding: Counter[bytes] = Counter()
        self._apart: dict[bytes, AckTally] = {}

    def expect(self, node_id: bytes) -> None:
        """One more part is on its way to `node_id`."""
        for tally in (self, *self._apart.values()):
            tally._outstanding[node_id] += 1

    def settle(self, node_id: bytes, *, acknowledged: bool, damaged: Collection[bytes] = ()) -> None:
        """One part has been acknowledged, or will not be.

        Args:
            damaged: the keys of the part whose cells were not kept, though the part was acknowledged.
        """
        for key in damaged:
            if key not in self._apart:
                self._apart[key] = self._branch()
        for key, tally in self._apart.items():
            tally._settle(node_id, acknowledged=acknowledged and key not in damaged)
        self._settle(node_id, acknowledged=acknowledged)

    def of(self, key: bytes) -> AckTally:
        """The tally that counts for the cell at `key`: this one, or one that went apart from it."""
        return self._apart.get(key, self)

    def outdate(self, node_id: bytes) -> None:
        """One part met newer epochs, at which the slots are or may be others: it cannot count for these."""
        for tally in (self, *self._apart.values()):
            tally.outdated = True
        self.settle(node_id, acknowledged=False)

    def decide(self) -> None:
        """Look whether there is a decision; called after each answer, and once when all have been asked."""
        if not self.decided and (self.reached or self._hopeless):
            self.decided = True
            self._on_decided(self)

    @property
    def reached(self) -> bool:
        """Whether the level is reached."""
        return levels.satisfied(self.level, self.slots, self.acked, self.region)

    def _settle(self, node_id: bytes, *, acknowledged: bool) -> None:
        self._outstanding[node_id] -= 1
        if not acknowledged:
            self.failed.add(node_id)
        elif self._outstanding[node_id] <= 0 and node_id not in self.failed:
            self.acked.add(node_id)
        self.decide()

    def _branch(self) -> AckTally:
        """A tally that has heard what this one has, and is settled apart from now on."""
        branch = AckTally(self.slots, self.region, self.level, lambda _: self._on_decided(self))
        branch.acked, branch.failed = set(self.acked), set(self.failed)
        branch.decided, branch.outdated = self.decided, self.outdated
        branch._outstanding = self._outstanding.copy()
        return branch

    @property
    def _hopeless(self) -> bool:
        return not any(self._outstanding.values()) and not levels.possible(
            self.level, self.slots, self.failed, self.region
        )
