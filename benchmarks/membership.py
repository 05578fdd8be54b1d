"""How soon nodes find each other and notice a death, what watching costs, and whether it cries wolf.

Method. Real processes on this machine, TLS off, the loopback profile. What nodes hold of each other is read
from their own logs, which say each change of a member's state with the time: asking sixteen nodes fifty times
a second would load two cores more than what is measured.

- *Cold start*: a new cluster of 16; from the moment the last node wrote that it listens until the last node
  holds all 16 alive. All of them start on the same few cores, so most of a start is Python's imports, and
  that is over when this begins.
- *Death*: SIGKILL of one idle node, chosen in turn; until the last of the other 15 holds it suspect or dead.
  The node is started again and held alive by all before the next.
- *Idle traffic*: bytes of sealed datagrams and of compared views that each of the 16 sends.
- *False suspicions*: how often a node that ran all the time was held suspect or dead, or had to refute it:
  in an idle cluster of 7, and in one of 3 whose first node gets as many posts as it takes. Also counted is
  how late the event loops of the loaded nodes ran. `--full` gives these 10 and 2 minutes, by default they
  get half a minute and 15 seconds.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from folkmoot.cli.connection import Target, ask

from benchmarks.harness import Cluster, Node, Plan, child, hear, local_cluster, median, say

NODES = 16
IDLE_NODES = 7
LOADED_NODES = 3
SETTINGS = ("log.json=true", "log.level=info", "gossip.profile=loopback")
REGIONS = "eu,us,ap"
DEADLINE_S = 30.0
POLL_S = 0.02
SETTLE_S = 10  # for the news of who joined to die down
IDLE_TRAFFIC_S = 30.0
STARTS = 2
QUIET_S = (30.0, 600.0)
LOADED_S = (15.0, 120.0)
BATCH, WINDOW = 64, 8

CHANGE = re.compile(r"\S+ \(([0-9a-f]{32})\) is (\w+), was (\w+)")
ALIVE = frozenset({"alive"})
ACCUSED = frozenset({"suspect", "dead"})


@dataclass(frozen=True)
class Change:
    """One line of a node's log about a member.

    Args:
        time_s: seconds since 1970, to the millisecond.
        subject: the member's id, 32 hexadecimal digits.
        state: what it is held to be from now on.
    """

    time_s: float
    subject: str
    state: str


class Diary:
    """What one node's log says of its members, read on as it grows.

    Args:
        node: whose log.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._file = (node.data / "node.log").open()
        self._torn = ""

    def read_on(self) -> Iterator[Change]:
        """The changes logged since the last call."""
        *lines, self._torn = (self._torn + self._file.read()).split("\n")
        for line in lines:
            entry = json.loads(line)
            if found := CHANGE.fullmatch(entry["message"]):
                yield Change(datetime.fromisoformat(entry["time"]).timestamp(), found[1], found[2])


def told_by_all(diaries: Sequence[Diary], subjects: set[str], states: frozenset[str]) -> float:
    """Wait until every diary has said of every subject but its own node that it is in one of `states`.

    Returns:
        When the last of them was told for the first time since the diaries were last read, in seconds since
        1970.
    """
    missing = {diary: subjects - {diary.node.id} for diary in diaries}
    last_s = 0.0
    deadline = time.monotonic() + DEADLINE_S
    while any(missing.values()):
        for diary in diaries:
            for change in diary.read_on():
                if change.subject in missing[diary] and change.state in states:
                    missing[diary].discard(change.subject)
                    last_s = max(last_s, change.time_s)
        if time.monotonic() > deadline:
            silent = sum(map(bool, missing.values()))
            raise TimeoutError(f"{silent} nodes did not hold members {'/'.join(sorted(states))} in time")
        time.sleep(POLL_S)
    return last_s


def status(node: Node) -> dict[str, Any]:
    """The node's answer to `cluster.status`."""
    answer: dict[str, Any] = ask(Target((node.address,), None), "cluster.status")
    return answer


