"""Carrying out a plan on a local cluster: real signals, real limits, faults on real links; and mending it."""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
import trio
from folkmoot.cli.chaos.caller import Doors
from folkmoot.cli.chaos.patience import ANSWERS_S, ASK_AGAIN_S, NotBack, insist
from folkmoot.cli.chaos.plan import LINK_FAULTS, NODE_FAULTS, Episode
from folkmoot.cli.chaos.returns import RUNNING, Returns
from folkmoot.cli.chaos.scene import Scene
from folkmoot.cli.cluster import life
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.cluster.faults import LinkFault
from folkmoot.cli.cluster.layout import ClusterDirectory

MEND_S: Final = 60.0
# What the supervisor calls a node to which this was done.
_LEAVES: Final = {"kill": "stopped", "pause": "paused", "restart": "running"}


class Breaker:
    """See the module.

    Args:
        cluster: running.
        doors: told when a node is back.
        scene: told what happens.
        returns: sees to it that whoever started counts again.
        answers_s: how long a node that has a process may answer nobody.

    Attributes:
        deaths: nodes that ended although nobody had killed them, a sentence each.
        fail_stops: nodes that ended because a write to their disk failed, as they should.
        done: how often each fault was carried out, and found to be in force.
        given_up: nodes that are dead for good, to which nothing more is done until everything is mended.
    """

    def __init__(
        self,
        cluster: LocalCluster,
        doors: Doors,
        scene: Scene,
        returns: Returns,
        answers_s: float = ANSWERS_S,
    ) -> None:
        self.deaths: list[str] = []
        self.fail_stops = 0
        self.done: dict[str, int] = {}
        self.given_up: set[str] = set()
        self._cluster = cluster
        self._doors = doors
        self._scene = scene
        self._returns = returns
        self._answers_s = answers_s
        self._turn = trio.Lock()  # one change at a time, so that each finds the cluster as it was told
        self._down: set[str] = set()
        self._dead: set[str] = set()
        self._filled: set[str] = set()  # whose disks are full, or were a moment ago
        self._hit: set[str] = set()  # to which something is done just now

    async def run(self, episodes: Sequence[Episode]) -> None:
        """Carry out every episode of a plan, each at its time or as soon after as the machine allows.

        Raises:
            FolkmootError: the supervisor or a node could not do its part.
        """
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for faults in (NODE_FAULTS, LINK_FAULTS):
                lane = [episode for episode in episodes if episode.fault in faults]
                nursery.start_soon(self._run_lane, began, lane, nursery)

    async def _run_lane(self, began: float, episodes: Sequence[Episode], nursery: trio.Nursery) -> None:
        for planned in episodes:
            await trio.sleep_until(began + planned.at_s)
            episode = planned
            if episode.fault in NODE_FAULTS:
                await self._start_filled(nursery)
                left = tuple(name for name in planned.nodes if name not in self.given_up)
                episode = msgspec.structs.replace(planned, nodes=left)
                if not episode.nodes:
                    continue
                self._hit = set(episode.nodes)
            self._scene.tell(episode.sentence())
            self._scene.in_force.add(episode.fault)
            described = await self._begin(episode)
            if _is_in_force(episode, described):
                self.done[episode.fault] = self.done.get(episode.fault, 0) + 1
            await trio.sleep(episode.lasts_s)
            ends = trio.current_time()
            await self._end(episode)
            self._scene.in_force.discard(episode.fault)
            if episode.fault in NODE_FAULTS:
                self._hit.clear()
            if episode.fault in ("kill", "restart"):
                self._expect(episode.nodes, ends, nursery)

    async def give_up(self, name: str) -> None:
        """Kill a node for good, once nothing else is done to it."""
        while name in self._hit:  # noqa: ASYNC110  (lanes tell nobody where they are)
            await trio.sleep(ASK_AGAIN_S)
        self.given_up.add(name)
        self._filled.discard(name)
        self._down.add(name)
        self._scene.set([name], "given up")
        await self._do(partial(self._cluster.ask, "kill", [name]))

    def _expect(self, names: Sequence[str], began: float, nursery: trio.Nursery) -> None:
        for name in names:
            nursery.start_soon(self._returns.await_counted, name, began)

    async def _begin(self, episode: Episode) -> Any:
        match episode.fault:
            case "kill":
                self._down |= set(episode.nodes)
                self._scene.set(episode.nodes, "killed")
                return await self._do(partial(self._cluster.ask, "kill", episode.nodes))
            case "pause":
                self._scene.set(episode.nodes, "paused")
                return await self._do(partial(self._cluster.ask, "pause", episode.nodes))
            case "restart":
                self._down |= set(episode.nodes)
                self._scene.set(episode.nodes, "restarting")
                described = await self._do(partial(life.changed, self._cluster, "restart", episode.nodes))
                self._back(episode.nodes)
                return described
            case "full":
                # A node may end when a write fails half-way: then its disk is to be looked at first.
                self._filled |= set(episode.nodes)
                self._scene.set(episode.nodes, "disk full")
                return await self._do(partial(self._limit_files, episode.nodes))
            case _:
                self._scene.links = episode.sentence()
                wanted = link_faults(episode)
                return await self._do(partial(life.set_faults, self._cluster, wanted))

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
                self._scene.set(episode.nodes, RUNNING)
            case "restart":
                pass
            case _:
                self._scene.links = ""
                await self._do(partial(life.set_faults, self._cluster, []))

    async def _start_filled(self, nursery: trio.Nursery) -> None:
        """Start those that have ended for want of room.

        One may still be ending when its disk has room again, so each is waited for until it answers.
        """
        began = trio.current_time()
        for name in sorted(self._filled):
            while name not in self.given_up and not await self._returns.answers(name):
                if trio.current_time() > began + self._answers_s:
                    raise NotBack(
                        f"{name} did not come back within {self._answers_s:g} s of having room again"
                    )
                await self._do(partial(self._start, name))
                await trio.sleep(ASK_AGAIN_S)
        names = sorted(self._filled)
        self._filled.clear()
        self._back(names)
        self._expect(names, began, nursery)

    def _start(self, name: str) -> None:
        """Start a node, unless it was given up since that was thought of."""
        if name not in self.given_up:
            life.changed(self._cluster, "start", [name])

    def _back(self, names: Sequence[str]) -> None:
        self._down -= set(names)
        self._scene.set(names, RUNNING)

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
        described: dict[str, Any] = await self._do(partial(life.up, self._cluster, MEND_S))
        self._scene.links = ""
        self._scene.in_force.clear()
        self._filled.clear()
        self._back(names)
        return described

    async def _do(self, change: Callable[[], Any]) -> Any:
        """Change the cluster in a thread, when it is this change's turn, having looked at how it is.

        A node that is about to end, as one out of room may be, or that has just begun, cannot be told
        anything: then the change is made anew with those that run by then. Every change may be made twice.

        Raises:
            NotBack: a node has a process, and answered nobody for all that time.
            FolkmootError: it could not be made for another reason.
        """
        async with self._turn:
            return await insist(change, self._looked_at, self._answers_s)

    async def _looked_at(self) -> dict[str, Any]:
        """The cluster now; where its nodes listen, and who has ended by itself, is taken down."""
        described: dict[str, Any] = await trio.to_thread.run_sync(partial(self._cluster.ask, "status"))
        self._look(described)
        self._doors.update(described)
        return described

    def _look(self, described: Mapping[str, Any]) -> None:
        """Take down who has ended by itself."""
        for node in described["nodes"]:
            name = node["name"]
            if node["state"] != "stopped":
                self._dead.discard(name)
            elif name in self._dead or name in self._down:
                continue
            elif name in self._filled:
                self._dead.add(name)
                self.fail_stops += 1
                self._scene.tell(f"{name} has ended, as a node whose disk fails does")
            else:
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


def _is_in_force(episode: Episode, described: Any) -> bool:
    """Whether the nodes are in the state that the fault leaves them in; faults on links are, once told of."""
    wanted = _LEAVES.get(episode.fault)
    if wanted is None:
        return True
    return all(node["state"] == wanted for node in described["nodes"] if node["name"] in episode.nodes)


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
