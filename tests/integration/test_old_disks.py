"""A copy of a data directory, with real processes: put back later, and run beside its original."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.cluster.layout import ClusterDirectory
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.rows import row_cell

from tests.integration.processes import Process, client, fails, lay_out, node
from tests.node.people import Author
from tests.waiting import until

pytestmark = pytest.mark.cluster

WHOLE_S = 60.0
NAMES = ("ap-1", "eu-1", "us-1")


def start(stack: ExitStack, town: ClusterDirectory) -> list[Process]:
    """Start all nodes; the first is the seed of the others."""
    started: list[Process] = []
    for name in NAMES:
        seeds = json.dumps([process.ready["peers"] for process in started])
        words = ("--set", f"cluster.seeds={seeds}")
        started.append(stack.enter_context(node(town.config_file(name), *words)))
    return started


async def status(process: Process) -> dict[str, Any]:
    async with client(process.address) as asking:
        told: dict[str, Any] = await asking.call("cluster.status")
        return told


async def counted(*processes: Process) -> None:
    """Wait until by the word of each of these all three nodes are whole and alive, and one seat may fail.

    While a lone seat is all there is, its disk must not be lost: no other remembers what it decided,
    and a node that is to be rebuilt asks the seats for its ranges.
    """

    async def all_whole() -> bool:
        told = [await status(process) for process in processes]
        return all(
            len(each["nodes"]) == 3
            and each["seats"]["may_fail"] >= 1
            and all(one["standing"] == "whole" and one["state"] == "alive" for one in each["nodes"])
            for each in told
        )

    await until(all_whole, what="all to be whole", within_s=WHOLE_S)


def doctor(data: Path) -> tuple[int, dict[str, Any]]:
    words = [sys.executable, "-m", "folkmoot.cli", "doctor", "--json", "--data", str(data)]
    done = subprocess.run(words, capture_output=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


async def put(process: Process, author: Author, count: int) -> list[Any]:
    posts = [author.post(str(number)) for number in range(count)]
    async with client(process.address) as writing:
        results, _ = await writing.put(*posts, level="all")
    assert {result["status"] for result in results} == {"stored"}
    return posts


def cells(data: Path) -> dict[bytes, bytes]:
    """Everything in the store of a node that is stopped."""
    engine = LmdbEngine(data, cap_bytes=1 << 26)
    try:
        with engine.begin() as transaction:
            return {key: row_cell(key, row) for key, row in transaction.scan(Table.CELLS)}
    finally:
        engine.close()


async def test_a_directory_that_is_put_back_is_rebuilt_before_it_counts(tmp_path: Path) -> None:
    town, author = lay_out(tmp_path / "town", nodes=3, gate__account_burst=100_000), Author(1)
    homes = {name: town.data(name).path for name in NAMES}
    with ExitStack() as stack:
        first, old, third = start(stack, town)
        await counted(first, old, third)
        await put(first, author, 100)
        old.end()
        shutil.copytree(homes["eu-1"] / "store", tmp_path / "copy")
        old = stack.enter_context(node(town.config_file("eu-1")))
        await counted(first, old, third)
        await put(first, author, 100)
        old.kill()
        third.end()  # so that the old disk cannot be rebuilt yet
        shutil.rmtree(homes["eu-1"] / "store")
        shutil.copytree(tmp_path / "copy", homes["eu-1"] / "store")

        old = stack.enter_context(node(town.config_file("eu-1")))
        own = (await status(old))["node"]["standing"]
        assert (own["state"], own["counted"]) == ("amnesiac", False)
        async with client(first.address) as writing:
            result = await writing.put_one(author.post("nobody else counts"), "quorum")
        assert (result["status"], result["achieved"]["acks"]) == ("uncertain", 1)
        code, told = doctor(homes["eu-1"])
        findings = {finding["check"]: finding for finding in told["findings"]}
        assert code == exit_codes.DEGRADED and "older copy" in findings["standing"]["sentence"]

        third = stack.enter_context(node(town.config_file("us-1")))
        await counted(first, old, third)
        await put(old, author, 1)
        for process in (first, old, third):
            process.end()
    held = [cells(homes[name]) for name in NAMES]
    assert held[0] == held[1] == held[2] and len(held[0]) == 202
    assert all(doctor(home)[0] == exit_codes.OK for home in homes.values())


async def test_a_copy_of_a_running_directory_ends_with_its_own_code(tmp_path: Path) -> None:
    town, author = lay_out(tmp_path / "town", nodes=3), Author(1)
    with ExitStack() as stack:
        running = start(stack, town)
        await counted(*running)
        await put(running[0], author, 10)
        copy = tmp_path / "copy"
        shutil.copytree(town.data("eu-1").path, copy)
        ports = [f"listen.{port}=127.0.0.1:0" for port in ("clients", "peers", "datagrams")]
        words = [word for value in (*ports, f"node.data={copy}") for word in ("--set", value)]
        ended = fails(copy / "folkmoot.toml", *words)
        assert ended.code == exit_codes.REFUSED and ended.error["name"] == "node_cloned"
        assert str(copy) in ended.error["message"] and "folkmoot init" in ended.error["message"]
        await counted(*running)
        assert "a copy of this node" in running[1].log
        await put(running[1], author, 10)
