"""Carrying out a plan on a local cluster: real signals, real limits, faults on real links; and mending it."""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import trio
from folkmoot.cli.chaos.caller import Doors
from folkmoot.cli.chaos.plan import LINK_FAULTS, NODE_FAULTS, Episode
from folkmoot.cli.chaos.scene import Scene
from folkmoot.cli.cluster import life
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.cluster.faults import LinkFault
from folkmoot.cli.cluster.layout import ClusterDirectory
from folkmoot.cli.cluster.supervisor import READY_S
from folkmoot.cli.errors import Unreachable


class Breaker:
    """See the module.

    Args:
        cluster: running.
        doors: told when a node is back.
        scene: told what happens.

    Attributes:
        deaths: nodes that ended although nobody had killed them, a sentence each.
        fail_stops: nodes that ended because a write to their disk failed, as they should.
        done: how often each fault was carried out.
    """

    def __init__(self, cluster: LocalCluster, doors: Doors, scene: Scene) -> None:
        self.deaths: list[str] = []
        self.fail_stops = 0
        self.done: dict[str, int] = {}
        self._cluster = cluster
        self._doors = doors
        self._scene = scene
        self._turn = trio.Lock()  # one change at a time, so that each finds the cluster as it was told
        self._down: set[str] = set()
        self._dead: set[str] = set()

    async def run(self, episodes: Sequence[Episode]) -> None:
        """Carry out every episode of a plan, each at its time or as soon after as the machine allows.

        Raises:
            FolkmootError: the supervisor or a node could not do its part.
        """
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for faults in (NODE_FAULTS, LINK_FAULTS):
                lane = [episode for episode in episodes if episode.fault in faults]
                nursery.start_soon(self._run_lane, began, lane)

    async def _run_lane(self, began: float, episodes: Sequence[Episode]) -> None:
        for episode in episodes:
            await trio.sleep_until(began + episode.at_s)
            self._scene.tell(episode.sentence())
            await self._begin(episode)
            self.done[episode.fault] = self.done.get(episode.fault, 0) + 1
            await trio.sleep(episode.lasts_s)
            await self._end(episode)

    async def _begin(self, episode: Episode) -> None:
        match episode.fault:
            case "kill":
                self._down |= set(episode.nodes)
                self._scene.set(episode.nodes, "killed")
                await self._do(partial(self._cluster.ask, "kill", episode.nodes))
            case "pause":
                self._scene.set(episode.nodes, "paused")
                await self._do(partial(self._cluster.ask, "pause", episode.nodes))
            case "restart":
                self._down |= set(episode.nodes)
                self._scene.set(episode.nodes, "restarting")
                await self._do(partial(life.changed, self._cluster, "restart", episode.nodes))
                self._back(episode.nodes)
            case "full":
                # A node may end when a write fails half-way: then its disk is to be looked at first.
                self._down |= set(episode.nodes)
                self._scene.set(episode.nodes, "disk full")
                await self._do(partial(self._limit_files, episode.nodes))
            case _:
                self._scene.links = episode.sentence()
                wanted = link_faults(episode)
                await self._do(partial(life.set_faults, self._cluster, wanted))

    async def _end(self, episode: Episode) -> None:
        match episode.fault:
            case "kill":
                await self._do(partial(life.changed, self._cluster, "start", episode.nodes))
                self._back(episode.nodes)
            case "pause":
                await self._do(partial(life.changed, self._cluster, "resume", episode.nodes))
                self._back(episode.nodes)
            case "full":
                await self._do(partial(self._free_files, episode.nodes))
                await self._start_again(episode.nodes)
                self._back(episode.nodes)
            case "restart":
                pass
            case _:
                self._scene.links = ""
                await self._do(partial(life.set_faults, self._cluster, []))

    async def _start_again(self, names: Sequence[str]) -> None:
        """Start those of some nodes that have ended for want of room."""
        for node in (await self._do(partial(self._cluster.ask, "status")))["nodes"]:
            if node["name"] in names and node["state"] == "stopped":
                self.fail_stops += 1
                self._scene.tell(
                    f"{node['name']} had ended, as a node whose disk fails does, and starts again"
                )
                await self._do(partial(life.changed, self._cluster, "start", [node["name"]]))

    def _back(self, names: Sequence[str]) -> None:
        self._down -= set(names)
        self._scene.set(names, "running")

    async def mend(self) -> dict[str, Any]:
        """End every fault, start whatever does not run, and wait until the nodes know each other.

        Returns:
            The cluster's description.

        Raises:
            FolkmootError: a node did not come back, or the nodes did not find each other in time.
        """
        names = list(self._scene.nodes)
        await self._do(partial(self._free_files, names))
        await self._do(partial(self._cluster.ask, "resume", names))
        await self._do(partial(life.set_faults, self._cluster, []))
        described: dict[str, Any] = await self._do(partial(life.up, self._cluster, READY_S))
        self._scene.links = ""
        self._back(names)
        return described

    async def _do(self, change: Callable[[], Any]) -> Any:
        """Change the cluster in a thread, when it is this change's turn, having looked at how it is.

        A node that ends by itself in between, as one out of room may, cannot be told anything: then the
        change is made anew with those that are left. Every change may be made twice.
        """
        async with self._turn:
            running = await self._running()
            while True:
                try:
                    result = await trio.to_thread.run_sync(change)
                except Unreachable:
                    before, running = running, await self._running()
                    if running == before:
                        raise
                else:
                    await self._running()
                    return result

    async def _running(self) -> set[int]:
        """The processes that run now; where they listen, and who has ended by itself, is taken down."""
        described = await trio.to_thread.run_sync(partial(self._cluster.ask, "status"))
        self._look(described)
        self._doors.update(described)
        return {node["pid"] for node in described["nodes"] if node["pid"] is not None}

    def _look(self, described: Mapping[str, Any]) -> None:
        """Take down who has ended by itself."""
        for node in described["nodes"]:
            name = node["name"]
            if node["state"] != "stopped":
                self._dead.discard(name)
            elif name not in self._down and name not in self._dead:
                self._dead.add(name)
                self.deaths.append(f"{name} ended by itself with exit code {node.get('exit_code')}")
                self._scene.tell(self.deaths[-1])

    def _limit_files(self, names: Sequence[str]) -> None:
        """Let no file of these nodes grow: a full disk, as far as that can be had without being root."""
        for node in self._cluster.ask("status")["nodes"]:
            if node["name"] in names and node["pid"] is not None:
                _, hard = resource.prlimit(node["pid"], resource.RLIMIT_FSIZE)
                size = store_bytes(self._cluster.directory, node["name"])
                resource.prlimit(node["pid"], resource.RLIMIT_FSIZE, (size, hard))

    def _free_files(self, names: Sequence[str]) -> None:
        for node in self._cluster.ask("status")["nodes"]:
            if node["name"] in names and node["pid"] is not None:
                _, hard = resource.prlimit(node["pid"], resource.RLIMIT_FSIZE)
                resource.prlimit(node["pid"], resource.RLIMIT_FSIZE, (hard, hard))


def store_bytes(directory: ClusterDirectory, node: str) -> int:
    """How long a node's store file is now."""
    return (directory.data(node).path / "store" / "data.mdb").stat().st_size


def link_faults(episode: Episode) -> list[LinkFault]:
    """What a link episode does to which directed links."""
    links = [(source, to) for source in episode.nodes for to in episode.others]
    if episode.fault != "oneway":
        links += [(to, source) for source, to in links]
    cut = episode.fault != "slow"
    return [
        LinkFault(source=source, to=to, cut=cut, delay_ms=episode.delay_ms, loss=episode.loss)
        for source, to in links
    ]
