"""A node whose clock strays says so by itself, alone, once, and no longer than it does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.simulation.caller import Caller
from folkmoot.node.simulation.faults import FaultInjector, drift_permille_of, jump_us_of
from folkmoot.node.simulation.schedule import Episode
from folkmoot.node.simulation.surroundings import EPOCH_US, SimulatedWallClock
from folkmoot.node.simulation.world import SimulatedNode, World

OFF_US = 3_000_000
ROUNDS_S = 600.0  # in which everyone compares with everyone


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What nodes log of their clocks: taken where it is logged, for a simulation passes nothing on."""
    log = logging.getLogger("folkmoot.node.peer_clocks")
    caplog.set_level(logging.INFO, log.name)
    log.addHandler(caplog.handler)
    yield caplog
    log.removeHandler(caplog.handler)


async def clock_of(caller: Caller, node: SimulatedNode) -> Any:
    link = await caller.open(node)
    try:
        return (await link.call("cluster.status", {}))["node"]["clock"]
    finally:
        link.close()


async def test_a_node_whose_clock_strays_says_so_until_it_is_set_right(
    told: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    async def clock_until(node: SimulatedNode, condition: Callable[[Any], bool]) -> Any:
        with trio.fail_after(ROUNDS_S):
            while not condition(clock := await clock_of(caller, node)):  # noqa: ASYNC110 (only asking tells)
                await trio.sleep(1.0)
        return clock

    async with World.running("clocks", 3) as world, trio.open_nursery() as nursery:
        await world.wait_serving(world.nodes, 60.0)
        caller = Caller(world, "observer", world.random("observer"), nursery)
        wrong, *others = world.nodes
        for node in world.nodes:
            clock = await clock_until(node, lambda clock: clock["peers"] == 2)
            assert not clock["strays"], "skews are small"
        wrong.wall.jump_us = OFF_US
        clock = await clock_until(wrong, lambda clock: clock["strays"] and clock["peers"] == 2)
        assert abs(clock["ahead_ms"] * 1000 - OFF_US) < 500_000
        await trio.sleep(ROUNDS_S)
        for other in others:
            assert not (await clock_of(caller, other))["strays"], "the others agree, and are two of three"
        wrong.wall.jump_us = 0
        await clock_until(wrong, lambda clock: not clock["strays"])
        assert world.errors == []
        nursery.cancel_scope.cancel()
    assert [record.levelname for record in told.records] == ["WARNING", "INFO"], "once each way"
    assert "ahead of those of" in told.records[0].getMessage()


async def test_a_clock_that_drifts_gains_or_loses_and_is_set_right(
    autojump_clock: trio.testing.MockClock,
) -> None:
    wall, right = SimulatedWallClock(1_000), SimulatedWallClock(1_000)
    for permille, seconds, off_us in ((10.0, 30.0, 300_000), (-40.0, 10.0, -100_000), (0.0, 60.0, -100_000)):
        wall.drift(permille)
        await trio.sleep(seconds)
        assert abs(wall.now_us() - right.now_us() - off_us) <= 1
    wall.set_right()
    assert wall.now_us() == right.now_us()
    await trio.sleep(5.0)
    assert wall.now_us() == right.now_us()


async def test_clocks_of_nodes_jump_and_drift_while_that_is_under_way(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Each as far as its episodes say, together when they overlap, and then not at all."""
    back = Episode("clock", 10.0, 40.0, node=0, strength=0.1)
    ahead = Episode("clock", 20.0, 30.0, node=0, strength=1.0)
    slow = Episode("drift", 50.0, 80.0, node=1, strength=0.1)
    async with World.running("clocks", 2) as world, trio.open_nursery() as nursery:
        nursery.start_soon(FaultInjector(world, [back, ahead, slow]).run)

        async def off_us_at(at_s: float, node: SimulatedNode) -> int:
            await trio.sleep_until(at_s)
            return node.wall.now_us() - EPOCH_US - int(at_s * 1_000_000) - node.wall.skew_us

        first, second = world.nodes
        assert await off_us_at(15.0, first) == jump_us_of(back) < -400_000_000
        assert await off_us_at(25.0, first) == jump_us_of(back) + jump_us_of(ahead)
        assert await off_us_at(35.0, first) == jump_us_of(back)
        assert await off_us_at(45.0, first) == 0
        assert abs(await off_us_at(70.0, second) - 20_000 * drift_permille_of(slow)) <= 1
        assert await off_us_at(85.0, second) == 0
        nursery.cancel_scope.cancel()
