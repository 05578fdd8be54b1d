"""Fences: what an older epoch let in is committed before they stand, and nothing of it is kept after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
from folkmoot.node.movement.fences import METHOD
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import kind_prefix
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.protocol.ring.topology import News
from folkmoot.storage.transaction import Admission, WriteTransaction

from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.node.people import Author
from tests.waiting import until

T = TypeVar("T")

ONE_A_REGION = {"eu": 1, "us": 1, "ap": 1}


def joint(town: Town, author: Author) -> tuple[RangeDescriptor, Node, Node]:
    """The author's range while its slot in eu moves, with who has the slot and who is to have it."""
    now = town[0].parts.topology.where(kind_prefix(author.account, "post"))
    by_id = {node.id: node for node in town.nodes}
    [donor] = [by_id[slot.reader] for slot in now.slots if slot.region == "eu"]
    [recipient] = [node for node in town.nodes if node.region == "eu" and node is not donor]
    slots = tuple(Slot("eu", (donor.id, recipient.id)) if slot.region == "eu" else slot for slot in now.slots)
    return replace(now, epoch=now.epoch + 1, slots=slots), donor, recipient


async def decide(node: Node, descriptor: RangeDescriptor) -> None:
    """Have a descriptor decided, through a node that knows it then; others hear of it in their own time."""

    def change(present: RangeDescriptor) -> RangeDescriptor:
        return descriptor if present.epoch < descriptor.epoch else present

    assert await node.parts.registers.topology.change_range(descriptor.id, change) == descriptor


async def tell(node: Node, descriptor: RangeDescriptor) -> None:
    """Have a node know what was decided."""
    topology = node.parts.topology
    await topology.adopt(News(topology.summary, None, (descriptor,), False))


async def test_a_fence_is_put_up_where_the_epoch_was_not_known(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=4, replicas=ONE_A_REGION) as town:
        descriptor, donor, recipient = joint(town, Author(1))
        await decide(recipient, descriptor)
        fences = recipient.parts.movement.fences
        for node in town.nodes:
            assert await fences.ask(node.id, descriptor.id, descriptor.epoch)
            assert node.ranges.get(descriptor.id) == descriptor
        assert not await fences.ask(donor.id, descriptor.id, descriptor.epoch + 1), "nobody knows of that one"


async def test_a_fence_outlives_a_restart(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=4, replicas=ONE_A_REGION) as town:
        descriptor, donor, recipient = joint(town, Author(1))
        await decide(recipient, descriptor)
        assert await recipient.parts.movement.fences.ask(donor.id, descriptor.id, descriptor.epoch)
        for node in town.nodes:
            await node.stop()
        await town.start(donor)
        assert donor.ranges.get(descriptor.id) == descriptor


async def test_an_absent_node_has_no_fence(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=4, replicas=ONE_A_REGION) as town:
        descriptor, donor, recipient = joint(town, Author(1))
        await decide(recipient, descriptor)
        await donor.stop()
        assert not await recipient.parts.movement.fences.ask(donor.id, descriptor.id, descriptor.epoch)


@pytest.mark.parametrize(
    "params", [{}, {"ranges": []}, {"ranges": [[0]]}, {"ranges": [[0, 0]]}, {"ranges": 1}]
)
async def test_what_is_no_fence(tmp_path: Path, params: dict[str, object]) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town:
        with pytest.raises(WireError, match=METHOD):
            await town[0].parts.peer_service.answer(bytes(16), METHOD, params)


@pytest.mark.parametrize("knowing", ["donor", "others", "all but the coordinator"])
async def test_a_put_under_the_older_epoch_is_brought_to_both_nodes_of_a_moving_slot(
    tmp_path: Path, knowing: str
) -> None:
    """Whoever knows of the move already: what is acknowledged by all is on everyone the newer epoch names."""
    async with founded(tmp_path, nodes=4, replicas=ONE_A_REGION) as town:
        author = Author(1)
        descriptor, donor, recipient = joint(town, author)
        coordinator = next(node for node in town.nodes if node not in (donor, recipient))
        told = {
            "donor": [donor],
            "others": [node for node in town.nodes if node not in (donor, coordinator)],
            "all but the coordinator": [node for node in town.nodes if node is not coordinator],
        }[knowing]
        await decide(told[0], descriptor)
        for node in told[1:]:
            await tell(node, descriptor)
        post = author.post()
        async with town.client(coordinator) as client:
            result = await client.put_one(post, "all")
        assert result["status"] == "stored"
        assert result["achieved"]["acks"] == 3
        for node_id in descriptor.nodes():
            [holder] = [node for node in town.nodes if node.id == node_id]
            assert holder.commits.store.get_cell(post.key) is not None, holder.name


async def test_what_was_let_in_before_the_fence_is_not_kept_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A put looked its range up, and waits for the commit; the fence stands before it is committed."""
    async with founded(tmp_path, nodes=4, replicas=ONE_A_REGION) as town:
        author = Author(1)
        descriptor, donor, recipient = joint(town, author)
        post = author.post()
        gate, waiting, run = trio.Event(), trio.Event(), donor.commits.run

        async def late(job: Callable[[WriteTransaction], T], admission: Admission, **more: Any) -> T:
            if admission is Admission.CLIENT_PUT:
                waiting.set()
                await gate.wait()
            return await run(job, admission, **more)

        monkeypatch.setattr(donor.commits, "run", late)
        results: list[dict[str, object]] = []

        async def put() -> None:
            async with town.client(donor) as client:
                results.append(await client.put_one(post, "quorum"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(put)
            await waiting.wait()
            await decide(recipient, descriptor)
            assert await recipient.parts.movement.fences.ask(donor.id, descriptor.id, descriptor.epoch)
            assert donor.commits.store.get_cell(post.key) is None
            gate.set()
        assert results[0]["status"] == "stored"
        await until(
            lambda: recipient.commits.store.get_cell(post.key) is not None,
            what="the put to reach the node that is to have the slot",
        )
