"""A slot changes hands in a town of whole nodes: it is copied under a joint descriptor, then left empty."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from folkmoot.node.actors.copier import Progress
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.storage.verify import verify

from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.node.people import Author
from tests.node.test_fences import ONE_A_REGION, decide, joint, tell
from tests.registers.seats import seated
from tests.waiting import until

SESSION = b"s" * 16


async def adopt(town: Town, descriptor: RangeDescriptor) -> None:
    """Have a descriptor decided, and every running node know it."""
    first, *others = town.running()
    await decide(first, descriptor)
    for node in others:
        await tell(node, descriptor)


def held_by(descriptor: RangeDescriptor, *nodes: bytes) -> RangeDescriptor:
    """The range an epoch later, its slot in eu filled so."""
    slots = tuple(Slot("eu", nodes) if slot.region == "eu" else slot for slot in descriptor.slots)
    return replace(descriptor, epoch=descriptor.epoch + 1, slots=slots)


async def copied(
    asker: Node, recipient: Node, descriptor: RangeDescriptor, donor: Node, session: bytes = SESSION
) -> Progress:
    """How a pass ended that `asker` asked for."""
    told: list[Progress] = []

    async def has_ended() -> bool:
        try:
            told.append(
                await asker.parts.movement.copier.ask(
                    recipient.id, descriptor.id, descriptor.epoch, session, donor.id
                )
            )
        except (WireError, PeerUnreachable) as error:
            assert isinstance(error, PeerUnreachable) or error.kind is BUSY, error
            return False
        return told[-1].state != "running"

    await until(has_ended, what="the copy to end", within_s=30)
    return told[-1]


def lacking(node: Node, records: list[Record]) -> list[Record]:
    return [record for record in records if node.cell(record) is None]


def is_whole(node: Node) -> bool:
    return verify(node.commits.store.engine).ok


async def test_a_slot_is_copied_and_then_left_empty(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=4, replicas=ONE_A_REGION) as town:
        author = Author(1)
        posts = [author.post() for _ in range(60)]
        async with town.client(town[0]) as client:
            results, _ = await client.put(*posts, level="all")
        assert {result["status"] for result in results} == {"stored"}
        moving, donor, recipient = joint(town, author)
        third = next(node for node in town.nodes if node not in (donor, recipient))
        alone = author.post()
        await donor.plant(alone)  # what only the donor had
        await adopt(town, moving)
        ended = await copied(third, recipient, moving, donor)
        assert (ended.state, ended.reason) == ("complete", None)
        assert not lacking(recipient, [*posts, alone])
        assert donor.parts.movement.evictor.statistics().waiting == [], "it has a slot while the slot moves"
        late = author.post()
        await donor.plant(late)  # and what nobody else was told of
        reading = held_by(moving, recipient.id, donor.id)
        given = held_by(reading, recipient.id)
        await adopt(town, reading)
        await adopt(town, given)
        await until(
            lambda: len(lacking(donor, [*posts, alone, late])) == 62,
            what="the donor to be empty",
            within_s=30,
        )
        assert not lacking(recipient, [*posts, alone, late])
        assert len(lacking(donor, [*posts, alone, late])) == 62
        async with town.client(donor) as client:
            assert await client.get(late, level="quorum") is not None
            assert len(await client.feed(author.account)) == 50, "from those who have it"
            figures = (await client.call("cluster.status"))["node"]
        assert figures["eviction"]["erased"] >= 62 and figures["eviction"]["reason"] == ""
        for node in town.nodes:
            await until(partial(is_whole, node), what="a quiet moment")


@pytest.mark.parametrize("restarted", ["recipient", "donor"])
async def test_a_copy_goes_on_after_a_restart(tmp_path: Path, restarted: str) -> None:
    async with founded(tmp_path, nodes=4, replicas=ONE_A_REGION) as town:
        author = Author(1)
        posts = [author.post() for _ in range(20)]
        async with town.client(town[0]) as client:
            await client.put(*posts, level="all")
        moving, donor, recipient = joint(town, author)
        third = next(node for node in town.nodes if node not in (donor, recipient))
        await adopt(town, moving)
        await third.parts.movement.copier.ask(recipient.id, moving.id, moving.epoch, SESSION, donor.id)
        await town.restart({"recipient": recipient, "donor": donor}[restarted])
        ended = await copied(third, recipient, moving, donor)
        if ended.state == "failed":  # the donor was away for longer than a pass waits
            ended = await copied(third, recipient, moving, donor, b"n" * 16)
        assert ended.state == "complete"
        assert not lacking(recipient, posts)


async def test_a_slot_is_filled_from_the_survivors(tmp_path: Path) -> None:
    """The donor is dead for ever: whoever else has a slot will do, one after the other."""
    async with founded(tmp_path, nodes=4, replicas=ONE_A_REGION) as town:
        author = Author(1)
        posts = [author.post() for _ in range(20)]
        async with town.client(town[0]) as client:
            await client.put(*posts, level="all")
        moving, dead, recipient = joint(town, author)
        survivors = [node for node in town.nodes if node not in (dead, recipient)]
        apart = [author.post(), author.post()]
        for survivor, post in zip(survivors, apart, strict=True):
            await survivor.plant(post)
        await seated(town, 3)  # else the only seat may go with the dead
        await dead.stop()
        await adopt(town, moving)
        for survivor in survivors:
            assert (await copied(recipient, recipient, moving, survivor)).state == "complete"
        assert not lacking(recipient, [*posts, *apart])
