"""The rumours waiting to ride on datagrams.

Per subject only the latest claim is worth telling, so a new one replaces (invalidates) the old, and the queue
is no longer than the member list. The least told go first, the newest of those before the others, and after
`retransmit_limit` tellings a rumour has, with high probability, reached everybody.

Source: SWIM, section 4.1; memberlist queue.go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


def retransmit_limit(multiplier: int, members: int) -> int:
    """How often one node tells one rumour among `members`."""
    return multiplier * math.ceil(math.log10(members + 1))


@dataclass(slots=True)
class _Rumour:
    message: bytes
    order: int
    told: int = 0


class BroadcastQueue:
    """Encoded claims by subject, each with a count of tellings."""

    def __init__(self) -> None:
        self._rumours: dict[bytes, _Rumour] = {}
        self._queued = 0

    def __len__(self) -> int:
        return len(self._rumours)

    def put(self, subject: bytes, message: bytes) -> None:
        """Queue the latest claim about `subject` (node id), forgetting the one before it."""
        self._queued += 1
        self._rumours[subject] = _Rumour(message, self._queued)

    def drop(self, subject: bytes) -> None:
        """Tell nothing more about `subject`."""
        self._rumours.pop(subject, None)

    def take(self, budget_bytes: int, limit: int) -> list[bytes]:
        """The rumours for one datagram, at most `budget_bytes` together; each is counted as told.

        Args:
            budget_bytes: room left in the datagram.
            limit: tellings after which a rumour is dropped.
        """
        taken: list[bytes] = []
        waiting = sorted(self._rumours.items(), key=lambda item: (item[1].told, -item[1].order))
        for subject, rumour in waiting:
            if len(rumour.message) > budget_bytes:
                continue
            budget_bytes -= len(rumour.message)
            taken.append(rumour.message)
            rumour.told += 1
            if rumour.told >= limit:
                del self._rumours[subject]
        return taken
