"""What others feel while an author at the top of a real follow graph posts.

Method. Of the graph of `epinions_trust` one node keeps the follows of two authors and all follows of 100 of
their followers, the *readers*. One author is at the top: 3,035 follow them, so they are merged when pages are
built. The other is the next one, given followers up to 2,000, the most that are fanned out to. Others are
the accounts whom readers follow, 200 of which post, and the readers, who ask for home pages of 50.

How many single posts, and how many home pages, the node takes is measured first, each alone; then there is a
quarter of either, which is half of what the node can do, due at exponentially distributed times whether or
not earlier ones are answered. A latency counts from when a request was due. Turns of four seconds follow each
other, one of each sort a repetition: *quiet*; an author posts once every second (*steady*); an author posts
20 times at once (*burst*). A turn gives one p99 of posts and one of pages, and a ratio is that of its
median to the quiet one's. What the two authors post is not counted; how late it is in the home feed of a
follower who is among the last to get it is told besides. One node, loopback, TLS off; one client process.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgpack
import trio
from folkmoot.cli.bench.graph import FollowGraph, read_graph
from folkmoot.cli.bench.mixes import Action
from folkmoot.cli.bench.people import People
from folkmoot.cli.bench.replay import Due, Replay
from folkmoot.protocol.client import ClientSettings, connect
from folkmoot.protocol.record import Record

from benchmarks.client import wait_for_the_word
from benchmarks.harness import Node, Plan, local_cluster, median, percentile, report_of
from benchmarks.home_page import PAGE_ITEMS, put_all, wait_shown
from benchmarks.quorum_latency import saturation
from benchmarks.visible import Watch

GRAPH = Path(__file__).parents[2] / "shared" / "data" / "graph" / "epinions_trust.tsv.gz"
TOP, NEXT = 0, 1  # by how many follow them
FANNED_OUT_TO = 2_000
READERS = 100
WRITERS = 200
POSTS = 2_000
PAGES = 3_200
CONNECTIONS = 16
LOADED_CONNECTIONS = 4
SHARE = 1 / 4
LEVEL = "quorum"
TURN_S = 4.0
BURST = [1.0] * 20
STEADY = [0.5, 1.5, 2.5, 3.5]
TURNS: dict[str, tuple[int | None, list[float]]] = {
    "quiet": (None, []),
    "top_steady": (TOP, STEADY),
    "top_burst": (TOP, BURST),
    "fanned_out_steady": (NEXT, STEADY),
    "fanned_out_burst": (NEXT, BURST),
}
TARGETS = {"ratio_at_most": 2.0}
SEED = 7


class Crowd(NamedTuple):
    """Who takes part, by rank.

    Args:
        people: everybody.
        follows: (follower, followee) each.
        readers: who ask for pages.
        writers: who post.
        last: of those who follow the two authors and nobody else, who gets last what the second one posts.
    """

    people: People
    follows: list[tuple[int, int]]
    readers: list[int]
    writers: list[int]
    last: int


def crowd_of(graph: FollowGraph, random: Random) -> Crowd:
    """Draw it from the graph."""
    every = list(graph.edges(0, len(graph)))
    people = People(SEED, graph)
    fans = {author: [one for one, other in every if other == author] for author in (TOP, NEXT)}
    others = sorted(set(range(2, graph.accounts)).difference(fans[NEXT]))
    added = random.sample(others, FANNED_OUT_TO - len(fans[NEXT]))
    readers = random.sample(sorted({*fans[TOP], *fans[NEXT]} - {TOP, NEXT}), READERS)
    theirs = [(one, other) for one, other in every if one in set(readers) and other not in fans]
    follows = [*((one, author) for author, each in fans.items() for one in each), *theirs]
    follows += [(one, NEXT) for one in added]
    writers = random.sample(sorted({other for _, other in theirs} - set(readers)), WRITERS)
    both = set(added).intersection(fans[TOP]).difference(readers)
    return Crowd(people, follows, readers, writers, max(both, key=lambda one: people.key(one).account))


class Load:
    """What is asked of a node, turn by turn.

    Args:
        crowd: who asks.
        random: draws who does what when.
        posts_per_s, pages_per_s: at which rates.
    """

    def __init__(self, crowd: Crowd, random: Random, posts_per_s: float, pages_per_s: float) -> None:
        self._crowd = crowd
        self._random = random
        self._rates = {Action.POST: posts_per_s, Action.HOME: pages_per_s}

    def others(self) -> list[Due]:
        """What others ask for in one turn."""
        return sorted(
            (due for action in self._rates for due in self._drawn(action)), key=lambda due: due.due_s
        )

    def _drawn(self, action: Action) -> Iterator[Due]:
        due_s = 0.0
        while (due_s := due_s + self._random.expovariate(self._rates[action])) < TURN_S:
            if action is Action.POST:
                yield self.post(self._random.choice(self._crowd.writers), due_s)
            else:
                reader = self._crowd.people.key(self._random.choice(self._crowd.readers)).account
                yield Due(due_s, action, "feed.home", {"account": reader, "limit": PAGE_ITEMS})

    def post(self, actor: int, due_s: float) -> Due:
        """A post by somebody."""
        record = self._crowd.people.post(actor, time.time_ns() // 1000, self._random)
        asked = {"records": [record.to_wire()], "level": LEVEL}
        return Due(due_s, Action.POST, "record.put", asked, record)


async def replay(host: str, port: str, file: str, last: str) -> dict[str, Any]:
    """One turn: what others and an author ask for, as a file has it, and how late all of it was."""
    others, loud = _requests_of(Path(file))
    settings = ClientSettings(name="folkmoot-bench/1", carry_token=False)
    watch = Watch(bytes.fromhex(last))
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(connect(f"{host}:{port}", tls=False, settings=settings))
            for _ in range(LOADED_CONNECTIONS + 1)
        ]
        theirs, its = Replay(clients[1:], others, LEVEL, None), Replay(clients[:1], loud, LEVEL, None)
        async with trio.open_nursery() as nursery:
            await watch.begin(host, int(port), nursery)
            wait_for_the_word()
            began = trio.current_time()
            async with trio.open_nursery() as running:
                running.start_soon(its.run)
                running.start_soon(theirs.run)
            posted = {each.record.payload: began + each.due_s for each in loud if each.record is not None}
            await watch.wait_seen(len(posted))
            nursery.cancel_scope.cancel()
    if not theirs.tally.clean or not its.tally.clean:
        raise RuntimeError(f"not everything was answered: {theirs.tally.summary(TURN_S)}")
    late_ms = {str(action): [1000 * each for each in late] for action, late in theirs.tally.late_s.items()}
    return {**late_ms, "seen": watch.latencies_ms(posted), "behind_ms": 1000 * theirs.tally.behind_s}


def _requests_of(file: Path) -> tuple[list[Due], list[Due]]:
    """What others ask for, and the author."""

    def due(due_s: float, action: str, method: str, asked: dict[str, Any]) -> Due:
        record = Record.from_wire(asked["records"][0]) if "records" in asked else None
        return Due(due_s, Action(action), method, asked, record)

    others, loud = msgpack.unpackb(file.read_bytes())
    return [due(*each) for each in others], [due(*each) for each in loud]


class Turns:
    """Turns at one node, and what was seen in them.

    Args:
        node: with the crowd's follows and posts in it.
        load: what others ask for.
        last: the account that gets last what is fanned out to it.
    """

    def __init__(self, node: Node, load: Load, last: bytes) -> None:
        self._node = node
        self._load = load
        self._last = last
        self.seen_ms: dict[str, dict[str, list[float]]] = {}

    def run(self, name: str, directory: Path) -> None:
        """One turn of a sort."""
        author, times_s = TURNS[name]
        loud = [] if author is None else [self._load.post(author, due_s) for due_s in times_s]
        file = directory / "requests"
        asked = [[due[:4] for due in part] for part in (self._load.others(), loud)]
        file.write_bytes(msgpack.packb(asked))
        told = report_of("top_author", self._node.host, str(self._node.port), str(file), self._last.hex())
        for what in (Action.POST, Action.HOME):
            self._tell(what, name, percentile(told[what], 0.99))
        self._tell("behind", name, told["behind_ms"])
        if told["seen"]:
            self._tell("seen", name, max(told["seen"]))

    def _tell(self, what: str, name: str, value_ms: float) -> None:
        self.seen_ms.setdefault(what, {}).setdefault(name, []).append(value_ms)


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    if not GRAPH.exists():
        return {"skipped": f"not in shared/data/graph beside the checkout: {GRAPH.name}"}
    random = Random(SEED)
    crowd = crowd_of(read_graph([GRAPH]), random)
    account = {rank: crowd.people.key(rank).account for rank in (*crowd.readers, crowd.last)}
    with local_cluster(1, regions="eu") as (node,), tempfile.TemporaryDirectory() as directory:
        settle(node, crowd, random)
        posts_per_s = saturation(node)
        asked = (
            node.host,
            str(node.port),
            "feed.home",
            ",".join(account[rank].hex() for rank in crowd.readers),
        )
        told = [report_of("client", "feeds", *asked, str(PAGES), str(CONNECTIONS)) for _ in range(2)]
        pages_per_s = PAGES / told[-1]["seconds"]  # the first time warms up
        load = Load(crowd, random, SHARE * posts_per_s, SHARE * pages_per_s)
        turns = Turns(node, load, account[crowd.last])
        for _ in range(plan.repetitions):
            for name in TURNS:
                turns.run(name, Path(directory))
    p99_ms = {
        what: {name: median(each) for name, each in told.items()} for what, told in turns.seen_ms.items()
    }
    return {
        "targets": TARGETS,
        **{
            f"{what}_p99_ratio": {
                name: p99_ms[what][name] / p99_ms[what]["quiet"] for name in TURNS if name != "quiet"
            }
            for what in (Action.POST, Action.HOME)
        },
        "offered_posts_per_s": SHARE * posts_per_s,
        "offered_pages_per_s": SHARE * pages_per_s,
        "posts_p99_ms": p99_ms[Action.POST],
        "pages_p99_ms": p99_ms[Action.HOME],
        "last_follower_ms": p99_ms["seen"],
        "sent_late_ms": p99_ms["behind"],
        "posts_p99_ms_all": turns.seen_ms[Action.POST],
        "pages_p99_ms_all": turns.seen_ms[Action.HOME],
    }


def settle(node: Node, crowd: Crowd, random: Random) -> None:
    """Have a node hold the crowd's follows and some posts, and wait until its home feeds show them."""
    people, now_us = crowd.people, time.time_ns() // 1000
    trio.run(put_all, node, [people.follow(number, *each) for number, each in enumerate(crowd.follows)])
    written = [people.post(random.choice(crowd.writers), now_us, random) for _ in range(POSTS)]
    written.append(people.post(TOP, now_us, random))
    latest = people.post(NEXT, now_us + 10_000, random)
    trio.run(put_all, node, [*written, latest])
    trio.run(wait_shown, node, people.key(crowd.last).account, latest)


if __name__ == "__main__":
    print(json.dumps(trio.run(partial(replay, *sys.argv[1:]))), flush=True)
