"""Most copies of ranges are gone for good: nothing is lost in silence, and with consent the rest goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.movement.fences import Fences
from folkmoot.protocol.errors import BUSY, CONFLICT, WireError

from tests.node.harness import Town, founded
from tests.node.moving import ask, equal, settled_plan
from tests.node.nodes import Node
from tests.node.people import Author
from tests.node.test_roster_moves import moving, written
from tests.registers.seats import seated
from tests.waiting import until


async def buried(town: Town, *dead: Node) -> None:
    """Stop nodes for good, and wait until the others know."""
    for node in dead:
        await node.stop()
    await until(
        lambda: all(each.holds_dead(node) for each in town.running() for node in dead),
        what="their death to be known",
        within_s=30,
    )


def moves(town: Town, node: Node) -> bool:
    """Whether a slot moves to or from a node."""
    return any(node.id in nodes for nodes in moving(town))


async def waits(town: Town) -> list[str]:
    """What the plan waits for, as operators are told."""
    return [wait["reason"] for wait in (await ask(town, town[0], "ring.plan"))["plan"]["waits"]]


async def test_a_majority_of_copies_is_given_up_with_consent_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    async with founded(tmp_path, nodes=5) as town:
        await seated(town, 5)
        writers = await written(town)
        one, other = town[3], town[4]
        lost = {owner.id for owner in town[0].ranges.ranges if {one.id, other.id} <= set(owner.nodes())}
        await buried(town, one, other)
        await ask(town, town[0], "node.replace", node=one.id)
        with pytest.raises(WireError) as refused:
            await ask(town, town[0], "node.replace", node=other.id)
        assert refused.value.kind is CONFLICT and refused.value.details is not None
        assert refused.value.details["lossy"] > 0 and refused.value.details["without_copy"] == 0
        assert f"folkmoot node replace {other.name} --accept-loss" in refused.value.message
        told = [reason for reason in await waits(town) if reason.startswith(f"{other.name} is dead")]
        assert told and f"folkmoot node replace {other.name}" in told[0]

        answer = await ask(town, town[0], "node.replace", node=other.id, accept_loss=True)
        assert answer["plan"]["count"] > 0
        await settled_plan(town)
        assert lost
        assert not town[0].ranges.of_node(one.id) and not town[0].ranges.of_node(other.id)
        assert await waits(town) == []
        await equal(town)
        async with town.client(town[0]) as client:
            await writers.all_read(client)
            for number in range(20):
                assert (await client.put_one(Author(100 + number).post()))["status"] == "stored"


async def test_a_plan_says_at_once_for_whom_it_waits(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=4, replicas=2) as town:
        await seated(town, 3)
        leaver = town[3]
        held = len(town[0].ranges.of_node(leaver.id))
        await buried(town, leaver)
        answer = await ask(town, town[0], "node.decommission", node=leaver.id)
        [wait] = answer["plan"]["waits"]
        assert (wait["node"], len(wait["ranges"])) == (leaver.id.hex(), held)
        assert f"folkmoot node replace {leaver.name}" in wait["reason"]
        gives = sum(change["from"] == leaver.id.hex() for change in answer["plan"]["changes"])
        assert answer["plan"]["nodes"][leaver.id.hex()] == {"gets": 0, "gives": gives}
        assert await waits(town) == [wait["reason"]]
        await town.start(leaver)
        await until(lambda: leaver.id not in town[0].roster, what="it to leave", within_s=90)
        assert await waits(town) == []


async def test_a_move_whose_recipient_died_is_called_off_by_giving_that_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy: set[bytes] = set()
    fenced = Fences.answer

    async def answer(self: Fences, asker: bytes, params: Any) -> dict[str, Any]:
        if self._node_id in busy:
            raise WireError(BUSY, "too many writes wait for the disk")
        return await fenced(self, asker, params)

    monkeypatch.setattr(Fences, "answer", answer)
    async with founded(tmp_path, nodes=4, replicas=2) as town:
        await seated(town, 3)
        writers = await written(town)
        newcomer = town[3]
        await ask(town, town[0], "node.drain", node=newcomer.id)
        await settled_plan(town)
        busy.update(node.id for node in town.nodes)  # so that what begins stays halfway
        await ask(town, town[0], "node.join", node=newcomer.id)
        await until(lambda: moves(town, newcomer), what="a range to be moving to it", within_s=30)
        await buried(town, newcomer)
        await ask(town, town[0], "node.drain", node=newcomer.id)
        assert moves(town, newcomer), "nobody but the dead could have brought it on"
        assert any(f"folkmoot node replace {newcomer.name}" in reason for reason in await waits(town))
        busy.clear()
        await ask(town, town[0], "node.replace", node=newcomer.id)
        await settled_plan(town)
        assert not town[0].ranges.of_node(newcomer.id)
        await equal(town)
        async with town.client(town[0]) as client:
            await writers.all_read(client)
