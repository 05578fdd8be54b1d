"""Shrinking: the fewest episodes of a failing run's fault plan that still break what it broke.

Delta debugging: leave out ever smaller parts of what is left, and keep to whatever still fails, until no
single episode can go or the time is over. A run with fewer episodes is another run, so this finds *a* small
plan, not the smallest.

Source: A. Zeller and R. Hildebrandt, "Simplifying and isolating failure-inducing input" (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def shrink(
    episodes: Sequence[int], fails: Callable[[tuple[int, ...]], bool], in_time: Callable[[], bool]
) -> tuple[int, ...]:
    """The smallest plan that was found to fail.

    Args:
        episodes: the numbers of the plan that fails.
        fails: whether a run with only these episodes breaks the same promise.
        in_time: whether another run may begin.
    """
    left = tuple(episodes)
    parts = 2
    while left and in_time():
        size = max(1, len(left) // parts)
        for start in range(0, len(left), size):
            fewer = left[:start] + left[start + size :]
            if not in_time():
                return left
            if fails(fewer):
                left, parts = fewer, max(parts - 1, 2)
                break
        else:
            if size == 1:
                return left
            parts *= 2
    return left
