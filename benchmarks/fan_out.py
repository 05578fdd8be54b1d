"""What one post costs a node for each follower, and how fast projections are built anew.

Method. 2,000 accounts follow one author at one node. The author posts 100 times, then somebody whom nobody
follows does. Of both the node's processor time is taken (user and system, from /proc), from before the first
post until the last one is in home feeds (of the other: until as much time has passed); the difference,
divided by posts and followers, is what a follower costs. Then, at another node with 20,000 posts (100,000
with `--full`) of 500 authors of whom each follows four others, home feeds and tags are made anew, and the
time is what `projection rebuild` says. Loopback, TLS off.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random
from typing import Any

import trio
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.record import Record

from benchmarks.harness import Cluster, Node, Plan, local_cluster, median, presigned_posts
from benchmarks.home_page import follow, newest_of, put_all, wait_shown

FOLLOWERS = 2_000
POSTS = 100
TARGETS = {"us_per_follower": 25.0, "records_per_s": 5_000.0}
WRITERS = 500
SEED = 7
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def processor_s(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


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
        **_rebuilding(100_000 if plan.full else 20_000, plan.repetitions),
    }


def _rebuilding(posts: int, repetitions: int) -> dict[str, Any]:
    """How many posts a second projections are made anew of."""
    random = Random(SEED)
    writers = [
        KeyPair(random.randbytes(SEED_BYTES)) for _ in range(WRITERS)
    ]  # as `presigned_posts` draws them
    rates: dict[str, list[float]] = {"home": [], "tags": []}
    with local_cluster(1, regions="eu") as cluster:
        (node,) = cluster
        written = presigned_posts(posts, authors=WRITERS, seed=SEED)
        followed = [
            follow(who, writers[(number + step) % WRITERS].account)
            for number, who in enumerate(writers)
            for step in range(1, 5)
        ]
        trio.run(put_all, node, [*followed, *written])
        trio.run(wait_shown, node, writers[-2].account, _newest_for(writers, WRITERS - 2, written))
        for _ in range(repetitions):
            for name, measured in rates.items():
                measured.append(_rebuilt_per_s(cluster, node, name, posts))
    return {f"{name}_records_per_s": median(measured) for name, measured in rates.items()}


def _newest_for(writers: list[KeyPair], reader: int, written: list[Record]) -> Record:
    """What the home feed of one writer begins with."""
    followed = {writers[(reader + step) % WRITERS].account for step in range(1, 5)}
    return newest_of([record for record in written if record.author in followed])


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


def _rebuilt_per_s(cluster: Cluster, node: Node, name: str, posts: int) -> float:
    """How many posts a second a projection is made anew of."""
    told = cluster.operate(node, "projection", "rebuild", name)
    return float(posts / told["took_s"])
