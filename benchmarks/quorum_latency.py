"""How late writes at level `quorum` are acknowledged at half load, against a bare loop of three processes.

Method. *Bare*: three trio processes A, B and C, each with an LMDB of its own. A commits with fsync whatever
one read from its client brought, forwards the same bytes to B and C, each of which commits them likewise
and answers, and A acknowledges what the first of them has. No signature is verified, nothing is indexed, no
one watches anyone. *Node*: a cluster of three real nodes that all keep everything, loopback, TLS off;
single posts sent to one node. The saturation rate of the cluster is measured first (one connection, single
posts, 128 unanswered); then both sides get single posts from one client at half that rate, due at
exponentially distributed times and sent whether or not earlier ones are answered. A latency counts from
when a post was due, so a stall is charged to every post it delayed. Bare and node take turns of two seconds
each; a turn gives one p99, and the ratio is of their medians.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from typing import Any

import lmdb
import msgpack
import trio
from folkmoot.protocol.record import Record

from benchmarks.client import paced_posts, wait_for_the_word
from benchmarks.harness import (
    Node,
    Plan,
    child,
    hear,
    local_cluster,
    median,
    percentile,
    presigned_posts,
    report_of,
)

TARGET = 3.0
TURN_S = 2.0
SATURATING_POSTS = 4_000
SATURATING_WINDOW = 128
SATURATING_TURNS = 3
LENGTH_BYTES = 4
RECEIVE_BYTES = 65_536


class _Replica:
    """The store of one bare process: what one read brought is one durable commit.

    Args:
        directory: of its LMDB.
    """

    def __init__(self, directory: str) -> None:
        self._environment = lmdb.open(directory, map_size=1 << 30)
        self._waiting = bytearray()

    def take(self, data: bytes | bytearray) -> tuple[bytes, int]:
        """Commit the whole frames that `data` completes; their bytes and their number."""
        self._waiting += data
        ends = [0]
        while len(self._waiting) >= ends[-1] + LENGTH_BYTES:
            length = int.from_bytes(self._waiting[ends[-1] : ends[-1] + LENGTH_BYTES], "big")
            end = ends[-1] + LENGTH_BYTES + length
            if len(self._waiting) < end:
                break
            ends.append(end)
        whole = bytes(self._waiting[: ends[-1]])
        if whole:
            with self._environment.begin(write=True) as transaction:
                for start, end in pairwise(ends):
                    frame = whole[start + LENGTH_BYTES : end]
                    fields = msgpack.unpackb(msgpack.unpackb(frame)[0])
                    transaction.put(fields["author"] + fields["item"], frame)
            del self._waiting[: ends[-1]]
        return whole, len(ends) - 1


async def serve_follower(replica: _Replica) -> None:
    """B or C: commits and answers one byte a post."""

    async def serve(stream: trio.SocketStream) -> None:
        while data := await stream.receive_some(RECEIVE_BYTES):
            _, count = replica.take(data)
            await stream.send_all(bytes(count))

    await _listen(serve)


async def serve_first(replica: _Replica, *ports: str) -> None:
    """A: commits, forwards, and acknowledges what one follower has committed as well."""

    async def serve(client: trio.SocketStream) -> None:
        followers = [await trio.open_tcp_stream("127.0.0.1", int(port)) for port in ports]
        committed = [0] * len(followers)
        acknowledging = trio.Lock()
        told = 0

        async def acknowledge(index: int) -> None:
            nonlocal told
            while data := await followers[index].receive_some(RECEIVE_BYTES):
                committed[index] += len(data)
                async with acknowledging:
                    new, told = max(committed) - told, max(committed)
                    if new:
                        await client.send_all(bytes(new))

        async with trio.open_nursery() as nursery:
            for index in range(len(followers)):
                nursery.start_soon(acknowledge, index)
            while data := await client.receive_some(RECEIVE_BYTES):
                whole, _ = replica.take(data)
                for follower in followers:
                    await follower.send_all(whole)
            for follower in followers:
                await follower.send_eof()  # it ends, and so does what awaits its answers
        for follower in followers:
            await follower.aclose()

    await _listen(serve)


async def _listen(serve: Callable[[trio.SocketStream], Any]) -> None:
    """Print the port and serve until killed."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        print(listeners[0].socket.getsockname()[1], flush=True)


