"""The gauges: what must stay bounded, looked at every few virtual seconds through `cluster.status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import trio
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.streams import WINDOW_BYTES
from folkmoot.node.simulation.world import World
from folkmoot.protocol import limits
from folkmoot.protocol.errors import WireError

INTERVAL_S = 5.0


class Gauges:
    """See the module.

    Args:
        world: whose nodes are asked.

    Attributes:
        samples: how many answers there were.
    """

    def __init__(self, world: World) -> None:
        self.samples = 0
        self._world = world
        self._queued = 0
        self._hints = 0

    async def run(self) -> None:
        """Look, for ever."""
        async with trio.open_nursery() as nursery:
            caller = Caller(self._world, "gauges", self._world.random("gauges"), nursery)
            while True:
                try:
                    status = await caller.call("cluster.status", {})
                except (*UNANSWERED, WireError):
                    caller.leave()
                else:
                    self._look(status["node"])
                await trio.sleep(INTERVAL_S)

    def peaks(self) -> Mapping[str, tuple[int, int]]:
        """Of each thing, the greatest it ever was and its bound."""
        nodes, network = self._world.nodes, self._world.network
        window = limits.REPLICATION_WINDOW_CELLS * max(1, len(nodes) - 1)
        streams = max((host.peak_bytes() for host in network.hosts.values()), default=0)
        return {
            "replication_cells": (self._queued, window),
            "hints": (self._hints, limits.HINTS_PER_NODE),
            "store_jobs": (max(node.disk.peak_waiting for node in nodes), limits.STORE_QUEUE_JOBS),
            "stream_bytes": (max(streams, network.stream_peak_bytes), WINDOW_BYTES),
        }

    def _look(self, figures: Mapping[str, Any]) -> None:
        self.samples += 1
        self._queued = max(self._queued, figures["replication"]["queued"])
        self._hints = max(self._hints, *figures["hints"].values(), 0)
