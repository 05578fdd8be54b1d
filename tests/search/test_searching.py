"""Searching as clients do it: whole clusters, and what they say when a part of them is silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.record import Record

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.projections.people import SEEN_S, pages, said
from tests.projections.test_home import SHAPES, Shape
from tests.waiting import until


async def finds(client: Client, expected: list[Record], query: str, **params: Any) -> None:
    """Wait until a search of all ranges finds these posts and no others, in this order."""
    found: list[Any] = []
    wanted = [post.id for post in expected]

    async def is_so() -> bool:
        try:
            page = await client.call("search.posts", query=query, **params)
            found[:] = said(await pages(client, "search.posts", query=query, **params))
        except WireError as error:
            assert error.kind in (BUSY, LEVEL_UNREACHABLE), error
            return False
        covered = page["covered"]
        return covered["ranges"] == covered["of"] and found == wanted

    await until(is_so, what=f"{query!r} to find {len(wanted)} posts", within_s=SEEN_S)


@pytest.mark.parametrize("shape", SHAPES)
async def test_posts_are_found_wherever_one_asks_from(tmp_path: Path, shape: Shape) -> None:
    authors = [Author(n) for n in range(1, 6)]
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        posts = [author.post(f"Crème brûlée number {n}") for n in range(4) for author in authors]
        await client.put(*posts, level="all")
        newest_first = sorted(posts, key=lambda post: (post.item, post.author), reverse=True)
        for node in town.nodes:
            async with town.client(node) as asking:
                for limit in (3, 200):
                    await finds(asking, newest_first, "creme BRULEE", limit=limit)
                own = [post for post in newest_first if post.author == authors[2].account]
                await finds(asking, own, f"brûlée from:{account_to_text(authors[2].account)}")
                await finds(asking, [], "creme -number")


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_is_edited_or_deleted_is_found_as_it_is_now(tmp_path: Path, shape: Shape) -> None:
    ann = Author(1)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        kept, gone = ann.post("a kettle of tea"), ann.post("a kettle of fish")
        await client.put(kept, gone, level="all")
        await finds(client, [gone, kept], '"kettle of"')
        edited = ann.record("post", kept.item, {"text": "a pot of coffee"})
        await client.put(edited, ann.deletion(gone), level="all")
        await finds(client, [], "kettle")
        await finds(client, [edited], "coffee pot")


@pytest.mark.parametrize("shape", SHAPES)
async def test_who_does_not_want_to_be_found_is_not(tmp_path: Path, shape: Shape) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        hers = [ann.post(f"lighthouse {n}") for n in range(3)]
        his = ben.post("lighthouse keeper")
        await client.put(*hers, his, level="all")
        await finds(client, [his, *reversed(hers)], "lighthouse")
        await client.put(ann.record("profile", b"searchable", {"value": False}), level="all")
        await finds(client, [his], "lighthouse")
        while_hidden = ann.post("another lighthouse")
        await client.put(while_hidden, ben.post("unrelated"), level="all")
        await finds(client, [his], "lighthouse")
        await client.put(ann.record("profile", b"searchable", {"value": True}), level="all")
        await finds(client, [while_hidden, his, *reversed(hers)], "lighthouse")


async def test_tags_languages_and_times_narrow_a_search(tmp_path: Path) -> None:
    ann = Author(1)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        plain = ann.post("the moot meets")
        tagged = ann.record("post", ann.item(), {"text": "the moot meets", "tags": ["Tea"], "lang": "pt-BR"})
        await client.put(plain, tagged, level="all")
        await finds(client, [tagged, plain], "moot")
        for query in ("moot #tea", "#TEA", "moot lang:pt", "lang:pt-br", "moot since:2020-01-01 #tea"):
            await finds(client, [tagged], query)
        await finds(client, [plain], "moot -#tea")
        await finds(client, [], "moot until:2020-01-01")


async def test_the_best_come_first_when_asked_for(tmp_path: Path) -> None:
    ann = Author(1)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        much = ann.post("herring herring herring")
        little = ann.post(
            "of all that is in the sea, some day somebody ought to say a word about herring, too"
        )
        await client.put(much, little, level="all")
        await finds(client, [little, much], "herring")
        await finds(client, [much, little], "herring", best=True)
        await finds(client, [much, little], "herring", best=True, limit=1)


async def test_what_a_viewer_mutes_is_not_found(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        hers, his = ann.post("rhubarb"), ben.post("rhubarb, too")
        await client.put(hers, his, ann.record("block", ben.account, {"on": True}), level="all")
        await finds(client, [his, hers], "rhubarb")
        await client.auth(ann)
        await finds(client, [hers], "rhubarb")


async def test_a_search_says_what_it_did_not_look_through(tmp_path: Path) -> None:
    shape: Shape = {"nodes": 4, "regions": ("eu",), "replicas": 1}
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        posts = [Author(n).post("everywhere") for n in range(1, 30)]
        await client.put(*posts, level="all")
        await finds(
            client, sorted(posts, key=lambda post: (post.item, post.author), reverse=True), "everywhere"
        )
        # Where ranges are is a matter of chance: one node in 500 keeps none of these posts.
        topology = town[0].parts.topology
        keepers = {post.id: topology.where(post.key).nodes() for post in posts}
        lost = next(node for node in town.nodes[1:] if any(node.id in kept for kept in keepers.values()))
        left = {post.id for post in posts if lost.id not in keepers[post.id]}
        searched = sum(lost.id not in owner.nodes() for owner in topology.current().ranges.ranges)
        await lost.stop()

        async def is_partial() -> bool:
            try:
                page = await client.call("search.posts", query="everywhere", limit=200)
            except WireError as error:
                assert error.kind in (BUSY, LEVEL_UNREACHABLE), error
                return False
            found = {each for each in said(page["items"]) if isinstance(each, bytes)}
            covered = page["covered"]
            assert page["as_of_ms"] > 0
            assert found <= left and covered["ranges"] <= searched < covered["of"], (
                "it is never said to be whole"
            )
            return found == left and covered["ranges"] == searched

        await until(is_partial, what="an answer that says that it is partial", within_s=SEEN_S)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "nothing to look for"),
        ("\u200b\u200d", "nothing to look for"),
        ('tea "never closed', "character 5"),
        ("tea ab*", "character 5"),
        ("from:nobody_here", "no account has the handle"),
        ("tea since:yesterday", "character 5"),
    ],
)
async def test_a_query_that_makes_no_sense_says_where(tmp_path: Path, query: str, said: str) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        with pytest.raises(WireError, match=said) as caught:
            await client.call("search.posts", query=query)
        assert caught.value.kind is BAD_REQUEST


async def test_what_is_no_query_and_no_cursor_is_refused(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        post = Author(1).post("tea")
        await client.put(post, Author(2).post("tea"), level="all")
        await finds(client, [], "coffee")
        page: dict[str, Any] = {}

        async def has_a_cursor() -> bool:
            page.update(await client.call("search.posts", query="tea", limit=1))
            return page["cursor"] is not None

        await until(has_a_cursor, what="two posts to be found", within_s=SEEN_S)
        member = page["cursor"][10:]
        forged = [
            cursors.encode(CursorKind.SEARCH_BEST, b"tea", head + member)
            for head in (bytes(13), bytes(15), b"\xff" * 8 + bytes(6), bytes(8) + b"\xff" * 6)
        ]
        forged.append(cursors.encode(CursorKind.SEARCH_BEST, b"tea", bytes(14) + b"\xff" * 48))
        refused: list[dict[str, Any]] = [
            *({"query": "tea", "best": True, "cursor": cursor} for cursor in forged),
            {"query": "tea", "cursor": cursors.encode(CursorKind.SEARCH, b"tea", b"\xff" * 48)},
            {"query": "coffee", "cursor": page["cursor"]},
            {"query": "tea", "best": True, "cursor": page["cursor"]},
            {"query": "tea", "cursor": page["cursor"][:-1] + b"\0"},
            {"query": "tea " * 200_000},
            {"query": "tea", "limit": 0},
            {"query": b"tea"},
        ]
        for params in refused:
            with pytest.raises(WireError) as caught:
                await client.call("search.posts", **params)
            assert caught.value.kind is BAD_REQUEST
