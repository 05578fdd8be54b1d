"""Live streams that go on: after a cursor, a restart, a move or a split, here or at another replica."""

from __future__ import annotations

from pathlib import Path

from folkmoot.protocol.feed.cursor import CursorKind, encode
from folkmoot.protocol.key import kind_prefix, place_prefix
from folkmoot.protocol.record import Record

from tests.node.followers import follower, shorten_heartbeats
from tests.node.harness import founded
from tests.node.people import Author
from tests.node.test_fences import ONE_A_REGION, joint
from tests.node.test_moving import adopt, copied, held_by
from tests.node.test_splitting import neighbours, owner_of, split
from tests.registers.seats import seated
from tests.waiting import until

ANN, BEN, CAT = Author(1), Author(2), Author(3)


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
            live = (await one.call("cluster.status"))["node"]["live"]
            assert live == {"subscriptions": 2, "logs": 1}, "however many follow, a range is watched once"
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
