"""A node whose clock strays says so by itself, alone, once, and no longer than it does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio
from folkmoot.node.simulation.caller import Caller
from folkmoot.node.simulation.determinism import run_repeatably
from folkmoot.node.simulation.world import SimulatedNode, World

OFF_US = 3_000_000
ROUNDS_S = 600.0  # in which everyone compares with everyone


async def clock_of(caller: Caller, node: SimulatedNode) -> Any:
    link = await caller.open(node)
    try:
        return (await link.call("cluster.status", {}))["node"]["clock"]
    finally:
        link.close()


async def until_clock(
    caller: Caller, node: SimulatedNode, what: str, condition: Callable[[Any], bool]
) -> None:
    with trio.move_on_after(ROUNDS_S):
        while not condition(await clock_of(caller, node)):  # noqa: ASYNC110 (only asking tells)
            await trio.sleep(1.0)
        return
    raise AssertionError(f"waited {ROUNDS_S} s for {what}")


async def _strays_and_heals() -> None:
    async with World.running("clocks", 3) as world, trio.open_nursery() as nursery:
        await world.wait_serving(world.nodes, 60.0)
        caller = Caller(world, "observer", world.random("observer"), nursery)
        wrong, *others = world.nodes
        for node in world.nodes:
            await until_clock(caller, node, "both peers to tell", lambda clock: clock["peers"] == 2)
            assert not (await clock_of(caller, node))["strays"], "skews are small"
        wrong.wall.jump_us = OFF_US
        await until_clock(caller, wrong, "the wrong clock to be noticed", lambda clock: clock["strays"])
        await until_clock(caller, wrong, "both peers to tell", lambda clock: clock["peers"] == 2)
        assert abs((await clock_of(caller, wrong))["ahead_ms"] * 1000 - OFF_US) < 500_000
        await trio.sleep(ROUNDS_S)
        for other in others:
            assert not (await clock_of(caller, other))["strays"], "the others agree, and are two of three"
        wrong.wall.jump_us = 0
        await until_clock(caller, wrong, "it to heal", lambda clock: not clock["strays"])
        assert world.errors == []
        nursery.cancel_scope.cancel()


def test_a_node_whose_clock_strays_says_so_until_it_is_set_right(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("folkmoot.node.peer_clocks")
    caplog.set_level(logging.INFO, log.name)
    log.addHandler(caplog.handler)  # itself, because a simulation keeps its nodes' logs to itself
    try:
        run_repeatably(_strays_and_heals, 1)
    finally:
        log.removeHandler(caplog.handler)
    told = caplog.records
    assert [record.levelname for record in told] == ["WARNING", "INFO"], "once each way"
    assert "ahead of those of" in told[0].getMessage()
