"""Damage on one replica of a running cluster: nothing else suffers, and it is mended from the others."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from folkmoot.protocol.record import Record
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table

from tests.node.harness import founded
from tests.node.nodes import Node
from tests.node.people import Author
from tests.waiting import until


def flip(node: Node, record: Record) -> None:
    """Flip a bit of a cell on a node's disk, behind its back."""
    with node.commits.store.engine.begin(write=True) as transaction:
        row = transaction.get(Table.CELLS, record.key)
        assert row is not None
        transaction.put(Table.CELLS, record.key, row[:-1] + bytes((row[-1] ^ 1,)))
        transaction.commit()


def is_whole(node: Node, record: Record) -> bool:
    try:
        return node.cell(record) is not None
    except StoreCorrupt:
        return False


async def test_a_damaged_cell_that_is_read_is_mended(tmp_path: Path) -> None:
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        posts = [Author(1).post(f"number {number}") for number in range(20)]
        await client.put(*posts, level="all")
        flip(town[0], posts[7])
        assert await client.get(posts[7], "one") is not None, "another replica answers in its place"
        status = await client.call("cluster.status")
        assert status["node"]["store"]["damaged"] == 1 or is_whole(town[0], posts[7])
        await until(lambda: is_whole(town[0], posts[7]), what="the cell to be mended")
        assert town[0].cell(posts[7]) == town[1].cell(posts[7])
        status = await client.call("cluster.status")
        assert (status["node"]["store"]["damaged"], status["node"]["store"]["mended"]) == (0, 1)
        assert await client.get(posts[7], "all") is not None


async def test_damage_keeps_neither_hints_nor_writes_from_arriving(tmp_path: Path) -> None:
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        author, away = Author(1), town[1]
        posts = [author.post(f"number {number}") for number in range(60)]
        await client.put(*posts, level="all")
        await away.stop()
        edits = [author.post(f"edit {number}", item=post.item) for number, post in enumerate(posts)]
        await client.put(*edits, level="quorum")
        await town.start(away)
        flip(away, posts[0])
        fresh = author.post("in the same breath as an edit of the damaged one")
        results, _ = await client.put(author.post("again", item=posts[0].item), fresh, level="quorum")
        assert [result["status"] for result in results] == ["stored", "stored"]
        await until(
            lambda: (
                all(is_whole(away, post) for post in posts)
                and all(away.cell(post) == town[0].cell(post) for post in [*posts, fresh])
            ),
            what="everything to arrive",
            within_s=30,
        )


async def test_a_damaged_cell_costs_no_other_record_of_its_pass_the_acknowledgement(tmp_path: Path) -> None:
    """The third node is away, so that the damaged one decides what reaches a quorum."""
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        author = Author(1)
        posts = [author.post(f"number {number}") for number in range(5)]
        await client.put(*posts, level="all")
        await town[2].stop()
        await until(lambda: town[0].holds_dead(town[2]), what="the third node to be missed", within_s=30)
        flip(town[1], posts[2])
        edits = [author.post("edited", item=post.item) for post in posts]
        results, _ = await client.put(*edits, level="quorum")
        statuses = [result["status"] for result in results]
        assert statuses == ["stored", "stored", "uncertain", "stored", "stored"]
        acks = [result["achieved"]["acks"] for result in results]
        assert acks == [2, 2, 1, 2, 2]


async def test_what_too_few_others_tell_of_is_not_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With one of the two others gone, nobody knows whether the one left has what was acknowledged."""
    caplog.set_level(logging.ERROR)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        post = Author(1).post()
        await client.put(post, level="all")
        await town[2].stop()
        flip(town[0], post)
        await client.get(post, "one")
        await until(
            lambda: "1 of the other replicas answered, and 2 are needed" in caplog.text,
            what="the log to say why",
        )
        assert not is_whole(town[0], post)
        await town.start(town[2])
        await until(lambda: is_whole(town[0], post), what="the cell to be mended", within_s=30)
