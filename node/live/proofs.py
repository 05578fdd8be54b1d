"""What repair has proven of other replicas: that by some time they had what this one had at some change.

A pass of repair that ends well leaves the other side with everything that this node had when the pass began;
so does one that finds both sides' aggregates equal, whoever asked. Of each pass it is kept how far this
node's log was at its beginning, and when it ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from folkmoot.node.environment import WallClock
from folkmoot.protocol.limits import FOLLOW_CLOCKS_S, FOLLOW_PASSES


class _Pass(NamedTuple):
    sequence: int
    ended_us: int
    ranges: frozenset[int]


class Proofs:
    """See the module. What is kept is of this boot.

    Args:
        sequence: how far this node's log is.
        wall: dates the passes.
    """

    def __init__(self, sequence: Callable[[], int], wall: WallClock) -> None:
        self._sequence = sequence
        self._wall = wall
        self._passes: dict[bytes, deque[_Pass]] = {}

    def begin(self) -> int:
        """What to give to `equal` once a pass that begins now has ended."""
        return self._sequence()

    def equal(self, node_id: bytes, ranges: Iterable[int], begun: int) -> None:
        """A pass over these ranges (by id) has ended well.

        Args:
            node_id: with whom.
            begun: what `begin` gave.
        """
        ids = frozenset(ranges)
        if not ids:
            return
        passes = self._passes.setdefault(node_id, deque(maxlen=FOLLOW_PASSES))
        if passes and passes[-1].ranges == ids:
            ids = passes[-1].ranges  # one set for all passes over the same ranges
        passes.append(_Pass(begun, self._wall.now_us(), ids))

    def proven(self, node_id: bytes, range_id: int, time_us: int) -> int | None:
        """The latest change of this node's log up to which a node had everything at a time.

        Args:
            node_id: of whom.
            range_id: in which range.
            time_us: by that node's clock.

        Returns:
            None when nothing is proven that goes so far back.
        """
        latest_us = time_us - int(FOLLOW_CLOCKS_S * 1e6)
        for each in reversed(self._passes.get(node_id, ())):
            if each.ended_us <= latest_us and range_id in each.ranges:
                return each.sequence
        return None
