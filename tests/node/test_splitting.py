"""A range is split in a town of whole nodes: both parts go on where the whole was, each by its own bounds."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.node.contracts import CellBatch
from folkmoot.protocol.errors import CONFLICT, STALE_TOPOLOGY, WireError
from folkmoot.protocol.key import block_of, place_prefix
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.protocol.ring.splitting import Reservation, reserve

from tests.node.harness import Town, founded
from tests.node.moving import equal, erased
from tests.node.nodes import Node
from tests.node.people import Author
from tests.node.test_fences import ONE_A_REGION, decide
from tests.node.test_moving import adopt, copied, is_whole
from tests.registers.seats import seated
from tests.waiting import until


def neighbours() -> tuple[Author, Author]:
    """Two authors of one block, in the order of their keys."""
    met: dict[int, Author] = {}
    for number in itertools.count(1):
        author = Author(number)
        other = met.setdefault(block_of(place_prefix(author.account)), author)
        if other is not author:
            left, right = sorted((author, other), key=lambda each: place_prefix(each.account))
            return left, right
    raise AssertionError("there are more authors than blocks")


@asynccontextmanager
async def seated_town(directory: Path, nodes: int, replicas: int | dict[str, int]) -> AsyncIterator[Town]:
    """A town whose registers can be changed."""
    async with founded(directory, nodes=nodes, replicas=replicas) as town:
        await seated(town, 3 if nodes >= 3 else 1)
        yield town


def owner_of(node: Node, author: Author) -> RangeDescriptor:
    return node.parts.topology.where(place_prefix(author.account))


async def split(node: Node, before: RangeDescriptor, at: bytes) -> tuple[RangeDescriptor, RangeDescriptor]:
    left, right = await node.parts.registers.topology.split_range(before, at)
    return left, right


async def known_to_all(town: Town, *descriptors: RangeDescriptor) -> None:
    def known() -> bool:
        return all(node.ranges.get(one.id) == one for node in town.running() for one in descriptors)

    await until(known, what="all to know what was decided", within_s=30)


async def test_both_parts_are_written_and_read_at_every_node(tmp_path: Path) -> None:
    async with seated_town(tmp_path, nodes=3, replicas=3) as town:
        left, right = neighbours()
        before = [author.post() for author in (left, right) for _ in range(5)]
        async with town.client(town[0]) as client:
            await client.put(*before, level="all")
        whole = owner_of(town[0], left)
        assert whole.covers(place_prefix(right.account)), "both are in one range"
        parts = await split(town[1], whole, place_prefix(right.account))
        assert parts == (owner_of(town[1], left), owner_of(town[1], right))
        assert parts[0].id == whole.id and parts[1].id == 64
        posts = list(before)
        for node in town.nodes:  # whether or not it has heard of the split
            async with town.client(node) as client:
                for author in (left, right):
                    post = author.post()
                    assert (await client.put_one(post, "all"))["status"] == "stored"
                    posts.append(post)
        await known_to_all(town, *parts)
        for node in town.nodes:
            async with town.client(node) as client:
                for post in posts:
                    assert await client.get(post, "quorum") is not None
                for author in (left, right):
                    assert len(await client.feed(author.account)) == 8
                    where = await client.call("cluster.where", account=author.account)
                    assert where["range"] == owner_of(node, author).id
        await equal(town)


async def test_what_is_asked_under_the_whole_is_refused_by_who_knows_of_the_parts(tmp_path: Path) -> None:
    async with seated_town(tmp_path, nodes=1, replicas=1) as town:
        left, right = neighbours()
        whole = owner_of(town[0], left)
        parts = await split(town[0], whole, place_prefix(right.account))
        for author, part in zip((left, right), parts, strict=True):
            post = author.post()
            outdated: dict[str, Any] = CellBatch({whole.id: whole.epoch}, [post.key], [b""]).to_wire()
            with pytest.raises(WireError) as refused:
                await town[0].parts.peer_service.answer(bytes(16), "replica.join", outdated)
            assert refused.value.kind is STALE_TOPOLOGY
            assert refused.value.details == {"range": part.id, "epoch": part.epoch}


async def test_a_put_that_is_under_way_while_its_range_is_split_reaches_all(tmp_path: Path) -> None:
    async with seated_town(tmp_path, nodes=3, replicas=3) as town:
        left, right = neighbours()
        whole = owner_of(town[0], left)
        async with town.client(town[0]) as client:
            post = right.post()
            results: list[Any] = []

            async def put() -> None:
                results.append(await client.put_one(post, "all"))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(put)
                await split(town[2], whole, place_prefix(right.account))
        assert results[0]["status"] == "stored" and results[0]["achieved"]["acks"] == 3


async def test_a_node_that_was_away_learns_of_all_parts(tmp_path: Path) -> None:
    """Of one that it never knew was split into three."""
    async with seated_town(tmp_path, nodes=3, replicas=3) as town:
        left, right = neighbours()
        await town[2].stop()
        whole = owner_of(town[0], left)
        first, last = await split(town[0], whole, place_prefix(right.account))
        first, middle = await split(town[1], first, place_prefix(left.account))
        assert middle.right == last.id
        async with town.client(town[0]) as client:
            await client.put(left.post(), right.post(), level="quorum")
        await town.start(town[2])
        await known_to_all(town, first, middle, last)
        await equal(town)


async def test_a_split_that_was_only_begun_changes_nothing_and_is_gone_on_with(tmp_path: Path) -> None:
    async with seated_town(tmp_path, nodes=3, replicas=3) as town:
        left, right = neighbours()
        whole = owner_of(town[0], left)
        begun = await town[0].parts.registers.topology._reserve(whole, place_prefix(right.account))
        assert owner_of(town[1], right) == whole
        with pytest.raises(WireError, match="there is no range 64"):
            await town[1].parts.registers.topology.change_range(64, lambda one: one)
        # Another range is split meanwhile: what is reserved is not taken from who may yet go on with it.
        other = town[1].ranges.ranges[(whole.id + 1) % 64]
        apart = await split(town[1], other, other.start + b"\1")
        assert apart[1].id == 65
        # And somebody else, who wants it at another bound, ends what was begun.
        parts = await split(town[2], whole, place_prefix(left.account))
        assert parts[1] == begun.descriptor
        await known_to_all(town, *parts, *apart)


async def test_a_split_that_was_overtaken_is_void(tmp_path: Path) -> None:
    async with seated_town(tmp_path, nodes=3, replicas=3) as town:
        left, right = neighbours()
        whole = owner_of(town[0], left)
        registers = town[0].parts.registers.topology
        begun = await registers._reserve(whole, place_prefix(right.account))
        later = replace(whole, epoch=whole.epoch + 1)
        await decide(town[1], later)
        with pytest.raises(WireError) as refused:
            await split(town[0], whole, place_prefix(right.account))
        assert refused.value.kind is CONFLICT
        assert owner_of(town[0], right) == later, "whoever was refused knows why"
        parts = await split(town[0], later, place_prefix(left.account))
        assert (parts[1].id, parts[1].start) == (begun.descriptor.id, place_prefix(left.account))
        await known_to_all(town, *parts)


@pytest.mark.parametrize(
    ("at", "sentence"),
    [
        (lambda whole: whole.start, "not within"),
        (lambda whole: whole.end, "not within"),
        (lambda whole: whole.start + bytes(60), "cuts an account"),
    ],
    ids=["its start", "its end", "within an account"],
)
async def test_where_nothing_is_split(tmp_path: Path, at: Any, sentence: str) -> None:
    async with seated_town(tmp_path, nodes=1, replicas=1) as town:
        whole = town[0].ranges.ranges[7]
        with pytest.raises(WireError, match=sentence):
            await split(town[0], whole, at(whole))
        moved = replace(whole, epoch=2, end=whole.end + b"\1")
        with pytest.raises(WireError, match="only when it is split"):
            await town[0].parts.registers.topology.change_range(7, lambda one: moved)


async def test_a_moving_range_is_not_split(tmp_path: Path) -> None:
    async with seated_town(tmp_path, nodes=2, replicas=1) as town:
        whole = town[0].ranges.ranges[7]
        nodes = tuple(node.id for node in town.nodes)
        moving = replace(whole, epoch=2, slots=(Slot(whole.slots[0].region, nodes),))
        await decide(town[0], moving)
        with pytest.raises(WireError, match="is moving") as refused:
            await split(town[0], moving, whole.start + b"\1")
        assert refused.value.kind is CONFLICT


async def test_a_part_moves_repairs_and_is_erased_by_its_own_bounds(tmp_path: Path) -> None:
    """Both parts share a block: what is moved, compared and erased of one leaves the other as it is."""
    async with seated_town(tmp_path, nodes=4, replicas=ONE_A_REGION) as town:
        left, right = neighbours()
        posts = {author: [author.post() for _ in range(20)] for author in (left, right)}
        async with town.client(town[0]) as client:
            for written in posts.values():
                await client.put(*written, level="all")
        whole = owner_of(town[0], left)
        by_id = {node.id: node for node in town.nodes}
        [donor] = [by_id[slot.reader] for slot in whole.slots if slot.region == "eu"]
        [recipient] = [node for node in town.nodes if node.region == "eu" and node is not donor]
        parts = await split(donor, whole, place_prefix(right.account))
        await known_to_all(town, *parts)

        def with_eu(now: RangeDescriptor, *nodes: bytes) -> RangeDescriptor:
            slots = [Slot("eu", nodes) if slot.region == "eu" else slot for slot in now.slots]
            return replace(now, epoch=now.epoch + 1, slots=tuple(slots))

        joint = with_eu(parts[1], donor.id, recipient.id)
        await adopt(town, joint)
        ended = await copied(donor, recipient, joint, donor)
        assert (ended.state, ended.cells) == ("complete", 20), "nothing of the other part was copied"
        reading = with_eu(joint, recipient.id, donor.id)
        await adopt(town, reading)
        await adopt(town, with_eu(reading, recipient.id))
        await erased(donor)
        assert all(donor.cell(post) is not None for post in posts[left])
        assert all(donor.cell(post) is None for post in posts[right])
        # What one replica of each part alone has is brought to the others of that part, and to nobody else.
        [third] = [node for node in town.nodes if node.region == "us"]
        for author, holder in ((left, donor), (right, recipient)):
            posts[author].append(author.post())
            await holder.plant(posts[author][-1])
            await third.parts.repairer.repair(holder.id)
            assert third.cell(posts[author][-1]) is not None
        for node in town.nodes:
            for other in town.nodes:
                if node is not other:
                    await node.parts.repairer.repair(other.id)
        await equal(town)
        for node in town.nodes:
            if node is not third:
                assert await node.parts.repairer.repair(third.id) == 0, (
                    "parts of one block are compared apart"
                )
            await until(partial(is_whole, node), what="a quiet moment")


def test_a_reservation_is_told_from_a_range() -> None:
    whole = RangeDescriptor(1, 1, b"\x04", b"\x08", (Slot("eu", (bytes(16),)),))
    assert Reservation.from_wire(reserve(whole, b"\x05", 64).to_wire()) is not None
