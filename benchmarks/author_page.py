"""Pages of an author's posts a second, against a bare scan over a trio socket.

Method. Both sides hold the same 2,000 posts of one author in LMDB and are asked for the newest 50, by one
client process with 16 requests unanswered that counts answers and does not decode them. *Bare*: a trio
server that reads fixed-size requests, walks an LMDB cursor backwards over 50 rows, packs their values with
msgpack and sends them. *Node*: `feed.author` on a real node, loopback, TLS off, level `one`. The two are
measured in turn; the ratio is of medians.
"""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any

import lmdb
import msgpack
import trio

from benchmarks.client import counted, msgpack_values, opened, windowed
from benchmarks.harness import Node, Plan, child, hear, local_cluster, median, presigned_posts, say

POSTS = 2_000
PAGES = 4_000
PAGE_ITEMS = 50
WINDOW = 16
TARGET = 0.4
REQUEST_BYTES = 64


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


async def ask_bare(port: int) -> float:
    """Seconds for all pages from the bare server, with a window of requests unanswered."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    seconds = await counted(stream, bytes(REQUEST_BYTES), PAGES, WINDOW, msgpack_values())
    await stream.aclose()
    return seconds


def bare() -> float:
    """Pages a second of the bare server."""
    with child("author_page") as server:
        port = int(hear(server))
        trio.run(ask_bare, port)
        return PAGES / trio.run(ask_bare, port)


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


def node() -> float:
    """Pages a second of a node."""
    with local_cluster(1, regions="eu") as (measured,):
        account = trio.run(_fill, measured).hex()
        rates = []
        for _ in range(2):
            with child(
                "client", "pages", measured.host, str(measured.port), account, str(PAGES), str(WINDOW)
            ) as client:
                hear(client)
                say(client, "go")
                told = json.loads(hear(client))
                rates.append(told["pages"] / told["seconds"])
    return float(rates[-1])


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    bares, nodes = [], []
    for _ in range(plan.repetitions):
        bares.append(bare())
        nodes.append(node())
    return {
        "target_ratio": TARGET,
        "ratio": median(nodes) / median(bares),
        "node_pages_per_s": median(nodes),
        "bare_pages_per_s": median(bares),
        "node_all": nodes,
        "bare_all": bares,
    }


if __name__ == "__main__":
    assert len(sys.argv) == 1
    trio.run(serve_bare)
