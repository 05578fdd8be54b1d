"""Registers on whole nodes over sockets: seats grow, a minority refuses, a majority goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.protocol.consensus.value import setting
from folkmoot.protocol.errors import NO_QUORUM, WireError

from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.waiting import until


def registrar(node: Node) -> Any:
    return node.parts.registers.registrar


def configuration(node: Node) -> Any:
    return node.parts.registers.acceptor.configuration


async def seated(town: Town, count: int) -> Any:
    """Wait until all running nodes know of a settled configuration of so many seats."""

    def same() -> Any:
        known = [configuration(node) for node in town.running()]
        first = known[0]
        if first is None or first.joint or len(first.seats) != count or any(each != first for each in known):
            return None
        return first

    return await until(same, what=f"{count} seats that all know of", within_s=30)


async def test_one_node_has_one_seat(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town:
        await seated(town, 1)
        value = await registrar(town[0]).change("probe/0", setting(0, b"one"))
        assert (value.version, value.body) == (1, b"one")


@pytest.mark.parametrize(("nodes", "seats"), [(3, 3), (5, 5)])
async def test_seats_grow_with_the_cluster(tmp_path: Path, nodes: int, seats: int) -> None:
    async with founded(tmp_path, nodes=nodes) as town:
        known = await seated(town, seats)
        assert known.may_fail == seats // 2
        await registrar(town[0]).change("probe/0", setting(0, b"here"))
        for node in town.nodes:
            assert (await registrar(node).read("probe/0")).body == b"here"


async def test_a_minority_refuses_and_a_majority_goes_on(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        alone, one, other = town[0], town[1], town[2]
        town.cut(alone, one)
        town.cut(alone, other)
        with trio.fail_after(12), pytest.raises(WireError) as refused:
            await registrar(alone).change("probe/0", setting(None, b"minority"), timeout_s=3.0)
        assert refused.value.kind is NO_QUORUM
        assert (await registrar(one).change("probe/0", setting(0, b"majority"))).version == 1
        town.heal()

        async def learned() -> bool:
            return (await registrar(alone).read("probe/0")).body == b"majority"

        await until(learned, what="the minority to read what the majority decided", within_s=20)
