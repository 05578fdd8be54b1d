"""A node whose disk is smaller than its cap: it refuses in time, keeps what it promised, and starts again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from folkmoot.protocol.record import Record

from tests.integration.processes import client, lay_out, node
from tests.node.harness import Client
from tests.node.people import Author
from tests.small_disks import leave_no_room, small_disk

pytestmark = pytest.mark.cluster


class Placed(NamedTuple):
    """A node whose data directory is a disk of its own."""

    config: Path
    disk: Path
    words: tuple[str, ...]


@pytest.fixture
def placed(tmp_path: Path) -> Iterator[Placed]:
    settings: dict[str, Any] = {"gate__account_burst": 1_000_000, "gate__address_burst": 1_000_000}
    config = lay_out(tmp_path / "town", **settings).config_file("eu-1")
    with small_disk(tmp_path / "disk", kib=2048) as disk:
        for name in ("node.id", "keys"):
            shutil.move(config.parent / name, disk / name)
        yield Placed(config, disk, ("--set", f"node.data={disk}"))


async def _fill(asker: Client, author: Author) -> list[Record]:
    """Write until the node refuses; what it acknowledged."""
    kept: list[Record] = []
    for _ in range(100):
        records = [author.post("x" * 3000) for _ in range(20)]
        results, _ = await asker.put(*records)
        kept += [r for r, result in zip(records, results, strict=True) if result["status"] == "stored"]
        refused = {result["error"]["name"] for result in results if result["status"] == "refused"}
        if refused:
            assert refused == {"disk_full"}
            return kept
    raise AssertionError("the disk never filled")


async def test_a_disk_smaller_than_the_cap_refuses_and_the_node_lives(placed: Placed) -> None:
    author = Author(1)
    with node(placed.config, *placed.words) as process:
        async with client(process.address) as asker:
            kept = await _fill(asker, author)
            assert len(kept) > 100
            store = (await asker.call("cluster.status"))["node"]["store"]
            assert store["warn"] and store["room_bytes"] < 2 * 2**20 < store["cap_bytes"]
            for record in kept[:100]:
                assert (await asker.put_one(author.deletion(record)))["status"] == "stored"
            assert (await asker.put_one(author.post("small again")))["status"] == "stored"
        assert process.end() == 0
    with node(placed.config, *placed.words) as process:
        async with client(process.address) as asker:
            for record in kept[100:]:
                assert await asker.get(record) is not None
        assert process.end() == 0


async def test_a_node_starts_where_there_is_no_room_to_say_where_it_listens(placed: Placed) -> None:
    author = Author(1)
    with node(placed.config, *placed.words) as process:
        async with client(process.address) as asker:
            kept = await _fill(asker, author)
            for record in kept:
                assert (await asker.put_one(author.deletion(record)))["status"] == "stored"
        assert process.end() == 0
    before = (placed.disk / "ready.json").read_bytes()
    leave_no_room(placed.disk)
    with node(placed.config, *placed.words) as process:
        async with client(process.address) as asker:
            assert (await asker.get(kept[0])) is not None
            # What deletions freed within the file is room like any other.
            assert (await asker.put_one(author.post()))["status"] == "stored"
        assert process.end() == 0
        assert f"{placed.disk / 'ready.json'} cannot be written (No space left on device)" in process.log
        assert "Traceback" not in process.log
    assert (placed.disk / "ready.json").read_bytes() == before
    assert not list(placed.disk.glob(".ready.json*"))
