"""How replicas become equal again: by hints, by repair, and by learning who owns what."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from folkmoot.node.transport.faults import Fault
from folkmoot.protocol import limits
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeDescriptor

from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.node.people import Author
from tests.waiting import until

REPAIRED_S = 30.0


async def equal(town: Town, within_s: float = REPAIRED_S) -> None:
    """Wait until every node's store holds the same, byte for byte."""

    def same() -> bool:
        first, *others = (node.cells() for node in town.running())
        return bool(first) and all(other == first for other in others)

    await until(same, what="the replicas to be equal", within_s=within_s)


async def test_hints_are_delivered_when_a_node_returns(tmp_path: Path) -> None:
    async with founded(tmp_path) as town:
        author, gone = Author(1), town[2]
        async with town.client(town[0]) as client:
            await client.put(author.post("before"), level="all")
            await gone.stop()
            posts = [author.post(str(number)) for number in range(300)]
            for start in range(0, 300, 100):
                results, _ = await client.put(*posts[start : start + 100], level="quorum")
                assert {result["status"] for result in results} == {"stored"}
            kept = await until(
                lambda: town[0].commits.store.hint_states().get(gone.id), what="hints to be kept"
            )
            assert kept is not None and kept.waiting == 300
            await town.start(gone)
            await until(
                lambda: gone.id not in town[0].commits.store.hint_states(),
                what="the hints to be gone",
                within_s=REPAIRED_S,
            )
            assert town[0].parts.hinter.delivered > 0
        await equal(town)
        assert all(gone.cell(post) is not None for post in posts)


async def test_repair_finds_what_hints_did_not_cover(tmp_path: Path) -> None:
    """Every hint is lost before the node returns."""
    async with founded(tmp_path) as town:
        author, gone = Author(1), town[2]
        await gone.stop()
        async with town.client(town[0]) as client:
            posts = [author.post(str(number)) for number in range(200)]
            await client.put(*posts, level="quorum")
            await client.put(author.deletion(posts[0]), level="quorum")
        for node in town.running():
            await node.forget_hints()
            assert node.commits.store.hint_states() == {}
        await town.start(gone)
        await equal(town)
        assert town[0].parts.hinter.delivered == town[1].parts.hinter.delivered == 0


async def test_a_node_that_lost_its_disk_is_filled_again(tmp_path: Path) -> None:
    async with founded(tmp_path) as town:
        async with town.client(town[0]) as client:
            for number in range(1, 6):
                author = Author(number)
                await client.put(*(author.post(str(n)) for n in range(50)), level="all")
        lost = town[1]
        await lost.stop()
        for file in (lost.config.node.data / "store").iterdir():
            file.unlink()
        await town.start(lost)
        await equal(town)
        assert len(lost.cells()) == 250


async def test_repair_needs_no_occasion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody left, nobody came back, nobody read: the difference is found on the round."""
    monkeypatch.setattr(limits, "REPAIR_INTERVAL_S", 0.5)
    async with founded(tmp_path) as town:
        for number, node in enumerate(town.nodes, 1):
            author = Author(number)
            await node.plant(*(author.post(str(n)) for n in range(100)))
        both = Author(9)
        item = both.item()
        older, newer = both.post("older", item), both.post("newer", item)
        await town[0].plant(older)
        await town[1].plant(newer)
        await equal(town)
        assert len(town[0].cells()) == 301
        assert town[2].cell(newer) == town[1].cell(newer)
        assert sum(node.parts.hinter.delivered for node in town.nodes) == 0


async def test_streams_that_stall_do_not_lose_what_was_promised(tmp_path: Path) -> None:
    """A link is cut under writes, and mended: all that was acknowledged arrives everywhere."""
    async with founded(tmp_path) as town:
        author, posts = Author(1), []
        async with town.client(town[0]) as client:
            for number in range(60):
                if number == 20:
                    town[0].environment.faults.set(town[1].id, Fault(cut=True))
                if number == 40:
                    town.heal()
                posts.append(author.post(str(number)))
                results, _ = await client.put(posts[-1], level="quorum")
                assert results[0]["status"] == "stored"
        await equal(town)
        assert all(town[1].cell(post) is not None for post in posts)


def of_next_epoch(node: Node, record: Record) -> RangeDescriptor:
    """The descriptor of a record's range as it would be after a change."""
    return next_epoch(node.parts.topology.where(record.key))


def next_epoch(descriptor: RangeDescriptor) -> RangeDescriptor:
    return dataclasses.replace(descriptor, epoch=descriptor.epoch + 1)


async def test_a_stale_topology_is_refreshed_and_the_request_retried(tmp_path: Path) -> None:
    """One node moves a range to the next epoch; the others hear of it by being refused."""
    async with founded(tmp_path) as town:
        author, ahead = Author(1), town[2]
        record = author.post("under the old epoch")
        descriptor = of_next_epoch(ahead, record)
        for other in town.nodes[:2]:
            # Gossip must not tell them first.
            ahead.environment.faults.set(other.id, Fault(loss=1.0))
        await ahead.parts.registers.topology.change_range(descriptor.id, next_epoch)
        async with town.client(town[0]) as client:
            assert town[0].parts.topology.where(record.key).epoch == descriptor.epoch - 1
            assert (await client.put_one(record, "all"))["status"] == "stored"
            assert town[0].parts.topology.where(record.key).epoch == descriptor.epoch
        async with town.client(town[1]) as client:
            assert await client.get(record, "all") is not None
            assert (await client.put_one(author.post("again"), "all"))["status"] == "stored"
        town.heal()
        await until(
            lambda: all(
                node.parts.topology.where(record.key).epoch == descriptor.epoch for node in town.nodes
            ),
            what="all to know the epoch",
        )
        await town.restart(ahead)
        assert ahead.parts.topology.where(record.key).epoch == descriptor.epoch, "an epoch is durable"


async def test_a_replica_that_is_behind_catches_up_from_who_asks(tmp_path: Path) -> None:
    """The coordinator knows the newer epoch, and nobody has told the others."""
    async with founded(tmp_path) as town:
        record, ahead = Author(1).post("under the new epoch"), town[0]
        descriptor = of_next_epoch(ahead, record)
        for other in town.nodes[1:]:
            ahead.environment.faults.set(other.id, Fault(loss=1.0))
        await ahead.parts.registers.topology.change_range(descriptor.id, next_epoch)
        async with town.client(ahead) as client:
            assert (await client.put_one(record, "all"))["status"] == "stored"
            assert await client.get(record, "all") is not None
        assert all(node.parts.topology.where(record.key) == descriptor for node in town.nodes)
