"""As much as a message holds, between nodes too: nothing is refused because it travels in one piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.record import Record

from tests.node.harness import Client, Town, founded
from tests.node.people import Author

PAD_BYTES = 16_000


def large(author: Author, count: int) -> list[Record]:
    """Posts of nearly 16 KiB."""
    body = {"text": "x", "pad": bytes(PAD_BYTES)}
    return [author.record("post", author.item(), body) for _ in range(count)]


def kept_elsewhere(town: Town) -> Author:
    """An author whose posts the first node must ask another one for."""
    return next(
        author for author in map(Author, range(1, 99)) if town.replicas_of(author.account) == [town[1]]
    )


async def all_cells(client: Client, records: list[Record], level: str) -> list[list[bytes]]:
    """The winners at the records' keys, asked for until none is omitted."""
    found: dict[bytes, list[bytes]] = {}
    while waiting := [record for record in records if record.item not in found]:
        keys = [[record.place, record.kind, record.item] for record in waiting]
        cells: list[Any] = (await client.call("record.get", keys=keys, level=level))["cells"]
        told = {cell["key"][2]: cell["records"][0] for cell in cells if not cell.get("omitted")}
        assert told, "at least one cell is told"
        found |= told
    return [found[record.item] for record in records]


async def test_a_full_put_through_a_node_without_the_range(tmp_path: Path) -> None:
    async with founded(tmp_path, replicas=1) as town, town.client(town[0]) as client:
        records = large(kept_elsewhere(town), 64)
        results, _ = await client.put(*records)
        assert {result["status"] for result in results} == {"stored"}
        assert all(town[1].cell(record) is not None for record in records)


async def test_many_large_cells_from_another_node(tmp_path: Path) -> None:
    async with founded(tmp_path, replicas=1) as town, town.client(town[0]) as client:
        records = large(kept_elsewhere(town), 150)
        await town[1].plant(*records)
        assert await all_cells(client, records, "one") == [record.to_wire() for record in records]


async def test_many_large_cells_that_differ(tmp_path: Path) -> None:
    """A quorum read fetches, joins and writes back more than a message holds."""
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        author = Author(1)
        mine, theirs = large(author, 100), large(author, 100)
        await town[0].plant(*mine)
        for node in town.nodes[1:]:
            await node.plant(*theirs)
        records = mine + theirs
        assert await all_cells(client, records, "all") == [record.to_wire() for record in records]
        assert town[0].cells() == town[1].cells() == town[2].cells()


async def test_many_labels_from_another_node(tmp_path: Path) -> None:
    async with founded(tmp_path, replicas=1) as town, town.client(town[0]) as client:
        author, labeller = kept_elsewhere(town), Author(500)
        posts = [author.post() for _ in range(10)]
        labels = [
            labeller.record(
                "label",
                _label(post, labeller, number).item,
                {**_label(post, labeller, number).body(), "pad": bytes(PAD_BYTES - 200)},
                place=author.account,
            )
            for post in posts
            for number in range(16)
        ]
        await town[1].plant(*posts, *labels)
        keys = [[post.place, post.kind, post.item] for post in posts]
        found: dict[bytes, int] = {}
        while waiting := [key for key in keys if key[2] not in found]:
            cells = (await client.call("record.get", keys=waiting, level="one"))["cells"]
            told = [cell for cell in cells if not cell.get("omitted")]
            assert told, "at least one cell is told"
            found |= {cell["key"][2]: len(cell["labels"]) for cell in told}
        assert set(found.values()) == {16}


def _label(post: Record, labeller: Author, number: int) -> Label:
    return Label(post.item, f"label-{number:02}", labeller.account, post.id, "long-winded")
