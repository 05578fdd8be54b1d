"""What remembering saves: the processor time that a node spends on a read, with its caches and without.

Method. Two nodes with the same records, one as it is by default and one whose `[cache]` keeps nothing. Twenty
authors have 100 posts of about 200 bytes each, all of which one reader follows; the newest 50 of the first
author have five likes each, which makes it a page as many look at; and its newest post has 50 answers. One
client asks for the same thing again and again, 16 requests under way: the author's page, that of an author
whose posts nobody likes, the reader's home feed, the thread and the profile, first as nobody in particular
and then as the reader, who blocks and mutes 20 accounts. Measured is the processor time of the node's process
(user and system) a request, in turns; ratios are of medians. It is the best case of each cache: everything
asked for is remembered.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import trio
from folkmoot.node.configuration.cache_section import CacheSection
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.session import Session, open_session
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

from benchmarks.harness import Node, Plan, local_cluster, median, presigned_posts
from benchmarks.home_page import follow, newest_of, put_all, wait_shown

AUTHORS: Final = 20
POSTS: Final = 2_000
LIKED: Final = 50
LIKES: Final = 5
ANSWERS: Final = 50
REQUESTS: Final = 400
UNDER_WAY: Final = 16
NOTHING: Final = tuple(f"cache.{name}=0" for name in CacheSection.__struct_fields__)
READER: Final = KeyPair(bytes(31) + b"\1")


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    posts = presigned_posts(POSTS, authors=AUTHORS)
    hot, plain = sorted({record.author for record in posts})[:2]
    newest = sorted((each for each in posts if each.author == hot), key=lambda each: each.item)[-LIKED:]
    records = [*posts, *_around(hot, newest, sorted({record.author for record in posts}))]
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "author": ("feed.author", {"account": hot, "limit": 50}),
        "plain": ("feed.author", {"account": plain, "limit": 50}),
        "home": ("feed.home", {"account": READER.account, "limit": 50}),
        "thread": ("feed.thread", {"author": hot, "item": newest[-1].item, "limit": 50}),
        "profile": ("account.get", {"account": hot}),
    }
    spent: dict[str, list[float]] = {}
    with ExitStack() as stack:
        nodes: dict[str, Node] = {}
        for how, settings in (("with", ()), ("without", NOTHING)):
            (nodes[how],) = stack.enter_context(local_cluster(1, settings=settings, regions="eu"))
            trio.run(put_all, nodes[how], records)
            trio.run(wait_shown, nodes[how], READER.account, newest_of(posts))
        for turn in range(plan.repetitions + 1):
            for how, node in nodes.items():
                for name, us in trio.run(_ask_all, node, asked).items():
                    if turn:  # the first one warms up
                        spent.setdefault(f"{name}_{how}", []).append(us)
    names = sorted({key.rpartition("_")[0] for key in spent})
    ratios = {name: median(spent[f"{name}_without"]) / median(spent[f"{name}_with"]) for name in names}
    return {"without_to_with": ratios, "us_a_request": {key: median(values) for key, values in spent.items()}}


def _around(hot: bytes, newest: list[Record], authors: list[bytes]) -> list[Record]:
    """The reader's follows, blocks and mutes; likes and answers."""
    now_us = time.time_ns() // 1000
    keys = {KeyPair(bytes(30) + bytes((7, number))).account: number for number in range(40)}
    records = [follow(READER, author) for author in authors]
    for number, account in enumerate(sorted(keys)):
        kind = "block" if number % 2 else "mute"
        records.append(Record.sign(READER, kind=kind, item=account, body={"on": True}, stamp=now_us))
    for number in range(LIKES):
        fan = KeyPair(bytes(30) + bytes((8, number)))
        for post in newest:
            item = post.item + fan.account
            on = {"on": True}
            records.append(Record.sign(fan, kind="like", item=item, body=on, stamp=now_us, place=hot))
    root = {"author": hot, "item": newest[-1].item}
    for number in range(ANSWERS):
        who = KeyPair(bytes(30) + bytes((9, number)))
        body = {"text": f"answer {number} " + "x" * 150, "reply_to": root, "root": root}
        item = make_uuid7(now_us // 1000, number)
        records.append(Record.sign(who, kind="post", item=item, body=body, stamp=now_us))
    return records


async def _ask_all(node: Node, asked: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, float]:
    """Microseconds of the node's processor time a request, by what was asked, and as whom."""
    spent: dict[str, float] = {}
    async with trio.open_nursery() as nursery:
        where = Endpoint.parse(node.address)
        session = await open_session(nursery, Dialler(None), where, client="folkmoot-bench/1")
        for who in ("nobody", "reader"):
            if who == "reader":
                await session.authenticate(READER, READER.account)
            for name, (method, params) in asked.items():
                began = spent_s(node.pid)
                await ask(session, method, params)
                spent[f"{name}_{who}"] = 1e6 * (spent_s(node.pid) - began) / REQUESTS
        nursery.cancel_scope.cancel()
    return spent


async def ask(
    session: Session,
    method: str,
    params: dict[str, Any],
    requests: int = REQUESTS,
    under_way: int = UNDER_WAY,
) -> None:
    """Ask for the same so often, with so many requests under way."""

    async def some() -> None:
        for _ in range(requests // under_way):
            await session.link.call(method, params)

    async with trio.open_nursery() as nursery:
        for _ in range(under_way):
            nursery.start_soon(some)


def spent_s(pid: int) -> float:
    """The processor time of a process so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
