"""What each level promises, and what a client is told when it cannot be reached."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, WireError

from tests.node.harness import Client, Town, founded, settled
from tests.node.people import Author
from tests.waiting import until

LEVELS = ("one", "local_quorum", "quorum", "each_quorum", "all")


async def outcomes(client: Client, author: Author) -> dict[str, tuple[str, str, int]]:
    """For each level, what became of a post: (status, level achieved, slots)."""
    found = {}
    for level in LEVELS:
        result = await client.put_one(author.post(level), level)
        found[level] = (result["status"], result["achieved"]["level"], result["achieved"]["acks"])
    return found


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_every_level_is_reached_when_all_are_up(tmp_path: Path, tls: bool) -> None:
    async with founded(tmp_path, tls=tls) as town, town.client(town[0]) as client:
        found = await outcomes(client, Author(1))
        assert {status for status, _, _ in found.values()} == {"stored"}
        assert found["all"] == ("stored", "all", 3)
        assert found["quorum"][2] >= 2
        posts = await client.feed(Author(1).account)
        assert len(posts) == len(LEVELS)


async def test_one_node_down(tmp_path: Path) -> None:
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        author, gone = Author(1), town[2]
        await gone.stop()
        found = await outcomes(client, author)
        assert [found[level][0] for level in LEVELS] == [*["stored"] * 3, *["uncertain"] * 2]

        missed = author.post("to all three, please")
        result = await client.put_one(missed, "all")
        assert result["status"] == "uncertain"
        assert result["achieved"] == {"level": "quorum", "acks": 2, "slots": 3}
        error = result["error"]
        assert (error["name"], error["retryable"]) == ("level_unreachable", True)
        assert error["retry_after_ms"] > 0
        assert error["details"] == {
            "achieved": result["achieved"],
            "missing": [{"region": gone.region, "nodes": [gone.id.hex()]}],
        }
        assert (await client.put_one(missed, "quorum"))["status"] == "duplicate"

        await town.start(gone)
        result = await settled(client, missed)
        assert (result["status"], result["achieved"]["level"]) == ("duplicate", "all")
        assert gone.cell(missed) == town[0].cell(missed)


async def test_two_nodes_down(tmp_path: Path) -> None:
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        author = Author(1)
        for node in town.nodes[1:]:
            await node.stop()
        found = await outcomes(client, author)
        assert [found[level][0] for level in LEVELS] == [*["stored"] * 2, *["uncertain"] * 3]
        assert {level for _, level, _ in found.values()} == {"local_quorum"}
        kept = author.post("kept by one")
        assert (await client.put_one(kept, "one"))["status"] == "stored"
        assert (await client.get(kept, "local_quorum")) is not None
        with pytest.raises(WireError) as refused:
            await client.get(kept, "quorum")
        assert refused.value.kind is LEVEL_UNREACHABLE
        assert refused.value.details is not None
        assert len(refused.value.details["missing"]) == 2
        with pytest.raises(WireError, match="level_unreachable"):
            await client.feed(author.account, "quorum")

        await town.start(*town.nodes[1:])
        assert (await settled(client, kept))["status"] == "duplicate"


async def test_a_coordinator_without_any_replica_says_uncertain(tmp_path: Path) -> None:
    """With one copy a range, every node coordinates for ranges it has no slot of."""
    async with founded(tmp_path, replicas=1) as town, town.client(town[0]) as client:
        author = next(
            author for author in map(Author, range(1, 99)) if town.replicas_of(author.account) == [town[1]]
        )
        first = author.post("through another node")
        assert (await client.put_one(first, "all"))["status"] == "stored"
        assert town[0].cell(first) is None and town[1].cell(first) is not None
        await town[1].stop()
        second = author.post("nobody has it")
        result = await client.put_one(second, "one")
        assert result["status"] in ("uncertain", "refused")
        assert result["error"]["name"] == "level_unreachable"
        await town.start(town[1])
        assert (await settled(client, second))["status"] in ("stored", "duplicate")


async def test_local_quorum_asks_nobody_abroad(tmp_path: Path) -> None:
    regions, replicas = ("eu", "eu", "us"), {"eu": 2, "us": 1}
    async with founded(tmp_path, regions=regions, replicas=replicas) as town:
        await town[2].stop()
        async with town.client(town[0]) as client:
            result = await client.put_one(Author(1).post(), "local_quorum")
            assert (result["status"], result["achieved"]["acks"]) == ("stored", 2)
            assert (await client.put_one(Author(1).post(), "each_quorum"))["status"] == "uncertain"
        await town[1].stop()
        async with town.client(town[0]) as client:
            result = await client.put_one(Author(1).post(), "local_quorum")
            assert result["status"] == "uncertain"
            assert result["error"]["details"]["missing"] == [{"region": "eu", "nodes": [town[1].id.hex()]}]


async def test_a_partition_leaves_the_majority_able_to_write(tmp_path: Path) -> None:
    async with founded(tmp_path) as town:
        town.cut(town[0], town[1])
        town.cut(town[0], town[2])
        author = Author(1)
        async with town.client(town[1]) as majority, town.client(town[0]) as minority:
            assert (await majority.put_one(author.post("many"), "quorum"))["status"] == "stored"
            alone = author.post("alone")
            result = await minority.put_one(alone, "quorum")
            assert (result["status"], result["achieved"]["acks"]) == ("uncertain", 1)
            town.heal()
            assert (await settled(minority, alone))["status"] == "duplicate"
        await equal(town)


async def equal(town: Town) -> None:
    """Wait until every node's store holds the same."""

    def same() -> bool:
        first, *others = (node.cells() for node in town.running())
        return bool(first) and all(other == first for other in others)

    await until(same, what="the replicas to be equal", within_s=30)
