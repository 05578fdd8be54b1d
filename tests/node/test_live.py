"""Live streams over real sockets: what is told, in which order, to whom, and what happens at the edges."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import trio
from folkmoot.protocol.client.dialing import Dialler
from folkmoot.protocol.errors import BAD_REQUEST, NOT_FOUND, UNKNOWN_METHOD, WireError
from folkmoot.protocol.feed.cursor import CursorKind, encode
from folkmoot.protocol.limits import (
    FOLLOW_CREDIT,
    FOLLOW_EVENT_BYTES,
    FOLLOW_SUBSCRIPTIONS,
    OUTPUT_HIGH_WATER_BYTES,
)
from folkmoot.protocol.record import Record

from tests.node.followers import GatedDialler, follower, shorten_heartbeats
from tests.node.harness import founded
from tests.node.people import OPERATOR, Author
from tests.waiting import until

ANN, BEN, CAT = Author(1), Author(2), Author(3)


def like(who: Author, post: Record) -> Record:
    return who.record("like", post.item + who.account, {"on": True}, place=post.author)


async def test_posts_edits_and_deletions_of_one_author_are_told(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        old = ANN.post("before")
        await one.put(old)
        answer = await one.follow(author=ANN.account)
        assert answer["subscription"] == 1
        new = ANN.post("after")
        await one.put(new, BEN.post("someone else"))
        await one.told(new)
        edit = ANN.post("edited", item=new.item)
        await one.put(edit)
        await one.told(edit)
        gone = ANN.deletion(edit)
        await one.put(gone)
        await one.told(gone)
        assert one.ids == [new.id, edit.id, gone.id]
        assert one.items[0] == {
            "record": new.to_wire(),
            "labels": [],
            "counts": {"likes": 0, "reposts": 0, "replies": 0},
        }
        assert all(event["subscription"] == 1 for event in one.events)


async def test_no_more_is_told_than_there_is_credit_for(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        shorten_heartbeats(town)
        await one.follow(author=ANN.account, credit=3)
        posts = [ANN.post(str(number)) for number in range(10)]
        await one.put(*posts)
        await one.told(*posts[:3])
        await until(lambda: len(one.heartbeats) >= 3, what="heartbeats of a stream without credit")
        assert one.ids == [post.id for post in posts[:3]]
        assert (await one.call("feed.credit", subscription=1, credit=4)) == {"credit": 4}
        await one.told(*posts[:7])
        await until(lambda: len(one.heartbeats) >= 6, what="more heartbeats")
        assert one.ids == [post.id for post in posts[:7]]


async def test_a_cell_that_changes_before_it_is_told_is_told_once(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        await one.follow(author=ANN.account, credit=0)
        first, other = ANN.post("one"), ANN.post("two")
        await one.put(first)
        await one.put(other)
        edit = ANN.post("three", item=first.item)
        await one.put(edit)
        await one.call("feed.credit", subscription=1, credit=10)
        await one.told(other, edit)
        assert one.ids == [other.id, edit.id]


async def test_an_idle_stream_says_that_it_is_alive_and_moves_on(tmp_path: Path) -> None:
    """What others write in the same range is not told, and not read again by who goes on from the cursor."""
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        shorten_heartbeats(town)
        first = (await one.follow(author=ANN.account))["cursor"]
        await one.put(BEN.post())
        await until(lambda: one.heartbeats and one.cursor != first, what="a heartbeat of a later place")
        assert one.heartbeats[0].keys() == {"subscription", "heartbeat", "cursor"}
        assert one.items == []


@pytest.mark.parametrize("asked", ["near", "far"])
async def test_a_range_is_told_whole_but_for_what_is_private(tmp_path: Path, asked: str) -> None:
    """Whether its node keeps it or another one does."""
    async with founded(tmp_path, nodes=2, replicas=1, regions=("eu",)) as town:
        [keeper] = town.replicas_of(ANN.account)
        [other] = [node for node in town.nodes if node is not keeper]
        node = keeper if asked == "near" else other
        async with follower(node.address) as one:
            where = await one.call("cluster.where", account=ANN.account)
            await one.follow(range=where["range"])
            post = ANN.post()
            private = [
                ANN.record("mute", BEN.account, {"on": True}),
                ANN.record("bookmark", post.author + post.item, {"on": True}),
            ]
            public = [ANN.record("profile", b"name", {"value": "Ann"}), like(BEN, post)]
            await one.put(post)
            await one.told(post)
            await one.put(*private)
            await one.put(*public)
            await one.told(*public)
            assert set(one.ids) == {post.id, *(record.id for record in public)}


@pytest.mark.parametrize(
    ("asked", "kind", "says"),
    [
        ({"what": {}, "credit": 1}, BAD_REQUEST, "what is one of"),
        ({"what": {"author": ANN.account, "range": 1}, "credit": 1}, BAD_REQUEST, "what is one of"),
        ({"what": {"author": bytes(34)}, "credit": 1}, BAD_REQUEST, "account id"),
        ({"what": {"author": ANN.account}, "credit": FOLLOW_CREDIT + 1}, BAD_REQUEST, "credit"),
        ({"what": {"author": ANN.account}, "credit": -1}, BAD_REQUEST, "credit"),
        ({"what": {"author": ANN.account}}, BAD_REQUEST, "credit"),
        ({"what": {"range": 2**40}, "credit": 1}, NOT_FOUND, "there is no range"),
        ({"what": {"author": ANN.account}, "credit": 1, "cursor": b"made up"}, BAD_REQUEST, "cursor"),
        (
            {
                "what": {"author": ANN.account},
                "credit": 1,
                "cursor": encode(CursorKind.FOLLOW_AUTHOR, BEN.account, bytes(60)),
            },
            BAD_REQUEST,
            "not one of this feed",
        ),
        (
            {
                "what": {"author": ANN.account},
                "credit": 1,
                "cursor": encode(CursorKind.AUTHOR, ANN.account, bytes(16)),
            },
            BAD_REQUEST,
            "not one of this feed",
        ),
        (
            {
                "what": {"author": ANN.account},
                "credit": 1,
                "cursor": encode(CursorKind.FOLLOW_AUTHOR, ANN.account, bytes(59)),
            },
            BAD_REQUEST,
            "no place in a log",
        ),
    ],
)
async def test_what_cannot_be_followed_is_refused(
    asked: dict[str, object], kind: object, says: str, tmp_path: Path
) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        with pytest.raises(WireError, match=says) as caught:
            await one.call("feed.follow", **asked)
        assert caught.value.kind is kind
        assert town[0].parts.live.subscriptions.count == 0


async def test_what_a_node_has_no_streams_of(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        del town[0].parts.live.opens["notifications"]
        with pytest.raises(WireError, match="no streams of what: notifications") as caught:
            await one.follow(notifications=Author(1).account)
        assert caught.value.kind is UNKNOWN_METHOD


async def test_a_connection_has_so_many_subscriptions_and_gives_them_back(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town:
        subscriptions = town[0].parts.live.subscriptions
        async with follower(town[0].address) as one:
            for _ in range(FOLLOW_SUBSCRIPTIONS):
                await one.follow(author=ANN.account)
            with pytest.raises(WireError, match="subscriptions already"):
                await one.follow(author=BEN.account)
            await one.call("feed.unfollow", subscription=7)
            await until(lambda: subscriptions.count == FOLLOW_SUBSCRIPTIONS - 1, what="one to end")
            with pytest.raises(WireError, match="it has ended") as caught:
                await one.call("feed.credit", subscription=7, credit=1)
            assert caught.value.kind is NOT_FOUND
            await one.follow(author=BEN.account)
        await until(lambda: subscriptions.count == 0, what="all to end with the session")


async def test_credit_has_a_bound(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        await one.follow(author=ANN.account, credit=FOLLOW_CREDIT)
        with pytest.raises(WireError, match="are owed already"):
            await one.call("feed.credit", subscription=1, credit=1)
        post = ANN.post()
        await one.put(post)
        await one.told(post)


async def test_ten_thousand_posts_are_told_once_each(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        await one.follow(author=ANN.account, credit=FOLLOW_CREDIT)
        async with town.client(town[0]) as writer:
            await writer.auth(OPERATOR)  # whom no quota slows
            posts = [ANN.post(str(number)) for number in range(10_000)]
            for start in range(0, len(posts), 250):
                results, _ = await writer.put(*posts[start : start + 250])
                assert {result["status"] for result in results} == {"stored"}
        await until(lambda: len(one.ids) >= len(posts), what="all posts to be told", within_s=60)
        assert one.ids == [post.id for post in posts]


async def test_who_does_not_read_is_left_behind_in_the_log_and_not_in_memory(tmp_path: Path) -> None:
    """Thousands of posts wait for a follower that has stopped reading; the node holds about a megabyte."""
    async with founded(tmp_path, nodes=1, replicas=1) as town:
        dialler = GatedDialler()
        async with follower(town[0].address, cast(Dialler, dialler)) as one, town.client(town[0]) as writer:
            await writer.auth(OPERATOR)
            streams = 4
            for _ in range(streams):
                await one.follow(author=ANN.account, credit=FOLLOW_CREDIT)
            sessions = town[0].parts.sessions
            [link] = [each for each, asker in sessions._links.items() if asker.account is None]
            dialler.gate.open = trio.Event()
            posts = [ANN.post("x" * 2_900) for _ in range(2_500)]
            held = 0
            for start in range(0, len(posts), 100):
                await writer.put(*posts[start : start + 100])
                held = max(held, link.statistics().buffered_bytes)
            assert (
                OUTPUT_HIGH_WATER_BYTES // 2 < held <= OUTPUT_HIGH_WATER_BYTES + streams * FOLLOW_EVENT_BYTES
            )
            dialler.gate.open.set()
            await until(
                lambda: len(one.ids) == streams * len(posts), what="all to be told in the end", within_s=60
            )
            for number in range(1, streams + 1):
                events = [event for event in one.events if event["subscription"] == number]
                told = [Record.from_wire(item["record"]).id for event in events for item in event["items"]]
                assert told == [post.id for post in posts]
