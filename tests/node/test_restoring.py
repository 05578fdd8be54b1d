"""A backup joined into a cluster that lives: what is newer stays, what was deleted stays so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.node.data_directory import write_key
from folkmoot.protocol.crdt.cell import Cell, encode_single
from folkmoot.protocol.errors import BAD_REQUEST, BAD_SIGNATURE, FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.record import Record
from folkmoot.storage.store import Owner

from tests.backup.making import backed_up, restored
from tests.node.harness import Town, founded
from tests.node.nodes import lay_out
from tests.node.people import OPERATOR, Author
from tests.waiting import until


def frame(record: Record) -> list[bytes]:
    return [record.key, encode_single(record.payload, record.signature)]


def text_of(cell: bytes | None) -> Any:
    return None if cell is None else Cell.decode(cell).winner.body.get("text")


async def test_old_cells_come_back_but_not_over_what_is_newer_or_deleted(tmp_path: Path) -> None:
    author = Author(1)
    lost, edited, deleted = author.post("lost"), author.post("before"), author.post("gone")
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await client.put(edited, deleted, level="all")
        await client.put(author.post("after", item=edited.item), author.deletion(deleted), level="all")
        await client.auth(OPERATOR)
        cells = [frame(record) for record in (lost, edited, deleted)]
        assert await client.call("restore.join", cells=cells, level="all") == {"joined": 1, "deleted": 1}
        assert await client.call("restore.join", cells=cells, level="all") == {"joined": 0, "deleted": 1}
        for node in town.running():
            assert text_of(node.cell(lost)) == "lost"
            assert text_of(node.cell(edited)) == "after"
            kept = node.cell(deleted)
            assert kept is not None and Cell.decode(kept).deleted


async def test_a_deletion_that_one_replica_knows_is_never_hidden(tmp_path: Path) -> None:
    """Only one node has heard of it: nobody is given the old body without it."""
    author = Author(1)
    post = author.post("gone")
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await town[2].plant(author.deletion(post))
        await client.auth(OPERATOR)
        told = await client.call("restore.join", cells=[frame(post)], level="all")
        assert told["deleted"] == 1
        for node in town.running():
            cell = node.cell(post)
            assert cell is not None and Cell.decode(cell).deleted


async def test_with_a_node_away_a_quorum_is_enough_and_all_is_not(tmp_path: Path) -> None:
    one, other = Author(1).post("one"), Author(1).post("other")
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        away = town[2]
        await away.stop()
        assert (await client.call("restore.join", cells=[frame(one)]))["joined"] == 1
        with pytest.raises(WireError) as missed:
            await client.call("restore.join", cells=[frame(other)], level="all")
        assert missed.value.kind.name == "level_unreachable"
        await town.start(away)
        await until(lambda: text_of(away.cell(one)) == "one", what="repair to bring it", within_s=30)


async def test_what_is_no_cell_is_refused_and_only_operators_are_heard(tmp_path: Path) -> None:
    post, other = Author(1).post(), Author(1).post()
    key, cell = frame(post)
    forged = cell.replace(post.signature, bytes(64))
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        with pytest.raises(WireError) as refused:
            await client.call("restore.join", cells=[[key, cell]])
        assert refused.value.kind is UNAUTHENTICATED
        await client.auth(Author(1))
        with pytest.raises(WireError) as refused:
            await client.call("restore.join", cells=[[key, cell]])
        assert refused.value.kind is FORBIDDEN
        await client.auth(OPERATOR)
        for wrong, kind in (
            ([other.key, cell], BAD_REQUEST),
            ([key, cell[:-1]], BAD_REQUEST),
            ([key, forged], BAD_SIGNATURE),
        ):
            with pytest.raises(WireError) as refused:
                await client.call("restore.join", cells=[wrong])
            assert refused.value.kind is kind
        assert town[0].cells() == {}


async def test_a_restored_node_serves_and_says_what_it_is(tmp_path: Path) -> None:
    author = Author(1)
    post, deleted = author.post("kept"), author.post("gone")
    async with founded(tmp_path / "old", nodes=1) as town, town.client(town[0]) as client:
        await client.put(post, deleted)
        await client.put(author.deletion(deleted))
        made = backed_up(town[0].commits.store, tmp_path / "backups")
    nodes, ca = lay_out(tmp_path / "new", nodes=1)
    config = nodes[0].config.node
    assert config.id is not None and config.id != made.manifest.node
    restored(made, config.data, owner=Owner(bytes.fromhex(config.id), made.manifest.cluster))
    async with trio.open_nursery() as nursery:
        town = Town(nodes, ca, nursery)
        await town.start()
        async with town.client(town[0]) as client:
            found = await client.get(post)
            assert found is not None and text_of(town[0].cell(post)) == "kept"
            assert (await client.put_one(deleted))["status"] == "duplicate"
            status = await client.call("cluster.status")
            mark = status["node"]["store"]["restored"]
            assert (mark["backup"], mark["node"]) == (made.manifest.id, made.manifest.node)
            assert mark["boot"] == made.manifest.boot > 0
        nursery.cancel_scope.cancel()


async def typed(*words: str | Path) -> tuple[int, dict[str, Any]]:
    """Run a command in a process of its own, beside the nodes of this one."""
    done = await trio.run_process(
        [sys.executable, "-m", "folkmoot.cli", *map(str, words), "--json"],
        capture_stdout=True,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, answer


def operator_at(town: Town, folder: Path) -> list[str | Path]:
    """The options of a command that an operator runs."""
    key = folder / "operator.key"
    if not key.exists():
        write_key(key, (2**200).to_bytes(32, "big"))
    return ["--node", town[0].address, "--ca", town[0].config.tls.ca, "--operator", key]


async def test_the_commands_from_a_running_node_into_the_same_and_a_new_cluster(tmp_path: Path) -> None:
    author = Author(1)
    posts = [author.post(f"number {number}") for number in range(30)]
    async with founded(tmp_path / "one", tls=True) as town, town.client(town[0]) as client:
        await client.put(*posts, level="all")
        data = town[0].config.node.data
        code, made = await typed("backup", "create", "--data", data, "--to", tmp_path / "backups")
        assert (code, made["cells_total"]) == (0, 30)
        await client.put(*(author.deletion(post) for post in posts[:10]), level="all")
        options = operator_at(town, tmp_path)
        code, told = await typed("backup", "join", made["folder"], *options)
        assert (code, told["joined"], told["deleted"]) == (0, 0, 10)
        code, more = await typed(
            "backup", "create", "--data", data, "--to", tmp_path / "backups", "--incremental"
        )
        assert (code, more["deletions"], more["cells"]) == (0, 10, 20), "posts, each at two keys"
    async with founded(tmp_path / "two", tls=True) as town:
        options = operator_at(town, tmp_path)
        code, told = await typed("backup", "join", made["folder"], *options, "--level", "all")
        assert (code, told.get("joined"), told.get("deleted")) == (0, 40, 10), "deletions went first"
        for node in town.running():
            texts = [text_of(node.cell(post)) for post in posts]
            assert texts == [None] * 10 + [f"number {number}" for number in range(10, 30)]
