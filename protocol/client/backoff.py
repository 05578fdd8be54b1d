"""How long to wait before trying again."""

from __future__ import annotations

from random import Random
from typing import Final

FIRST_S: Final = 0.05
LONGEST_S: Final = 2.0


def backoff_s(attempt: int, random: Random) -> float:
    """A pause drawn evenly from 0 to a bound that doubles with each attempt: so many do not return at once.

    Args:
        attempt: 1 for the first retry.
        random: draws it.

    Source: M. Brooker, "Exponential Backoff And Jitter" (2015), "full jitter".
    """
    return random.random() * min(LONGEST_S, FIRST_S * 2.0 ** (attempt - 1))
