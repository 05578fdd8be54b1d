"""What one post costs a node for each follower, and how fast projections are built anew.

Method. 2,000 accounts follow one author at one node. The author posts 100 times, then somebody whom nobody
follows does. Of both the node's processor time is taken (user and system, from /proc), from before the first
post until the last one is in home feeds (of the other: until as much time has passed); the difference,
divided by posts and followers, is what a follower costs. Then, at another node, each projection is built
anew: see `rebuilds`. Loopback, TLS off.
"""

from __future__ import annotations

import time
from random import Random
from typing import Any

import trio
from folkmoot.protocol.identity import SEED_BYTES, KeyPair

from benchmarks import rebuilds
from benchmarks.harness import Node, Plan, local_cluster, median, presigned_posts
from benchmarks.home_page import follow, newest_of, put_all, wait_shown
from benchmarks.rebuilds import processor_s

FOLLOWERS = 2_000
POSTS = 100
TARGETS = {"us_per_follower": 25.0, "records_per_s": 5_000.0}


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    random = Random(1)
    fans = [KeyPair(random.randbytes(SEED_BYTES)) for _ in range(FOLLOWERS)]
    costs_us: list[float] = []
    with local_cluster(1, regions="eu", settings=("feeds.followers_max=5000",)) as (node,):
        first = presigned_posts(POSTS, authors=1, seed=100)
        trio.run(put_all, node, [*(follow(fan, first[0].author) for fan in fans), *first])
        trio.run(wait_shown, node, fans[-1].account, newest_of(first))
        for number in range(plan.repetitions):
            costs_us.append(_cost_us(node, fans[-1].account, number))
    return {
        "targets": TARGETS,
        "us_per_follower": median(costs_us),
        "us_per_follower_all": costs_us,
        **rebuilds.run(plan),
    }


def _cost_us(node: Node, fan: bytes, number: int) -> float:
    """Microseconds of processor time for one post and follower."""
    # The same generator makes the same author, at later times.
    followed = presigned_posts(POSTS, authors=1, seed=100)
    before_s, began = processor_s(node.pid), time.monotonic()
    trio.run(put_all, node, followed)
    trio.run(wait_shown, node, fan, newest_of(followed))
    took_s = time.monotonic() - began
    busy_s = processor_s(node.pid) - before_s
    before_s, began = processor_s(node.pid), time.monotonic()
    trio.run(put_all, node, presigned_posts(POSTS, authors=1, seed=200 + number))
    while time.monotonic() - began < took_s:
        time.sleep(0.05)
    idle_s = processor_s(node.pid) - before_s
    return 1e6 * (busy_s - idle_s) / (POSTS * FOLLOWERS)
