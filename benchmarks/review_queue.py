"""How long a moderator waits for all that waits for review, where few of many accounts have something there.

Method. A local cluster of three nodes with a policy that holds a word. 20,000 accounts have a post each;
those of 20 of them, picked at random, say the word. An operator asks one node for `moderation.held` at level
`quorum`, page by page until the last. Reported are the time of all pages and how many they were, and the
processor time that the three nodes took for it, which other programs change less; medians.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.data_directory import read_key
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.client import Client, ClientSettings, connect
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.record import Record

from benchmarks.harness import Cluster, Plan, local_cluster, median
from benchmarks.policy_activation import taken_s

ACCOUNTS: Final = 20_000
HELD: Final = 20
PUT_AT_ONCE: Final = 250
DEADLINE_S: Final = 60.0
POLICY: Final = """version = 1
name = "benchmark"
unicode = "14.0.0"
appeal = "Nobody."
[[lists]]
id = "words"
category = "test"
severity = 1
words = ["waitforme"]
[[rules]]
id = "found"
when = ["words"]
then = "hold"
reason = "Found."
"""


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as directory:
        policy = Path(directory) / "policy.toml"
        policy.write_text(POLICY)
        with local_cluster(3, settings=[f"gate.policy={policy}"]) as cluster:
            return trio.run(_measured, cluster, plan.repetitions)


def _posts() -> list[Record]:
    random = Random(1)
    now_us = time.time_ns() // 1000
    waiting = set(random.sample(range(ACCOUNTS), HELD))
    posts = []
    for number in range(ACCOUNTS):
        body = {"text": "waitforme" if number in waiting else "x" * 150}
        item = make_uuid7(now_us // 1000, random.getrandbits(74))
        author = KeyPair(random.randbytes(SEED_BYTES))
        posts.append(Record.sign(author, kind="post", item=item, body=body, stamp=now_us))
    return posts


async def _measured(cluster: Cluster, repetitions: int) -> dict[str, Any]:
    operator = read_key(cluster.operator_key_file)
    settings = ClientSettings(name="bench/1", carry_token=False, deadline_s=DEADLINE_S)
    async with connect([cluster.nodes[1].address], tls=False, settings=settings) as client:
        await client.auth(operator)
        await _put(client, _posts())
        took, spent, pages = [], [], 0
        for _ in range(repetitions):
            began_s, began = taken_s(cluster), trio.current_time()
            found, pages = await _all_pages(client)
            assert found == HELD
            took.append(1e3 * (trio.current_time() - began))
            spent.append(1e3 * (taken_s(cluster) - began_s))
    return {"ms": median(took), "processor_ms": median(spent), "pages": pages, "each_ms": took}


async def _put(client: Client, posts: list[Record]) -> None:
    for start in range(0, len(posts), PUT_AT_ONCE):
        records = [post.to_wire() for post in posts[start : start + PUT_AT_ONCE]]
        await client.call("record.put", {"records": records, "level": "all"})


async def _all_pages(client: Client) -> tuple[int, int]:
    """How many things wait, and on how many pages they came."""
    items = pages = 0
    asked: dict[str, Any] = {"level": "quorum"}
    while True:
        page = await client.call("moderation.held", asked)
        items, pages = items + len(page["items"]), pages + 1
        if page["cursor"] is None:
            return items, pages
        asked["cursor"] = page["cursor"]
