"""What labels cost: the processor time a node spends on a page of 50 posts, by whose labels are heeded.

Method. Three authors have 50 posts each: those of the first bear no labels, of the second one each, of the
third one of each of 20 labellers, which is more than a page shows, so that what a reader's labellers say has
to be looked up. The labellers define what they say. Readers subscribe to none of them, to one, and to all 20.
One client asks for an author's page again and again, 4 requests under way. Measured is the processor time of
the node's process (user and system) a request, in turns; ratios are of medians, to the reader without
labellers.
"""

from __future__ import annotations

import time
from typing import Any, Final

import trio
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.session import open_session
from folkmoot.protocol.feed.labelling import preference_of
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.definitions import FIELD
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.record import Record

from benchmarks.caches import ask, spent_s
from benchmarks.harness import Node, Plan, local_cluster, median
from benchmarks.home_page import put_all

POSTS: Final = 50
REQUESTS: Final = 120
UNDER_WAY: Final = 4
LABELLERS: Final = [KeyPair(bytes(30) + bytes((5, number))) for number in range(20)]
LABELS: Final = {"none": 0, "one": 1, "twenty": len(LABELLERS)}
READERS: Final = {number: KeyPair(bytes(30) + bytes((6, number))) for number in (0, 1, len(LABELLERS))}
AUTHORS: Final = {name: KeyPair(bytes(30) + bytes((7, number))) for name, number in LABELS.items()}


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    spent: dict[str, list[float]] = {}
    with local_cluster(1, regions="eu") as (node,):
        trio.run(put_all, node, _records())
        for turn in range(plan.repetitions + 1):
            for name, us in trio.run(_ask_all, node).items():
                if turn:  # the first one warms up
                    spent.setdefault(name, []).append(us)
    medians = {name: median(values) for name, values in spent.items()}
    ratios = {name: us / medians[name.rpartition(", ")[0] + ", 0 labellers"] for name, us in medians.items()}
    return {"us_a_request": medians, "to_no_labellers": ratios}


def _records() -> list[Record]:
    now_us = time.time_ns() // 1000
    definition = {"value": "rumour", "name": {"en": "Rumour"}, "about": {"en": "Nobody has confirmed it."}}
    fields = {"value": {"labels": [definition]}}
    records = [Record.sign(each, kind="profile", item=FIELD, body=fields, stamp=now_us) for each in LABELLERS]
    for name, author in AUTHORS.items():
        for number in range(POSTS):
            item = make_uuid7(now_us // 1000, number)
            post = Record.sign(author, kind="post", item=item, body={"text": "x" * 150}, stamp=now_us)
            records.append(post)
            records += [_label(each, post, now_us) for each in LABELLERS[: LABELS[name]]]
    for number, reader in READERS.items():
        for labeller in LABELLERS[:number]:
            body = {"on": True}
            item = preference_of(labeller.account)
            records.append(Record.sign(reader, kind="preference", item=item, body=body, stamp=now_us))
    return records


def _label(by: KeyPair, post: Record, now_us: int) -> Record:
    label = Label(post.item, "rumour", by.account, post.id, "So.")
    return Record.sign(by, kind="label", item=label.item, body=label.body(), stamp=now_us, place=post.author)


async def _ask_all(node: Node) -> dict[str, float]:
    """Microseconds of the node's processor time a request, by the labels on the posts and the reader."""
    spent: dict[str, float] = {}
    for number, reader in READERS.items():
        async with trio.open_nursery() as nursery:
            where = Endpoint.parse(node.address)
            session = await open_session(nursery, Dialler(None), where, client="folkmoot-bench/1")
            await session.authenticate(reader, reader.account)
            for name, author in AUTHORS.items():
                began = spent_s(node.pid)
                await ask(
                    session, "feed.author", {"account": author.account, "limit": POSTS}, REQUESTS, UNDER_WAY
                )
                used = 1e6 * (spent_s(node.pid) - began) / REQUESTS
                spent[f"{name} on each post, {number} labellers"] = used
            nursery.cancel_scope.cancel()
    return spent
