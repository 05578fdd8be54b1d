"""What is done to the cluster while it takes in the conversation.

A node is killed; the others go on, for two of three replicas are a quorum. Then a region is cut off from
the rest. With the killed node that leaves one of three: writes wait, and nothing is acknowledged that a
quorum does not have. The links heal, the node comes back, and both catch up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import trio
from folkmoot.cli.cluster import faults, life
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.demo.scene import Fault, Scene
from folkmoot.cli.demo.watcher import Watcher

BEFORE_S: Final = 2.5
BETWEEN_S: Final = 2.5
SEEN_S: Final = 15.0
HEALED_S: Final = 45.0
GONE: Final = ("suspect", "dead")


class Story:
    """See the module.

    Args:
        cluster: running, of three regions at least.
        watcher: running.
        scene: told what happens.
    """

    def __init__(self, cluster: LocalCluster, watcher: Watcher, scene: Scene) -> None:
        self._cluster = cluster
        self._watcher = watcher
        self._scene = scene
        nodes = cluster.manifest.nodes
        regions = list(dict.fromkeys(node.region for node in nodes))
        self._names = [node.name for node in nodes]
        self.victim = next(node.name for node in nodes if node.region == regions[1])
        self.region = regions[2]
        self._cut = [node.name for node in nodes if node.region == self.region]

    async def run(self) -> None:
        """Tell the whole story.

        Raises:
            NeverSeen: the nodes did not notice, or did not heal, in time.
            ClusterFailed: the supervisor could not do its part.
        """
        await trio.sleep(BEFORE_S)
        killed = await self._kill()
        await trio.sleep(BETWEEN_S)
        cut = await self._partition()
        await trio.sleep(BETWEEN_S)
        await self._heal(cut)
        await self._restart(killed)

    async def _kill(self) -> Fault:
        self._scene.tell(f"SIGKILL to {self.victim}")
        fault = self._fault("kill", self.victim)
        self._scene.nodes[self.victim].condition = "killed"
        began = trio.current_time()
        await self._supervisor("kill", [self.victim])
        others = [name for name in self._names if name != self.victim]
        fault.seen_ms = await self._until_seen([self.victim], others, began)
        self._scene.tell(f"every other node has noticed, after {fault.seen_ms} ms; writes go on")
        return fault

    async def _partition(self) -> Fault:
        self._scene.tell(f"region {self.region} is cut off from all others")
        fault = self._fault("partition", self.region)
        for name in self._cut:
            self._scene.nodes[name].condition = "cut off"
        wanted = faults.partition(self._cluster.manifest, [self.region], one_way=False)
        await trio.to_thread.run_sync(partial(life.set_faults, self._cluster, wanted))
        began = trio.current_time()
        others = [name for name in self._names if name not in (*self._cut, self.victim)]
        fault.seen_ms = await self._until_seen(self._cut, others, began)
        alone = "; one of three replicas is left, so writes wait" if len(self._names) == 3 else ""
        self._scene.tell(f"the other side has noticed, after {fault.seen_ms} ms{alone}")
        return fault

    async def _heal(self, fault: Fault) -> None:
        self._scene.tell("all links are whole again")
        began = trio.current_time()
        await trio.to_thread.run_sync(partial(life.set_faults, self._cluster, []))
        for name in self._cut:
            self._scene.nodes[name].condition = "running"
        running = [name for name in self._names if name != self.victim]
        await self._watcher.wait(
            lambda: self._all_alive(running), HEALED_S, f"region {self.region} is not seen alive by all"
        )
        fault.healed_s = trio.current_time() - began
        self._scene.tell(f"region {self.region} is back, after {fault.healed_s:.1f} s")

    async def _restart(self, fault: Fault) -> None:
        self._scene.tell(f"{self.victim} starts again, with its data")
        began = trio.current_time()
        self._watcher.update(await self._supervisor("start", [self.victim]))
        self._scene.nodes[self.victim].condition = "running"
        await self._watcher.wait(
            lambda: self._all_alive(self._names) and not self._watcher.owed_to([self.victim]),
            HEALED_S,
            f"{self.victim} has not caught up",
        )
        fault.healed_s = trio.current_time() - began
        self._scene.tell(f"{self.victim} is back and has what it missed, after {fault.healed_s:.1f} s")

    async def wait_repaired(self) -> None:
        """Wait until nobody owes anybody anything.

        Raises:
            NeverSeen: not in time.
        """
        await self._watcher.wait(
            lambda: self._all_alive(self._names) and not self._watcher.owed_to(self._names),
            HEALED_S,
            "nodes still owe each other cells",
        )

    def _fault(self, what: str, target: str) -> Fault:
        fault = Fault(what, target, self._scene.seconds)
        self._scene.faults.append(fault)
        return fault

    async def _supervisor(self, operation: str, nodes: Sequence[str]) -> dict[str, Any]:
        return await trio.to_thread.run_sync(partial(self._cluster.ask, operation, nodes))

    async def _until_seen(self, gone: Sequence[str], others: Sequence[str], began: float) -> int:
        def noticed() -> bool:
            return all(self._watcher.views_of(name).get(other) in GONE for name in gone for other in others)

        await self._watcher.wait(noticed, SEEN_S, f"{', '.join(others)} have not noticed")
        return round((trio.current_time() - began) * 1000)

    def _all_alive(self, names: Sequence[str]) -> bool:
        return all(
            self._watcher.views_of(name).get(other) == "alive"
            for name in names
            for other in names
            if other != name
        )
