"""Pages of a node that remembers are, for each who looks, those of one that remembers nothing."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from folkmoot.node.commits import ThreadCommits
from folkmoot.node.configuration.cache_section import CacheSection
from folkmoot.node.configuration.setting import ByteSize
from folkmoot.node.projections.generations import Generations
from folkmoot.node.projections.listings import Home
from folkmoot.node.projections.viewers import Viewers
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections.entries import Entry, Index, Projection
from folkmoot.protocol.record import Record
from folkmoot.storage.inboxes import of_post, waiting
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.projections import ProjectionBook
from folkmoot.storage.touched import Touched
from folkmoot.storage.transaction import Admission

from tests.node.harness import Client, Town, founded
from tests.node.people import Author
from tests.projections.people import SEEN_S, follow, ref, repost
from tests.projections.test_viewers import block, mute
from tests.storage.making import open_store
from tests.waiting import until

NOTHING = CacheSection(**dict.fromkeys(CacheSection.__struct_fields__, ByteSize(0)))
STEPS = 25


class Reading:
    """A town of one node, and its clients: nobody in particular, and the people who look."""

    def __init__(self, town: Town, clients: list[Client]) -> None:
        self.parts = town[0].parts
        self.clients = clients

    async def put(self, record: Record) -> None:
        assert (await self.clients[0].put_one(record, level="all"))["status"] in ("stored", "duplicate")

    async def pages(self, people: list[Author]) -> list[Any]:
        """The pages and profiles of all, as each sees them, once all is derived."""
        await until(self._is_derived, what="what was written to be in home feeds", within_s=SEEN_S)
        return [
            (await client.call(method, account=who.account))["items"]
            for method in ("feed.author", "feed.home")
            for client in self.clients
            for who in people
        ] + [(await self.clients[0].call("account.get", account=who.account))["profile"] for who in people]

    def _is_derived(self) -> bool:
        store, projector = self.parts.commits.store, self.parts.projections.projector
        with store.engine.begin() as transaction:
            asked = any(waiting(transaction, store.live[Projection.HOME]))
        return not asked and not any(projector.unread())


async def compared(directory: Path, seed: int) -> Reading:
    """Write to two nodes the same, and read from both after each."""
    random = Random(seed)
    people = [Author(number) for number in (1, 2, 3)]
    async with AsyncExitStack() as stack:
        readings = []
        for name, cache in (("remembers", CacheSection()), ("does-not", NOTHING)):
            town = await stack.enter_async_context(founded(directory / name, nodes=1, cache=cache))
            clients = [await stack.enter_async_context(town.client(town[0])) for _ in range(3)]
            for client, who in zip(clients[1:], people, strict=False):
                await client.auth(who)
            readings.append(Reading(town, clients))
        posts = [who.post(f"the first of {number}") for number, who in enumerate(people)]
        follows = [follow(people[0], people[1]), follow(people[0], people[2]), follow(people[1], people[0])]
        for record in (*posts, *follows):
            for reading in readings:
                await reading.put(record)
        for step in range(STEPS):
            record = _something(random, people, posts, step)
            for reading in readings:
                await reading.put(record)
            remembered, read = [await reading.pages(people) for reading in readings]
            assert remembered == read, f"after {record.kind} somebody is shown another page"
        figures = (await readings[0].clients[0].call("cluster.status"))["node"]["caches"]
        assert all(
            figures[name]["hits"] for name in ("pages", "homes", "seen_pages", "profiles", "viewers")
        ), figures
        figures = (await readings[1].clients[0].call("cluster.status"))["node"]["caches"]
        assert not any(each["hits"] or each["bytes"] for each in figures.values())
        return readings[0]


def _something(random: Random, people: list[Author], posts: list[Record], step: int) -> Record:
    who, whom = random.sample(people, 2)
    match random.randrange(9):
        case 0:
            posts.append(who.post(f"step {step}"))
            return posts[-1]
        case 1:
            body = {"text": "as said", "quote": ref(random.choice(posts))}  # how many reply is known later
            return who.record("post", who.item(), body)
        case 2:
            return block(who, whom, on=random.random() < 0.5)
        case 3:
            return mute(who, whom, on=random.random() < 0.7)
        case 4:
            return repost(who, random.choice(posts))
        case 5:
            return who.record("profile", b"name", {"value": f"called {step}"})
        case 6:
            controls = {"reply_from": random.choice(["everyone", "nobody"])}
            return who.record("post", who.item(), {"text": "ask me", **controls})
        case 7:
            return follow(who, whom, on=random.random() < 0.7)
        case _:
            subject = random.choice(posts)
            return Record.sign(
                who.device,
                kind="like",
                item=subject.item + who.account,
                body={"on": random.random() < 0.7},
                place=subject.author,
                stamp=time.time_ns() // 1000,
            )


async def test_who_looks_sees_what_would_be_read(tmp_path: Path) -> None:
    await compared(tmp_path, 1)


async def test_a_viewer_who_is_taken_for_another_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: what a viewer blocks and mutes is not looked at again."""

    def stale(viewers: Viewers, account: bytes) -> Any:
        known = viewers._own.peek(account)
        return known.viewer if known is not None else read_own(viewers, account)

    read_own = Viewers._read_own
    monkeypatch.setattr(Viewers, "_read_own", stale)
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match="another page"), flatten_subgroups=True):
        await compared(tmp_path, 1)


async def test_a_home_feed_that_is_not_forgotten_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: what comes into an inbox is not said to have changed a home feed."""
    entry = Touched.entry

    def but_inboxes(self: Touched, index: Index, group: bytes, member: bytes) -> None:
        if index is not Index.INBOX:
            entry(self, index, group, member)

    monkeypatch.setattr(Touched, "entry", but_inboxes)
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match="another page"), flatten_subgroups=True):
        await compared(tmp_path, 1)


async def test_home_feeds_of_another_generation_are_others() -> None:
    commits = ThreadCommits(open_store(MemoryEngine()))
    ann, ben = Author(1), Author(2)
    post = of_post(ben.account, ben.item())
    entry = Entry(Index.INBOX, place_prefix(ann.account), *post.entry)
    generations, home = Generations(commits), Home(ann.account, commits.store, cast("Any", None))
    live = generations.live(Projection.HOME)
    await commits.run(lambda transaction: ProjectionBook(transaction).put(live, entry), Admission.PEER_JOIN)
    before = await home.places(None, 10)
    assert [place.ref.item for place in before] == [post.item]
    assert commits.store.shown.figures()["homes"].entries == 1
    await generations.begin(Projection.HOME)
    assert await home.places(None, 10) == before, "it is only being built"
    await generations.finish(Projection.HOME)
    assert await home.places(None, 10) == [], "what was built is empty"
    await commits.aclose()
