"""How long nodes that started take until their acknowledgements count again, and whether they ever do.

A node is unproven until enough of the other replicas have vouched for its disk, and then it is not, or its
wait is over; see `node.actors.standing`. Whatever else is broken meanwhile, that is bounded. No fault here
takes anything from a disk, so a node that is called amnesiac is called so wrongly.
"""

from __future__ import annotations

from typing import Any, Final

import trio
from folkmoot.cli.chaos.caller import Caller, Doors
from folkmoot.cli.chaos.scene import Scene
from folkmoot.node.simulation.caller import UNANSWERED
from folkmoot.protocol.errors import WireError

# `cluster.proof_wait` is 10 s, and begins soon after the process; the rest is for a busy machine.
COUNTED_S: Final = 30.0
POLL_S: Final = 0.1
RUNNING: Final = "running"


class Returns:
    """See the module.

    Args:
        doors: where the nodes listen.
        scene: says whether something was done to a node again.
        nursery: where links run.
        counted_s: how long a node may take, in seconds.

    Attributes:
        took_s: of each return that was seen to its end, how long it took.
        complaints: those that were too long, and disks that were taken for old ones, a sentence each.
    """

    def __init__(
        self, doors: Doors, scene: Scene, nursery: trio.Nursery, counted_s: float = COUNTED_S
    ) -> None:
        self.took_s: list[float] = []
        self.complaints: list[str] = []
        self._doors = doors
        self._scene = scene
        self._nursery = nursery
        self._counted_s = counted_s

    async def answers(self, name: str) -> bool:
        """Whether a node serves clients now."""
        caller = self._caller(name)
        try:
            return await self._standing(caller) is not None
        finally:
            caller.leave()

    async def await_counted(self, name: str, began: float) -> None:
        """Watch a node that has just started until it counts, or until something is done to it again.

        Args:
            name: the node's.
            began: when it was told to start, on trio's clock.
        """
        caller = self._caller(name)
        why = "it answers nobody"
        try:
            while self._scene.nodes[name] == RUNNING:
                standing, lasted_s = await self._standing(caller), trio.current_time() - began
                if standing is not None:
                    why = f"it is {standing['state']}: {standing['why']}"
                    if standing["state"] == "amnesiac":
                        self._complain(
                            f"{name} lost nothing and was taken for an old disk: {standing['why']}"
                        )
                        return
                    if standing["counted"]:
                        self.took_s.append(lasted_s)
                        return
                if lasted_s > self._counted_s:
                    self._complain(f"{name} does not count {lasted_s:.0f} s after its start: {why}")
                    return
                await trio.sleep(POLL_S)
        finally:
            caller.leave()

    def _caller(self, name: str) -> Caller:
        return Caller(self._doors, self._doors.random, self._nursery, only=name)

    async def _standing(self, caller: Caller) -> dict[str, Any] | None:
        """What a node says of itself; None when it does not answer."""
        try:
            standing: dict[str, Any] = (await caller.call("cluster.status", {}))["node"]["standing"]
        except (*UNANSWERED, WireError):
            return None
        return standing

    def _complain(self, sentence: str) -> None:
        self.complaints.append(sentence)
        self._scene.tell(sentence)
