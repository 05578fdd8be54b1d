"""Whose labels a viewer heeds, on pages that real nodes build, wherever what decides is kept."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.protocol.feed.labelling import OWN, preference_of
from folkmoot.protocol.limits import PAGE_LABELS_PER_POST
from folkmoot.protocol.moderation.definitions import FIELD
from folkmoot.protocol.moderation.label import Label, label_item
from folkmoot.protocol.record import Record

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.projections.people import SEEN_S, bookmark, follow, pages, ref, reply, said, sees
from tests.projections.test_home import SHAPES, Shape
from tests.waiting import until

RUMOUR = {
    "value": "rumour",
    "severity": "alert",
    "blurs": "content",
    "name": {"en": "Rumour", "de": "Gerücht"},
    "about": {"en": "Not confirmed."},
}


def label(who: Author, post: Record, value: str = "rumour", **more: Any) -> Record:
    body = Label(post.item, value, who.account, post.id, "So.", **more).body()
    return who.record("label", label_item(post.item, value, who.account), body, place=post.author)


def defines(who: Author, *labels: dict[str, Any]) -> Record:
    return who.record("profile", FIELD, {"value": {"labels": list(labels)}})


def heeds(who: Author, labeller: Author, *, on: bool = True, **chosen: str) -> Record:
    return who.record("preference", preference_of(labeller.account), {"on": on, "set": chosen})


async def cautions(client: Client, method: str, **params: Any) -> list[list[dict[str, Any]]]:
    items = await pages(client, method, **params)
    return [item.get("cautions", []) for item in items]


@pytest.mark.parametrize("shape", SHAPES)
async def test_labels_are_heeded_by_who_subscribes(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo, fay = Author(1), Author(2), Author(3), Author(4)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        bens, cleos = ben.post("of ben"), cleo.post("of cleo")
        await client.put(
            *(follow(ann, ben), follow(ann, cleo), bens, cleos),
            *(defines(fay, RUMOUR), label(fay, bens), heeds(ann, fay)),
            ann.record("preference", OWN, {"languages": ["de-at"]}),
            level="all",
        )
        everything, home = [cleos.id, bens.id], {"account": ann.account}
        async with town.client(town[0]) as anns, town.client(town[1]) as bens_client:
            await anns.auth(ann)
            await bens_client.auth(ben)
            await sees(anns, everything, "feed.home", **home)
            [_, told] = await cautions(anns, "feed.home", **home)
            assert told == [
                {
                    **{"source": "label", "text": "rumour", "by": fay.account, "severity": "alert"},
                    **{"blurs": "content", "name": "Gerücht"},
                }
            ]
            assert await cautions(client, "feed.home", **home) == [[], []], "nobody in particular heeds none"
            await client.put(heeds(ann, fay, rumour="hide"), label(fay, cleos, "odd"), level="all")
            await sees(anns, [cleos.id], "feed.home", **home)
            [[odd]] = await cautions(anns, "feed.home", **home)
            assert (odd["name"], odd["blurs"]) == ("odd", "content"), "what nobody defined covers the post"
            assert said(await pages(anns, "feed.author", account=ben.account)) == []
            assert said(await pages(bens_client, "feed.author", account=ben.account)) == [bens.id]
            await client.put(label(fay, bens, negated=True), level="all")
            await sees(anns, everything, "feed.home", **home)
            await client.put(heeds(ann, fay, on=False), level="all")
            await until(
                lambda: _are(cautions(anns, "feed.home", **home), [[], []]),
                what="nothing to be heeded any more",
                within_s=SEEN_S,
            )


async def _are(found: Awaitable[object], expected: object) -> bool:
    return (await found) == expected


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_crowd_of_labels_hides_no_labellers(tmp_path: Path, shape: Shape) -> None:
    """A post shows 16 labels; what a viewer's labellers say beyond these is looked up where the post is."""
    ann, ben, fay = Author(1), Author(2), Author(4)
    crowd = [Author(100 + number) for number in range(3 * PAGE_LABELS_PER_POST)]
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        shown, behind = ben.post("shown"), ben.post("behind")
        noise = [label(each, behind, "noise", negated=number % 2 == 0) for number, each in enumerate(crowd)]
        await client.put(
            shown, behind, *noise, label(fay, behind), heeds(ann, fay, rumour="hide"), level="all"
        )
        await client.auth(ann)
        await sees(client, [shown.id], "feed.author", account=ben.account)
        await client.put(label(fay, behind, expires_ms=time.time_ns() // 1_000_000 - 1), level="all")
        await sees(client, [behind.id, shown.id], "feed.author", account=ben.account)
        [item, _] = await pages(client, "feed.author", account=ben.account)
        assert item["labels_cut"] is True and "cautions" not in item


FIXED = """
version = 1
name = "fixed"
unicode = "14.0.0"
appeal = "Ask."
[[labels]]
value = "odd"
fixed = true
name = {en = "Odd one"}
"""


async def test_threads_quotes_and_what_the_community_has_fixed(tmp_path: Path) -> None:
    ann, ben, cleo, fay = Author(1), Author(2), Author(3), Author(4)
    policy = tmp_path / "policy.toml"
    policy.write_text(FIXED, encoding="utf-8")
    gate = GateSection(policy=policy)
    async with founded(tmp_path / "nodes", gate=gate) as town, town.client(town[0]) as client:
        root = ben.record("post", ben.item(), {"text": "look", "labels": ["nudity"]})
        answer, quote = (
            reply(cleo, root),
            cleo.record("post", cleo.item(), {"text": "!", "quote": ref(root), "labels": ["odd"]}),
        )
        hidden = ann.record("preference", OWN, {"set": {"nudity": "hide", "odd": "ignore"}})
        await client.put(root, answer, quote, follow(ann, cleo), hidden, label(fay, answer), level="all")
        await client.auth(ann)
        thread = {"author": root.author, "item": root.item}
        await sees(client, [(root.item, "label"), answer.id], "feed.thread", **thread)
        await sees(client, [quote.id, answer.id], "feed.home", account=ann.account)
        items = await pages(client, "feed.home", account=ann.account)
        assert items[0]["quote_hidden"] == "label"
        assert [each["name"] for each in items[0]["cautions"]] == ["Odd one"], "which nobody may ignore"
        ignored = ann.record("preference", OWN, {"set": {"nudity": "ignore"}})
        await client.put(ignored, heeds(ann, fay, rumour="hide"), level="all")
        await sees(client, [root.id, (answer.item, "label")], "feed.thread", **thread)
        [first, _] = await pages(client, "feed.thread", **thread)
        assert "cautions" not in first
        defined = (await client.call("label.definitions"))["labels"]
        assert {"spam", "nudity"} <= {each["value"] for each in defined}
        assert {"value": "odd", "name": {"en": "Odd one"}, "fixed": True} in defined
        nonsense = (
            defines(fay, {"value": "a\u202eb"}),
            defines(fay, {"value": "odd", "blurs": "everything"}),
            ann.record("preference", OWN, {"set": {"spam": "maybe"}}),
            ann.record("preference", b"labels:nobody", {"on": True}),
        )
        results, _ = await client.put(*nonsense)
        assert [each["error"]["name"] for each in results] == ["bad_request"] * len(nonsense)


async def test_every_page_heeds_labels(tmp_path: Path) -> None:
    """Home, author, tag, list, bookmarks, search, ranked and notifications: hidden, and back at once."""
    ann, ben, fay = Author(1), Author(2), Author(4)
    async with founded(tmp_path) as town, town.client(town[0]) as client, town.client(town[1]) as anybody:
        body = {"text": "kettles", "tags": ["tea"], "mentions": [ann.account]}
        post, item = ben.record("post", ben.item(), body), bytes(range(16))
        await client.put(
            *(follow(ann, ben), post, bookmark(ann, post), ann.record("list", item, {"name": "friends"})),
            *(ann.record("listed", item + ben.account, {"on": True}), label(fay, post)),
            level="all",
        )
        await client.auth(ann)
        home = {"account": ann.account}
        asked: dict[str, dict[str, Any]] = {
            "feed.home": home,
            "feed.author": {"account": ben.account},
            "feed.tag": {"tag": "tea"},
            "feed.list": {**home, "item": item},
            "feed.bookmarks": home,
            "feed.ranked": home,
            "search.posts": {"query": "kettles"},
            "notice.list": home,
        }
        for method, params in asked.items():
            await sees(client, [post.id], method, **params)
        await client.put(heeds(ann, fay, rumour="hide"), level="all")
        for method, params in asked.items():
            assert said(await pages(client, method, **params)) == [], method
        assert said(await pages(anybody, "feed.tag", tag="tea")) == [post.id]
        await client.put(heeds(ann, fay, rumour="warn"), level="all")
        for method, params in asked.items():
            [item_shown] = await pages(client, method, **params)
            assert [each["text"] for each in item_shown["cautions"]] == ["rumour"], method
