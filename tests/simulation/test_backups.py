"""Backups of simulated nodes: they go on after a crash, hold what they must, and are found out when not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count, filterfalse
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.simulation.backups import Backups
from folkmoot.node.simulation.checkers.verdict import Verdict
from folkmoot.node.simulation.determinism import run_repeatably
from folkmoot.node.simulation.disk_faults import OLD_SEAT
from folkmoot.node.simulation.everybody import Everybody
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.run import Plan, simulate
from folkmoot.node.simulation.steps import Rest, Steps
from folkmoot.node.simulation.world import World
from folkmoot.storage.backup import create
from folkmoot.storage.backup.check import check
from folkmoot.storage.backup.errors import BackupForeign
from folkmoot.storage.backup.manifest import Backup, chain_of
from folkmoot.storage.store import Store

from tests.simulation.test_planted_bugs import Plant
from tests.waiting import until

LIVE_S = 30.0


def backed_up(folder: Path, crashes_at_s: float | None = None) -> Verdict:
    """A node is backed up while people write; its power may be cut meanwhile, so long after the beginning."""

    async def main() -> Verdict:
        history = History()
        async with World.running("backups", 3) as world, trio.open_nursery() as nursery:
            await world.wait_serving(world.nodes, 60.0)
            begun_s, node = trio.current_time(), world.nodes[0]
            everybody = Everybody(world, history, 3, 0.5, nursery)
            nursery.start_soon(everybody.live_and_settle, begun_s + LIVE_S)
            await trio.sleep_until(begun_s + 5.0)
            backups = Backups(world, history, folder)
            nursery.start_soon(backups.take, node, begun_s + LIVE_S)
            if crashes_at_s is not None:
                await trio.sleep_until(begun_s + 5.0 + crashes_at_s)
                world.crash(node)
                await world.restart(node)
            await trio.sleep_until(begun_s + LIVE_S)
            nursery.cancel_scope.cancel()
        return backups.verdict()

    return run_repeatably(main, 1)


def test_a_backup_holds_what_its_node_had(tmp_path: Path) -> None:
    verdict = backed_up(tmp_path)
    assert verdict.ok, verdict.complaints
    assert verdict.facts == {"made": 1, "resumed": 0} and verdict.compared > 10


def test_a_backup_goes_on_after_a_crash(tmp_path: Path) -> None:
    verdict = backed_up(tmp_path, crashes_at_s=2.0)
    assert verdict.ok, verdict.complaints
    assert verdict.facts == {"made": 1, "resumed": 1} and verdict.compared > 10


def test_nothing_is_built_on_what_a_node_has_lost(tmp_path: Path) -> None:
    """A node is backed up, its disk goes back behind that, and it is rebuilt and written to."""

    async def main() -> None:
        history = History()
        async with World.running("set-back", 3) as world, trio.open_nursery() as nursery:
            await world.wait_serving(world.nodes, 60.0)
            node, begun_s = world.nodes[0], trio.current_time()
            everybody = Everybody(world, history, 5, 0.3, nursery)
            nursery.start_soon(everybody.live_and_settle, begun_s + 3 * LIVE_S)

            def made(base: Backup | None) -> Backup:
                return create.create(
                    Store(node.disk.engine, owner=None), tmp_path, base=base, now_us=node.wall.now_us
                )

            async def comes_to(sequence: int) -> None:
                await until(
                    lambda: Store(node.disk.engine, owner=None).sequence > sequence,
                    what=f"change {sequence}",
                    within_s=LIVE_S,
                )

            world.crash(node)
            await node.ended.wait()
            old = node.disk.engine.copy()
            old_sequence = Store(old, owner=None).sequence
            await world.restart(node)
            await comes_to(old_sequence + 20)
            base = made(None)
            world.crash(node)
            await node.ended.wait()
            world.disks_lost = True
            world.expected_errors.add(OLD_SEAT)
            node.disk.put_back(old, node.disk.files)
            await world.restart(node)
            await comes_to(base.manifest.sequence)
            with pytest.raises(BackupForeign, match="set back"):
                made(base)
            full = made(None)
            await comes_to(full.manifest.sequence + 5)
            check(chain_of(made(full)))
            nursery.cancel_scope.cancel()

    run_repeatably(main, 1)


def test_a_backup_that_leaves_something_out_is_found_out(tmp_path: Path, monkeypatch: Plant) -> None:
    changed, seen = create._changed, count(1)

    def leave_some_out(*args: Any, **more: Any) -> Iterator[Any]:
        return filterfalse(lambda row: next(seen) % 5 == 0, changed(*args, **more))

    monkeypatch.setattr(create, "_changed", leave_some_out)
    complaints = backed_up(tmp_path).complaints
    assert any("has not what n1 held" in each for each in complaints)
    assert any("cannot be restored" in each for each in complaints)


@pytest.mark.parametrize("faults", [("backup", "crash", "torn", "eio"), ("backup", "flip", "olddisk")])
def test_every_promise_holds_while_backups_are_made(faults: tuple[str, ...]) -> None:
    report = simulate(Plan(3, nodes=3, minutes=0.8, faults=faults, people=5, pause_s=0.6, fault_gap_s=3.0))
    assert report.ok, [verdict for verdict in report.verdicts if not verdict.ok]
    [verdict] = [each for each in report.verdicts if each.invariant == "backup"]
    assert verdict.facts["made"] > 0


async def test_work_rests_while_virtual_time_passes(autojump_clock: trio.testing.MockClock) -> None:
    def work(rest: Rest) -> int:
        for _ in range(10):
            rest()
        return 7

    assert await Steps(work, lambda: 0.5).run() == 7
    assert trio.current_time() == pytest.approx(5.0)


async def test_work_has_ended_before_its_thread_has(monkeypatch: Plant) -> None:
    """As long as the machine likes, and nobody waits for what never comes."""
    monkeypatch.setattr(threading.Thread, "is_alive", lambda self: True)
    assert await Steps(lambda rest: 7, lambda: 0.5).run() == 7


async def test_work_that_fails_or_is_given_up_ends(autojump_clock: trio.testing.MockClock) -> None:
    ended: list[str] = []

    def fail(rest: Rest) -> None:
        rest()
        raise LookupError("planted")

    def rest_for_ever(rest: Rest) -> None:
        try:
            while True:
                rest()
        finally:
            ended.append("it")

    with pytest.raises(LookupError, match="planted"):
        await Steps(fail, lambda: 0.5).run()
    with trio.move_on_after(3.0):
        await Steps(rest_for_ever, lambda: 0.5).run()
    assert ended == ["it"]
