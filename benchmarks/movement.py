"""What clients feel while ranges move, and how long it takes to make a dead node's copies anew.

Method. A cluster of four real nodes in three regions, loopback, TLS off, one copy of everything a region, so
that the two nodes of the first region share its 64 slots; some tens of thousands of posts are in it. The
saturation rate is measured at level `quorum` as `quorum_latency` does it.

*Moved*: a node of another region is sent single posts at half the saturation rate, in turns of two seconds.
A turn with nothing on the move is quiet. Then the second node of the first region is drained, so that half
of the region's slots move, and every turn that lay wholly within the move counts; then it joins again, and
they move back: that is one repetition. A turn gives one p99, and the ratio is of the medians of moving and
quiet turns. Posts that were not stored are counted: there are to be none.

*Replaced*: nobody sends anything. The second node of the first region is killed, `node replace` gives it up,
and the seconds count until every copy has been made anew from those of other regions. The operator names the
dead node and computes nothing. One repetition: a node dies once.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import Any

from benchmarks.harness import Cluster, Plan, local_cluster, median, percentile, report_of
from benchmarks.quorum_latency import saturation

TARGETS = {"ratio_at_most": 3.0, "unstored": 0}
NODES = 4
MOVING = "eu-2"
TURN_S = 2.0
POSTS = 20_000
POSTS_FULL = 100_000
BATCH, WINDOW = 100, 8


class _Turns:
    """Turns of a client that sends at half the saturation rate to a node which nothing is moved from or to.

    Args:
        cluster: with the posts in it.
        rate: posts a second.
    """

    def __init__(self, cluster: Cluster, rate: float) -> None:
        self._cluster = cluster
        self._rate = rate
        self._seeds = itertools.count(1)
        self.unstored: Counter[str] = Counter()

    def one(self) -> float:
        """The p99 of one turn, in milliseconds."""
        node = self._cluster.nodes[1]
        arrivals = (f"{self._rate:.1f}", str(TURN_S), str(next(self._seeds)))
        answered = report_of("client", "paced", node.host, str(node.port), "quorum", *arrivals)
        self.unstored.update(answered["unstored"])
        return percentile(answered["latencies_ms"], 0.99)

    def during(self, change: str) -> list[float]:
        """The p99 of each turn that lay wholly within the move which a change of the roster brings about."""
        self._cluster.operate(self._cluster.nodes[1], "node", change, MOVING, "--no-wait")
        found: list[float] = []
        while True:
            p99_ms = self.one()
            if not self._cluster.operate(self._cluster.nodes[1], "ring", "plan")["plan"]["count"]:
                return found
            found.append(p99_ms)


def moved(cluster: Cluster, repetitions: int) -> dict[str, Any]:
    """What clients feel while half the slots of a region move."""
    saturated = saturation(cluster.nodes[1])
    turns = _Turns(cluster, saturated / 2)
    quiet: list[float] = []
    moving: list[float] = []
    for _ in range(repetitions):
        for change in ("drain", "join"):
            quiet.append(turns.one())
            moving.extend(turns.during(change))
    if not moving:
        raise RuntimeError("every move was over before a turn was: more posts are needed to measure it")
    return {
        "ratio": median(moving) / median(quiet),
        "unstored": turns.unstored.total(),
        "unstored_by_reason": dict(turns.unstored),
        "saturation_posts_per_s": saturated,
        "offered_posts_per_s": saturated / 2,
        "quiet_p99_ms": median(quiet),
        "moving_p99_ms": median(moving),
        "quiet_p99_ms_all": quiet,
        "moving_p99_ms_all": moving,
    }


def replaced(cluster: Cluster) -> dict[str, Any]:
    """How long it takes until what a dead node kept has as many copies as before."""
    cluster.kill(MOVING)
    began = time.perf_counter()
    report = cluster.operate(cluster.nodes[1], "node", "replace", MOVING)
    seconds = time.perf_counter() - began
    if report["left"]:
        raise RuntimeError(f"the node was not replaced: {report['reasons']}")
    return {
        "seconds": seconds,
        "changes": report["made"],
        "cells": report["cells"],
        "mb": report["bytes"] / 1e6,
        "cells_per_s": report["cells"] / seconds,
    }


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module. A full run moves more posts."""
    with local_cluster(NODES) as cluster:
        first = cluster.nodes[0]
        posts = POSTS_FULL if plan.full else POSTS
        report_of(
            *("client", "puts", first.host, str(first.port), "quorum"),
            *(str(posts), str(BATCH), str(WINDOW), "0"),
        )
        return {
            "targets": TARGETS,
            "posts": posts,
            "moved": moved(cluster, plan.repetitions),
            "replaced": replaced(cluster),
        }
