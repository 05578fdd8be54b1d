"""The life of one node as a process: told to reload, told to stop, out of disk."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.cli import exit_codes
from folkmoot.protocol.client.link_terms import LinkBroken
from folkmoot.protocol.record import Record

from tests.integration.processes import client, fails, lay_out, node
from tests.node.harness import Client
from tests.node.people import Author
from tests.waiting import until

pytestmark = pytest.mark.cluster

FREE: dict[str, Any] = {"gate__account_burst": 1_000_000, "gate__address_burst": 1_000_000}
POLICY = """
version = 1
name = "picky"
unicode = "14.0.0"
appeal = "Ask the town clerk."
[[lists]]
id = "words"
category = "test"
severity = 1
words = ["parsnip"]
[[rules]]
id = "no-parsnips"
when = ["words"]
then = "refuse"
reason = "Parsnips are not spoken of."
"""


def config_in(directory: Path, **settings: Any) -> Path:
    return lay_out(directory / "town", **settings).config_file("eu-1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_a_signal_drains_and_ends_with_0(tmp_path: Path, number: signal.Signals) -> None:
    """What was accepted is answered, what was acknowledged is there, and the client is told goodbye."""
    config, author = config_in(tmp_path, **FREE), Author(1)
    acknowledged: list[Record] = []
    with node(config) as process:
        async with client(process.address) as asker:

            async def write() -> None:
                while asker.session.link.ended is None:
                    records = [author.post() for _ in range(20)]
                    try:
                        results, _ = await asker.put(*records)
                    except LinkBroken:
                        return
                    assert {result["status"] for result in results} == {"stored"}
                    acknowledged.extend(records)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(write)
                await until(lambda: len(acknowledged) > 100, what="writes to be acknowledged")
                process.send(number)
            ended = asker.session.link.ended
            assert ended is not None and ended.goodbye is not None
            assert ended.goodbye.kind.name == "shutting_down"
        assert await trio.to_thread.run_sync(process.wait) == 0
        assert "Traceback" not in process.log
    with node(config) as process:
        async with client(process.address) as asker:
            for record in acknowledged:
                assert await asker.get(record) is not None
        assert process.end() == 0


async def test_an_idle_client_does_not_keep_a_node_from_ending(tmp_path: Path) -> None:
    with node(config_in(tmp_path)) as process:
        silent = [await trio.open_tcp_stream(*_split(process.address)) for _ in range(20)]
        with trio.fail_after(20):
            process.send(signal.SIGTERM)
            assert await trio.to_thread.run_sync(process.wait) == 0
        for stream in silent:
            await trio.aclose_forcefully(stream)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


async def test_sighup_applies_a_changed_configuration_or_refuses_it_whole(tmp_path: Path) -> None:
    config = config_in(tmp_path, **FREE)
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    before = config.read_text()
    with node(config) as process:
        async with client(process.address) as asker:

            async def outcome() -> str:
                return str((await asker.put_one(Author(1).post("a parsnip")))["status"])

            async def becomes(wanted: str) -> None:
                process.send(signal.SIGHUP)

                async def is_so() -> bool:
                    return await outcome() == wanted

                await until(is_so, what=f"parsnips to be {wanted}")

            assert await outcome() == "stored"
            config.write_text(before.replace("[gate]", f'[gate]\npolicy = "{policy}"'))
            await becomes("refused")

            config.write_text(before.replace("[gate]", "[gaet]"))
            process.send(signal.SIGHUP)
            await until(lambda: "reload refused" in process.log, what="the typo to be reported")
            assert f"{config}:" in process.log and "did you mean gate?" in process.log
            assert await outcome() == "refused", "the old configuration stays in force"

            config.write_text(before)
            await becomes("stored")
        assert process.end() == 0


async def test_a_full_disk_refuses_writes_and_nothing_else(tmp_path: Path) -> None:
    """Writes are refused at 90 % of the cap; reads and deletions go on, and make room again."""
    config = config_in(tmp_path, store__disk_cap="16MiB", **FREE)
    author = Author(1)
    with node(config) as process:
        async with client(process.address) as asker:
            kept = await _fill(asker, author)
            usage = (await asker.call("cluster.status"))["node"]["store"]
            assert 0.85 < usage["live_bytes"] / usage["cap_bytes"] <= 0.98
            assert await asker.get(kept[0]) is not None
            assert len(await asker.feed(author.account)) > 0
            for record in kept[:200]:
                result = await asker.put_one(author.deletion(record))
                assert result["status"] == "stored", result

            async def room() -> bool:
                return bool((await asker.put_one(author.post("small again")))["status"] == "stored")

            await until(room, what="room for writes again")
        assert process.end() == 0
    with node(config) as process:
        async with client(process.address) as asker:
            assert await asker.get(kept[-1]) is not None
            cell = await asker.get(kept[0])
            assert cell is not None and cell["deleted"] is True
        assert process.end() == 0


async def _fill(asker: Client, author: Author) -> list[Record]:
    """Write until the disk is full; what was kept."""
    kept: list[Record] = []
    for _ in range(100):
        body = {"text": "x", "pad": bytes(15_000)}
        records = [author.record("post", author.item(), body) for _ in range(40)]
        results, _ = await asker.put(*records)
        kept += [r for r, result in zip(records, results, strict=True) if result["status"] == "stored"]
        refused = [result["error"] for result in results if result["status"] == "refused"]
        if refused:
            assert {(error["name"], error["code"]) for error in refused} == {("disk_full", 404)}
            assert all(error["retryable"] for error in refused)
            return kept
    raise AssertionError("the disk never filled")


def test_a_newcomer_of_another_cluster_ends_with_a_sentence(tmp_path: Path) -> None:
    stranger = config_in(tmp_path / "stranger")
    stranger.write_text(
        '[node]\nname = "stranger"\n[cluster]\nid = "village"\n[tls]\nmode = "off"\n'
        '[gossip]\nprofile = "loopback"\n'
    )
    with node(config_in(tmp_path / "home")) as process:
        ended = fails(stranger, "--seed", process.ready["peers"])
        assert ended.code == exit_codes.FAILED
        assert ended.error["name"] == "turned_away"
        assert "of cluster 'village', this one of 'town'" in ended.error["message"]
        assert process.end() == 0
