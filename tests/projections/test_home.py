"""Home feeds: what those whom one follows post, ready before it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.configuration.feeds_section import FeedsSection
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections.entries import Index
from folkmoot.storage.projections import has

from tests.node.harness import Town, founded
from tests.node.people import Author
from tests.projections.people import SEEN_S, follow, repost, sees
from tests.waiting import until

Shape = dict[str, Any]
SHAPES = [
    pytest.param({}, id="every node keeps everything"),
    pytest.param({"nodes": 4, "regions": ("eu",), "replicas": 1}, id="each range on one node of four"),
]


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_the_followed_post_is_there_whichever_came_first(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        before = ben.post("before")
        await client.put(before, cleo.post("not followed"), level="all")
        await client.put(follow(ann, ben), level="all")
        after = ben.post("after")
        await client.put(after, level="all")
        for node in town.nodes:
            async with town.client(node) as asking:
                await sees(asking, [after.id, before.id], "feed.home", account=ann.account)
                await sees(asking, [], "feed.home", account=cleo.account)


@pytest.mark.parametrize("shape", SHAPES)
async def test_unfollowing_and_deleting_take_out_what_they_should(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        posts = [author.post(str(n)) for n in range(3) for author in (ben, cleo)]
        await client.put(follow(ann, ben), follow(ann, cleo), *posts, level="all")
        newest_first = [post.id for post in reversed(posts)]
        await sees(client, newest_first, "feed.home", account=ann.account)
        await client.put(ben.deletion(posts[2]), level="all")
        newest_first.remove(posts[2].id)
        await sees(client, newest_first, "feed.home", account=ann.account)
        await sees(client, newest_first, "feed.home", account=ann.account, limit=1)
        await client.put(follow(ann, ben, on=False), level="all")
        of_cleo = [post.id for post in reversed(posts) if post.author == cleo.account]
        await sees(client, of_cleo, "feed.home", account=ann.account)
        await client.put(follow(ann, ben), level="all")
        await sees(client, newest_first, "feed.home", account=ann.account)


@pytest.mark.parametrize("shape", SHAPES)
async def test_reposts_stand_where_they_were_made_and_go_again(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        old, new = cleo.post("old"), ben.post("new")
        await client.put(follow(ann, ben), old, new, level="all")
        await sees(client, [new.id], "feed.home", account=ann.account)
        await client.put(repost(ben, old), level="all")
        both = [(old.id, ben.account), new.id]
        await sees(client, both, "feed.home", account=ann.account)
        await client.put(repost(ben, old, on=False), level="all")
        await sees(client, [new.id], "feed.home", account=ann.account)
        await client.put(repost(ben, old), level="all")
        await sees(client, both, "feed.home", account=ann.account)
        await client.put(follow(cleo, ben), level="all")
        await sees(client, both, "feed.home", account=cleo.account)


@pytest.mark.parametrize("shape", SHAPES)
async def test_authors_with_many_followers_are_merged_when_read(tmp_path: Path, shape: Shape) -> None:
    star, other, fans = Author(1), Author(2), [Author(10 + n) for n in range(6)]
    feeds = FeedsSection(followers_max=4)
    async with founded(tmp_path, feeds=feeds, **shape) as town, town.client(town[0]) as client:
        first = star.post("to three")
        await client.put(first, *(follow(fan, star) for fan in fans[:3]), level="all")
        await client.put(follow(fans[0], other), level="all")
        await sees(client, [first.id], "feed.home", account=fans[0].account)
        await client.put(*(follow(fan, star) for fan in fans[3:]), level="all")
        await merged(town, star, among=True)
        between, second = other.post("between"), star.post("to six")
        await client.put(between, second, level="all")
        await sees(client, [second.id, between.id, first.id], "feed.home", account=fans[0].account)
        await sees(client, [second.id, first.id], "feed.home", account=fans[5].account, limit=1)
        await client.put(*(follow(fan, star, on=False) for fan in fans[2:]), level="all")
        await merged(town, star, among=False)
        await sees(client, [second.id, between.id, first.id], "feed.home", account=fans[0].account)
        await sees(client, [], "feed.home", account=fans[5].account)


async def merged(town: Town, star: Author, *, among: bool) -> None:
    """Wait until every node that keeps the star merges them, or does not."""

    def so() -> bool:
        for node in town.replicas_of(star.account):
            with node.parts.commits.store.engine.begin() as transaction:
                if has(transaction, Index.MERGED, 0, place_prefix(star.account), b"") != among:
                    return False
        return True

    await until(so, what="the star to be merged", within_s=SEEN_S)
