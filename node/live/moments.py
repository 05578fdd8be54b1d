"""How far the log was at which time.

The log has no times in it. So it is noted with commits how far it has come, of each second's the last one;
before the first note there are the boots, of which the store keeps where they began, and whose numbers are
times (see `storage.boots`).
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import suppress
from typing import Final

from folkmoot.node.commits import Commits
from folkmoot.node.environment import WallClock
from folkmoot.protocol.limits import FOLLOW_MOMENTS
from folkmoot.storage.errors import StorageError

NOTE_US: Final = 1_000_000
_US_PER_BOOT: Final = 1_000  # boots are numbered by milliseconds


class Moments:
    """See the module.

    Args:
        commits: the store.
        wall: dates the notes.
    """

    def __init__(self, commits: Commits, wall: WallClock) -> None:
        self._store = commits.store
        self._wall = wall
        self._times: list[int] = []
        self._sequences: list[int] = []
        with suppress(StorageError):  # then there are notes only
            for moment in self._store.boots():
                self._note(moment.boot * _US_PER_BOOT, moment.sequence)
        commits.notice(self._committed)

    def _committed(self) -> None:
        now_us = self._wall.now_us()
        if len(self._times) > 1 and self._times[-1] < now_us < self._times[-2] + NOTE_US:
            del self._times[-1], self._sequences[-1]  # the second's last one is kept
        self._note(now_us, self._store.sequence)

    def _note(self, time_us: int, sequence: int) -> None:
        """Note one moment; those that a clock which was set back would put out of order are left out."""
        if self._times and (time_us <= self._times[-1] or sequence < self._sequences[-1]):
            return
        self._times.append(time_us)
        self._sequences.append(sequence)
        if len(self._times) > FOLLOW_MOMENTS:  # of the older half every other one
            half = FOLLOW_MOMENTS // 2
            self._times[:half] = self._times[:half:2]
            self._sequences[:half] = self._sequences[:half:2]

    def sequence_at(self, time_us: int) -> int:
        """A change after which everything lies that came at `time_us` or later; 0 if none is known."""
        at = bisect_right(self._times, time_us)
        return self._sequences[at - 1] if at else 0

    def time_of(self, sequence: int) -> int:
        """A time before which the log had nothing after `sequence`; 0 if none is known."""
        at = bisect_right(self._sequences, sequence)
        return self._times[at - 1] if at else 0
