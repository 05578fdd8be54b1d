"""Following one's notifications as they come, and what moderation did among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.node.projections import notifications
from folkmoot.node.projections.posts import UNREACHED, Posts, Ref
from folkmoot.protocol import client as clients
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import BAD_REQUEST, FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.feed.following import OVERRUN
from folkmoot.protocol.record import Record

from tests.node.followers import Follower, follower
from tests.node.harness import founded
from tests.node.people import Author
from tests.node.test_gate import gated
from tests.projections.people import SEEN_S, follow, repost
from tests.projections.test_notifications import all_pages, is_told, like, mention, one
from tests.projections.test_streams import begun
from tests.waiting import until

PATIENT = clients.ClientSettings(deadline_s=20.0, name="test/1")


def sorts(follows: Follower) -> list[str]:
    return [item["notice"]["sort"] for item in follows.items]


def told_of(item: dict[str, Any]) -> bytes:
    return Record.from_wire(item["record"]).id


async def test_notifications_are_told_as_they_come_and_strangers_are_not(tmp_path: Path) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        post, old = ann.post("hello"), mention(ben, ann)
        await client.put(follow(ann, ben), post, old, level="all")
        async with follower(town[1].address) as follows:
            await follows.auth(ann)
            await is_told(follows, ann, [one("mention", old)])
            await begun(follows, notifications=ann.account)
            stranger, new = mention(cleo, ann), mention(ben, ann)
            await client.put(stranger, new, level="all")
            await follows.told(new)
            first, second = like(ben, post), like(cleo, post)
            await client.put(first, level="all")
            await follows.told(first)
            await client.put(second, repost(cleo, post), level="all")
            await until(lambda: "repost" in sorts(follows), what="the repost", within_s=10.0)
            assert stranger.id not in follows.ids
            [is_new] = {each["notice"]["unread"] for each in follows.items if told_of(each) == new.id}
            assert is_new is True
            [crowd] = [each for each in await all_pages(follows, ann) if each["notice"]["sort"] == "like"]
            assert crowd["notice"]["count"] == 2
            assert Record.from_wire(crowd["subject"]).id == post.id


async def test_who_comes_back_is_told_what_came_meanwhile_at_any_node(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        first, second = mention(ben, ann), mention(ben, ann)
        await client.put(follow(ann, ben), level="all")
        async with follower(town[1].address) as follows:
            await follows.auth(ann)
            await begun(follows, notifications=ann.account)
            await client.put(first, level="all")
            await follows.told(first)
            cursor = follows.cursor
        await client.put(second, level="all")
        async with follower(town[2].address) as follows:
            await follows.auth(ann)
            await begun(follows, notifications=ann.account, cursor=cursor)
            await follows.told(second)
            with pytest.raises(WireError) as refused:
                await follows.follow(home=ann.account, cursor=cursor)
            assert refused.value.kind is BAD_REQUEST


async def test_only_the_owner_follows_and_only_as_long_as_they_prove_it(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await client.put(follow(ann, ben), level="all")
        async with follower(town[0].address) as follows:
            with pytest.raises(WireError) as refused:
                await follows.follow(notifications=ann.account)
            assert refused.value.kind is UNAUTHENTICATED
            await follows.auth(ben)
            with pytest.raises(WireError) as refused:
                await follows.follow(notifications=ann.account)
            assert refused.value.kind is FORBIDDEN
            await follows.auth(ann)
            await begun(follows, notifications=ann.account)
            await follows.auth(ben)
            news = mention(ben, ann)
            await client.put(news, level="all")
            await until(lambda: any("error" in each for each in follows.events), what="the stream to end")
            assert follows.events[-1]["error"]["name"] == "forbidden" and news.id not in follows.ids


async def test_an_old_post_that_comes_to_name_somebody_is_told_and_an_unreachable_one_is_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        old = ben.post("long ago", item=make_uuid7(1_600_000_000_000, 1))
        await client.put(follow(ann, ben), old)
        async with follower(town[0].address) as follows:
            await follows.auth(ann)
            await is_told(follows, ann, [])
            await begun(follows, notifications=ann.account)
            edit = ben.record("post", old.item, {"text": "and now", "mentions": [ann.account]})
            await client.put(edit)
            await follows.told(edit)

            async def nobody(self: Posts, refs: Sequence[Ref]) -> list[Any]:
                return [UNREACHED] * len(refs)

            monkeypatch.setattr(Posts, "read", nobody)
            lost = mention(ben, ann)
            await client.put(lost)
            gap = {"author": ben.account, "item": lost.item, "reason": "unreachable"}
            told = follows.events
            await until(
                lambda: {"gap": gap} in [item for event in told for item in event.get("items", ())],
                what="the gap",
                within_s=SEEN_S,
            )


async def test_more_than_a_stream_looks_at_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, ben = Author(1), Author(2)
    monkeypatch.setattr(notifications._Followed, "most", 5)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        mentions = [mention(ben, ann) for _ in range(12)]
        await client.put(follow(ann, ben), *mentions, level="all")
        async with follower(town[0].address) as follows:
            await follows.auth(ann)
            newest_first = [one("mention", each) for each in reversed(mentions)]
            await is_told(follows, ann, newest_first)
            await begun(follows, notifications=ann.account, since_ms=0, credit=2)
            await until(lambda: len(follows.ids) == 2, what="what there is credit for", within_s=10.0)
            await follows.call("feed.credit", subscription=1, credit=100)
            await follows.told(*mentions[-5:])
            assert follows.ids == [each.id for each in mentions[-5:]]
            assert [gap["reason"] for gap in follows.gaps] == [OVERRUN]


async def test_what_moderation_did_is_told_with_its_reason(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with gated(tmp_path) as town, town.client(town[0]) as client:
        await client.auth(ann)
        labelled, waiting = ann.post("buy now"), ann.post("What rubbish is this")
        assert (await client.put_one(labelled, "all"))["status"] == "stored"
        assert (await client.put_one(waiting, "all"))["status"] == "held"

        async def outcomes() -> dict[str, Record]:
            items = await all_pages(client, ann)
            return {item["notice"]["sort"]: Record.from_wire(item["record"]) for item in items}

        async def both() -> bool:
            return set(await outcomes()) == {"label", "held"}

        await is_told(client, ann, [], tab="requests")
        await until(both, what="both outcomes", within_s=15.0)
        told = await outcomes()
        assert told["label"].body["reason"] == "Sells something." and told["label"].body["value"] == "advert"
        assert told["held"] == waiting
        by_ben = ben.record(
            "label",
            labelled.item + ben.account[2:14] + b"rude" + ben.account,
            {"value": "rude", "subject_id": labelled.id, "reason": "I think so"},
            place=ann.account,
        )
        await client.put(by_ben, ann.deletion(waiting), ann.deletion(labelled), level="all")
        await is_told(client, ann, [])


async def test_a_client_goes_on_by_itself_and_shows_each_notice_once(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    seen: list[bytes] = []
    async with founded(tmp_path) as town, town.client(town[2]) as writer:
        addresses = [town[0].address, town[1].address]
        async with clients.connect(addresses, tls=False, settings=PATIENT) as client:
            await client.auth(ann.device)
            mentions = [mention(ben, ann) for _ in range(3)]
            await writer.put(follow(ann, ben), mentions[0], level="all")
            async with town.client(town[2]) as reader:
                await reader.auth(ann)
                await is_told(reader, ann, [one("mention", mentions[0])])

            async def watch() -> None:
                async for event in client.follow({"notifications": ann.account}, since_ms=0):
                    seen.extend(Record.from_wire(item["record"]).id for item in event.items)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch)
                await until(lambda: len(seen) == 1, what="the first", within_s=SEEN_S)
                told_by = (await client.ready()).node.id
                talking = next(node for node in town.nodes if node.id.hex() == told_by)
                await writer.put(mentions[1], level="all")
                await until(lambda: len(seen) == 2, what="the second", within_s=SEEN_S)
                await talking.stop()
                await writer.put(mentions[2], level="one")
                await until(lambda: len(seen) >= 3, what="the third", within_s=2 * SEEN_S)
                nursery.cancel_scope.cancel()
    assert seen == [each.id for each in mentions]
