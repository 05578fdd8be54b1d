"""Reads: joined from what differs, written back before the answer, and never behind a session's token."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from folkmoot.node.transport.faults import Fault
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import NOT_YET, WireError
from folkmoot.protocol.token import Token

from tests.node.harness import founded
from tests.node.people import Author
from tests.waiting import until


@pytest.mark.parametrize("level", ["quorum", "each_quorum", "all"])
async def test_a_read_writes_back_before_it_answers(tmp_path: Path, level: str) -> None:
    async with founded(tmp_path) as town:
        record = Author(1).post("only one has it")
        await town[0].plant(record)
        async with town.client(town[0]) as client:
            cell = await client.get(record, level)
            assert cell is not None and cell["records"] == [record.to_wire()]
            holders = [node for node in town.nodes if node.cell(record) is not None]
            assert len(holders) >= {"quorum": 2}.get(level, 3)
            assert len({node.cell(record) for node in holders}) == 1


async def test_a_reader_without_the_record_finds_it_at_quorum(tmp_path: Path) -> None:
    """Whichever two nodes are asked, what two nodes hold is found."""
    async with founded(tmp_path) as town:
        record = Author(1).post("two have it")
        for node in town.nodes[1:]:
            await node.plant(record)
        async with town.client(town[0]) as client:
            assert await client.get(record, "one") is None
            cell = await client.get(record, "quorum")
            assert cell is not None and cell["records"] == [record.to_wire()]
            assert town[0].cell(record) == town[1].cell(record)


async def test_quorum_reads_are_monotonic(tmp_path: Path) -> None:
    """What one quorum read showed, every later one shows, though the only node that had it is gone."""
    async with founded(tmp_path) as town:
        record = Author(1).post("seen once")
        await town[0].plant(record)
        async with town.client(town[0]) as client:
            assert await client.get(record, "quorum") is not None
        await town[0].stop()
        for node in town.nodes[1:]:
            async with town.client(node) as client:
                assert await client.get(record, "quorum") is not None


async def test_a_read_turns_from_a_replica_that_stalls_to_another(tmp_path: Path) -> None:
    """A link goes silent and gossip does not know yet: the read is late, and answered."""
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        record = Author(1).post()
        assert (await client.put_one(record, "all"))["status"] == "stored"
        slots = town[0].parts.topology.where(record.key).slots
        asked = town[0].parts.router.readers(slots, "quorum")
        assert asked is not None, "all three can be reached"
        [stalled] = [node for node in town.nodes[1:] if node.id in asked]
        stalled.environment.faults.set(town[0].id, Fault(delay_ms=60_000))
        began = trio.current_time()
        assert await client.get(record, "quorum") is not None
        assert 1 < trio.current_time() - began < 8
        town.heal()


async def test_siblings_of_two_devices_are_joined_and_said(tmp_path: Path) -> None:
    async with founded(tmp_path) as town:
        ann, phone = Author(1), Author(2)
        laptop = ann.record("profile", b"name", {"value": "Ann"})
        mobile = phone.record("profile", b"name", {"value": "Anna"}, author=ann.account)
        await town[0].plant(laptop)
        await town[1].plant(mobile)
        async with town.client(town[2]) as client:
            cell = await client.get(laptop, "all")
            assert cell is not None and cell["conflict"] is True
            assert cell["records"] == [mobile.to_wire(), laptop.to_wire()]
            stamps = {ann.account.hex(): laptop.stamp, phone.account.hex(): mobile.stamp}
            assert cell["clock"] == stamps
            merged = ann.record("profile", b"name", {"value": "A."}, seen={phone.account: mobile.stamp})
            assert (await client.put_one(merged, "all"))["status"] == "stored"
            cell = await client.get(laptop, "all", history=True)
            assert cell is not None and cell["conflict"] is False
            assert cell["records"] == [r.to_wire() for r in (merged, mobile, laptop)]


async def test_feeds_of_different_replicas_are_joined(tmp_path: Path) -> None:
    async with founded(tmp_path) as town:
        author = Author(1)
        posts = [author.post(str(number)) for number in range(9)]
        gone = author.deletion(posts[0])
        for number, record in enumerate(posts):
            await town[number % 3].plant(record)
        await town[1].plant(gone)
        async with town.client(town[0]) as client:
            items = await client.feed(author.account, "all")
            newest_first = sorted(posts[1:], key=lambda record: record.item, reverse=True)
            assert [item["record"] for item in items] == [record.to_wire() for record in newest_first]


async def test_a_page_at_quorum_shows_all_that_any_of_them_has(tmp_path: Path) -> None:
    """Two replicas that share no post: the page is the newest of both, not of one."""
    async with founded(tmp_path) as town:
        author = Author(1)
        items = [make_uuid7(1_700_000_000_000, number) for number in range(400)]
        posts = [author.post("x", item) for item in items]
        await town[0].plant(*posts[::2])
        for node in town.nodes[1:]:
            await node.plant(*posts[1::2])
        async with town.client(town[0]) as client:
            page = await client.call("feed.author", account=author.account, level="quorum", limit=200)
            assert [item["record"] for item in page["items"]] == [r.to_wire() for r in posts[:199:-1]]


async def test_a_token_is_waited_for_and_found_elsewhere(tmp_path: Path) -> None:
    """A node that lacks what the session wrote asks those who have it."""
    async with founded(tmp_path) as town:
        record = Author(1).post("on the third only")
        await town[2].plant(record)
        token = Token.of([(record.key, {record.device: record.stamp})]).encode()
        async with town.client(town[0]) as client:
            cell = await client.get(record, "one", token=token)
            assert cell is not None and cell["records"] == [record.to_wire()]
            page = await client.call("feed.author", account=record.author, token=token)
            assert [item["record"] for item in page["items"]] == [record.to_wire()]


async def test_a_token_that_nobody_can_honour_is_not_yet(tmp_path: Path) -> None:
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        author = Author(1)
        record, later = author.post(), author.post()
        assert (await client.put_one(record, "all"))["status"] == "stored"
        token = Token.of([(record.key, {record.device: later.stamp})]).encode()
        began = trio.current_time()
        with pytest.raises(WireError) as refused:
            await client.get(record, "one", token=token)
        assert refused.value.kind is NOT_YET
        assert refused.value.retry_after_ms is not None
        assert 1.0 < trio.current_time() - began < 6.0, "waited, but not for ever"
        with pytest.raises(WireError, match="not_yet"):
            await client.call("feed.author", account=record.author, token=token)


async def test_a_token_forgets_what_every_slot_has(tmp_path: Path) -> None:
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        author = Author(1)
        town[0].environment.faults.set(town[2].id, Fault(cut=True))
        record = author.post()
        results, token = await client.put(record, level="quorum")
        assert results[0]["status"] == "stored"
        assert Token.decode(token).cells == {record.key: {record.device: record.stamp}}
        town.heal()

        async def confirmed() -> bool:
            _, grown = await client.put(record, level="all", token=token)
            return grown == Token().encode()

        await until(confirmed, what="every slot to have confirmed", within_s=20)


async def test_a_session_that_wrote_much_reads_at_quorum(tmp_path: Path) -> None:
    """More pairs than a token holds: it says "read this range at quorum", and nothing is missed."""
    async with founded(tmp_path) as town:
        author = Author(1)
        posts = [author.post(str(number)) for number in range(200)]
        town.cut(town[0], town[2])
        async with town.client(town[0]) as client:
            results, token = await client.put(*posts, level="quorum")
            assert {result["status"] for result in results} == {"stored"}
        assert Token.decode(token).lanes
        async with town.client(town[2]) as client:
            page = await client.call("feed.author", account=author.account, limit=200, token=token)
            assert len(page["items"]) == 200
            town.heal()
