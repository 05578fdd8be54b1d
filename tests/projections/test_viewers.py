"""What a viewer does not want to see, or is not to see, is not on the pages built for them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from folkmoot.protocol.feed.mute import word_item
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.record import Record

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.projections.people import SEEN_S, follow, pages, ref, reply, repost, said, sees, tagged
from tests.projections.test_home import SHAPES, Shape
from tests.waiting import until


def block(who: Author, whom: Author, *, on: bool = True) -> Record:
    return who.record("block", whom.account, {"on": on})


def mute(who: Author, whom: Author, **more: Any) -> Record:
    return who.record("mute", whom.account, {"on": True, **more})


@pytest.mark.parametrize("shape", SHAPES)
async def test_mutes_are_the_viewers_own_and_end(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        bens, cleos = ben.post("of ben"), cleo.post("of cleo")
        await client.put(follow(ann, ben), follow(ann, cleo), bens, cleos, level="all")
        everything = [cleos.id, bens.id]
        await sees(client, everything, "feed.home", account=ann.account)
        until_us = time.time_ns() // 1000 + 3_000_000
        await client.put(mute(ann, ben, until=until_us), level="all")
        async with town.client(town[0]) as anns:
            await anns.auth(ann)
            await sees(anns, [cleos.id], "feed.home", account=ann.account)
            await sees(client, everything, "feed.home", account=ann.account)
            await sees(anns, everything, "feed.home", account=ann.account)


@pytest.mark.parametrize("shape", SHAPES)
async def test_blocks_work_both_ways(tmp_path: Path, shape: Shape) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        anns, bens = tagged(ann, "tea"), tagged(ben, "tea")
        await client.put(anns, bens, level="all")
        await sees(client, [bens.id, anns.id], "feed.tag", tag="tea")
        await client.put(block(ann, ben), level="all")
        await sees(client, [bens.id, anns.id], "feed.tag", tag="tea")
        for who, own in ((ann, anns), (ben, bens)):
            async with town.client(town[1]) as asking:
                await asking.auth(who)
                await sees(asking, [own.id], "feed.tag", tag="tea")
        await client.put(block(ann, ben, on=False), level="all")
        async with town.client(town[1]) as asking:
            await asking.auth(ben)
            await sees(asking, [bens.id, anns.id], "feed.tag", tag="tea")


@pytest.mark.parametrize("shape", SHAPES)
async def test_who_may_answer_is_the_authors_to_say(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        root = ann.record("post", ann.item(), {"text": "followed only", "reply_from": "following"})
        allowed, refused = reply(ben, root), reply(cleo, root)
        await client.put(follow(ann, ben), root, allowed, refused, level="all")
        asked = {"author": root.author, "item": root.item}
        shown = [root.id, allowed.id, (refused.item, "reply_control")]
        await sees(client, shown, "feed.thread", **asked)
        async with town.client(town[0]) as cleos:
            await cleos.auth(cleo)
            await sees(cleos, [root.id, allowed.id, refused.id], "feed.thread", **asked)
        await client.put(follow(ann, cleo), level="all")
        await sees(client, [root.id, allowed.id, refused.id], "feed.thread", **asked)


async def test_items_say_what_is_to_be_said_first(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        quiet = ben.record("post", ben.item(), {"text": "mine alone", "quote_from": "nobody"})
        body = {"text": "look", "warning": "spiders", "labels": ["scary"], "quote": ref(quiet)}
        loud = ann.record("post", ann.item(), body)
        await client.put(follow(ben, ann), quiet, loud, level="all")
        await sees(client, [loud.id], "feed.home", account=ben.account)
        [item] = (await client.call("feed.home", account=ben.account))["items"]
        said = [(each["source"], each["text"]) for each in item["cautions"]]
        assert said == [("warning", "spiders"), ("self_label", "scary")]
        assert item["quote_hidden"] == "quote_control"


async def test_muted_reposts_and_threads(tmp_path: Path) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        root = cleo.post("root")
        own, answer = ben.post("own"), reply(ben, root)
        await client.put(follow(ann, ben), root, own, answer, repost(ben, root), level="all")
        await client.auth(ann)
        everything = [(root.id, ben.account), answer.id, own.id]
        await sees(client, everything, "feed.home", account=ann.account)
        await client.put(mute(ann, ben, reposts=True), level="all")
        await sees(client, [answer.id, own.id], "feed.home", account=ann.account)
        thread = ann.record("mute", root.author + root.item, {"on": True})
        await client.put(thread, level="all")
        await sees(client, [own.id], "feed.home", account=ann.account)


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_lists_feed_is_what_its_members_post(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        item = bytes(range(16))
        named = ann.record("list", item, {"name": "friends"})
        members = [ann.record("listed", item + who.account, {"on": True}) for who in (ben, cleo)]
        posts = [who.post(str(n)) for n in range(3) for who in (ben, cleo)]
        await client.put(named, *members, *posts, level="all")
        newest_first = [post.id for post in reversed(posts)]
        for limit in (2, 50):
            await sees(client, newest_first, "feed.list", account=ann.account, item=item, limit=limit)
        await client.put(ann.record("listed", item + ben.account, {"on": False}), level="all")
        of_cleo = [post.id for post in reversed(posts) if post.author == cleo.account]
        await sees(client, of_cleo, "feed.list", account=ann.account, item=item)


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_authors_page_is_made_for_who_looks_at_it(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[1]) as client:
        closed = cleo.record("post", cleo.item(), {"text": "to nobody", "reply_from": "nobody"})
        plain, refused, spam = ann.post("plain"), reply(ann, closed), ann.post("spam")
        body = {"text": "look", "warning": "spiders", "labels": ["scary"]}
        loud = ann.record("post", ann.item(), body)
        word = ben.record("mute", word_item("spam"), {"on": True, "word": "spam"})
        await client.put(closed, plain, refused, spam, loud, mute(ben, ann), word, level="all")

        async def shown(asking: Client, **more: Any) -> list[bytes]:
            return said(await pages(asking, "feed.author", account=ann.account, **more))

        async with town.client(town[1]) as bens, town.client(town[1]) as anns:
            await bens.auth(ben)
            await anns.auth(ann)
            for more in ({}, {"limit": 1}, {"level": "quorum"}):
                assert await shown(client, **more) == [loud.id, spam.id, plain.id]
                assert await shown(bens, **more) == [loud.id, plain.id], "muted, and looked for all the same"
                assert await shown(anns, **more) == [loud.id, spam.id, refused.id, plain.id]
            for asking in (client, bens, anns):
                page = await asking.call("feed.author", account=ann.account, limit=1)
                [item] = page["items"]
                assert [each["text"] for each in item["cautions"]] == ["spiders", "scary"]
            await client.put(block(ann, ben), level="all")
            assert await shown(bens) == []
            page = await bens.call("feed.author", account=ann.account, limit=1)
            assert (page["items"], page["cursor"]) == ([], None), "there is nothing further back either"
            assert await shown(client) == [loud.id, spam.id, plain.id]
            await client.put(block(ann, ben, on=False), block(ben, ann), level="all")
            bens_view = partial(shown, bens, limit=2)
            await until(lambda: is_empty(bens_view), what="a block of one's own to hold", within_s=SEEN_S)


async def is_empty(shown: Callable[[], Awaitable[list[bytes]]]) -> bool:
    return await shown() == []


async def test_labels_that_are_heeded_are_said_first_to_everybody(tmp_path: Path) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        service = town[1].environment.secrets.service()
        shown, slandered = ann.post("a body"), ann.post("a flower")
        await client.put(follow(ben, ann), shown, slandered, level="all")
        await sees(client, [slandered.id, shown.id], "feed.home", account=ben.account)
        heeded = Label(shown.item, "nudity", service.account, shown.id, "Bare.")
        slander = Label(slandered.item, "rude", cleo.account, slandered.id, "So I say.")
        await client.put(
            Record.sign(
                service,
                kind="label",
                item=heeded.item,
                body=heeded.body(),
                place=ann.account,
                stamp=time.time_ns() // 1000,
            ),
            cleo.record("label", slander.item, slander.body(), place=ann.account),
            level="all",
        )
        async with town.client(town[0]) as bens:
            await bens.auth(ben)
            for asking in (client, bens):
                plain, behind = (await asking.call("feed.home", account=ben.account))["items"]
                assert len(plain["labels"]) == len(behind["labels"]) == 1
                assert "cautions" not in plain
                [caution] = behind["cautions"]
                assert caution == {
                    **{"source": "label", "text": "nudity", "by": service.account},
                    **{"severity": "inform", "blurs": "media", "name": "Nudity"},
                }
