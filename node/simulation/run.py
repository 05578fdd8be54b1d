"""One simulated run: a seed in, a verdict on every invariant out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import trio
from folkmoot.node.simulation.backups import Backups
from folkmoot.node.simulation.bit_flips import BitFlips, whole_cells
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.checkers import CHECKERS, indexes, keys, projections
from folkmoot.node.simulation.checkers.convergence import equal_replicas
from folkmoot.node.simulation.checkers.verdict import Evidence, HeldCells, Quiet, Verdict
from folkmoot.node.simulation.coverage import Counts
from folkmoot.node.simulation.determinism import run_repeatably
from folkmoot.node.simulation.disk_faults import bring_up
from folkmoot.node.simulation.everybody import Everybody
from folkmoot.node.simulation.exhibition import Exhibition
from folkmoot.node.simulation.faults import FaultInjector, Hands
from folkmoot.node.simulation.gauges import Gauges
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.losses import Losses
from folkmoot.node.simulation.schedule import BACKUP, FLIP, LOST, MOVES, Episode, schedule
from folkmoot.node.simulation.settling import come_to_rest, decide
from folkmoot.node.simulation.steward import Steward
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.protocol.errors import WireError
from folkmoot.storage.inboxes import Bounds

START_S = 60.0
RECOVERY_S_MAX = 120.0
RECOVERY_STEP_S = 1.0
LASTING_S = 8.0
PROGRESS_STEP_S = 1.0

OnProgress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run.

    Args:
        seed: decides everything.
        nodes: how many.
        minutes: virtual time under load; the quiet at the end comes on top.
        faults: names, see `schedule.FAULTS`.
        people: how many write and read.
        pause_s: mean time between two things one of them does.
        fault_gap_s: mean time between the beginnings of two faults.
        episodes: of those that the seed makes, in the order they begin, the numbers (from 1) of those that
            happen; None for all.
    """

    seed: int
    nodes: int = 5
    minutes: float = 15.0
    faults: tuple[str, ...] = ()
    people: int = 3
    pause_s: float = 4.0
    fault_gap_s: float = 8.0
    episodes: tuple[int, ...] | None = None

    @property
    def load_s(self) -> float:
        """Seconds of virtual time under load."""
        return self.minutes * 60


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it.

    Args:
        plan: what was run.
        trace: see `trace`; equal for equal plans.
        simulated_s: virtual time that passed.
        events: deliveries, commits, acknowledgements and faults.
        verdicts: one an invariant.
        outcomes: how often requests ended in which way.
        coverage: how often which operations overlapped with which faults.
        episodes: the numbers of the episodes that happened.
    """

    plan: Plan
    trace: str
    simulated_s: float
    events: int
    verdicts: tuple[Verdict, ...]
    outcomes: dict[str, int]
    coverage: Counts
    episodes: tuple[int, ...]

    @property
    def ok(self) -> bool:
        """Whether every invariant holds."""
        return all(verdict.ok for verdict in self.verdicts)

    @property
    def compared(self) -> dict[str, int]:
        """How many comparisons were made for each invariant."""
        return {verdict.invariant: verdict.compared for verdict in self.verdicts}

    def checks_to_json(self) -> dict[str, Any]:
        """The verdicts as plain values, by invariant."""
        return {verdict.invariant: verdict.to_json() for verdict in self.verdicts}


def episodes_of(plan: Plan) -> dict[int, Episode]:
    """The faults of a run by their numbers: a function of its plan alone."""
    random = Random(f"{plan.seed}/faults")  # noqa: S311 - repeatable on purpose
    made = schedule(random, plan.faults, plan.nodes, plan.load_s, mean_gap_s=plan.fault_gap_s)
    numbered = dict(enumerate(made, 1))
    if plan.episodes is None:
        return numbered
    return {number: numbered[number] for number in plan.episodes if number in numbered}


def simulate(plan: Plan, on_progress: OnProgress = lambda at_s: None) -> Report:
    """Run a plan.

    Args:
        plan: what to run.
        on_progress: called now and then with the virtual time.
    """
    return run_repeatably(lambda: _simulate(plan, on_progress), plan.seed)


async def _simulate(plan: Plan, on_progress: OnProgress) -> Report:
    history = History()
    async with World.running(str(plan.seed), plan.nodes) as world, _folder_for(plan) as folder:
        await world.wait_serving(world.nodes, START_S)
        async with trio.open_nursery() as background:
            background.start_soon(_tell_progress, on_progress)
            gauges = Gauges(world)
            background.start_soon(gauges.run)
            everybody = Everybody(world, history, plan.people, plan.pause_s, background)
            hands = Hands(
                Steward(world, background) if MOVES in plan.faults else None,
                Losses(world, background) if LOST in plan.faults else None,
                BitFlips(world, background) if FLIP in plan.faults else None,
                Backups(world, history, folder) if folder is not None else None,
            )
            quiet = await _break_and_recover(plan, world, history, everybody, hands, background)
            background.cancel_scope.cancel()
        simulated_s = trio.current_time()
        trace, events, coverage = world.trace.digest, world.trace.events, world.coverage.counts
    evidence = Evidence(
        seed=world.seed,
        history=history.without_weak_acks(ran_twice=bool(world.copies)) if world.disks_lost else history,
        witness=world.witness,
        held=tuple(_held(node) for node in world.nodes),
        ranges=world.ranges,
        bounds=_bounds(world),
        quiet=quiet,
        peaks=gauges.peaks(),
        samples=gauges.samples,
        errors=world.unexpected_errors(),
        services=world.services(),
    )
    verdicts = tuple(check(evidence) for check in CHECKERS)
    if hands.backups is not None:
        verdicts = (*verdicts, hands.backups.verdict())
    return Report(
        plan, trace, simulated_s, events, verdicts, history.counts, coverage, tuple(episodes_of(plan))
    )


@asynccontextmanager
async def _folder_for(plan: Plan) -> AsyncIterator[Path | None]:
    """Where backups go, on the disk of this machine, and no longer than the run; None when none are made."""
    if BACKUP not in plan.faults:
        yield None
        return
    with TemporaryDirectory(prefix="folkmoot-simulated-") as folder:
        yield Path(folder)


async def _break_and_recover(
    plan: Plan, world: World, history: History, everybody: Everybody, hands: Hands, links: trio.Nursery
) -> Quiet:
    """Let people live while things break, mend everything, and wait for membership, then for repair."""
    observer = Caller(world, "observer", world.random("observer"), links)

    def held() -> list[HeldCells]:
        return [_held(node) for node in world.nodes]

    exhibition = Exhibition(world, history, everybody.photographers, held, links)
    agreed = partial(_all_alive, world, observer)

    async def known() -> bool:
        now = held()
        return keys.known_everywhere(now) and not keys.unlabelled(
            history, world.witness.keys, now, world.ranges, world.services()
        )

    async def projected() -> bool:
        return projections.are_equal(held(), world.ranges, _bounds(world))

    async def indexed() -> bool:
        return indexes.are_equal(held())

    async def equal() -> bool:
        if hands.flips is not None:
            await hands.flips.look_everywhere()
        cells = {node.node_id: whole_cells(node.disk.engine) for node in world.nodes}
        return equal_replicas(cells, world.ranges)

    episodes = list(episodes_of(plan).values())
    until_s = trio.current_time() + plan.load_s
    agreed_s: float | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(everybody.live_and_settle, until_s)
        await FaultInjector(world, episodes, hands).run()
        await trio.sleep_until(until_s)
        await _mend(world)
        nursery.start_soon(decide, hands)
        agreed_s = await _seconds_until(agreed)
    await come_to_rest(world, hands)
    known_s = await _seconds_until(known)
    equal_s = await _seconds_until(equal)
    projected_s = await _seconds_until(projected)
    indexed_s = await _seconds_until(indexed)
    exhibited_s = await _exhibit(exhibition, everybody)
    noticed_s = await _notice(world, observer)
    lasting_s = await _seconds_until_lasting(agreed)
    times = equal_s, agreed_s, noticed_s, lasting_s, known_s, projected_s, indexed_s
    return Quiet(*times, *exhibited_s)


async def _exhibit(exhibition: Exhibition, everybody: Everybody) -> tuple[float | None, float | None]:
    """Look at media and ranked pages in the quiet: how long until all media can be seen, and none besides."""
    shown_s = await _seconds_until(exhibition.is_hung)
    await exhibition.visit()
    tidied_s = await _seconds_until(exhibition.is_tidy)
    await exhibition.audit()
    for curator in everybody.curators:
        await curator.conclude()
    return shown_s, tidied_s


async def _notice(world: World, observer: Caller) -> float | None:
    """Cut one node's power in the quiet: how long it takes until all others hold it dead, and no other."""
    victim, *others = world.random("victim").sample(world.nodes, len(world.nodes))
    if not others:
        return 0.0

    def expected(member: Mapping[str, Any]) -> bool:
        return bool(member["state"] == ("dead" if member["id"] == victim.node_id.hex() else "alive"))

    async def noticed() -> bool:
        return await _all_tell(world, others, observer, expected)

    world.crash(victim)
    noticed_s = await _seconds_until(noticed)
    await bring_up(world, victim)
    return noticed_s


