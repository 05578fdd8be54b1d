"""Live streams over real sockets: what is told, in which order, to whom, and what happens at the edges."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import trio
from folkmoot.protocol.client.dialing import Dialler
from folkmoot.protocol.errors import BAD_REQUEST, NOT_FOUND, UNKNOWN_METHOD, WireError
from folkmoot.protocol.feed.cursor import CursorKind, encode
from folkmoot.protocol.key import kind_prefix, place_prefix
from folkmoot.protocol.limits import (
    FOLLOW_CREDIT,
    FOLLOW_EVENT_BYTES,
    FOLLOW_SUBSCRIPTIONS,
    OUTPUT_HIGH_WATER_BYTES,
)
from folkmoot.protocol.record import Record

from tests.node.followers import GatedDialler, follower
from tests.node.harness import Town, founded
from tests.node.people import OPERATOR, Author
from tests.node.test_fences import ONE_A_REGION, joint
from tests.node.test_moving import adopt, copied, held_by
from tests.node.test_splitting import neighbours, owner_of, split
from tests.registers.seats import seated
from tests.waiting import until

ANN, BEN, CAT = Author(1), Author(2), Author(3)


def like(who: Author, post: Record) -> Record:
    return who.record("like", post.item + who.account, {"on": True}, place=post.author)


def shorten_heartbeats(town: Town, seconds: float = 0.1) -> None:
    for node in town.running():
        node.parts.live.subscriptions.heartbeat_s = seconds


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
        assert one.items[0] == {"record": new.to_wire(), "labels": [], "counts": {"likes": 0, "reposts": 0}}
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


async def test_a_stream_goes_on_exactly_where_its_cursor_says(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town:
        posts = [ANN.post(str(number)) for number in range(6)]
        async with follower(town[0].address) as one:
            begun = (await one.follow(author=ANN.account))["cursor"]
            await one.put(*posts[:3])
            await one.told(*posts[:3])
            cursor = one.cursor
            await one.put(*posts[3:])
        async with follower(town[0].address) as other:
            await other.follow(author=ANN.account, cursor=cursor)
            await other.follow(author=ANN.account, cursor=begun)
            await until(lambda: len(other.ids) == 9, what="what came after the cursors")
            told = {
                number: [event for event in other.events if event["subscription"] == number]
                for number in (1, 2)
            }
            ids = {
                number: [Record.from_wire(item["record"]).id for event in events for item in event["items"]]
                for number, events in told.items()
            }
            assert ids == {1: [post.id for post in posts[3:]], 2: [post.id for post in posts]}
            assert other.gaps == []


async def test_a_restart_of_the_node_loses_and_repeats_nothing(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town:
        posts = [ANN.post(str(number)) for number in range(4)]
        async with follower(town[0].address) as one:
            await one.follow(author=ANN.account)
            await one.put(*posts[:2])
            await one.told(*posts[:2])
            cursor = one.cursor
            await one.put(posts[2])
        await town.restart(town[0])
        async with follower(town[0].address) as one:
            await one.put(posts[3])
            await one.follow(author=ANN.account, cursor=cursor)
            await one.told(*posts[2:])
            assert (one.ids, one.gaps) == ([post.id for post in posts[2:]], [])


async def test_everything_since_a_time(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        posts = [ANN.post(str(number)) for number in range(3)]
        await one.put(*posts)
        await one.follow(author=ANN.account, since_ms=0)
        await one.told(*posts)
        assert one.ids == [post.id for post in posts]


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


async def test_an_author_is_followed_at_a_node_that_does_not_keep_it(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3, replicas=1, regions=("eu",)) as town:
        [keeper] = town.replicas_of(ANN.account)
        others = [node for node in town.nodes if node is not keeper]
        async with follower(others[0].address) as one, follower(others[1].address) as writer:
            await one.follow(author=ANN.account)
            await one.follow(author=ANN.account)
            posts = [ANN.post(str(number)) for number in range(5)]
            for post in posts:
                await writer.put(post)
            await until(lambda: len(one.ids) == 10, what="both streams to be told")
            assert others[0].parts.live.tails.followed == 1, "however many follow, a range is watched once"
            cursor = one.cursor
        async with follower(keeper.address) as one:
            await one.follow(author=ANN.account, cursor=cursor)
            last = ANN.post("last")
            await one.put(last)
            await one.told(last)
            assert (one.ids, one.gaps) == ([last.id], [])


async def test_another_replica_goes_on_where_repair_has_proven_it_may(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3, replicas=3) as town:
        here, there = town[0], town[1]
        async with follower(here.address) as one:
            await one.follow(author=ANN.account)
            posts = [ANN.post(str(number)) for number in range(3)]
            await one.put(*posts, level="all")
            await one.told(*posts)
        for node in town.nodes:
            await node.parts.repairer.repair(here.id if node is not here else there.id)
        later = ANN.post("later")
        async with follower(here.address) as one:
            proofs, wall = there.parts.live.proofs, there.environment.wall
            owner = there.parts.topology.where(kind_prefix(ANN.account, "post"))
            await until(
                lambda: proofs.proven(here.id, owner.id, wall.now_us()) is not None,
                what="the proof to be older than clocks may differ",
            )
            await one.follow(author=ANN.account)
            await one.put(later, level="all")
            await one.told(later)
            cursor = one.cursor
        await here.stop()
        async with follower(there.address) as one:
            last = ANN.post("last")
            await one.put(last)
            await one.follow(author=ANN.account, cursor=cursor)
            await one.told(last)
            assert one.gaps == []


async def test_what_nobody_has_proven_is_said(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3, replicas=3) as town:
        here, there = town[0], town[1]
        async with follower(here.address) as one:
            await one.follow(author=ANN.account)
            first = ANN.post("first")
            await one.put(first, level="all")
            await one.told(first)
            cursor = one.cursor
        there.parts.live.proofs._passes.clear()
        await here.stop()
        async with follower(there.address) as one:
            await one.follow(author=ANN.account, cursor=cursor)
            await until(lambda: one.gaps, what="the gap to be said")
            [gap] = one.gaps
            assert gap["reason"] == "not_proven" and 0 < gap["from"] <= gap["to"]
            assert "cursor" in one.events[0]
            last = ANN.post("last")
            await one.put(last)
            await one.told(last)


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


async def test_what_this_version_has_no_streams_of(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        with pytest.raises(WireError, match="no streams of what: tag") as caught:
            await one.follow(tag="cats")
        assert caught.value.kind is UNKNOWN_METHOD


async def test_a_place_that_the_log_never_came_to_is_told_as_a_gap(tmp_path: Path) -> None:
    """The check of a cursor is no secret: what anyone can make up gets what is there, and no more."""
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        await one.put(ANN.post())
        forged = encode(CursorKind.FOLLOW_AUTHOR, ANN.account, b"\xff" * 60)
        await one.follow(author=ANN.account, cursor=forged)
        post = ANN.post("after")
        await until(lambda: one.gaps, what="the gap to be said")
        await one.put(post)
        await one.told(post)


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


async def test_a_moved_range_is_followed_at_who_keeps_it_now(tmp_path: Path) -> None:
    """The log that was followed is another node's by then; those who stay have proven what it had."""
    async with founded(tmp_path, nodes=4, replicas=ONE_A_REGION) as town:
        moving, donor, recipient = joint(town, ANN)
        stays = next(node for node in town.nodes if node not in (donor, recipient))
        async with follower(donor.address) as one, follower(stays.address) as writer:
            await one.follow(author=ANN.account)
            first = ANN.post("first")
            await writer.put(first, level="all")
            await one.told(first)
            await adopt(town, moving)
            assert (await copied(stays, recipient, moving, donor)).state == "complete"
            second = ANN.post("second")
            await writer.put(second, level="all")
            await one.told(second)
            await stays.parts.repairer.repair(donor.id)
            proofs, wall = stays.parts.live.proofs, stays.environment.wall
            await until(
                lambda: proofs.proven(donor.id, moving.id, wall.now_us()) is not None,
                what="the proof to be older than clocks may differ",
            )
            third = ANN.post("third")
            await writer.put(third, level="all")
            await one.told(third)
            reading = held_by(moving, recipient.id, donor.id)
            await adopt(town, reading)
            await adopt(town, held_by(reading, recipient.id))
            last = ANN.post("last")
            await writer.put(last, level="all")
            await one.told(last)
            assert one.gaps == []


async def test_a_range_that_is_split_is_told_and_its_authors_are_followed_on(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town, follower(town[0].address) as one:
        shorten_heartbeats(town, 0.5)
        await seated(town, 1)
        left, right = neighbours()
        whole = owner_of(town[0], left)
        await one.follow(range=whole.id)
        await one.follow(author=right.account)
        before = right.post("before")
        await one.put(before)
        await until(lambda: len(one.ids) == 2, what="both streams to be told")
        _, part = await split(town[0], whole, place_prefix(right.account))
        await until(lambda: one.gaps, what="the split to be told")
        [gap] = one.gaps
        assert (gap["reason"], gap["range"]) == ("split", part.id)
        after = [left.post("left"), right.post("right")]
        await one.put(*after)
        await until(lambda: len(one.ids) == 4, what="each stream to be told of its own")
        told = {number: [] for number in (1, 2)}  # type: dict[int, list[bytes]]
        for event in one.events:
            told[event["subscription"]] += [
                Record.from_wire(item["record"]).id for item in event.get("items", ())
            ]
        assert told == {1: [before.id, after[0].id], 2: [before.id, after[1].id]}
