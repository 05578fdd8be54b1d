"""How fast each projection of a node is built anew; a part of `fan_out`.

Method. A node has 20,000 posts (100,000 with `--full`) of 500 authors, of whom each follows four others: half
of the posts have two tags, half answer another post, a quarter name somebody; and a third as many each of
likes, reposts and bookmarks. Each projection is built anew in turn. A record is a cell that the projection is
made of (of search a post); a post or repost goes into four inboxes. The time is what `projection rebuild`
says, which looks every 0.2 s; and the node's processor time, from /proc, which other programs change less.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random
from subprocess import CalledProcessError
from typing import Any, Final

import trio
from folkmoot.cli.commands.projection import NAMES
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.projections.entries import LOOKS_AT, Projection
from folkmoot.protocol.record import Record

from benchmarks.harness import Cluster, Node, Plan, local_cluster, median
from benchmarks.home_page import follow, put_all

WRITERS: Final = 500
FOLLOWED: Final = 4  # by each
TAGS: Final = 300
SEED: Final = 7
RANDOM_BITS: Final = 74  # of a UUIDv7
READY_S: Final = 300.0
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
REACTIONS: Final = ("like", "repost", "bookmark")


def processor_s(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    written = _written(100_000 if plan.full else 20_000)
    rates: dict[str, list[float]] = {name: [] for name in NAMES}
    by_processor: dict[str, list[float]] = {name: [] for name in NAMES}
    with local_cluster(1, regions="eu") as cluster:
        (node,) = cluster
        trio.run(put_all, node, written)
        _wait_applied(cluster, node, len({record.key for record in written}))
        for _ in range(plan.repetitions):
            for name in NAMES:
                records = _records_of(name, written)
                before_s = processor_s(node.pid)
                rates[name].append(records / cluster.operate(node, "projection", "rebuild", name)["took_s"])
                by_processor[name].append(records / (processor_s(node.pid) - before_s))
    entries_per_record = FOLLOWED * sum(each.kind in ("post", "repost") for each in written)
    return {
        "records_per_s": {name: median(measured) for name, measured in rates.items()},
        "records_per_processor_s": {name: median(measured) for name, measured in by_processor.items()},
        "home_entries_per_s": median(rates["home"]) * entries_per_record / _records_of("home", written),
    }


def _records_of(name: str, written: list[Record]) -> int:
    """How many of the records a projection is made of."""
    known = {each.word: LOOKS_AT[each] for each in Projection}
    kinds = known.get(name, frozenset({"post"}))
    return sum(record.kind in kinds for record in written)


def _written(count: int) -> list[Record]:
    """What there is at the node; see the module."""
    random = Random(SEED)
    writers = [KeyPair(random.randbytes(SEED_BYTES)) for _ in range(WRITERS)]
    first_us = time.time_ns() // 1000 - 3 * count
    records = [
        follow(who, writers[(number + step) % WRITERS].account)
        for number, who in enumerate(writers)
        for step in range(1, FOLLOWED + 1)
    ]
    posts: list[Record] = []
    for number in range(count):
        body: dict[str, Any] = {"text": "x" * 75}
        if number % 2 == 0:
            body["tags"] = [f"tag{random.randrange(TAGS)}" for _ in range(2)]
        elif posts:
            body["reply_to"] = _ref(random.choice(posts))
        if number % 4 == 2:
            body["mentions"] = [random.choice(writers).account]
        stamp = first_us + number
        item = make_uuid7(stamp // 1000, random.getrandbits(RANDOM_BITS))
        who = writers[number % WRITERS]
        posts.append(Record.sign(who, kind="post", item=item, body=body, stamp=stamp))
    reactions = {}
    for number in range(count):
        who, post = random.choice(writers), random.choice(posts)
        record = _reaction(REACTIONS[number % len(REACTIONS)], who, post, first_us + count + number)
        reactions[record.key] = record
    return [*records, *posts, *reactions.values()]


def _ref(post: Record) -> dict[str, bytes]:
    return {"author": post.author, "item": post.item}


def _reaction(kind: str, who: KeyPair, post: Record, stamp: int) -> Record:
    if kind == "bookmark":
        return Record.sign(who, kind=kind, item=post.author + post.item, body={"on": True}, stamp=stamp)
    item = post.item + who.account
    return Record.sign(who, kind=kind, item=item, body={"on": True}, stamp=stamp, place=post.author)


def _wait_applied(cluster: Cluster, node: Node, cells: int) -> None:
    """Wait until everything has been made into projections once.

    Raises:
        TimeoutError: that took too long.
    """
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            told = cluster.operate(node, "projection", "ls")
        except CalledProcessError:  # it is far behind yet
            continue
        if told["applied"] >= cells and told["lag_ms"] < 1_000 and told["search"]["lag_ms"] == 0:
            return
    raise TimeoutError("projections have not caught up")
