"""Threads whose answers name no first post, or one that is not theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from folkmoot.protocol.record import Record

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.projections.people import follow, ref, reply, said, sees, tagged


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
