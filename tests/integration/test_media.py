"""Media in a cluster of real processes: killed in the middle of an upload, read elsewhere, and given up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from folkmoot.cli.cluster.layout import ClusterDirectory
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.media.manifest import CHUNK_BYTES

from tests.integration.processes import Process, client, lay_out, node
from tests.media import pictures
from tests.media.uploading import begin, finish, post_with, read, send
from tests.node.harness import Client
from tests.node.people import Author
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

NAMES = ("ap-1", "eu-1", "us-1")
DATA = pictures.png(40 * CHUNK_BYTES + 9)
MANIFEST = pictures.of(DATA)
PARTS = pictures.chunks(DATA, MANIFEST)
IMPATIENT: dict[str, Any] = {
    "media__sweep_minutes": 0.01,
    "media__unused_hours": 0.0005,
    "media__grace_hours": 0,
}


def start(stack: ExitStack, town: ClusterDirectory, name: str, *others: Process) -> Process:
    """Start one node that knows some others."""
    seeds = json.dumps([process.ready["peers"] for process in others])
    return stack.enter_context(node(town.config_file(name), "--set", f"cluster.seeds={seeds}"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def files(town: ClusterDirectory, area: str = "kept") -> dict[str, int]:
    """By node, how many media lie in an area of its directory."""
    folder = MANIFEST.hash.hex()
    return {name: len(list((town.data(name).path / "media" / area).rglob(folder))) for name in NAMES}


async def test_an_upload_outlives_kills_and_what_nothing_shows_is_given_up(
    tmp_path: Path, stack: ExitStack
) -> None:
    town = lay_out(tmp_path, nodes=3, **IMPATIENT)
    author, sent = Author(3), Random(1).sample(range(len(PARTS)), 17)
    first = start(stack, town, NAMES[0])
    others = [start(stack, town, name, first) for name in NAMES[1:]]
    async with client(first.address) as asking:
        await asking.auth(author)
        await ready(asking)
        for index in sent:
            await asking.call("media.put", hash=MANIFEST.hash, index=index, data=PARTS[index])
    first.kill()
    first = start(stack, town, NAMES[0], *others)
    async with client(first.address) as asking:
        await asking.auth(author)
        assert await ready(asking) == sorted(sent), "what had come is still there"
        others[0].kill()
        await send(asking, DATA, MANIFEST)
        told = await finish(asking, MANIFEST)
        assert told["achieved"]["acks"] >= 2
        post = post_with(author, MANIFEST)
        assert (await asking.put_one(post))["status"] == "stored"
    others[0] = start(stack, town, NAMES[1], first, others[1])
    await until(lambda: set(files(town).values()) == {1}, what="all three to have it", within_s=60)
    async with client(others[0].address) as asking:
        assert await read(asking, author.account, MANIFEST.hash) == DATA
        assert (await asking.put_one(author.deletion(post)))["status"] == "stored"
    await until(lambda: set(files(town).values()) == {0}, what="all three to give it up", within_s=60)


async def ready(asking: Client) -> list[int]:
    """Begin the upload, once the node reaches a replica; what is there."""

    async def begun() -> list[list[int]]:
        try:
            return [(await begin(asking, MANIFEST))["have"]]
        except WireError as error:
            assert error.kind.retryable, error
            return []

    [have] = await until(begun, what="the upload to begin", within_s=30)
    return have
