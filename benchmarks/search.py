"""Searching 100,000 real posts on one node that is being written to.

Method. A node holds 100,000 posts (tweets and chat, shuffled, by 1,000 authors) and has indexed them. One
process asks for pages of 20, 50 a second at random moments whether or not earlier ones were answered: the
commonest words, words of random posts, two words of a post, two words in a row, beginnings; a fifth of them
with `best`. Meanwhile another process puts 200 posts a second, at `one`, which are indexed as well. Times are
from when a search was due until its answer was there; `quiet` is without writes, `processor_ms` what the node
spent on a search then. One node, loopback, TLS off.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import trio
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from folkmoot.protocol.search.tokens import tokens

from benchmarks.client import opened
from benchmarks.harness import Node, Plan, child, hear, local_cluster, median, percentile, say
from benchmarks.home_page import put_all

POSTS = 100_000
AUTHORS = 1_000
SEARCHES = 1_000
SEARCHED_PER_S = 50.0
PAGE_ITEMS = 20
WRITTEN_PER_S = 200
WRITTEN_S = 30
READY_S = 240.0
TARGETS = {"p99_ms": 20.0}
CORPORA = tuple(
    Path(__file__).parents[2] / "shared" / "data" / "social" / f"{name}.jsonl.gz"
    for name in ("ira_posts", "pheme_posts", "bluesky_posts", "ubuntu_irc_posts")
)


def texts() -> list[str]:
    """As many texts of the corpora, in an order that is always the same."""
    found = []
    for corpus in CORPORA:
        with gzip.open(corpus, "rt", encoding="utf-8") as lines:
            found += [json.loads(line)["text"][:3_000] for line in lines]
    Random(1).shuffle(found)
    return found[:POSTS]


def signed(said: list[str]) -> list[Record]:
    """A post of each text, a second apart, the last one a minute ago."""
    keys = [KeyPair(number.to_bytes(32, "big")) for number in range(1, AUTHORS + 1)]
    first_ms = int(time.time() * 1000) - 60_000 - len(said) * 1000
    return [
        Record.sign(
            keys[number % AUTHORS],
            kind="post",
            item=make_uuid7(first_ms + number * 1000, number),
            body={"text": text},
            stamp=(first_ms + number * 1000) * 1000,
        )
        for number, text in enumerate(said)
    ]


def queries(said: list[str]) -> list[dict[str, Any]]:
    """What is asked for; see the module."""
    random = Random(2)
    cut = [words for words in (tokens(text) for text in random.sample(said, 4_000)) if len(words) > 3]
    common = [word for word, _ in Counter(word for words in cut for word in set(words)).most_common(30)]
    asked = []
    for number in range(SEARCHES):
        words = random.choice(cut)
        at = random.randrange(len(words) - 1)
        query = (
            random.choice(common),
            random.choice(words),
            " ".join(random.sample(words, 2)),
            f'"{words[at]} {words[at + 1]}"',
            f"{max(words, key=len)[:5]}*",
        )[number % 5]
        asked.append({"query": query, "limit": PAGE_ITEMS, "best": number // 5 % 5 == 0})
    random.shuffle(asked)
    return asked


async def searched(node: Node, asked: list[dict[str, Any]], rate: float) -> list[float]:
    """How long after it was due each was answered, in milliseconds; so many a second are due, at random."""
    random = Random(3)
    took_ms: list[float] = []

    async def ask(link: Link, params: dict[str, Any], due: float) -> None:
        page = await link.call("search.posts", params)
        took_ms.append(1000 * (trio.current_time() - due))
        assert page["covered"]["ranges"] == page["covered"]["of"], page["covered"]

    async with trio.open_nursery() as nursery:
        link = await opened(node.host, node.port, nursery)
        due = trio.current_time()
        async with trio.open_nursery() as asking:
            for params in asked:
                due += random.expovariate(rate)
                await trio.sleep_until(due)
                asking.start_soon(ask, link, params, due)
        nursery.cancel_scope.cancel()
    return took_ms


def processor_s(pid: int) -> float:
    """How many seconds of processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def wait_indexed(node: Node) -> None:
    """Wait until the index is at the end of the log."""
    async with trio.open_nursery() as nursery:
        link = await opened(node.host, node.port, nursery)
        with trio.fail_after(READY_S):
            while True:
                try:
                    page = await link.call("search.posts", {"query": "the", "limit": 1})
                    if page["lag_ms"] == 0:
                        break
                except WireError:
                    pass
                await trio.sleep(0.1)
        nursery.cancel_scope.cancel()


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    missing = [corpus.name for corpus in CORPORA if not corpus.exists()]
    if missing:
        return {"skipped": f"not in shared/data/social beside the checkout: {', '.join(missing)}"}
    said = texts()
    asked = queries(said)
    p50: list[float] = []
    p99: list[float] = []
    quiet: list[float] = []
    processor: list[float] = []
    with local_cluster(1, regions="eu") as (node,):
        began = time.perf_counter()
        trio.run(put_all, node, signed(said))
        put_s = time.perf_counter() - began
        trio.run(wait_indexed, node)
        indexed_s = time.perf_counter() - began
        size = sum(file.stat().st_size for file in (node.data / "search").iterdir())
        for _ in range(plan.repetitions):
            used = processor_s(node.pid)
            quiet.append(percentile(trio.run(searched, node, asked, SEARCHED_PER_S), 0.99))
            processor.append(1000 * (processor_s(node.pid) - used) / len(asked))
            where = (node.host, str(node.port), "one", str(WRITTEN_PER_S), str(WRITTEN_S), str(len(p99) + 10))
            with child("client", "paced", *where) as writer:
                hear(writer)
                say(writer, "go")
                time.sleep(1.0)
                took_ms = trio.run(searched, node, asked, SEARCHED_PER_S)
                p50.append(percentile(took_ms, 0.5))
                p99.append(percentile(took_ms, 0.99))
    return {
        "targets": TARGETS,
        "p99_ms": median(p99),
        "p50_ms": median(p50),
        "p99s_ms": p99,
        "quiet_p99s_ms": quiet,
        "processor_ms": processor,
        "put_s": put_s,
        "indexed_s": indexed_s,
        "index_bytes": size,
    }
