"""Tenure: for how long a store has known something, told by the numbers of its own changes.

A store numbers its changes, and each of its cells carries the number of its latest. Now and then it is noted
which number had been reached at what time. So what has a smaller number was there by then, whatever it says
of itself: nobody who writes a record has a say in the number that it gets. A record that is written anew gets
a new one, so that tenure may be told too short, and never too long.

Marks are few: when there are too many, every other one of the older half goes, which tells ages shorter by no
more than the distance to the next.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from folkmoot.protocol.moderation.bounds import TENURE_APART_US, TENURE_MARKS


class Mark(NamedTuple):
    """What was noted.

    Args:
        sequence: the number of the latest change.
        at_us: when, microseconds since 1970, by this node's clock.
    """

    sequence: int
    at_us: int


class Known(NamedTuple):
    """Since when something has been known.

    Args:
        since_us: by when it was there, microseconds since 1970.
        perhaps_longer: whether it was there when the first mark was made, and nobody knows since when.
    """

    since_us: int
    perhaps_longer: bool


class Tenure:
    """See the module.

    Args:
        marks: in the order in which they were made.
        sequence: the number that the store has reached; marks beyond it are of a disk that was.
    """

    def __init__(self, marks: Iterable[Mark] = (), sequence: int = 0) -> None:
        self._marks = [mark for mark in marks if mark.sequence <= sequence]

    @property
    def marks(self) -> Sequence[Mark]:
        """All of them, in order."""
        return self._marks

    def note(self, sequence: int, now_us: int) -> bool:
        """Note how far the store has come; whether that was worth noting.

        Args:
            sequence: the number of its latest change.
            now_us: microseconds since 1970.
        """
        if self._marks and now_us < self._marks[-1].at_us + TENURE_APART_US:
            return False
        self._marks.append(Mark(sequence, now_us))
        if len(self._marks) > TENURE_MARKS:
            half = len(self._marks) // 2
            self._marks = [*self._marks[:half:2], *self._marks[half:]]
        return True

    def known(self, sequence: int) -> Known | None:
        """Since when the change with this number has been known; None when no mark was made since."""
        at = bisect_left(self._marks, sequence, key=lambda mark: mark.sequence)
        if at == len(self._marks):
            return None
        return Known(self._marks[at].at_us, at == 0)
