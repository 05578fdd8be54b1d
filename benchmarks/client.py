"""The load side of benchmarks, as a process of its own: presigns, waits for the word, and reports.

    python -m benchmarks.client puts HOST PORT LEVEL POSTS BATCH WINDOW SEED
    python -m benchmarks.client pages HOST PORT ACCOUNT_HEX PAGES CONNECTIONS WINDOW
    python -m benchmarks.client feeds HOST PORT METHOD ACCOUNT_HEX[,…] PAGES CONNECTIONS [ALGORITHM]
    python -m benchmarks.client paced HOST PORT LEVEL RATE SECONDS SEED
    python -m benchmarks.client loaded HOST PORT LEVEL SECONDS BATCH WINDOW

Prints `ready`, waits for a line on standard input, works, and prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgpack
import trio
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import Reply, result_of
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.record import Record

from benchmarks.harness import presigned_posts

CLIENT = {"versions": [1, 1], "client": "folkmoot-bench/1"}


async def opened(host: str, port: int, nursery: trio.Nursery) -> Link:
    """A link that has said hello."""
    link = Link(await trio.open_tcp_stream(host, port))
    nursery.start_soon(link.run)
    await link.call("hello", CLIENT)
    return link


def wait_for_the_word() -> None:
    """Say that everything is prepared, and block until told to go."""
    print("ready", flush=True)
    sys.stdin.readline()


async def windowed(link: Link, method: str, requests: list[dict[str, Any]], window: int) -> float:
    """Send all requests with at most `window` unanswered; the seconds from first sent to last answered."""
    left = len(requests)
    free = trio.Semaphore(window)
    finished = trio.Event()

    def on_reply(reply: Reply) -> None:
        nonlocal left
        result = result_of(reply)
        assert all(each["status"] == "stored" for each in result.get("results", ())), result
        left -= 1
        free.release()
        if not left:
            finished.set()

    began = time.perf_counter()
    for request in requests:
        await free.acquire()
        await link.wait_room()
        link.submit(method, request, on_reply)
    await finished.wait()
    return time.perf_counter() - began


async def puts(
    host: str, port: str, level: str, posts: str, batch: str, window: str, seed: str
) -> dict[str, Any]:
    """Presigned posts as fast as they are taken."""
    records = [record.to_wire() for record in presigned_posts(int(posts), seed=int(seed))]
    size = int(batch)
    requests = [
        {"records": records[start : start + size], "level": level} for start in range(0, len(records), size)
    ]
    async with trio.open_nursery() as nursery:
        link = await opened(host, int(port), nursery)
        wait_for_the_word()
        seconds = await windowed(link, "record.put", requests, int(window))
        nursery.cancel_scope.cancel()
    return {"posts": len(records), "seconds": seconds}


async def pages(
    host: str, port: str, account: str, count: str, connections: str, window: str
) -> dict[str, Any]:
    """Pages of 50 of one author; answers are only counted, as `author_page.ask_bare` does."""
    params = {"account": bytes.fromhex(account), "limit": 50}
    async with trio.open_nursery() as nursery:
        link = await opened(host, int(port), nursery)
        first = await link.call("feed.author", params)
        assert len(first["items"]) == 50, first
        nursery.cancel_scope.cancel()
    streams = [await trio.open_tcp_stream(host, int(port)) for _ in range(int(connections))]
    for stream in streams:
        await stream.send_all(msgpack.packb([0, 0, "hello", [CLIENT]]))
        await stream.receive_some(65536)
    request = msgpack.packb([0, 1, "feed.author", [params]])
    wait_for_the_word()
    seconds = await counted(streams, request, int(count), int(window))
    return {"pages": int(count), "seconds": seconds}


async def feeds(
    host: str, port: str, method: str, accounts: str, count: str, connections: str, algorithm: str = ""
) -> dict[str, Any]:
    """Pages of 50 of feeds, of one account after the other, on some connections, each of which waits for a
    page before it asks for the next."""
    more = {"algorithm": algorithm} if algorithm else {}
    asked = itertools.cycle(
        msgpack.packb([0, 1, method, [{"account": bytes.fromhex(account), "limit": 50, **more}]])
        for account in accounts.split(",")
    )
    streams = [await trio.open_tcp_stream(host, int(port)) for _ in range(int(connections))]
    for stream in streams:
        await stream.send_all(msgpack.packb([0, 0, "hello", [CLIENT]]))
        await stream.receive_some(65536)
    latencies_s: list[float] = []

    async def ask(stream: trio.SocketStream) -> None:
        answers_in = msgpack_values()
        for _ in range(int(count) // len(streams)):
            sent = time.perf_counter()
            await stream.send_all(next(asked))
            while not answers_in(await stream.receive_some(1 << 20)):
                pass
            latencies_s.append(time.perf_counter() - sent)

    wait_for_the_word()
    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for stream in streams:
            nursery.start_soon(ask, stream)
    seconds = time.perf_counter() - began
    return {"pages": len(latencies_s), "seconds": seconds, "latencies_ms": [1000 * s for s in latencies_s]}


def msgpack_values() -> Callable[[bytes], int]:
    """Counts the MessagePack values that bytes complete, without decoding them."""
    unpacker = msgpack.Unpacker(max_buffer_size=1 << 30)

    def count(data: bytes) -> int:
        unpacker.feed(data)
        whole = 0
        with contextlib.suppress(msgpack.OutOfData):
            while True:
                unpacker.skip()
                whole += 1
        return whole

    return count


async def counted(streams: Sequence[trio.SocketStream], request: bytes, count: int, window: int) -> float:
    """Seconds for `count` answers to `request`, with at most `window` of them outstanding on each stream."""
    each = count // len(streams)

    async def ask(stream: trio.SocketStream) -> None:
        answers_in = msgpack_values()
        answered = sent = 0
        while answered < each:
            room = min(window - (sent - answered), each - sent)
            if room:
                sent += room
                await stream.send_all(request * room)
            answered += answers_in(await stream.receive_some(1 << 20))

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for stream in streams:
            nursery.start_soon(ask, stream)
    return time.perf_counter() - began


async def paced_posts(
    records: Sequence[Record], rate: float, seed: int, send: Callable[[Record, float], Awaitable[None]]
) -> None:
    """Hand each record to `send` when it is due, whether or not earlier ones have been answered (open loop).

    Args:
        records: in order.
        rate: records a second, at exponentially distributed distances.
        seed: of the distances.
        send: given a record and when it was due, on trio's clock.
    """
    generator = random.Random(seed)
    due = trio.current_time()
    for record in records:
        due += generator.expovariate(rate)
        await trio.sleep_until(due)
        await send(record, due)


async def paced(host: str, port: str, level: str, rate: str, seconds: str, seed: str) -> dict[str, Any]:
    """Single posts at their due times, how late each was answered, and how many of them were not stored."""
    records = presigned_posts(int(float(rate) * float(seconds)), seed=int(seed))
    latencies_s: list[float] = []
    unstored: Counter[str] = Counter()
    finished = trio.Event()

    async def send(record: Record, due: float) -> None:
        def on_reply(reply: Reply) -> None:
            latencies_s.append(trio.current_time() - due)
            try:
                (result,) = result_of(reply)["results"]
            except WireError as error:
                unstored[error.kind.name] += 1
            else:
                if result["status"] != "stored":
                    unstored[result["status"]] += 1
            if len(latencies_s) == len(records):
                finished.set()

        await link.wait_room()
        link.submit("record.put", {"records": [record.to_wire()], "level": level}, on_reply)

    async with trio.open_nursery() as nursery:
        link = await opened(host, int(port), nursery)
        wait_for_the_word()
        await paced_posts(records, float(rate), int(seed), send)
        await finished.wait()
        nursery.cancel_scope.cancel()
    return {"latencies_ms": [latency_s * 1000 for latency_s in latencies_s], "unstored": unstored}


async def loaded(host: str, port: str, level: str, seconds: str, batch: str, window: str) -> dict[str, Any]:
    """As many posts as are taken for so many seconds, signed on the way; what matters is the load."""
    size, sent, seed = int(batch), 0, random.randrange(2**30)
    free = trio.Semaphore(int(window))

    def on_reply(reply: Reply) -> None:
        result_of(reply)
        free.release()

    async with trio.open_nursery() as nursery:
        link = await opened(host, int(port), nursery)
        wait_for_the_word()
        ends = trio.current_time() + float(seconds)
        while trio.current_time() < ends:
            records = presigned_posts(size, authors=size, seed=seed + sent)
            await free.acquire()
            request = {"records": [record.to_wire() for record in records], "level": level}
            link.submit("record.put", request, on_reply)
            sent += size
        for _ in range(int(window)):
            await free.acquire()
        nursery.cancel_scope.cancel()
    return {"posts": sent, "seconds": float(seconds)}


MODES: Mapping[str, Callable[..., Awaitable[dict[str, Any]]]] = {
    "puts": puts,
    "pages": pages,
    "feeds": feeds,
    "paced": paced,
    "loaded": loaded,
}

if __name__ == "__main__":
    mode, *arguments = sys.argv[1:]
    print(json.dumps(trio.run(MODES[mode], *arguments)), flush=True)
