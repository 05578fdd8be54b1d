"""kill -9 under load: what was acknowledged is there, and replicas end byte for byte equal."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.protocol.client.errors import ClientError
from folkmoot.protocol.client.link_terms import LinkBroken
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import FolkmootError, WireError
from folkmoot.protocol.record import Record

from tests.integration.processes import client, lay_out
from tests.node.people import Author
from tests.waiting import until, until_blocking

pytestmark = pytest.mark.cluster

# The stream of writes must not run into the quotas, which are another test's matter.
FREE: dict[str, Any] = {"gate__account_burst": 1_000_000, "gate__address_burst": 1_000_000}
BATCH = 16


class Town:
    """Three supervised processes.

    Args:
        cluster: running.
    """

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster
        self.nodes: dict[str, dict[str, Any]] = {}
        self.learn(cluster.ask("status"))

    def learn(self, described: dict[str, Any]) -> None:
        self.nodes = {node["name"]: node for node in described["nodes"]}

    async def ask(self, operation: str, *names: str) -> None:
        asking = functools.partial(self.cluster.ask, operation, names)
        self.learn(await trio.to_thread.run_sync(asking))

    async def cells(self, name: str) -> dict[bytes, bytes]:
        """Everything one node holds, asked of it alone."""
        operator = self.cluster.directory.operator()
        found: dict[bytes, bytes] = {}
        async with client(self.nodes[name]["address"]) as asker:
            await asker.session.authenticate(operator, operator.account)
            start = b""
            while page := (await asker.call("debug.cells", start=start, end=b""))["cells"]:
                found |= dict(page)
                start = page[-1][0] + b"\0"
        return found


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    lay_out(tmp_path / "town", nodes=3, **FREE)
    cluster = LocalCluster.find(directory=tmp_path / "town")
    cluster.up()
    try:
        yield Town(cluster)
    finally:
        cluster.down()


class Writer:
    """Writes posts at quorum without end, through whichever node answers, and notes what was acknowledged.

    Args:
        town: its nodes.
        number: of its author.
    """

    def __init__(self, town: Town, number: int) -> None:
        self._town = town
        self._author = Author(number)
        self._turn = number
        self.acknowledged: list[Record] = []

    async def run(self) -> None:
        while True:
            records = [self._author.post(f"post {number}") for number in range(BATCH)]
            while records:
                records = await self._attempt(records)

    async def _attempt(self, records: list[Record]) -> list[Record]:
        """Send some; those that must be sent again."""
        names = list(self._town.nodes)
        address = self._town.nodes[names[self._turn % len(names)]]["address"]
        try:
            async with client(address) as asker:
                while records:
                    results, _ = await asker.put(*records)
                    statuses = [result["status"] for result in results]
                    pairs = list(zip(records, statuses, strict=True))
                    self.acknowledged += [r for r, status in pairs if status in ("stored", "duplicate")]
                    records = [r for r, status in pairs if status not in ("stored", "duplicate")]
        except* (FolkmootError, ClientError, LinkBroken, WireError):
            self._turn += 1
            await trio.lowlevel.checkpoint()
        return records


async def more(writers: list[Writer], count: int) -> None:
    """Wait until so many more writes are acknowledged."""
    goal = sum(len(writer.acknowledged) for writer in writers) + count
    await until(
        lambda: sum(len(writer.acknowledged) for writer in writers) >= goal,
        what=f"{count} more acknowledged writes",
        within_s=40,
    )


async def test_nothing_acknowledged_is_lost_when_nodes_are_killed(town: Town) -> None:
    """Five times a node is killed in the middle of a stream of quorum writes, the coordinator among them."""
    writers = [Writer(town, number) for number in (1, 2, 3)]
    async with trio.open_nursery() as nursery:
        for writer in writers:
            nursery.start_soon(writer.run)
        for victim in ("us-1", "eu-1", "ap-1", "us-1", "eu-1"):
            await more(writers, 150)
            await town.ask("kill", victim)
            await more(writers, 150)
            await town.ask("start", victim)
        await more(writers, 150)
        nursery.cancel_scope.cancel()

    async def equal() -> bool:
        first, *others = [await town.cells(name) for name in town.nodes]
        return all(other == first for other in others)

    await until(equal, what="the replicas to be equal", within_s=60)
    held = await town.cells("eu-1")
    acknowledged = [record for writer in writers for record in writer.acknowledged]
    assert len(acknowledged) >= 11 * 150
    for record in acknowledged:
        assert Cell.decode(held[record.key]).survivors == (record,)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_nodes_do_not_outlive_their_supervisor(town: Town) -> None:
    supervisor = town.cluster.ask("status")["supervisor"]
    pids = [node["pid"] for node in town.nodes.values()]
    assert all(map(alive, [supervisor, *pids]))
    os.kill(supervisor, signal.SIGKILL)
    until_blocking(lambda: not any(map(alive, pids)), what="the nodes to die with their supervisor")
    again = town.cluster.up()
    assert all(node["state"] == "running" for node in again["nodes"])
