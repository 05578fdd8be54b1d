"""The addresses a node was told to start from, asked until each is accounted for, and again if it is lost.

They are asked quickly while this node is alone, and as rarely as views are compared once it is not. A seed is
accounted for while a live member has its address, or is the node that last answered there. So a node that
starts before its seeds finds them, and two islands whose seeds name each other do not stay islands, however
long nobody was there.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final

from folkmoot.protocol.gossip.members import Endpoint
from folkmoot.protocol.gossip.profile import Profile

_ASKED_TOGETHER: Final = 3


class Seeds:
    """The seeds of one node and the pace at which they are asked.

    Args:
        endpoints: the addresses; this node's own may be among them.
        own_id: this node's id, so that it recognises itself behind an address.
        profile: for the pace.
        now: seconds; the first attempt is due at once.
    """

    def __init__(self, endpoints: Sequence[Endpoint], own_id: bytes, profile: Profile, now: float) -> None:
        self._endpoints = list(dict.fromkeys(endpoints))
        self._own_id = own_id
        self._profile = profile
        self._answered_by: dict[Endpoint, bytes] = {}
        self._joined = not self._endpoints
        self._pause_s = profile.join_retry_min_s
        self._due = now if self._endpoints else math.inf

    @property
    def joined(self) -> bool:
        """Whether some seed has answered, or there was none to ask."""
        return self._joined

    @property
    def next_deadline(self) -> float:
        """Seconds, when `take_due` should be asked again."""
        return self._due

    def take_due(
        self, now: float, live_endpoints: Collection[Endpoint], live_ids: Collection[bytes]
    ) -> list[Endpoint]:
        """The seeds to ask now; each call moves on to other ones."""
        if now < self._due:
            return []
        if self._joined and live_ids:
            self._due = now + self._profile.push_pull_interval_s
        else:
            self._due = now + self._pause_s
            self._pause_s = min(self._profile.join_retry_max_s, 2 * self._pause_s)
        missing = [
            endpoint
            for endpoint in self._endpoints
            if endpoint not in live_endpoints and self._answered_by.get(endpoint) not in live_ids
        ]
        asked = missing[:_ASKED_TOGETHER]
        self._endpoints = [endpoint for endpoint in self._endpoints if endpoint not in asked] + asked
        return asked

    def answered(self, endpoint: Endpoint, node_id: bytes) -> None:
        """Note who answered at a seed's address; finding ourselves there strikes it off."""
        if endpoint not in self._endpoints:
            return
        if node_id == self._own_id:
            self._endpoints.remove(endpoint)
        else:
            self._answered_by[endpoint] = node_id
        self._joined = self._joined or node_id != self._own_id or not self._endpoints
        if not self._endpoints:
            self._due = math.inf
