"""A region comes and goes: everything is copied to it, levels count it, and it leaves nothing behind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.protocol.errors import CONFLICT, WireError

from tests.node.harness import Client, Town, founded
from tests.node.moving import (
    DONE_S,
    Writers,
    ask,
    differing,
    equal,
    on_roster,
    settled_plan,
    with_newcomer,
)
from tests.node.nodes import Node
from tests.node.people import Author
from tests.registers.seats import seated
from tests.waiting import until

# Every range is copied once, by nodes that rest as long as they work, on machines that do other things too.
pytestmark = pytest.mark.timeout(400)
SETTLED_S = 180.0

THREE = {"eu": 1, "us": 1, "ap": 1}
FOUR = {**THREE, "sa": 1}


def slots(town: Town) -> Counter[tuple[str, ...]]:
    """How many ranges have their slots in which regions, by each node's own knowledge."""
    return Counter(
        tuple(sorted(slot.region for slot in owner.slots))
        for node in town.running()
        for owner in node.ranges.ranges
    )


async def written(client: Client, author: Author, level: str) -> Any:
    """A post that was acknowledged at a level by every region there is."""
    record = author.post()
    result = await client.put_one(record, level)
    assert result["status"] == "stored", result
    assert result["achieved"]["level"] in (level, "all"), result
    return record


async def each_region_has(town: Town, node: Node, records: list[Any], regions: int) -> None:
    """All of it is read at each_quorum, by way of one node, from so many regions."""
    async with town.client(node) as client:
        for record in records:
            key = [record.place, record.kind, record.item]
            answer = await client.call("record.get", keys=[key], level="each_quorum")
            assert answer["cells"][0]["records"] == [record.to_wire()]
            assert answer["achieved"]["slots"] == regions


async def test_a_region_is_added_and_taken_away_under_load(tmp_path: Path) -> None:
    writers = Writers()
    async with founded(tmp_path / "town", nodes=3, replicas=THREE) as town:
        await seated(town, 3)
        async with town.client(town[0]) as client, trio.open_nursery() as nursery:
            old = [await written(client, Author(number + 1), "each_quorum") for number in range(20)]
            nursery.start_soon(writers.write, client, Author(100))
            with pytest.raises(WireError) as nobody:
                await ask(town, town[0], "ring.replicas", replicas=FOUR)
            assert nobody.value.kind is CONFLICT and "sa" in nobody.value.message
            late = await with_newcomer(town, tmp_path / "late", "sa-1", "sa")
            await ask(town, town[0], "node.join", node=late.id)
            await until(lambda: on_roster(town, late), what="it to be a member")
            assert not town[0].ranges.of_node(late.id), "no copies are asked for there yet"

            planned = await ask(town, town[0], "ring.replicas", replicas=FOUR)
            assert planned["plan"]["count"] == 64
            await settled_plan(town, SETTLED_S)
            assert slots(town) == {("ap", "eu", "sa", "us"): 4 * 64}
            new = [await written(client, Author(number + 50), "each_quorum") for number in range(10)]
            for node in (late, town[1]):
                await each_region_has(town, node, [*old, *new], 4)

            with pytest.raises(WireError) as needed:
                await ask(town, town[0], "node.decommission", node=late.id)
            assert needed.value.kind is CONFLICT and "sa" in needed.value.message

            await ask(town, town[0], "ring.replicas", replicas=THREE)
            await settled_plan(town, SETTLED_S)
            assert slots(town) == {("ap", "eu", "us"): 4 * 64}
            await ask(town, town[0], "node.decommission", node=late.id)
            await until(lambda: not on_roster(town, late), what="it to leave", within_s=DONE_S)
            nursery.cancel_scope.cancel()
        assert late.cells() == {}
        await late.stop()
        await equal(town)
        assert len(writers.acknowledged) > 50 and differing(town) == []
        await each_region_has(town, town[2], [*old, *new], 3)
        async with town.client(town[1]) as client:
            await writers.all_read(client)
            assert (await client.put_one(Author(1).post(), "all"))["status"] == "stored"
