"""Followers of real processes: a node that is killed under one, and one that a shell ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.cli import exit_codes
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.protocol.client import Client, Gap, connect
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.record import Record

from tests.integration.processes import children_reaped, lay_out, node
from tests.node.people import Author
from tests.waiting import until

pytestmark = pytest.mark.cluster

FREE: dict[str, Any] = {"gate__account_burst": 1_000_000, "gate__address_burst": 1_000_000}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three supervised processes."""
    lay_out(tmp_path / "town", nodes=3, **FREE)
    cluster = LocalCluster.find(directory=tmp_path / "town")
    cluster.up()
    try:
        yield cluster
    finally:
        cluster.down()


class Story:
    """Somebody writes, and somebody follows.

    Attributes:
        acknowledged, told: ids of records.
        gaps: what the follower was told may be missing.
    """

    def __init__(self, author: Author) -> None:
        self.author = author
        self.acknowledged: list[bytes] = []
        self.told: list[bytes] = []
        self.gaps: list[Gap] = []

    async def write(self, client: Client, posts: int) -> None:
        for _ in range(posts):
            record = self.author.post()
            [result] = await client.put_records([(record.payload, record.signature)])
            if result.status in ("stored", "duplicate"):
                self.acknowledged.append(record.id)

    async def follow(self, client: Client) -> None:
        async for event in client.follow({"author": self.author.account}):
            self.told += [Record.from_wire(item["record"]).id for item in event.items]
            self.gaps += [] if event.gap is None else [event.gap]

    async def all_told(self) -> None:
        await until(
            lambda: set(self.acknowledged) <= set(self.told),
            what="all that was acknowledged to be told",
            within_s=30,
        )


async def test_a_killed_node_costs_its_followers_nothing(town: LocalCluster) -> None:
    """Two nodes are killed one after the other, and come back, while somebody writes and somebody follows."""
    story = Story(Author(1))
    addresses = [node["address"] for node in town.ask("status")["nodes"]]
    async with (
        connect(addresses[::-1], tls=False) as writer,
        connect(addresses, tls=False) as reader,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(story.follow, reader)
        for _ in range(2):
            await story.write(writer, 50)
            await story.all_told()
            name = (await reader.ready()).node.name
            await trio.to_thread.run_sync(town.ask, "kill", [name])
            await story.write(writer, 50)
            await story.all_told()
            assert (await reader.ready()).node.name != name
            await trio.to_thread.run_sync(town.ask, "restart", [name])
        await story.write(writer, 50)
        await story.all_told()
        nursery.cancel_scope.cancel()
    assert len(story.acknowledged) >= 200
    assert len(story.told) == len(set(story.told)), "nothing is told twice"


class Watching:
    """The command, running.

    Args:
        address: of the node it talks to.
        account: whose posts it shows.
        words: further words of the command line.
    """

    def __init__(self, address: str, account: bytes, *words: str) -> None:
        line = ["follow-feed", account_to_text(account), "--node", address, "--tls", "off", "--since", "1h"]
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "folkmoot.cli", *line, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.lines: list[str] = []

    async def shown(self, words: str) -> None:
        """Read lines until one has these words."""
        assert self.popen.stdout is not None
        with trio.fail_after(30):
            while not any(words in line for line in self.lines):
                self.lines.append((await trio.to_thread.run_sync(self.popen.stdout.readline)).decode())


@pytest.mark.parametrize("words", [["--json"], []], ids=["json", "text"])
async def test_the_command_shows_what_happens_until_ctrl_c(tmp_path: Path, words: list[str]) -> None:
    config, author = lay_out(tmp_path / "town", **FREE).config_file("eu-1"), Author(1)
    with node(config) as process:
        watching = Watching(process.address, author.account, *words)
        with children_reaped(watching.popen):
            async with connect(process.address, tls=False) as client:
                posts = [author.post("first"), author.post("second")]
                posts.append(author.deletion(posts[0]))
                await client.put_records([(each.payload, each.signature) for each in posts[:2]])
                await watching.shown("second")
                await client.put_records([(posts[2].payload, posts[2].signature)])
                await watching.shown("deleted")
            watching.popen.send_signal(signal.SIGINT)
            _, error = watching.popen.communicate(timeout=30)
            assert (watching.popen.returncode, error) == (exit_codes.OK, b"")
            if words:
                told = [json.loads(line) for line in watching.lines]
                assert [each["id"] for each in told] == [each.id.hex() for each in posts]
                assert all(each["cursor"] and each["kind"] == "post" for each in told)


async def test_a_reader_that_has_had_enough_is_no_error(tmp_path: Path) -> None:
    """As in `folkmoot follow-feed … | head -1`."""
    config, author = lay_out(tmp_path / "town", **FREE).config_file("eu-1"), Author(1)
    with node(config) as process:
        watching = Watching(process.address, author.account)
        with children_reaped(watching.popen):
            assert watching.popen.stdout is not None
            watching.popen.stdout.close()
            async with connect(process.address, tls=False) as client:

                async def ended_after_one_more() -> bool:
                    post = author.post()
                    await client.put_records([(post.payload, post.signature)])
                    return watching.popen.poll() is not None

                await until(ended_after_one_more, what="the command to end", within_s=30)
            assert watching.popen.stderr is not None
            assert (watching.popen.returncode, watching.popen.stderr.read()) == (exit_codes.OK, b"")
            watching.popen.stderr.close()


async def test_the_command_shows_a_home_feed_while_those_who_keep_it_are_killed(tmp_path: Path) -> None:
    """It talks to the one node that does not keep the feed, and never hears of what happens to the others."""
    lay_out(tmp_path / "town", nodes=3, cluster__replicas=2, **FREE)
    cluster = LocalCluster.find(directory=tmp_path / "town")
    cluster.up()
    ann, ben = Author(1), Author(2)
    try:
        nodes = {each["id"]: each for each in cluster.ask("status")["nodes"]}
        async with connect([each["address"] for each in nodes.values()], tls=False) as client:
            follow = ann.record("follow", ben.account, {"on": True})
            await client.put_records([(follow.payload, follow.signature)], level="all")
            keepers = [each["node"] for each in (await client.where(ann.account))["replicas"]]
            [away] = [each for node_id, each in nodes.items() if node_id not in keepers]
            watching = Watching(away["address"], ann.account, "--home")
            with children_reaped(watching.popen):
                await _shown(watching, client, ben, "before")
                for number, keeper in enumerate(keepers):
                    name = nodes[keeper]["name"]
                    await trio.to_thread.run_sync(cluster.ask, "kill", [name])
                    await _shown(watching, client, ben, f"while {number} is away")
                    await trio.to_thread.run_sync(cluster.ask, "restart", [name])
                watching.popen.send_signal(signal.SIGINT)
                rest, errors = await trio.to_thread.run_sync(watching.popen.communicate)
            assert watching.popen.returncode == exit_codes.OK and errors == b""
            shown = "".join(watching.lines) + rest.decode()
            assert "may be missing" not in shown
            assert [shown.count(f"while {number} is away") for number in range(2)] == [1, 1]
    finally:
        cluster.down()


async def _shown(watching: Watching, client: Client, author: Author, text: str) -> None:
    """Post something, and wait until it is shown."""
    post = author.post(text)
    await client.put_records([(post.payload, post.signature)], level="one")
    await watching.shown(text)
