"""Ranked feeds of whole nodes: `feed.ranked`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.node.ranking import neighbours
from folkmoot.protocol.client import connect
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.projections.entries import tag_group
from folkmoot.protocol.ranking.position import Position
from folkmoot.protocol.record import Record

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.projections.people import SEEN_S, bookmark, follow, reply, repost, said, sees, tagged
from tests.projections.test_home import SHAPES, Shape
from tests.waiting import until

RANKED = "feed.ranked"
ELSEWHERE: Shape = {"nodes": 4, "regions": ("eu",), "replicas": 1}


def algorithm(who: Author, name: str, **document: Any) -> Record:
    """One that orders by likes, but for what is said."""
    whole = {
        "title": name,
        "sources": [{"from": "following"}],
        "terms": [{"name": "likes", "value": "likes", "weight": 1_000}],
        **document,
    }
    return who.record("algorithm", name.encode(), {"document": whole})


def like(who: Author, post: Record) -> Record:
    return who.record("like", post.item + who.account, {"on": True}, place=post.author)


async def refusal(client: Client, **asked: Any) -> WireError:
    with pytest.raises(WireError) as refused:
        await client.call(RANKED, **asked)
    return refused.value


@pytest.mark.parametrize("shape", SHAPES)
async def test_latest_is_the_home_feed_and_others_are_not(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        first, second = ben.post("first"), cleo.post("second")
        answer, shared = reply(cleo, first), repost(ben, second)
        await client.put(follow(ann, ben), follow(ann, cleo), first, second, answer, shared, level="all")
        await sees(client, [(second.id, ben.account), answer.id, first.id], RANKED, account=ann.account)
        for limit in (1, 2):
            everything = [(second.id, ben.account), answer.id, first.id]
            await sees(client, everything, RANKED, account=ann.account, limit=limit)
        best = [first.id, (second.id, ben.account), answer.id]
        await sees(client, best, RANKED, account=ann.account, algorithm="best")
        for algorithm in ("latest", "best"):  # whose places are times, and are not
            page = await client.call(RANKED, account=ann.account, algorithm=algorithm)
            assert [item["reposted_ms"] for item in page["items"] if "reposter" in item] == [
                shared.stamp // 1000
            ]


@pytest.mark.parametrize("shape", SHAPES)
async def test_why_a_post_is_there_adds_up(tmp_path: Path, shape: Shape) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        quiet, loved = ben.post("quiet"), ben.post("loved")
        later = ben.post("later")
        mine = algorithm(
            ann,
            "mine",
            filters=["text != 'later'"],
            terms=[
                {"name": "likes", "value": "likes", "weight": 1_500},
                {"name": "new", "value": "true", "weight": 1_000, "half_life_s": 3_600},
                {"name": "broken", "value": "{'a': likes}.b", "weight": 1_000},
            ],
        )
        fans = [Author(10 + number) for number in range(2)]
        written = [follow(ann, ben), loved, quiet, later, mine, *(like(fan, loved) for fan in fans)]
        await client.put(*written, level="all")
        asked = {"account": ann.account, "algorithm": {"account": ann.account, "name": "mine"}}
        await sees(client, [loved.id, quiet.id], RANKED, **asked)

        async def told() -> bool:
            page = await client.call(RANKED, **asked, explain=True)
            assert page["algorithm"]["version"] == mine.id and page["algorithm"]["title"] == "mine"
            assert page["left_out"] == {"filtered": 1, "failed": 0, "per_author": 0}
            for item in page["items"]:
                why = item["why"]
                assert why["sources"] == ["following"]
                assert why["score"] == sum(term["points"] for term in why["terms"])
                _, new, broken = why["terms"]
                assert new["value"] == 1_000 and 900 < new["points"] == new["decay"] <= 1_000
                assert broken == {**broken, "failed": True, "points": 0}
            first = page["items"][0]["why"]["terms"][0]
            return bool(
                first == {"name": "likes", "value": 2_000, "weight": 1_500, "decay": 1_000, "points": 3_000}
            )

        await until(told, what="the score to be explained", within_s=SEEN_S)
        page = await client.call(RANKED, **asked)
        assert all("why" not in item for item in page["items"]) and "left_out" not in page


@pytest.mark.parametrize("shape", SHAPES)
async def test_discover_shows_friends_of_friends_and_tags(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo, dan, eve = (Author(1 + number) for number in range(5))
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        home, friends, tea, own = (
            ben.post("of a friend"),
            cleo.post("of theirs"),
            tagged(dan, "Tea"),
            tagged(ann, "tea"),
        )
        written = [follow(ann, ben), follow(ben, cleo), follow(ben, ann), home, friends, tea, own]
        await client.put(*written, eve.post("of nobody"), level="all")
        asked = {"account": ann.account, "algorithm": "discover"}

        async def both() -> bool:
            try:
                return set(said((await client.call(RANKED, **asked))["items"])) == {friends.id, tea.id}
            except WireError as error:
                assert error.kind.name == "busy"
                return False

        await until(both, what="friends of friends and tags", within_s=SEEN_S)
        async with town.client(town[1]) as anns:
            await anns.auth(ann)
            await anns.put(ann.record("block", cleo.account, {"on": True}), level="all")
            await sees(anns, [tea.id], RANKED, **asked)
        page = await client.call(RANKED, **asked, explain=True)
        by_id = dict(zip(said(page["items"]), page["items"], strict=True))
        assert by_id[friends.id]["why"]["sources"][0] == "friends"
        assert by_id[tea.id]["why"]["sources"][0] == "tags"


async def test_what_is_near_in_meaning_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        tea = cleo.post("the kettle is boiling, sencha time")
        football = cleo.post("football results from saturday")
        own = ann.post("I love a cup of sencha in the morning")
        near = algorithm(
            ann,
            "near",
            sources=[{"from": "similar"}],
            filters=["similarity > 0.2"],
            terms=[{"name": "near", "value": "similarity", "weight": 1_000}],
        )
        hidden = algorithm(
            ann, "hidden", sources=[{"from": "similar", "optional": True}, {"from": "friends"}]
        )
        await client.put(follow(ann, ben), follow(ben, cleo), tea, football, own, near, hidden, level="all")
        asked = {"account": ann.account, "algorithm": {"account": ann.account, "name": "near"}}
        await sees(client, [tea.id], RANKED, **asked)
        [item] = (await client.call(RANKED, **asked, explain=True))["items"]
        assert item["why"]["sources"] == ["similar"] and 300 < item["why"]["score"] <= 1_000
        monkeypatch.setitem(sys.modules, "wordllama", None)
        neighbours.model.cache_clear()
        await client.put(algorithm(ann, "near", sources=[{"from": "similar"}]), level="all")
        error = await refusal(client, **asked)
        assert error.kind.name == "not_found" and "needs the extra [embed]" in error.message
        asked["algorithm"] = {"account": ann.account, "name": "hidden"}
        assert set(said((await client.call(RANKED, **asked))["items"])) == {tea.id, football.id}


async def test_bookmarks_are_heeded_for_their_owner_alone(tmp_path: Path) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        marked, other = tagged(ben, "tea"), tagged(cleo, "tea")
        await client.put(marked, other, bookmark(ann, marked), level="all")
        asked = {"account": ann.account, "algorithm": "discover"}
        async with town.client(town[0]) as anns:
            await anns.auth(ann)

            async def both() -> bool:
                try:
                    return set(said((await anns.call(RANKED, **asked))["items"])) == {marked.id, other.id}
                except WireError:
                    return False

            await until(both, what="the tags of bookmarks", within_s=SEEN_S)
        assert (await client.call(RANKED, **asked))["items"] == []


async def test_pages_are_of_one_ranking_until_the_algorithm_changes(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        posts = [ben.post(str(number)) for number in range(5)]
        mine = algorithm(ann, "mine")
        await client.put(follow(ann, ben), mine, *posts, level="all")
        named = {"account": ann.account, "name": "mine"}
        asked = {"account": ann.account, "algorithm": named, "limit": 2}
        newest_first = [post.id for post in reversed(posts)]
        await sees(client, newest_first, RANKED, **asked)
        page = await client.call(RANKED, **asked)
        await client.put(like(ann, posts[0]), ben.post("new"), level="all")
        seen = said(page["items"])
        while page["cursor"] is not None:
            page = await client.call(RANKED, **asked, cursor=page["cursor"])
            seen += said(page["items"])
        assert seen == newest_first, "likes and posts that came meanwhile change no page"
        first = await client.call(RANKED, **asked)
        await client.put(algorithm(ann, "mine", title="changed"), level="all")
        assert (await refusal(client, **asked, cursor=first["cursor"])).kind.name == "conflict"
        assert (await client.call(RANKED, **asked))["algorithm"]["title"] == "changed"
        await client.put(ann.record("algorithm", b"mine", {"deleted": True}), level="all")
        assert (await refusal(client, **asked)).kind.name == "not_found"


async def test_clients_read_page_by_page(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        posts = [ben.post(str(number)) for number in range(5)]
        await client.put(follow(ann, ben), *posts, level="all")
        newest_first = [post.id for post in reversed(posts)]
        await sees(client, newest_first, RANKED, account=ann.account)
        node = town[0]
        async with connect(node.address, ca=node.config.tls.ca, tls=node.config.tls.mode != "off") as reading:
            feed = reading.ranked_feed(ann.account, "latest", limit=2, explain=True)
            pages = [page async for page in feed]
        assert [len(page.items) for page in pages] == [2, 2, 1]
        assert [each for page in pages for each in said(page.items)] == newest_first
        assert {page.told["as_of_ms"] for page in pages} == {pages[0].told["as_of_ms"]}


async def test_later_pages_of_another_node_are_as_of_the_first(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client, town.client(town[1]) as other:
        posts = [ben.post(str(number)) for number in range(4)]
        await client.put(follow(ann, ben), *posts, level="all")
        newest_first = [post.id for post in reversed(posts)]
        asked = {"account": ann.account, "limit": 2}
        for asking in (client, other):
            await sees(asking, newest_first, RANKED, **asked)
        page = await client.call(RANKED, **asked)
        newer = ben.post("newer")
        await client.put(newer, level="all")
        for asking in (client, other):
            await sees(asking, [newer.id, *newest_first], "feed.home", account=ann.account)
        later = await other.call(RANKED, **asked, cursor=page["cursor"])
        assert said(page["items"]) + said(later["items"]) == newest_first
        assert later["as_of_ms"] == page["as_of_ms"] and later["cursor"] is None


async def test_forged_cursors_and_what_there_is_not(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        posts = [ben.post(str(number)) for number in range(3)]
        await client.put(follow(ann, ben), *posts, level="all")
        asked: dict[str, Any] = {"account": ann.account, "limit": 1}
        await sees(client, [post.id for post in reversed(posts)], RANKED, **asked)
        page = await client.call(RANKED, **asked)
        cursor, version = page["cursor"], page["algorithm"]["version"]
        subject = ann.account + b"latest"

        def forged(position: Position) -> bytes:
            return cursors.encode(CursorKind.RANKED, subject, position.encode())

        honest = Position(version, page["as_of_ms"], 0, bytes(48))
        old = {**asked, "cursor": forged(honest._replace(as_of_ms=1, score=2**62))}
        assert (await client.call(RANKED, **old))["items"] == [], "nothing was there in 1970"
        for wrong, kind in [
            ({"cursor": forged(honest._replace(as_of_ms=2**64 - 1))}, "bad_request"),
            ({"cursor": forged(honest._replace(version=bytes(16)))}, "conflict"),
            ({"cursor": cursors.encode(CursorKind.RANKED, subject, b"short")}, "bad_request"),
            ({"cursor": cursor, "algorithm": "best"}, "bad_request"),
            ({"cursor": cursor, "account": ben.account}, "bad_request"),
            ({"cursor": cursor[:-1]}, "bad_request"),
            ({"account": bytes(34)}, "bad_request"),
            ({"algorithm": "worst"}, "not_found"),
            ({"algorithm": {"account": ben.account, "name": "none"}}, "not_found"),
            ({"algorithm": {"account": ben.account, "name": ""}}, "bad_request"),
            ({"algorithm": 1}, "bad_request"),
            ({"limit": 201}, "bad_request"),
        ]:
            assert (await refusal(client, **{**asked, **wrong})).kind.name == kind, wrong


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_algorithm_is_anybodys_to_use(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        one, two = ben.post("one"), ben.post("two")
        await client.put(follow(ann, ben), one, two, like(cleo, one), algorithm(cleo, "liked"), level="all")
        asked = {"account": ann.account, "algorithm": {"account": cleo.account, "name": "liked"}}
        await sees(client, [one.id, two.id], RANKED, **asked)


async def test_the_gate_turns_away_what_cannot_be_compiled(tmp_path: Path) -> None:
    ann = Author(1)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        wrong = {
            "likes >": "terms[0] (x), character 8: Syntax error",
            "likes > 2": "such as 2.0",
            "text.matches('a')": "no matches",
            "tags.all(a, tags.all(b, true))": "no all",
            "text + text": "no matching overload",
            "text": "neither a number",
        }
        for value, words in wrong.items():
            terms = [{"name": "x", "value": value, "weight": 1}]
            result = await client.put_one(algorithm(ann, "bad", terms=terms))
            assert result["status"] == "refused" and words in result["error"]["message"], value
        documents: list[tuple[dict[str, Any], str]] = [
            ({"filters": ["likes"]}, "filters[0]: its value is a number"),
            (
                {"sources": [{"from": "stars"}]},
                "there is no source 'stars'; there are following, friends, tags",
            ),
            ({"sources": [{"from": "following", "tags": ["tea"]}]}, "following has no tags"),
        ]
        for document, words in documents:
            result = await client.put_one(algorithm(ann, "bad", **document))
            assert result["status"] == "refused" and words in result["error"]["message"], document
        later = algorithm(ann, "good", sources=[{"from": "stars", "optional": True}, {"from": "tags"}])
        assert (await client.put_one(later))["status"] == "stored"


async def test_an_algorithm_that_takes_too_long_is_named_and_harms_nobody_else(tmp_path: Path) -> None:
    """Each expression goes through the longest text there is a dozen times, in vain."""
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        posts = [ben.post("a" * 3_000) for _ in range(200)]
        search = "||".join(f"text.contains('{letter}{'a' * 12}b')" for letter in "a" * 12)
        slow = algorithm(
            ann,
            "slow",
            filters=[f"!({search})"] * 4,
            terms=[{"name": str(number), "value": search, "weight": 1} for number in range(5)],
        )
        await client.put(follow(ann, ben), slow, *posts, level="all")
        newest_first = [post.id for post in reversed(posts)]
        await sees(client, newest_first, "feed.home", account=ann.account, limit=200)
        asked = {"account": ann.account, "algorithm": {"account": ann.account, "name": "slow"}}
        async with town.client(town[0]) as other, trio.open_nursery() as nursery:
            errors: list[WireError] = []

            async def ask() -> None:
                errors.append(await refusal(client, **asked))

            nursery.start_soon(ask)
            await sees(other, newest_first, "feed.home", account=ann.account, limit=200)
        [error] = errors
        assert error.kind.name == "too_large" and error.details is not None
        assert error.details["expression"].startswith(("filters[", "terms["))
        await sees(client, newest_first, RANKED, account=ann.account, limit=200)


async def test_sources_that_cannot_be_asked_are_named(tmp_path: Path) -> None:
    """Each range is on one node: the one that has the tag is cut off from the one that has the reader."""
    async with founded(tmp_path, **ELSEWHERE) as town:
        ann, ben = Author(1), Author(2)
        [home] = town.replicas_of(ann.account)
        view = home.parts.topology
        by_id = {node.id: node for node in town.nodes}
        tags = {form: by_id[view.where(tag_group(form)).slots[0].reader] for form in map(str, range(64))}
        form, away = next((form, node) for form, node in tags.items() if node is not home)
        near = next(form for form, node in tags.items() if node is home)
        kept = next(
            who
            for who in (Author(number) for number in range(20, 99))
            if town.replicas_of(who.account) == [home]
        )
        async with town.client(home) as client:
            post = tagged(kept, form, near)
            sources = [{"from": "tags", "tags": [form, near]}]
            mine = algorithm(ann, "mine", sources=sources)
            await client.put(post, tagged(ben, form), mine, level="all")
            asked = {"account": ann.account, "algorithm": {"account": ann.account, "name": "mine"}}

            async def both() -> bool:
                try:
                    return len((await client.call(RANKED, **asked))["items"]) == 2
                except WireError as error:
                    assert error.kind.name == "busy"
                    return False

            await until(both, what="both posts", within_s=SEEN_S)
            town.cut(home, away)

            async def one_is_missing() -> bool:
                page = await client.call(RANKED, **asked)
                return bool(page.get("unreached") == ["tags"] and post.id in said(page["items"]))

            await until(one_is_missing, what="the source to be named", within_s=SEEN_S)
