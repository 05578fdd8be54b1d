"""Threads whose answers name no first post, or one that is not theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.projections.branches import DEPTH
from folkmoot.protocol.feed.threads import STEPS
from folkmoot.protocol.record import Record

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.projections.people import follow, ref, reply, said, sees, tagged
from tests.projections.test_home import SHAPES, Shape


def claiming(who: Author, parent: dict[str, Any], root: Record, text: str = "let me in") -> Record:
    """An answer that names a first post of its own choosing."""
    return who.record("post", who.item(), {"text": text, "reply_to": parent, "root": ref(root)})


async def noticed(client: Client, who: Author) -> list[Any]:
    return said((await client.call("notice.list", account=who.account))["items"])


async def test_no_answer_gets_round_the_controls_and_blocks_of_the_thread_it_names(tmp_path: Path) -> None:
    """Whatever it says it answers: a post of its own, one it took back, or none at all."""
    ann, ben, cleo, dan = Author(1), Author(2), Author(3), Author(4)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        closed = ann.record("post", ann.item(), {"text": "no answers", "reply_from": "nobody"})
        open_to_most = ann.post("not for Ben")
        own, gone, last = ben.post("mine"), ben.post("mine, too"), ben.post("the end")
        nothing = {"author": ben.account, "item": ben.item()}
        await client.put(closed, open_to_most, own, gone, level="all")
        await client.put(ann.record("block", ben.account, {"on": True}), ben.deletion(gone), level="all")
        tries = [
            claiming(ben, parent, root)
            for root in (closed, open_to_most)
            for parent in (ref(own), ref(gone), nothing)
        ]
        mute = dan.record("mute", ann.account + open_to_most.item, {"on": True})
        await client.put(*tries, last, follow(dan, ben), mute, level="all")
        await sees(client, [last.id, own.id], "feed.home", account=dan.account)
        by_author = [item for item in await client.feed(ben.account) if "record" in item]
        assert said(by_author) == [last.id, own.id]
        for viewer in (None, cleo, ann):
            if viewer is not None:
                await client.auth(viewer)
            for root in (closed, open_to_most):
                page = await client.call("feed.thread", author=root.author, item=root.item)
                assert [each for each in said(page["items"]) if isinstance(each, bytes)] == [root.id]
        assert await noticed(client, ann) == []


async def test_an_answer_stands_in_no_thread_that_what_it_answers_does_not_lead_to(tmp_path: Path) -> None:
    ann, ben, dan = Author(1), Author(2), Author(4)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        root, own = ann.post("root"), ben.post("mine")
        stray, reply_to_it = claiming(ben, ref(own), root), tagged(ben, "tea")
        proper = reply(ben, root, root)
        mute = dan.record("mute", ann.account + root.item, {"on": True})
        await client.put(root, own, stray, reply_to_it, proper, follow(dan, ben), mute, level="all")
        thread = {"author": root.author, "item": root.item}
        await sees(client, [root.id, proper.id], "feed.thread", **thread)
        await sees(client, [own.id], "feed.thread", author=ben.account, item=stray.item)
        await client.auth(dan)
        await sees(client, [reply_to_it.id, own.id], "feed.home", account=dan.account)
        await client.auth(ann)
        assert await noticed(client, ann) == [proper.id]


def chain(*authors: Author, length: int) -> list[Record]:
    """Posts that each answer the one before and name nothing else."""
    posts = [authors[0].post("the beginning")]
    for number in range(1, length):
        posts.append(reply(authors[number % len(authors)], posts[-1]))
    return posts


@pytest.mark.parametrize("shape", SHAPES)
async def test_answers_that_name_no_root_are_in_the_thread_of_what_they_answer(
    tmp_path: Path, shape: Shape
) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        posts = chain(ann, ben, cleo, length=6)
        proper = reply(ben, posts[2], posts[0], "by the book")
        branch = reply(ann, posts[1], text="a branch of its own")
        await client.put(*posts, proper, branch, level="all")
        whole = [post.id for post in (*posts, branch, proper)]
        for post in (posts[0], posts[3], posts[5], branch, proper):
            await sees(client, whole, "feed.thread", author=post.author, item=post.item)
        await sees(client, whole, "feed.thread", author=ann.account, item=posts[0].item, limit=2)
        closed = ann.record("post", posts[0].item, {"text": "enough", "reply_from": "nobody"})
        await client.put(closed, level="all")
        shut: list[Any] = [(post.item, "reply_control") for post in posts[1:3]]
        shut += [posts[3].id, *((post.item, "reply_control") for post in posts[4:])]
        shut += [branch.id, (proper.item, "reply_control")]
        await sees(client, [closed.id, *shut], "feed.thread", author=ann.account, item=posts[0].item)


async def test_where_a_thread_goes_on_further_than_a_page_it_says_so(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        posts = chain(ann, ben, length=DEPTH + 10)
        await client.put(*posts, level="all")
        asked = {"author": posts[0].author, "item": posts[0].item}
        from_above = [post.id for post in posts[: DEPTH + 1]]
        for limit in (3, 50):
            told = [*from_above, (posts[DEPTH + 1].item, "further")]
            await sees(client, told, "feed.thread", **asked, limit=limit)
        low, begins = posts[DEPTH + 1], DEPTH - STEPS
        shown = [post.id for post in posts[begins : begins + DEPTH + 1]]
        above, below = posts[begins - 1], posts[begins + DEPTH + 1]
        further = [(above.item, "further"), *shown, (below.item, "further")]
        await sees(client, further, "feed.thread", author=low.author, item=low.item)


async def test_posts_that_answer_themselves_or_each_other_stand_once(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        one, two, three = ann.post(), ben.post(), ann.post()
        itself = ann.record("post", three.item, {"text": "I say", "reply_to": ref(three)})
        round_about = ben.record("post", two.item, {"text": "and I", "reply_to": ref(one), "root": ref(one)})
        back = ann.record("post", one.item, {"text": "no", "reply_to": ref(two), "root": ref(two)})
        await client.put(itself, round_about, back, level="all")
        await sees(client, [itself.id], "feed.thread", author=ann.account, item=itself.item)
        [item] = (await client.call("feed.thread", author=ann.account, item=itself.item))["items"]
        assert item["counts"]["replies"] == 0
        for post, other in ((back, round_about), (round_about, back)):
            told = [(other.item, "further"), post.id, other.id]
            await sees(client, told, "feed.thread", author=post.author, item=post.item)
