"""Damage on one replica of a running cluster: nothing else suffers, and it is mended from the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.node.configuration.settings import StoreSection
from folkmoot.protocol import limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import block_of
from folkmoot.protocol.limits import RECORDS_PER_PUT, STORE_BLOCK_PLAIN_CELLS
from folkmoot.protocol.record import Record
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.rows import log_key_of, row_sequence
from folkmoot.storage.verify import verify

from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.waiting import until

QUICK = 0.002  # hours: a self-check in seconds


@pytest.fixture(autouse=True)
def no_long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the wait before mending is for, `test_mender` tests on virtual time."""
    monkeypatch.setattr(limits, "MEND_QUIET_S", 0.5)


def scrubbed(directory: Path) -> AbstractAsyncContextManager[Town]:
    """A cluster whose nodes check themselves all the time."""
    gate = GateSection(account_burst=100_000, address_burst=100_000)
    return founded(directory, store=StoreSection(scrub_hours=QUICK), gate=gate)


def flip(node: Node, record: Record) -> None:
    """Flip a bit of a cell on a node's disk, behind its back."""
    with node.commits.store.engine.begin(write=True) as transaction:
        row = transaction.get(Table.CELLS, record.key)
        assert row is not None
        transaction.put(Table.CELLS, record.key, row[:-1] + bytes((row[-1] ^ 1,)))
        transaction.commit()


def lose(node: Node, record: Record) -> bytes:
    """Remove a row from a node's disk, behind its back; what it was."""
    with node.commits.store.engine.begin(write=True) as transaction:
        row = transaction.get(Table.CELLS, record.key)
        assert row is not None and transaction.delete(Table.CELLS, record.key)
        transaction.commit()
    return row


def is_whole(node: Node, record: Record) -> bool:
    try:
        return node.cell(record) is not None
    except StoreCorrupt:
        return False


def is_mended(node: Node, record: Record) -> bool:
    """Whether a cell is whole and nothing counts as damaged any more, which is said after the commit."""
    return is_whole(node, record) and not node.commits.store.damage.keys


async def test_a_damaged_cell_that_is_read_is_mended(tmp_path: Path) -> None:
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        posts = [Author(1).post(f"number {number}") for number in range(20)]
        await client.put(*posts, level="all")
        flip(town[0], posts[7])
        assert await client.get(posts[7], "one") is not None, "another replica answers in its place"
        status = await client.call("cluster.status")
        assert status["node"]["store"]["damaged"] == 1 or is_whole(town[0], posts[7])
        await until(lambda: is_mended(town[0], posts[7]), what="the cell to be mended")
        assert town[0].cell(posts[7]) == town[1].cell(posts[7])
        status = await client.call("cluster.status")
        assert (status["node"]["store"]["damaged"], status["node"]["store"]["mended"]) == (0, 1)
        assert await client.get(posts[7], "all") is not None


async def test_damage_that_an_operators_check_meets_is_mended(tmp_path: Path) -> None:
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        post = Author(1).post()
        await client.put(post, level="all")
        flip(town[0], post)
        await client.auth(OPERATOR)
        with pytest.raises(WireError, match="damaged"):
            await client.call("debug.cells", start=post.key, end=b"", limit=1)
        await until(lambda: is_whole(town[0], post), what="the cell to be mended")


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


async def test_a_row_lost_while_sums_are_equal_is_found_and_put_back(tmp_path: Path) -> None:
    """Sums are kept by adding and subtracting, so nothing else would ever tell."""
    async with scrubbed(tmp_path) as town, town.client(town[0]) as client:
        posts = [Author(1).post(f"number {number}") for number in range(20)]
        await client.put(*posts, level="all")
        lose(town[0], posts[7])
        await until(lambda: is_mended(town[0], posts[7]), what="the cell to come back", within_s=40)
        assert town[0].cells() == town[1].cells()
        status = await client.call("cluster.status")
        assert status["node"]["scrub"]["lost"] == 1
        assert (status["node"]["store"]["damaged"], status["node"]["store"]["mended"]) == (0, 1)
        assert verify(town[0].commits.store.engine).ok


