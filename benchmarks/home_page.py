"""Pages of a home feed, against pages of one author's feed.

Method. A node has 2,000 posts of 20 authors, all of whom one account follows, and 2,000 posts of one author.
One client process asks for pages of 50, on 16 connections that each wait for a page before they ask for the
next: `feed.author` of the one, `feed.home` of the other, in turn. One node, loopback, TLS off, level `one`.
"""

from __future__ import annotations

import time
from typing import Any

import trio
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

from benchmarks.client import opened, windowed
from benchmarks.harness import Node, Plan, local_cluster, median, percentile, presigned_posts, report_of

POSTS = 2_000
AUTHORS = 20
PAGES = 3_200
CONNECTIONS = 16
PAGE_ITEMS = 50
READY_S = 60.0
TARGETS = {"rate_ratio": 0.5, "p99_ratio": 3.0}
READER = KeyPair(bytes(31) + b"\1")


def follow(who: KeyPair, whom: bytes) -> Record:
    """A follow, made now."""
    return Record.sign(who, kind="follow", item=whom, body={"on": True}, stamp=time.time_ns() // 1000)


def newest_of(posts: list[Record]) -> Record:
    """The post that a feed begins with."""
    return max(posts, key=lambda record: record.item)


async def put_all(node: Node, records: list[Record]) -> None:
    """Put records at one node, 250 at a time."""
    requests = [
        {"records": [record.to_wire() for record in records[start : start + 250]], "level": "one"}
        for start in range(0, len(records), 250)
    ]
    async with trio.open_nursery() as nursery:
        link = await opened(node.host, node.port, nursery)
        await windowed(link, "record.put", requests, 2)
        nursery.cancel_scope.cancel()


async def wait_shown(node: Node, account: bytes, newest: Record) -> None:
    """Wait until a home feed begins with a post."""
    async with trio.open_nursery() as nursery:
        link = await opened(node.host, node.port, nursery)
        with trio.fail_after(READY_S):
            while True:
                page = await link.call("feed.home", {"account": account, "limit": 1})
                if page["items"] and page["items"][0]["record"][0] == newest.payload:
                    break
                await trio.sleep(0.02)
        nursery.cancel_scope.cancel()


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    many, one = presigned_posts(POSTS, authors=AUTHORS), presigned_posts(POSTS, authors=1, seed=2)
    follows = [follow(READER, author) for author in sorted({record.author for record in many})]
    rates: dict[str, list[float]] = {"author": [], "home": []}
    tails: dict[str, list[float]] = {"author": [], "home": []}
    with local_cluster(1, regions="eu") as (node,):
        trio.run(put_all, node, [*follows, *many, *one])
        trio.run(wait_shown, node, READER.account, newest_of(many))
        asked = {"author": one[0].author, "home": READER.account}
        for _ in range(plan.repetitions + 1):
            for name, account in asked.items():
                where = (node.host, str(node.port), f"feed.{name}", account.hex())
                told = report_of("client", "feeds", *where, str(PAGES), str(CONNECTIONS))
                rates[name].append(told["pages"] / told["seconds"])
                tails[name].append(percentile(told["latencies_ms"], 0.99))
    for values in (*rates.values(), *tails.values()):
        del values[0]  # the first round warms up
    return {
        "targets": TARGETS,
        "rate_ratio": median(rates["home"]) / median(rates["author"]),
        "p99_ratio": median(tails["home"]) / median(tails["author"]),
        "home_pages_per_s": rates["home"],
        "author_pages_per_s": rates["author"],
        "home_p99_ms": tails["home"],
        "author_p99_ms": tails["author"],
    }
