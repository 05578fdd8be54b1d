"""Threads, tags, bookmarks and reply counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, FORBIDDEN, UNAUTHENTICATED, WireError

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.projections.people import SEEN_S, bookmark, follow, reply, sees, tagged
from tests.projections.test_home import SHAPES, Shape
from tests.waiting import until


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_thread_is_whole_wherever_one_asks_from(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        root = ann.post("who is for tea?")
        first = reply(ben, root)
        second = reply(cleo, first, root)
        third = reply(ann, second, root)
        await client.put(third, second, first, root, level="all")
        whole = [root.id, first.id, second.id, third.id]
        for post in (root, second):
            for limit in (1, 2, 50):
                asked = {"author": post.author, "item": post.item, "limit": limit}
                await sees(client, whole, "feed.thread", **asked)


async def test_a_thread_says_what_is_missing(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        root, lost = ann.post("root"), ann.post("never sent")
        deleted = reply(ben, root)
        after_deleted, after_lost = reply(ann, deleted, root), reply(ben, lost, root)
        await client.put(root, deleted, after_deleted, after_lost, level="all")
        await client.put(ben.deletion(deleted), level="all")
        asked = {"author": root.author, "item": root.item}
        gaps = [(deleted.item, "deleted"), after_deleted.id, (lost.item, "unknown"), after_lost.id]
        await sees(client, [root.id, *gaps], "feed.thread", **asked)
        await client.put(ann.deletion(root), level="all")
        await sees(client, [(root.item, "deleted"), *gaps], "feed.thread", **asked)


@pytest.mark.parametrize("shape", SHAPES)
async def test_replies_are_counted_where_the_post_is_shown(tmp_path: Path, shape: Shape) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        post = ann.post("root")
        replies = [reply(ben, post, text=str(n)) for n in range(3)]
        await client.put(post, *replies, level="all")
        await client.put(ben.deletion(replies[0]), level="all")

        async def counts() -> Any:
            [item] = await client.feed(ann.account)
            return item["counts"]

        async def counted() -> bool:
            return bool(await counts() == {"likes": 0, "reposts": 0, "replies": 2})

        await until(counted, what="the replies to be counted", within_s=SEEN_S)


@pytest.mark.parametrize("shape", SHAPES)
async def test_followers_are_counted_wherever_one_asks(tmp_path: Path, shape: Shape) -> None:
    ann, fans = Author(1), [Author(10 + n) for n in range(4)]
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        await client.put(*(follow(fan, ann) for fan in fans), level="all")
        await client.put(follow(fans[0], ann, on=False), level="all")
        for node in town.nodes:
            async with town.client(node) as asking:

                async def counted(asking: Client = asking) -> bool:
                    told = await asking.call("account.get", account=ann.account)
                    return bool(told["counts"] == {"followers": 3})

                await until(counted, what="the followers to be counted", within_s=SEEN_S)


@pytest.mark.parametrize("shape", SHAPES)
async def test_tags_are_found_however_they_are_written(tmp_path: Path, shape: Shape) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        one, other, edited = tagged(ann, "Straße"), tagged(ben, "#STRASSE", "tea"), tagged(ann, "tea")
        await client.put(one, other, edited, level="all")
        await sees(client, [other.id, one.id], "feed.tag", tag="strasse")
        await sees(client, [edited.id, other.id], "feed.tag", tag="#Tea", limit=1)
        body = {"text": "no tags any more"}
        await client.put(ann.record("post", edited.item, body), ben.deletion(other), level="all")
        await sees(client, [one.id], "feed.tag", tag="strasse")
        await sees(client, [], "feed.tag", tag="tea")


@pytest.mark.parametrize("shape", SHAPES)
async def test_bookmarks_are_their_owners_alone(tmp_path: Path, shape: Shape) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        posts = [ben.post(str(n)) for n in range(3)]
        await client.put(*posts, *(bookmark(ann, post) for post in reversed(posts)), level="all")
        with pytest.raises(WireError) as refused:
            await client.call("feed.bookmarks", account=ann.account)
        assert refused.value.kind is UNAUTHENTICATED
        await client.auth(ann)
        await sees(client, [post.id for post in posts], "feed.bookmarks", account=ann.account)
        with pytest.raises(WireError) as refused:
            await client.call("feed.bookmarks", account=ben.account)
        assert refused.value.kind is FORBIDDEN
        await client.put(bookmark(ann, posts[1], on=False), level="all")
        await sees(client, [posts[0].id, posts[2].id], "feed.bookmarks", account=ann.account)


async def test_a_cursor_is_of_its_own_feed(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        posts = [tagged(ann, "tea") for _ in range(3)]
        await client.put(*posts, level="all")
        await sees(client, [post.id for post in reversed(posts)], "feed.tag", tag="tea")
        page = await client.call("feed.tag", tag="tea", limit=1)
        forged = page["cursor"][:-1] + bytes((page["cursor"][-1] ^ 1,))
        wrong = [
            ("feed.tag", {"tag": "coffee", "cursor": page["cursor"]}),
            ("feed.home", {"account": ben.account, "cursor": page["cursor"]}),
            ("feed.tag", {"tag": "tea", "cursor": forged}),
            ("feed.tag", {"tag": "tea", "cursor": b""}),
            ("feed.tag", {"tag": "#"}),
            ("feed.home", {"account": b"\0" * 34}),
        ]
        for method, params in wrong:
            with pytest.raises(WireError) as refused:
                await client.call(method, **params)
            assert refused.value.kind is BAD_REQUEST, (method, params)