async def test_what_a_lost_cell_was_part_of_is_not_answered_for_meanwhile(tmp_path: Path) -> None:
    """With one of the others away it stays damaged, and a quorum is made of those who have it."""
    async with scrubbed(tmp_path) as town, town.client(town[0]) as client:
        post = Author(1).post()
        await client.put(post, level="all")
        await town[2].stop()
        await until(lambda: town[0].holds_dead(town[2]), what="the third node to be missed", within_s=30)
        lose(town[0], post)
        store = town[0].commits.store
        await until(lambda: post.key in store.damage.keys, what="the loss to show", within_s=40)
        edit = Author(1).post("edited", item=post.item)
        assert (await client.put_one(edit, "quorum"))["status"] == "uncertain"
        await town.start(town[2])
        await until(
            lambda: is_whole(town[0], post) and town[0].cell(post) == town[1].cell(post),
            what="all",
            within_s=40,
        )


async def test_a_row_whose_key_is_damaged_is_put_where_it_belongs(tmp_path: Path) -> None:
    async with scrubbed(tmp_path) as town, town.client(town[0]) as client:
        posts = [Author(1).post(f"number {number}") for number in range(20)]
        await client.put(*posts, level="all")
        row = lose(town[0], posts[7])
        stray = posts[7].key[:-1] + bytes((posts[7].key[-1] ^ 4,))
        with town[0].commits.store.engine.begin(write=True) as transaction:
            transaction.put(Table.CELLS, stray, row)
            transaction.commit()
        await until(
            lambda: is_mended(town[0], posts[7]),
            what="the cell to come back, and the stray one to go",
            within_s=60,
        )
        assert verify(town[0].commits.store.engine).ok


async def test_a_row_lost_from_log_and_cells_is_repaired_in_a_heavy_block(tmp_path: Path) -> None:
    """Only the count of its block tells of it, and what is remembered of a heavy one must not hide where."""
    async with scrubbed(tmp_path) as town, town.client(town[0]) as client:
        author = Author(1)
        posts = [author.post(f"number {number}") for number in range(STORE_BLOCK_PLAIN_CELLS + 128)]
        for first in range(0, len(posts), RECORDS_PER_PUT):
            results, _ = await client.put(*posts[first : first + RECORDS_PER_PUT], level="all")
            assert {result["status"] for result in results} == {"stored"}
        store = town[0].commits.store
        assert store.heavy.runs(block_of(posts[0].key)) is not None, "it is remembered"
        row = lose(town[0], posts[7])
        with store.engine.begin(write=True) as transaction:
            transaction.delete(Table.LOG, log_key_of(posts[7].key, row_sequence(row)))
            transaction.commit()
        await until(lambda: is_whole(town[0], posts[7]), what="the cell to come back", within_s=60)
        assert town[0].cells() == town[1].cells()


async def test_a_put_that_lands_before_the_join_is_put_in_place_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with founded(tmp_path) as town, town.client(town[0]) as client, town.client(town[1]) as other:
        author = Author(1)
        post = author.post()
        edit = author.post("written in between", item=post.item)
        await client.put(post, level="all")
        upkeep = town[0].parts.upkeep
        mend, results = upkeep.mend, list[dict[str, Any]]()

        async def mend_after_a_put(key: bytes, states: Sequence[bytes]) -> None:
            results.append(await other.put_one(edit, "quorum"))
            await mend(key, states)

        monkeypatch.setattr(upkeep, "mend", mend_after_a_put)
        flip(town[0], post)
        await client.get(post, "one")
        await until(lambda: is_whole(town[0], post), what="the cell to be mended", within_s=30)
        assert [result["status"] for result in results] == ["stored"], "by the two others"
        await until(lambda: town[0].cell(post) == town[1].cell(post), what="the edit to arrive", within_s=30)
        shown = await client.get(post, "quorum")
        assert shown is not None and shown["records"][0] == edit.to_wire()


async def test_damage_is_remembered_across_a_restart(tmp_path: Path) -> None:
    async with founded(tmp_path) as town, town.client(town[1]) as client:
        post = Author(1).post()
        await client.put(post, level="all")
        await town[2].stop()
        flip(town[0], post)
        async with town.client(town[0]) as reading:
            await reading.get(post, "one")
        kept = town[0].parts.remembered.damage
        await until(lambda: kept() == [post.key], what="the damage to be kept")
        await town.restart(town[0])
        await until(lambda: town[0].commits.store.damage.keys == [post.key], what="the damage to be known")
        await town.start(town[2])
        await until(lambda: is_whole(town[0], post), what="the cell to be mended", within_s=30)
        await until(lambda: not town[0].parts.remembered.damage(), what="the damage to be forgotten")
