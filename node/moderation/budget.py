"""What judging one record may take, so that no text and no policy hold up a node.

Matching is linear in the text, but how much each character takes depends on both: a pattern whose automaton
has more states than are kept makes one anew for each character, and words that end in one another are all
found at one place. So whoever looks through a text says how far it came, and now and then the budget looks
at the clock. Its time is the thread's processor time, in which other programs and other threads do not count;
under simulation that stands still, and every record is judged to the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from folkmoot.protocol.moderation.bounds import JUDGING_S

STEPS_A_LOOK: Final = 512
"""How far matching may come before the clock is looked at again: a step is a character that was looked at, or
a word that was found."""


class OverBudget(Exception):
    """A record takes longer to judge than any may; nothing is known about it."""


class Budget:
    """The processor time of one record.

    Args:
        spent_s: the processor time that this thread has spent, seconds.
        began_s: what it was when judging began.
        most_s: how much more may be spent, seconds.
    """

    __slots__ = ("_ends_s", "_spent_s", "_steps")

    def __init__(self, spent_s: Callable[[], float], began_s: float, most_s: float = JUDGING_S) -> None:
        self._spent_s = spent_s
        self._ends_s = began_s + most_s
        self._steps = 0

    def take(self, steps: int) -> None:
        """Go some steps on.

        Raises:
            OverBudget: there is no time left.
        """
        self._steps += steps
        if self._steps >= STEPS_A_LOOK:
            self._steps = 0
            if self._spent_s() > self._ends_s:
                raise OverBudget


ENDLESS: Final = Budget(lambda: 0.0, 0.0)
"""The budget of what holds up nobody."""