async def ask_bare(port: str, rate: str, seconds: str, seed: str) -> dict[str, Any]:
    """The client of the bare loop: the same arrivals as a node's; acknowledgements come in order."""
    dues: list[float] = []
    latencies_s: list[float] = []
    count = int(float(rate) * float(seconds))
    records = presigned_posts(count, seed=int(seed))
    stream = await trio.open_tcp_stream("127.0.0.1", int(port))

    async def receive() -> None:
        while len(latencies_s) < count:
            acknowledged = await stream.receive_some(RECEIVE_BYTES)
            assert acknowledged, "the bare loop ended"
            now = trio.current_time()
            first = len(latencies_s)
            latencies_s.extend(now - due for due in dues[first : first + len(acknowledged)])

    async def send(record: Record, due: float) -> None:
        dues.append(due)
        frame = msgpack.packb(record.to_wire())
        await stream.send_all(len(frame).to_bytes(LENGTH_BYTES, "big") + frame)

    wait_for_the_word()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await paced_posts(records, float(rate), int(seed), send)
    return {"latencies_ms": [latency_s * 1000 for latency_s in latencies_s]}


def saturation(node: Node) -> float:
    """Single posts a second that the cluster takes when there are always more."""
    rates = []
    for turn in range(SATURATING_TURNS):
        report = report_of(
            *("client", "puts", node.host, str(node.port), "quorum"),
            *(str(SATURATING_POSTS), "1", str(SATURATING_WINDOW), str(1000 + turn)),
        )
        rates.append(report["posts"] / report["seconds"])
    return median(rates)


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    turns: dict[str, list[list[float]]] = {"bare": [], "node": []}
    with ExitStack() as stack:
        followers = [stack.enter_context(child("quorum_latency", "follower")) for _ in range(2)]
        ports = [hear(follower) for follower in followers]
        port = hear(stack.enter_context(child("quorum_latency", "first", *ports)))
        node, *_ = stack.enter_context(local_cluster(3))
        saturated = saturation(node)
        for repetition in range(plan.repetitions):
            arrivals = (f"{saturated / 2:.1f}", str(TURN_S), str(repetition + 1))
            address = (node.host, str(node.port), "quorum")
            turns["bare"].append(report_of("quorum_latency", "ask", port, *arrivals)["latencies_ms"])
            answered = report_of("client", "paced", *address, *arrivals)
            if answered["unstored"]:
                raise RuntimeError(f"not every post was stored: {answered['unstored']}")
            turns["node"].append(answered["latencies_ms"])
    p99 = {side: [percentile(turn, 0.99) for turn in each] for side, each in turns.items()}
    p50 = {side: [percentile(turn, 0.5) for turn in each] for side, each in turns.items()}
    return {
        "target_ratio_at_most": TARGET,
        "ratio": median(p99["node"]) / median(p99["bare"]),
        "saturation_posts_per_s": saturated,
        "offered_posts_per_s": saturated / 2,
        "node_p99_ms": median(p99["node"]),
        "bare_p99_ms": median(p99["bare"]),
        "node_p50_ms": median(p50["node"]),
        "bare_p50_ms": median(p50["bare"]),
        "node_p99_ms_all": p99["node"],
        "bare_p99_ms_all": p99["bare"],
    }


async def _main(role: str, *arguments: str) -> None:
    if role == "ask":
        print(json.dumps(await ask_bare(*arguments)), flush=True)
        return
    with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as directory:
        if role == "first":
            await serve_first(_Replica(directory), *arguments)
        else:
            await serve_follower(_Replica(directory))


if __name__ == "__main__":
    trio.run(partial(_main, *sys.argv[1:]))
