"""Room that is shared: how much each keeps when there is not enough for all.

By max-min fairness, as fair queues share a line (Demers, Keshav and Shenker 1989): nobody who wants no more
than a *level* loses anything, and all who want more keep just that. The level is as high as the room allows.
"""

from __future__ import annotations

from collections.abc import Collection


def fair_level(wanted: Collection[int], room: int) -> int:
    """The level of some who share room; at least 1, even where there is not so much for each.

    Args:
        wanted: how much each would take.
        room: how much there is.
    """
    left, sharing = room, len(wanted)
    for each in sorted(wanted):
        if each * sharing > left:
            return max(1, left // sharing)
        left -= each
        sharing -= 1
    return max(1, *wanted) if wanted else 1
