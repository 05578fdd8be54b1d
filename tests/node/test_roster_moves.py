"""Ranges move between whole nodes: nobody loses a write, and whoever is cut off goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from folkmoot.protocol.errors import CONFLICT, SHUTTING_DOWN, WireError

from tests.node.harness import Town, founded
from tests.node.moving import (
    DONE_S,
    Writers,
    ask,
    differing,
    equal,
    erased,
    on_roster,
    settled_plan,
    with_newcomer,
)
from tests.node.people import Author
from tests.registers.seats import seated
from tests.waiting import until


async def test_a_node_joins_under_load_and_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    writers = Writers()
    async with founded(tmp_path / "town", nodes=3) as town:
        await seated(town, 3)
        late = await with_newcomer(town, tmp_path / "late")
        async with town.client(town[0]) as one, town.client(town[1]) as other, trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(writers.write, (one, other)[number % 2], Author(number + 1))
            await until(lambda: len(writers.acknowledged) > 50, what="some writes")
            planned = await ask(town, town[0], "node.join", node=late.id, dry_run=True)
            assert planned["plan"]["count"] > 20 and not planned["plan"]["blocked"]
            assert not on_roster(town, late), "a dry run changes nothing"
            await ask(town, town[0], "node.join", node=late.id, epoch=planned["epoch"])
            await settled_plan(town)
            nursery.cancel_scope.cancel()
        assert len(town[0].ranges.of_node(late.id)) >= 20
        await equal(town)
        async with town.client(late) as client:
            await writers.all_read(client)
        assert late.parts.movement.mover.statistics().done == planned["plan"]["count"]
        assert differing(town) == []


async def written(town: Town, count: int = 60) -> Writers:
    """A town with some posts in it, acknowledged at quorum."""
    writers = Writers()
    async with town.client(town[0]) as client:
        for number in range(count):
            record = Author(number + 1).post()
            assert (await client.put_one(record))["status"] == "stored"
            writers.acknowledged.append(record)
    return writers


async def test_a_node_that_is_decommissioned_leaves_nothing_behind(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=4, replicas=2) as town:
        await seated(town, 3)
        writers = await written(town)
        leaver = town[1]
        await ask(town, town[0], "node.decommission", node=leaver.id)
        await until(lambda: not on_roster(town, leaver), what="the node to leave", within_s=DONE_S)
        assert leaver.cells() == {}
        assert all(seat.node != leaver.id for seat in (await seated(town, 3)).seats)
        await leaver.stop()
        await equal(town)
        async with town.client(town[0]) as client:
            await writers.all_read(client)
            assert (await client.put_one(Author(1).post(), "all"))["status"] == "stored"


async def test_what_would_leave_too_few_nodes_is_refused_and_says_why(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        for method in ("node.decommission", "node.drain"):
            with pytest.raises(WireError) as refused:
                await ask(town, town[0], method, node=town[1].id)
            assert refused.value.kind is CONFLICT
            assert "replicas = 3, and the roster has 2 nodes" in refused.value.message
            assert "folkmoot ring replicas" in refused.value.message
        await ask(town, town[0], "ring.replicas", replicas=2)
        await ask(town, town[0], "node.drain", node=town[1].id)
        await settled_plan(town)
        assert not town[0].ranges.of_node(town[1].id) and on_roster(town, town[1])
        await ask(town, town[0], "node.join", node=town[1].id)
        await settled_plan(town)
        assert town[0].ranges.of_node(town[1].id)


async def test_the_second_of_two_operators_is_told_what_the_first_did(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=4, replicas=2) as town:
        await seated(town, 3)
        planned = []
        for node in town.nodes[1:3]:
            planned.append(await ask(town, town[0], "node.decommission", node=node.id, dry_run=True))
        await ask(town, town[0], "node.decommission", node=town[1].id, epoch=planned[0]["epoch"])
        with pytest.raises(WireError) as refused:
            await ask(town, town[0], "node.decommission", node=town[2].id, epoch=planned[1]["epoch"])
        assert refused.value.kind is CONFLICT and "node-2 is leaving now" in refused.value.message
        assert refused.value.details is not None and refused.value.details["changes"]


async def test_a_dead_node_is_replaced_and_serves_nobody_when_it_comes_back(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", nodes=3) as town:
        await seated(town, 3)
        dead, others = town[2], town.nodes[:2]
        await dead.stop()
        writers = await written(town)
        await until(lambda: all(each.holds_dead(dead) for each in others), what="its death", within_s=30)
        with pytest.raises(WireError) as refused:
            await ask(town, town[0], "node.replace", node=dead.id)
        assert refused.value.kind is CONFLICT and "add a node" in refused.value.message
        await with_newcomer(town, tmp_path / "late", region=dead.region)
        with pytest.raises(WireError, match="it is the one to be replaced"):
            await ask(town, town[0], "node.replace", node=dead.id, **{"with": dead.id})
        with pytest.raises(WireError, match="it does not answer"):
            await ask(town, town[0], "node.replace", node=dead.id, **{"with": bytes(16)})
        assert (await ask(town, town[0], "node.replace", node=dead.id))["changed"]
        await settled_plan(town)
        assert not (await ask(town, town[0], "node.replace", node=dead.id))["changed"]
        with pytest.raises(WireError, match="it is the one to be replaced"):
            await ask(town, town[0], "node.replace", node=dead.id, **{"with": dead.id})
        assert not town[0].ranges.of_node(dead.id)
        await equal(town)
        async with town.client(town[0]) as client:
            await writers.all_read(client)
        await town.start(dead)
        await until(lambda: dead.parts.movement.refusal() is not None, what="it to hear so", within_s=30)
        await erased(dead)
        async with town.client(dead) as client:
            with pytest.raises(WireError) as unserved:
                await client.get(writers.acknowledged[0])
            assert unserved.value.kind is SHUTTING_DOWN and "was given up for dead" in unserved.value.message
            nodes = (await client.call("cluster.status"))["nodes"]
        assert {node["roster"] for node in nodes if node["id"] == dead.id.hex()} == {"dead"}
        await ask(town, town[0], "node.decommission", node=dead.id)
        await until(lambda: not on_roster(town, dead), what="its name to be forgotten")


async def test_the_next_spare_is_taken_when_one_does_not_say_who_it_is(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", nodes=3) as town:
        await seated(town, 3)
        dead = town[2]
        await dead.stop()
        await until(
            lambda: all(each.holds_dead(dead) for each in town.running()), what="its death", within_s=30
        )
        silent = await with_newcomer(town, tmp_path / "silent", "silent", region=dead.region)
        spare = await with_newcomer(town, tmp_path / "spare", "spare", region=town[0].region)
        town.cut(town[0], silent)
        await ask(town, town[0], "node.replace", node=dead.id)
        roster = town[0].roster
        assert spare.id in roster and silent.id not in roster
        with pytest.raises(WireError) as refused:
            await ask(town, town[0], "node.drain", node=dead.id)
        assert refused.value.kind is CONFLICT and "given up for dead" in refused.value.message


@pytest.mark.parametrize("killed", ["recipient", "donor"])
async def test_a_move_goes_on_after_either_side_was_cut_off(tmp_path: Path, killed: str) -> None:
    async with founded(tmp_path / "town", nodes=3) as town:
        await seated(town, 3)
        writers = await written(town)
        late = await with_newcomer(town, tmp_path / "late")
        await ask(town, town[0], "node.join", node=late.id)
        for _ in range(3):
            [joint, *_] = await until(lambda: moving(town), what="a range to be moving", within_s=30)
            donors = [node for node in town.nodes if node.id in joint and node is not late]
            await town.restart(late if killed == "recipient" else donors[0])
        await settled_plan(town)
        await equal(town)
        async with town.client(town[0]) as client:
            await writers.all_read(client)


async def test_what_is_called_off_halfway_goes_back_and_loses_nothing(tmp_path: Path) -> None:
    writers = Writers()
    async with founded(tmp_path, nodes=4, replicas=2) as town:
        await seated(town, 3)
        before = {owner.id: owner.slots for owner in town[0].ranges.ranges}
        leaver = town[1]
        async with town.client(town[0]) as client, trio.open_nursery() as nursery:
            nursery.start_soon(writers.write, client, Author(1))
            nursery.start_soon(writers.write, client, Author(2))
            await ask(town, town[0], "node.drain", node=leaver.id)
            await until(lambda: moving(town), what="a range to be moving", within_s=30)
            await ask(town, town[0], "node.join", node=leaver.id)
            await settled_plan(town)
            nursery.cancel_scope.cancel()
        assert {owner.id: owner.slots for owner in town[0].ranges.ranges} == before
        await equal(town)
        async with town.client(leaver) as client:
            await writers.all_read(client)


async def test_three_copies_become_one_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    writers = Writers()
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        async with town.client(town[0]) as one, town.client(town[2]) as other, trio.open_nursery() as nursery:
            nursery.start_soon(writers.write, one, Author(1))
            nursery.start_soon(writers.write, other, Author(2))
            await ask(town, town[0], "ring.replicas", replicas=1)
            await settled_plan(town)
            assert {len(owner.slots) for owner in town[0].ranges.ranges} == {1}
            await writers.all_read(other)
            nursery.cancel_scope.cancel()
        await equal(town)
        async with town.client(town[1]) as client:
            await writers.all_read(client)


def moving(town: Town) -> list[tuple[bytes, ...]]:
    """The nodes of each slot that is moving."""
    slots = [slot for owner in town[0].ranges.ranges for slot in owner.slots]
    return [slot.nodes for slot in slots if len(slot.nodes) > 1]
