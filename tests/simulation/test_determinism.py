"""The canary for trio's private names, and the promise that a seed decides everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque

import pytest
import trio
import trio._core._run as trio_run
from folkmoot.node.simulation.determinism import VirtualClock, run_repeatably
from folkmoot.node.simulation.run import Plan, simulate
from folkmoot.node.simulation.schedule import FAULTS
from folkmoot.node.simulation.world import World

TASKS = 12
ROUNDS = 6

SUBPROCESS = """
from folkmoot.node.simulation.schedule import FAULTS
from folkmoot.node.simulation.run import Plan, simulate
print(simulate(Plan(5, nodes=3, minutes=0.4, faults=FAULTS, pause_s=0.7)).trace)
"""


async def scheduling_order() -> list[int]:
    """In which order tasks that are always ready are run."""
    order: list[int] = []

    async def one(number: int) -> None:
        for _ in range(ROUNDS):
            order.append(number)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for number in range(TASKS):
            nursery.start_soon(one, number)
    return order


def test_the_private_names_are_there() -> None:
    assert isinstance(trio_run._ALLOW_DETERMINISTIC_SCHEDULING, bool)
    assert callable(trio_run._r.seed)

    async def look() -> None:
        runner = trio_run.GLOBAL_RUN_CONTEXT.runner
        assert runner.ki_pending is False
        assert callable(runner.io_manager.get_events)
        assert type(runner.runq) is deque

    trio.run(look)


def test_a_seed_decides_the_scheduling() -> None:
    orders = [run_repeatably(scheduling_order, seed) for seed in (1, 1, 2, 3)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3, "trio no longer shuffles by this generator"


def test_time_is_virtual_and_starts_at_nought() -> None:
    async def sleep_a_year() -> tuple[float, float]:
        begun_s = trio.current_time()
        await trio.sleep_until(365 * 86_400.0)
        return begun_s, trio.current_time()

    assert run_repeatably(sleep_a_year, 1) == (0.0, 365 * 86_400.0)


def test_sleep_passes_time_can_be_cancelled_and_is_trios_again_afterwards() -> None:
    before = trio.sleep, trio.sleep_until

    async def main() -> list[tuple[str, float]]:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, VirtualClock)
        assert (trio.sleep, trio.sleep_until) == (clock.sleep, clock.sleep_until)
        woken: list[tuple[str, float]] = []

        async def doze(name: str, seconds: float) -> None:
            try:
                await clock.sleep(seconds)
            finally:
                woken.append((name, trio.current_time()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(doze, "long", 9.0)
            nursery.start_soon(doze, "short", 1.0)
            with trio.move_on_after(2.0) as scope:
                await doze("cut off", 5.0)
            assert scope.cancelled_caught
            await trio.sleep_until(1.0)
            await doze("overdue", 0.0)
            with trio.move_on_after(0.0):
                await doze("not begun", 4.0)
        return woken

    at_s = {"short": 1.0, "cut off": 2.0, "overdue": 2.0, "not begun": 2.0, "long": 9.0}
    assert run_repeatably(main, 1) == list(at_s.items())
    assert (trio.sleep, trio.sleep_until) == before


def test_calls_come_when_they_are_due_and_in_the_order_they_were_asked_for() -> None:
    async def main() -> list[tuple[str, float]]:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, VirtualClock)
        made: list[tuple[str, float]] = []

        def call(name: str, at_s: float) -> None:
            clock.call_at(at_s, lambda: made.append((name, trio.current_time())))

        call("late", 2.0)
        call("first", 1.0)
        call("second", 1.0)
        await trio.sleep_until(1.5)
        call("overdue", 0.5)
        await trio.sleep_until(3.0)
        return made

    assert run_repeatably(main, 1) == [("first", 1.0), ("second", 1.0), ("overdue", 1.5), ("late", 2.0)]


def test_a_run_that_can_neither_go_on_nor_end_is_told() -> None:
    """In a process of its own, because trio is not meant to be left like that."""
    program = (
        "import trio\n"
        "from folkmoot.node.simulation.determinism import run_repeatably\n"
        "run_repeatably(trio.sleep_forever, 1)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "NothingLeft: every task waits" in ended.stderr


def test_ctrl_c_reaches_who_waits_and_never_a_task_at_its_work() -> None:
    """A commit or an actor would take it for a failure of its own, and the run would go on."""
    met: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            met.append("the task at its work")
        await trio.sleep_until(1)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            try:
                await trio.sleep_until(5)
            except KeyboardInterrupt:
                met.append("who waits")
                raise

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(BaseExceptionGroup) as interrupted:
            run_repeatably(main, 1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted.value.subgroup(KeyboardInterrupt) is not None
    assert met == ["who waits"]


def test_the_switch_is_put_back() -> None:
    before = trio_run._ALLOW_DETERMINISTIC_SCHEDULING
    run_repeatably(scheduling_order, 1)
    assert before == trio_run._ALLOW_DETERMINISTIC_SCHEDULING


def test_one_seed_one_trace_under_any_hash_seed() -> None:
    here = simulate(Plan(5, nodes=3, minutes=0.4, faults=FAULTS, pause_s=0.7))
    elsewhere = [
        subprocess.run(
            [sys.executable, "-c", SUBPROCESS],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "4242")
    ]
    assert [here.trace, here.trace] == elsewhere
    assert here.trace != simulate(Plan(6, nodes=3, minutes=0.4, faults=FAULTS, pause_s=0.7)).trace


def test_a_run_that_fails_ends() -> None:
    """With what it failed of, and not in a wait for disks that nobody serves any more."""

    async def main() -> None:
        async with World.running("1", 2) as world:
            await world.wait_serving(world.nodes, 60.0)
            raise LookupError("planted")

    with pytest.RaisesGroup(LookupError, flatten_subgroups=True):
        run_repeatably(main, 1)
