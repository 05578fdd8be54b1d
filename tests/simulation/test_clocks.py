"""A node whose clock strays says so by itself, alone, once, and no longer than it does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.simulation.caller import Caller
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
