"""Pages of an author's posts a second, against a bare scan over a trio socket.

Method. Both sides hold the same 2,000 posts of one author in LMDB and are asked for the newest 50 by one
client process that counts answers and does not decode them. *Bare*: a trio server that reads fixed-size
requests, walks an LMDB cursor backwards over 50 rows, packs their values with msgpack and sends them. *Node*:
`feed.author` on a real node, loopback, TLS off, level `one`. Two shapes of load: 16 connections that each
wait for a page before they ask for the next, as readers do, and one connection with 16 requests unanswered,
in which the bare server spends next to nothing on its socket. The two servers are measured in turn; ratios
are of medians.
"""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any, NamedTuple

import lmdb
import msgpack
import trio

from benchmarks.client import counted, opened, windowed
from benchmarks.harness import Node, Plan, child, hear, local_cluster, median, presigned_posts, say

POSTS = 2_000
PAGES = 4_000
PAGE_ITEMS = 50
TARGET = 0.4
REQUEST_BYTES = 64


class Load(NamedTuple):
    """A shape of load: so many connections, each with so many requests unanswered."""

    name: str
    connections: int
    window: int


LOADS = (Load("readers", 16, 1), Load("pipelined", 1, 16))


async def serve_bare() -> None:
    """The bare server: prints its port and serves until killed."""
    with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as directory:
        environment = lmdb.open(directory, map_size=1 << 30)
        with environment.begin(write=True) as transaction:
            for record in presigned_posts(POSTS, authors=1):
                transaction.put(record.author + record.item, msgpack.packb(record.to_wire()))

        async def serve(stream: trio.SocketStream) -> None:
            waiting = bytearray()
            while data := await stream.receive_some(65536):
                waiting += data
                answers = []
                while len(waiting) >= REQUEST_BYTES:
                    del waiting[:REQUEST_BYTES]
                    answers.append(_page(environment))
                await stream.send_all(b"".join(answers))

        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, serve, 0)
            print(listeners[0].socket.getsockname()[1], flush=True)


def _page(environment: lmdb.Environment) -> bytes:
    with environment.begin() as transaction, transaction.cursor() as cursor:
        cursor.last()
        values = []
        for _, value in cursor.iterprev():
            values.append(value)
            if len(values) == PAGE_ITEMS:
                break
    packed: bytes = msgpack.packb(values)
    return packed


async def ask_bare(port: int, load: Load) -> float:
    """Seconds for all pages from the bare server."""
    streams = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(load.connections)]
    seconds = await counted(streams, bytes(REQUEST_BYTES), PAGES, load.window)
    for stream in streams:
        await stream.aclose()
    return seconds


def bare() -> list[float]:
    """Pages a second of the bare server, under each load."""
    with child("author_page") as server:
        port = int(hear(server))
        trio.run(ask_bare, port, LOADS[0])
        return [PAGES / trio.run(ask_bare, port, load) for load in LOADS]


async def _fill(node: Node) -> bytes:
    records = presigned_posts(POSTS, authors=1)
    requests = [
        {"records": [record.to_wire() for record in records[start : start + 250]], "level": "one"}
        for start in range(0, POSTS, 250)
    ]
    async with trio.open_nursery() as nursery:
        link = await opened(node.host, node.port, nursery)
        await windowed(link, "record.put", requests, 2)
        nursery.cancel_scope.cancel()
    return records[0].author


def node() -> list[float]:
    """Pages a second of a node, under each load."""
    with local_cluster(1, regions="eu") as (measured,):
        account = trio.run(_fill, measured).hex()
        _ask_node(measured, account, LOADS[0])
        return [_ask_node(measured, account, load) for load in LOADS]


def _ask_node(measured: Node, account: str, load: Load) -> float:
    where = (measured.host, str(measured.port), account)
    with child("client", "pages", *where, str(PAGES), str(load.connections), str(load.window)) as client:
        hear(client)
        say(client, "go")
        told = json.loads(hear(client))
    return float(told["pages"] / told["seconds"])


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    bares, nodes = [], []
    for _ in range(plan.repetitions):
        bares.append(bare())
        nodes.append(node())
    report: dict[str, Any] = {"target_ratio": TARGET}
    for index, load in enumerate(LOADS):
        bare_rates = [rates[index] for rates in bares]
        node_rates = [rates[index] for rates in nodes]
        report[load.name] = {
            "ratio": median(node_rates) / median(bare_rates),
            "node_pages_per_s": median(node_rates),
            "bare_pages_per_s": median(bare_rates),
            "node_all": node_rates,
            "bare_all": bare_rates,
        }
    return report


if __name__ == "__main__":
    assert len(sys.argv) == 1
    trio.run(serve_bare)