async def _mend(world: World) -> None:
    """Have nothing broken any more."""
    world.network.links.mend_all()
    for node in world.nodes:
        await bring_up(world, node)
    await world.wait_serving(world.nodes, START_S)


async def _seconds_until(condition: Callable[[], Awaitable[bool]]) -> float | None:
    """How long it takes until `condition`, in virtual seconds; None when it takes too long."""
    begun_s = trio.current_time()
    while trio.current_time() - begun_s < RECOVERY_S_MAX:
        if await condition():
            return trio.current_time() - begun_s
        await trio.sleep(RECOVERY_STEP_S)
    return None


async def _seconds_until_lasting(condition: Callable[[], Awaitable[bool]]) -> float | None:
    """`_seconds_until`, for what must then stay so for a while: a node that flaps is alive now and then."""
    begun_s = trio.current_time()
    while trio.current_time() - begun_s < RECOVERY_S_MAX:
        if await _seconds_until(condition) is None:
            return None
        since_s = trio.current_time()
        while await condition():
            if trio.current_time() - since_s >= LASTING_S:
                return since_s - begun_s
            await trio.sleep(RECOVERY_STEP_S)
    return None


async def _all_alive(world: World, observer: Caller) -> bool:
    """Whether every node tells that all nodes are alive."""
    return await _all_tell(world, world.nodes, observer, lambda member: member["state"] == "alive")


