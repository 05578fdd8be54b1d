"""A run of chaos from beginning to end: a cluster, load, faults by plan, a heal, quiet, and the verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import trio
from folkmoot.cli.chaos.backups import Backups
from folkmoot.cli.chaos.breaker import MEND_S, Breaker
from folkmoot.cli.chaos.caller import Caller, Doors
from folkmoot.cli.chaos.people import People
from folkmoot.cli.chaos.plan import Episode
from folkmoot.cli.chaos.returns import Returns
from folkmoot.cli.chaos.scene import Scene
from folkmoot.cli.chaos.steward import Steward
from folkmoot.cli.chaos.verdict import ChaosResult, judge_history
from folkmoot.cli.checking.checker import Checker, CheckResult, read_promises
from folkmoot.cli.checking.replicas import open_replicas
from folkmoot.cli.clients import journals_of
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.connection import target_of
from folkmoot.cli.journal import SUFFIX, Journal


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """What is to be run.

    Args:
        seed: of the episodes and of what people do.
        seconds: of load.
        episodes: what is broken when.
        people: how many write and read.
        pause_s: mean time between two things one of them does.
        quiet_s: how long to wait for rest and for replicas to become equal.
        replay: the command line that repeats the plan.
        keep: whether a cluster of one's own runs on afterwards.
    """

    seed: int
    seconds: float
    episodes: tuple[Episode, ...]
    people: int
    pause_s: float
    quiet_s: float
    replay: str
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Hands:
    """Who carries a plan out: what breaks, what was started counts again, and what moves."""

    breaker: Breaker
    returns: Returns
    steward: Steward


class Run:
    """One run.

    Args:
        plan: what to do.
        scene: told what happens.
    """

    def __init__(self, plan: ChaosPlan, scene: Scene) -> None:
        self.plan = plan
        self.scene = scene

    async def on(self, cluster: LocalCluster) -> ChaosResult:
        """Run on a cluster that is there. However this ends, nothing stays broken.

        Raises:
            FolkmootError: a node could not be started, or told of a fault.
        """
        plan = self.plan
        described = await trio.to_thread.run_sync(partial(cluster.ask, "status"))
        self.scene.nodes = {node["name"]: node["state"] for node in described["nodes"]}
        doors = Doors(described, self.scene)
        target = target_of(described)
        file = journals_of(target, cluster.manifest.name) / f"chaos-{time.time_ns():x}{SUFFIX}"
        async with trio.open_nursery() as links:
            operator = cluster.directory.operator()
            returns = Returns(doors, self.scene, links)
            breaker = Breaker(cluster, doors, self.scene, returns)
            steward = steward_of(cluster, doors, self.scene, plan.seed, links, breaker, file.stem)
            hands = Hands(breaker, returns, steward)
            try:
                with Journal(file, cluster.manifest.name) as journal:
                    people = People(doors, journal, plan.seed, plan.people, plan.pause_s, links, operator)
                    unrest = await self._load(hands, people)
                links.cancel_scope.cancel()
            except BaseException:
                await self._mend_after_all(hands)
                raise
        self.scene.phase = "checking"
        self.scene.tell("waiting for quiet, then reading every replica by itself")
        check = await check_replicas(cluster, [file], plan.quiet_s)
        described = await trio.to_thread.run_sync(partial(cluster.ask, "status"))
        result = self._conclude(hands, unrest, check, described)
        if result.passed:
            await trio.to_thread.run_sync(hands.steward.backups.forget)
        return result

    async def _load(self, hands: Hands, people: People) -> list[str]:
        """Let people live while things break and move, mend everything, and let them settle what is open.

        Returns:
            What has not come to rest after it was mended, a sentence each.
        """
        plan, scene = self.plan, self.scene
        scene.history = people.history
        await people.begin()
        ends = trio.current_time() + plan.seconds
        carried_out = trio.Event()

        async def carry_out() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hands.breaker.run, plan.episodes)
                nursery.start_soon(hands.steward.run, plan.episodes)
            carried_out.set()

        scene.phase, scene.load_began = "breaking things", time.monotonic()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(carry_out)
            await people.live(lambda: trio.current_time() >= ends and carried_out.is_set())
        scene.phase = "healing"
        scene.tell("everything is being mended")
        await hands.breaker.mend()
        scene.tell("every node counts on every other")
        scene.phase = "coming to rest"
        unrest = await hands.steward.rest(plan.quiet_s)
        scene.tell("; ".join(unrest) or "every range is where it is to be")
        scene.phase = "settling"
        await people.settle()
        return unrest

    def _conclude(
        self, hands: Hands, unrest: Sequence[str], check: CheckResult, described: dict[str, Any]
    ) -> ChaosResult:
        self.scene.phase = "judging what clients were told"
        breaker, returns, steward = hands.breaker, hands.returns, hands.steward
        return ChaosResult(
            seed=self.plan.seed,
            episodes=self.plan.episodes,
            done=breaker.done | steward.done,
            felt=self.scene.felt,
            took_s=returns.took_s,
            late=returns.complaints,
            counts=self.scene.history.counts,
            check=check,
            verdicts=judge_history(self.scene.history) + steward.backups.verdicts(),
            unrest=[*unrest, *steward.backups.complaints],
            deaths=breaker.deaths,
            fail_stops=breaker.fail_stops,
            nodes=len(described["nodes"]) - len(breaker.given_up),
            seconds=self.scene.seconds,
            cluster=described,
            replay=self.plan.replay,
        )

    async def _mend_after_all(self, hands: Hands) -> None:
        """Leave nothing broken behind, as far as that can still be done."""
        self.scene.phase = "mending"
        with trio.CancelScope(shield=True, deadline=trio.current_time() + MEND_S), suppress(Exception):
            await hands.breaker.mend()
            await hands.steward.join_all()


def steward_of(
    cluster: LocalCluster,
    doors: Doors,
    scene: Scene,
    seed: int,
    links: trio.Nursery,
    breaker: Breaker,
    name: str,
) -> Steward:
    """The steward of a run of this name, with a connection of his own to each node."""
    random = Random(f"steward/{seed}")  # noqa: S311  # protects nothing
    operator = cluster.directory.operator()
    callers = {node: Caller(doors, random, links, operator, only=node) for node in scene.nodes}
    ids = {node.name: bytes.fromhex(node.id) for node in cluster.manifest.nodes}
    backups = Backups(cluster, callers, ids, scene, cluster.directory.path / f"backups-{name}")
    return Steward(
        Caller(doors, random, links, operator), callers, ids, scene, random, backups, breaker.give_up
    )


async def check_replicas(cluster: LocalCluster, journals: Sequence[Path], quiet_s: float) -> CheckResult:
    """Compare a running cluster's replicas, and hold them against journals.

    Args:
        cluster: running.
        journals: of its acknowledgements.
        quiet_s: how long to wait for rest and for replicas to become equal.
    """
    described = await trio.to_thread.run_sync(partial(cluster.ask, "status"))
    async with open_replicas(target_of(described), cluster.directory.operator()) as replicas:
        return await Checker(replicas, read_promises(journals, cluster.manifest.name), quiet_s).run()
