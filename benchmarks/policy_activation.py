"""How soon after its activation a rule is live on every node of a local cluster of seven.

Method. A policy of 10,000 words is activated at one node, by the method that `folkmoot policy activate` asks
for; the time begins before the question is sent. From then on each node is sent one post after the other at
level `one`, each with the last of the words; a rule is live on a node once it has labelled one. What is
reported is the time of the last node, and of the activation's own answer; and the processor time that the
nodes together took until then, which other programs change less: divided by the machine's cores it is what an
idle machine needs at the least. Each time the word is another, so
that no label can come of a policy before it. The document has been put to the node beforehand, and is on no
other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.data_directory import read_key
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.client import Client, ClientSettings, connect
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.record import Record

from benchmarks.harness import Cluster, Plan, local_cluster, median
from benchmarks.rebuilds import processor_s

NODES: Final = 7
WORDS: Final = 10_000
TARGET_S: Final = 2.0
PATIENCE_S: Final = 30.0
PAUSE_S: Final = 0.02  # between two posts to one node, so that asking does not take the processors


def document(word: str) -> bytes:
    """A policy that labels posts with a word, the last of many."""
    random = Random(1)
    words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=10)) for _ in range(WORDS - 1)]
    return (
        'version = 1\nname = "benchmark"\nunicode = "14.0.0"\nappeal = "Nobody."\n'
        '[[lists]]\nid = "words"\ncategory = "test"\nseverity = 1\n'
        f"words = {json.dumps([*words, word])}\n"
        '[[rules]]\nid = "found"\nwhen = ["words"]\nthen = "label"\nlabel = "found"\nreason = "Found."\n'
    ).encode()


async def wait_live(client: Client, word: str, seed: int) -> float:
    """Post until a post with the word is labelled; when that was, on trio's clock."""
    random = Random(seed)
    writer = KeyPair(random.randbytes(SEED_BYTES))
    while True:
        now_us = time.time_ns() // 1000
        item = make_uuid7(now_us // 1000, random.getrandbits(74))
        post = Record.sign(writer, kind="post", item=item, body={"text": f"It says {word}."}, stamp=now_us)
        answer = await client.call("record.put", {"records": [post.to_wire()], "level": "one"})
        if "verdict" in answer["results"][0]:
            return trio.current_time()
        await trio.sleep(PAUSE_S)


async def previewed(client: Client, name: bytes) -> bytes:
    """The hash of a preview of a document over few posts: it is not what is measured."""
    while True:
        told = await client.call("policy.preview", {"hash": name, "posts": 1})
        if told["report"] is not None:
            found: bytes = told["report"]["preview"]
            return found


async def measure(addresses: Sequence[str], operator: KeyPair, turn: int) -> tuple[float, float]:
    """Activate a policy once; seconds until it was answered, and until it was live on all nodes."""
    word = f"word{turn}of{turn + 7}things"
    settings = ClientSettings(name="bench/1", carry_token=False, deadline_s=PATIENCE_S)
    live_at: list[float] = []

    async def watch(address: str, number: int) -> None:
        async with connect([address], tls=False, settings=settings) as client:
            live_at.append(await wait_live(client, word, NODES * turn + number))

    async with connect([addresses[0]], tls=False, settings=settings) as client:
        await client.auth(operator)
        name = (await client.call("policy.put", {"document": document(word)}))["hash"]
        preview = await previewed(client, name)
        replaces = (await client.call("policy.status", {}))["policy"]["epoch"]
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for number, address in enumerate(addresses):
                    nursery.start_soon(watch, address, number)
                began = trio.current_time()
                await client.call("policy.activate", {"hash": name, "replaces": replaces, "preview": preview})
                answered = trio.current_time()
        status = await client.call("policy.status", {})
        assert status["acknowledged"] == NODES, status
    return answered - began, max(live_at) - began


def taken_s(cluster: Cluster) -> float:
    """Seconds of processor time that all nodes have taken."""
    return sum(processor_s(node.pid) for node in cluster)


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    with local_cluster(NODES) as cluster:
        return _run(cluster, plan)


def _run(cluster: Cluster, plan: Plan) -> dict[str, Any]:
    operator = read_key(cluster.operator_key_file)
    addresses = [node.address for node in cluster]
    turns: list[tuple[float, float]] = []
    processor: list[float] = []
    for turn in range(plan.repetitions):
        before_s = taken_s(cluster)
        turns.append(trio.run(measure, addresses, operator, turn))
        processor.append(taken_s(cluster) - before_s)
    live = [everywhere for _, everywhere in turns]
    return {
        "target_live_everywhere_s_at_most": TARGET_S,
        "live_everywhere_s": median(live),
        "answered_s": median([answered for answered, _ in turns]),
        "worst_live_everywhere_s": max(live),
        "live_everywhere_s_all": live,
        "processor_s": median(processor),
    }