async def _all_tell(
    world: World,
    nodes: Sequence[SimulatedNode],
    observer: Caller,
    expected: Callable[[Mapping[str, Any]], bool],
) -> bool:
    """Whether each of these nodes tells of every member what is expected; nothing is, of lost ones."""
    gone = {node.node_id.hex() for node in world.gone}
    for node in nodes:
        try:
            link = await observer.open(node)
            status = await link.call("cluster.status", {})
        except (*UNANSWERED, WireError):
            return False
        link.close()
        if not all(expected(member) for member in status["nodes"] if member["id"] not in gone):
            return False
    return True


async def _tell_progress(on_progress: OnProgress) -> None:
    while True:
        on_progress(trio.current_time())
        await trio.sleep(PROGRESS_STEP_S)


def _bounds(world: World) -> Bounds:
    """What fan-out may cost."""
    return Bounds(world.feeds.followers_max, world.feeds.inbox_rows)


def _held(node: SimulatedNode) -> HeldCells:
    """What a node's disk has; after the world's end, which crashed it, and before."""
    disk, data = node.disk, node.member.config.node.data
    cells, index = whole_cells(disk.engine), disk.indexes.newest()
    return HeldCells(node.name, node.node_id, disk.engine, cells, disk.files, data, node.wall.now_us(), index)
