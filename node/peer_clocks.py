"""How this node's clock compares with its peers': told in the log when that changes, always in `status`."""

from __future__ import annotations

import logging
from typing import Any

import trio
from folkmoot.node.environment import WallClock
from folkmoot.protocol.gossip.clocks import Clocks, ClockVerdict

log = logging.getLogger(__name__)


class PeerClocks:
    """See the module, and `gossip.clocks`.

    Args:
        wall: this node's clock.
    """

    def __init__(self, wall: WallClock) -> None:
        self._wall = wall
        self._clocks = Clocks()
        self._strayed = False

    def now_us(self) -> int:
        """This node's clock, to be told to a peer."""
        return self._wall.now_us()

    def heard(self, node_id: bytes, time_us: int, asked_s: float) -> None:
        """The peer `node_id`, asked at `asked_s` on trio's clock, has just told its time."""
        self._clocks.heard(node_id, time_us, self._wall.now_us(), asked_s, trio.current_time())
        self._judge()

    def status(self) -> dict[str, Any]:
        """As `cluster.status` tells it."""
        ahead_us, peers, strays = self._judge()
        ahead_ms = None if ahead_us is None else round(ahead_us / 1000, 1)
        return {"ahead_ms": ahead_ms, "peers": peers, "strays": strays}

    def _judge(self) -> ClockVerdict:
        verdict = self._clocks.judge(self._wall.now_us(), trio.current_time())
        if verdict.strays != self._strayed and verdict.ahead_us is not None:
            self._strayed = verdict.strays
            self._tell(verdict.ahead_us, verdict.peers)
        return verdict

    def _tell(self, ahead_us: int, peers: int) -> None:
        if self._strayed:
            log.warning(
                "this node's clock is %.1f s %s those of %d peers; see to its time service. Until then posts"
                " may be refused here for stamps that are not ahead, or accepted though they are",
                abs(ahead_us) / 1_000_000,
                "ahead of" if ahead_us > 0 else "behind",
                peers,
            )
        else:
            log.info("this node's clock agrees with its peers' again")
