"""Lists, and home feeds of those who follow authors with many followers: merged when they are read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.configuration.feeds_section import FeedsSection
from folkmoot.node.projections.merging import Piece, Source, newest_of
from folkmoot.protocol import limits
from folkmoot.protocol.record import Record
from folkmoot.storage.inboxes import Shown
from hypothesis import given
from hypothesis import strategies as st

from tests.node.harness import Client, Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.projections.people import SEEN_S, follow, pages, repost, said, sees
from tests.projections.test_home import merged
from tests.waiting import until

ANN = Author(1)
LIST = b"\x01" * limits.LIST_ITEM_BYTES
ONE: dict[str, Any] = {"nodes": 1, "regions": ("eu",), "replicas": 1}
APART: dict[str, Any] = {"nodes": 3, "regions": ("eu",), "replicas": 1}
"""Each range on one node of three."""


def listed(who: Author) -> Record:
    return ANN.record("listed", LIST + who.account, {"on": True})


async def put_all(client: Client, records: Sequence[Record], level: str = "one") -> None:
    """Without the limits there are for people, and as many at once as one request may have."""
    await client.auth(OPERATOR)
    for start in range(0, len(records), 50):
        await client.put(*records[start : start + 50], level=level)


def newest_first(posts: Sequence[Record]) -> list[bytes]:
    return [post.id for post in sorted(posts, key=lambda post: post.item, reverse=True)]


def living(town: Town, node: Node, *, there: bool, count: int, start: int = 100) -> list[Author]:
    """Authors who are kept by a node, or by others alone."""
    found = (Author(number) for number in range(start, start + 20 * count + 100))
    chosen = [who for who in found if (town.replicas_of(who.account) == [node]) == there]
    return chosen[:count]


async def test_they_go_on_page_after_page(tmp_path: Path) -> None:
    star, fans = Author(2), [Author(10 + n) for n in range(3)]
    feeds = FeedsSection(followers_max=2)
    async with founded(tmp_path, **ONE, feeds=feeds) as town, town.client(town[0]) as client:
        await put_all(client, [*(follow(fan, star) for fan in fans), listed(star)])
        posts = [star.post(str(n)) for n in range(60)]
        await put_all(client, posts)
        await put_all(client, [star.deletion(post) for post in posts[20:40]])
        left = newest_first(posts[:20] + posts[40:])
        for limit in (7, 10, 200):
            await sees(client, left, "feed.home", account=fans[0].account, limit=limit)
            await sees(client, left, "feed.list", account=ANN.account, item=LIST, limit=limit)


async def test_reposts_of_one_moment_are_all_there(tmp_path: Path) -> None:
    star, other, fans = Author(2), Author(3), [Author(10 + n) for n in range(3)]
    feeds = FeedsSection(followers_max=2)
    async with founded(tmp_path, **ONE, feeds=feeds) as town, town.client(town[0]) as client:
        posts, own = [other.post(str(n)) for n in range(40)], [star.post(str(n)) for n in range(10)]
        moment = (time.time_ns() // 1_000_000 + 2_000) * 1_000
        reposts = [
            Record.sign(
                star.device,
                kind="repost",
                item=post.item + star.account,
                body={"on": True},
                place=post.author,
                stamp=moment + n,
            )
            for n, post in enumerate(posts)
        ]
        await put_all(client, [*(follow(fan, star) for fan in fans), *posts, *own])
        await sees(client, newest_first(own), "feed.home", account=fans[0].account)
        await put_all(client, reposts)

        async def are_there() -> bool:
            for limit in (7, 200):
                items = await pages(client, "feed.home", account=fans[0].account, limit=limit)
                told = said(items)
                if told[40:] != newest_first(own) or {each[0] for each in told[:40]} != {p.id for p in posts}:
                    return False
            return True

        await until(are_there, what="all reposts to be there, whatever the size of pages", within_s=SEEN_S)


async def test_what_others_keep_is_there_to_its_end(tmp_path: Path) -> None:
    """Further down than what a node asks for at first, and remembers."""
    async with founded(tmp_path, **APART, feeds=FeedsSection(followers_max=1)) as town:
        [home] = town.replicas_of(ANN.account)
        [away] = living(town, home, there=False, count=1)
        fans = [ANN, *living(town, home, there=True, count=2)]
        async with town.client(home) as client:
            posts = [away.post(str(n)) for n in range(limits.PAGE_ITEMS + 50)]
            gone = posts[100:120]
            await put_all(client, [*(follow(fan, away) for fan in fans), listed(away), *posts])
            await put_all(client, [away.deletion(post) for post in gone])
            left = newest_first([post for post in posts if post not in gone])
            for limit in (60, 200):
                await sees(client, left, "feed.list", account=ANN.account, item=LIST, limit=limit)
                await sees(client, left, "feed.home", account=ANN.account, limit=limit)


async def test_all_members_of_a_long_list_are_there(tmp_path: Path) -> None:
    async with founded(tmp_path, **APART) as town:
        [home] = town.replicas_of(ANN.account)
        others = living(town, home, there=False, count=280)
        async with town.client(home) as client:
            posts = [who.post("x") for who in others]
            await put_all(client, [*map(listed, others), *posts])
            await sees(client, newest_first(posts), "feed.list", account=ANN.account, item=LIST, limit=100)


async def test_a_page_says_whose_posts_may_be_missing(tmp_path: Path) -> None:
    async with founded(tmp_path, **APART) as town:
        [home] = town.replicas_of(ANN.account)
        [near] = living(town, home, there=True, count=1)
        [away] = living(town, home, there=False, count=1)
        [other] = town.replicas_of(away.account)
        async with town.client(home) as client:
            near_one, away_one = near.post("near"), away.post("far away")
            await client.put(near_one, listed(near), level="one")
            await sees(client, [near_one.id], "feed.list", account=ANN.account, item=LIST)
            town.cut(home, other)
            await client.put(listed(away), level="one")
            gap = (away.account, "unreachable")
            await sees(client, [gap, near_one.id], "feed.list", account=ANN.account, item=LIST)
            town.heal()
            await client.put(away_one, level="one")
            both = newest_first([near_one, away_one])
            await sees(client, both, "feed.list", account=ANN.account, item=LIST)


@pytest.mark.parametrize("who_looks", ["nobody", "a viewer"])
async def test_long_posts_make_short_pages(tmp_path: Path, who_looks: str) -> None:
    async with founded(tmp_path, **ONE) as town, town.client(town[0]) as client:
        star = Author(2)
        posts = [star.post("\U0001d11e" * limits.POST_TEXT_CODE_POINTS) for _ in range(100)]
        await put_all(client, [listed(star)])
        for start in range(0, len(posts), 20):
            await client.put(*posts[start : start + 20], level="one")
        async with town.client(town[0]) as asking:
            if who_looks == "a viewer":
                await asking.auth(ANN)
            asked = {"account": ANN.account, "item": LIST, "limit": len(posts)}
            await sees(asking, newest_first(posts), "feed.list", **asked)
            page = await asking.call("feed.list", **asked)
            assert page["cursor"] is not None
            sizes = [len(item["record"][0]) for item in page["items"]]
            assert limits.PAGE_BYTES - limits.RECORD_BYTES < sum(sizes) <= limits.PAGE_BYTES


async def test_a_repost_taken_back_while_merged_is_gone_and_stands_once_when_made_again(
    tmp_path: Path,
) -> None:
    star, other, fans = Author(2), Author(3), [Author(10 + n) for n in range(6)]
    home = {"account": fans[0].account}
    async with founded(tmp_path, feeds=FeedsSection(followers_max=4)) as town, town.client(town[0]) as client:
        old, kept = other.post("old"), other.post("kept")
        await client.put(old, kept, *(follow(fan, star) for fan in fans[:3]), level="all")
        await client.put(repost(star, kept), repost(star, old), level="all")
        stays = (kept.id, star.account)
        await sees(client, [(old.id, star.account), stays], "feed.home", **home)
        await client.put(*(follow(fan, star) for fan in fans[3:]), level="all")
        await merged(town, star, among=True)
        await client.put(repost(star, old, on=False), level="all")
        await sees(client, [stays], "feed.home", **home)
        await client.put(repost(star, old), level="all")
        await sees(client, [(old.id, star.account), stays], "feed.home", **home)
        await client.put(repost(star, old, on=False), level="all")
        await client.put(*(follow(fan, star, on=False) for fan in fans[2:]), level="all")
        await merged(town, star, among=False)
        await sees(client, [stays], "feed.home", **home)


places = st.lists(st.integers(0, 400), unique=True, max_size=60)


class Shelf:
    """Sources that are read from memory, and how much of them was."""

    def __init__(self, contents: Sequence[Sequence[int]]) -> None:
        ordered = [
            sorted({b"%046d%02d" % (at, n) for at in each}, reverse=True) for n, each in enumerate(contents)
        ]
        self.all = [[Shown(at, b"", b"") for at in each] for each in ordered]
        self.rows = 0

    def sources(self, after: bytes | None) -> list[Source]:
        return [Source(bytes((number >> 8, number & 255)), after) for number in range(len(self.all))]

    async def read(self, sources: Sequence[Source], some: int) -> None:
        for source in sources:
            own = self.all[int.from_bytes(source.account, "big")]
            found = [each for each in own if source.before is None or each.at < source.before][:some]
            self.rows += len(found)
            source.add(Piece.of(found, some))

    def newest(self, after: bytes | None, limit: int) -> list[Shown]:
        every = [each for some in self.all for each in some if after is None or each.at < after]
        return sorted(every, key=lambda each: each.at, reverse=True)[:limit]


@given(st.lists(places, max_size=8), st.integers(1, 30), st.none() | st.integers(0, 400))
async def test_the_newest_of_many_are_what_they_are_together(
    contents: list[list[int]], limit: int, after: int | None
) -> None:
    shelf = Shelf(contents)
    before = None if after is None else b"%045d%03d" % (after, 3)
    assert await newest_of(shelf.sources(before), limit, shelf.read) == shelf.newest(before, limit)


async def test_of_many_sources_each_is_read_only_as_far_as_it_takes() -> None:
    """One of five hundred posts all the time, and the others have a thousand old posts each."""
    shelf = Shelf([range(1_000, 2_000), *([range(1_000)] * 499)])
    found = await newest_of(shelf.sources(None), 200, shelf.read)
    assert found == shelf.newest(None, 200)
    assert shelf.rows < 500 * 2 + 2 * 200