def cold_start_s(cluster: Cluster) -> float:
    """See the module; the cluster is new."""
    listening_s = max((node.data / "ready.json").stat().st_mtime for node in cluster)
    complete_s = told_by_all([Diary(node) for node in cluster], {node.id for node in cluster}, ALIVE)
    for node in cluster:
        assert all(member["state"] == "alive" for member in status(node)["nodes"])
    return max(0.0, complete_s - listening_s)


def death_s(cluster: Cluster, turn: int) -> float:
    """See the module; every node is back when this returns."""
    victim = cluster.nodes[(5 * turn + 1) % len(cluster.nodes)]
    diaries = [Diary(node) for node in cluster if node is not victim]
    for diary in diaries:
        list(diary.read_on())
    killed_s = time.time()
    os.kill(victim.pid, signal.SIGKILL)
    noticed_s = told_by_all(diaries, {victim.id}, ACCUSED)
    cluster.start_again()
    told_by_all(diaries, {victim.id}, ALIVE)
    return noticed_s - killed_s


def idle_bytes_per_s(cluster: Cluster, seconds: float) -> list[float]:
    """Bytes of gossip a second that each node sends while nothing happens."""
    before = [status(node)["node"]["gossip"]["sent_bytes"] for node in cluster]
    time.sleep(seconds)
    after = [status(node)["node"]["gossip"]["sent_bytes"] for node in cluster]
    return [(late - early) / seconds for early, late in zip(before, after, strict=True)]


def false_suspicions(cluster: Cluster, work: Callable[[], None]) -> dict[str, Any]:
    """What nodes say of each other during `work`, all of them running."""
    diaries = [Diary(node) for node in cluster]
    for diary in diaries:
        list(diary.read_on())
    refuted = [status(node)["node"]["gossip"]["refutations"] for node in cluster]
    work()
    figures = [status(node)["node"]["gossip"] for node in cluster]
    accusations = [change for diary in diaries for change in diary.read_on() if change.state in ACCUSED]
    return {
        "false_suspicions": len(accusations),
        "refutations": sum(each["refutations"] for each in figures) - sum(refuted),
        "lag_ms": [float(each["lag_ms"]) for each in figures],
    }


def _load(node: Node, seconds: float) -> None:
    arguments = (node.host, str(node.port), "quorum", str(seconds), str(BATCH), str(WINDOW))
    with child("client", "loaded", *arguments) as client:
        hear(client)
        say(client, "go")
        hear(client)


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    starts: list[float] = []
    for _ in range(STARTS - 1):
        with local_cluster(NODES, settings=SETTINGS, regions=REGIONS) as cluster:
            starts.append(cold_start_s(cluster))
    with local_cluster(NODES, settings=SETTINGS, regions=REGIONS) as cluster:
        starts.append(cold_start_s(cluster))
        time.sleep(SETTLE_S)
        traffic = idle_bytes_per_s(cluster, IDLE_TRAFFIC_S)
        deaths = [death_s(cluster, turn) for turn in range(plan.repetitions)]
    quiet_s, loaded_s = QUIET_S[plan.full], LOADED_S[plan.full]
    with local_cluster(IDLE_NODES, settings=SETTINGS, regions=REGIONS) as cluster:
        quiet = false_suspicions(cluster, lambda: time.sleep(quiet_s))
    with local_cluster(LOADED_NODES, settings=SETTINGS, regions=REGIONS) as cluster:
        first = cluster.nodes[0]
        loaded = false_suspicions(cluster, lambda: _load(first, loaded_s))
    return {
        "nodes": NODES,
        "cold_start": {"target_s_at_most": 2.0, "median_s": median(starts), "all_s": starts},
        "death_noticed": {"target_s_at_most": 0.9, "median_s": median(deaths), "all_s": deaths},
        "idle_traffic": {
            "target_bytes_per_s_at_most": 200,
            "mean_bytes_per_s": sum(traffic) / len(traffic),
            "highest_bytes_per_s": max(traffic),
            "seconds": IDLE_TRAFFIC_S,
        },
        "idle_7_nodes": {"target": 0, "seconds": quiet_s, **quiet},
        "loaded_3_nodes": {"target": 0, "seconds": loaded_s, **loaded},
    }
