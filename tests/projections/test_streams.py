"""Following home feeds and tags as they come to be."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.configuration.feeds_section import FeedsSection
from folkmoot.node.projections import streams
from folkmoot.protocol import limits
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.feed.following import OVERRUN
from folkmoot.protocol.projections.entries import Projection
from folkmoot.protocol.record import Record

from tests.node.followers import Follower, follower
from tests.node.harness import founded
from tests.node.people import Author
from tests.projections.people import SEEN_S, follow, repost, sees, tagged
from tests.projections.test_viewers import mute
from tests.waiting import until


async def begun(follows: Follower, **asked: Any) -> None:
    """Follow, once the node has read all ranges."""

    async def begins() -> bool:
        try:
            await follows.follow(**asked)
        except WireError as error:
            if error.kind is BUSY:
                return False
            raise
        return True

    await until(begins, what="the node to have read all ranges", within_s=SEEN_S)


async def test_a_home_feed_is_told_as_it_comes_to_be(tmp_path: Path) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        # So old that it stands before the stream begins even by a clock that is behind.
        old = ben.post("old", make_uuid7(time.time_ns() // 1_000_000 - 60_000, 1))
        await client.put(follow(ann, ben), old, level="all")
        await sees(client, [old.id], "feed.home", account=ann.account)
        async with follower(town[1].address) as follows:
            await sees(follows, [old.id], "feed.home", account=ann.account)
            await begun(follows, home=ann.account)
            news, other = ben.post("new"), cleo.post("of somebody else")
            await client.put(other, news, level="all")
            await follows.told(news)
            await client.put(follow(ann, cleo), level="all")
            await follows.told(other)
            await client.put(repost(ben, other), level="all")
            late = ben.post("late")
            await client.put(late, level="all")
            await follows.told(late)
            assert old.id not in follows.ids and follows.ids[:2] == [news.id, other.id]
            reposted = [item for item in follows.items if "reposter" in item]
            assert [Record.from_wire(item["record"]).id for item in reposted] == [other.id]


async def test_who_comes_back_is_told_what_came_meanwhile_at_any_node(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await client.put(follow(ann, ben), level="all")
        await sees(client, [], "feed.home", account=ann.account)
        first, second = ben.post("first"), ben.post("second")
        async with follower(town[0].address) as follows:
            await begun(follows, home=ann.account)
            await client.put(first, level="all")
            await follows.told(first)
            cursor = follows.cursor
        await client.put(second, level="all")
        async with follower(town[2].address) as follows:
            await begun(follows, home=ann.account, cursor=cursor)
            await follows.told(second)
            with pytest.raises(WireError) as refused:
                await follows.follow(home=ben.account, cursor=cursor)
            assert refused.value.kind is BAD_REQUEST


async def test_a_tag_is_told_within_credit_and_without_what_is_muted(tmp_path: Path) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await client.put(mute(ann, ben), level="all")
        before = tagged(cleo, "tea")
        await client.put(before, level="all")
        await sees(client, [before.id], "feed.tag", tag="tea")
        async with follower(town[0].address) as follows:
            await follows.auth(ann)
            await begun(follows, tag="#TEA", credit=2, since_ms=0)
            await follows.told(before)
            posts = [tagged(who, "Tea") for who in (cleo, ben, cleo)]
            await client.put(*posts, level="all")
            await follows.told(posts[0])
            assert follows.ids == [before.id, posts[0].id]
            await follows.call("feed.credit", subscription=1, credit=10)
            await follows.told(posts[2])
            assert posts[1].id not in follows.ids


async def test_merged_authors_are_told_too(tmp_path: Path) -> None:
    star, fans = Author(1), [Author(10 + n) for n in range(3)]
    async with (
        founded(tmp_path, feeds=FeedsSection(followers_max=1)) as town,
        town.client(town[0]) as client,
        follower(town[0].address) as follows,
    ):
        first = star.post("first")
        await client.put(first, *(follow(fan, star) for fan in fans), level="all")
        await sees(client, [first.id], "feed.home", account=fans[2].account)
        await begun(follows, home=fans[2].account)
        news = star.post("news")
        await client.put(news, level="all")
        await follows.told(news)


async def test_who_is_merged_while_somebody_looks_goes_on_being_told(tmp_path: Path) -> None:
    star, fans = Author(1), [Author(10 + n) for n in range(4)]
    async with (
        founded(tmp_path, feeds=FeedsSection(followers_max=2)) as town,
        town.client(town[0]) as client,
        follower(town[0].address) as follows,
    ):
        first, fan = star.post("first"), fans[0]
        await client.put(first, *(follow(each, star) for each in fans[:2]), level="all")
        await sees(client, [first.id], "feed.home", account=fan.account)
        await begun(follows, home=fan.account)
        second, third, fourth = star.post("second"), star.post("third"), star.post("fourth")
        await client.put(second, level="all")
        await follows.told(second)
        await client.put(*(follow(each, star) for each in fans[2:]), level="all")
        await sees(client, [second.id, first.id], "feed.home", account=fans[3].account)
        await client.put(third, level="all")
        await follows.told(third)
        await client.put(follow(fan, star, on=False), level="all")
        await sees(client, [], "feed.home", account=fan.account)
        await client.put(follow(fan, star), level="all")
        await sees(client, [third.id, second.id, first.id], "feed.home", account=fan.account)
        await client.put(fourth, level="all")
        await follows.told(fourth)
        assert follows.gaps == []


async def test_a_rebuild_tells_nobody_anything_again(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with (
        founded(tmp_path) as town,
        town.client(town[0]) as client,
        follower(town[0].address) as follows,
    ):
        old = [tagged(ben, "tea") for _ in range(5)]
        await client.put(follow(ann, ben), *old, level="all")
        newest_first = [post.id for post in reversed(old)]
        await sees(client, newest_first, "feed.home", account=ann.account)
        await sees(client, newest_first, "feed.tag", tag="tea")
        await begun(follows, home=ann.account)
        await begun(follows, tag="tea")
        parts = town[0].parts.projections
        for projection in (Projection.HOME, Projection.TAGS):
            await parts.projector.rebuild(projection)
        await until(lambda: not parts.generations.building(), what="both to be rebuilt", within_s=SEEN_S)
        new = tagged(ben, "tea")
        await client.put(new, level="all")
        await until(lambda: follows.ids == [new.id, new.id], what="the new one to be told", within_s=SEEN_S)


async def test_who_falls_behind_too_far_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FOLLOW_FEED_ROWS", 5)
    monkeypatch.setattr(streams.FeedOfPosts, "most", 5)
    ann, ben = Author(1), Author(2)
    async with (
        founded(tmp_path) as town,
        town.client(town[0]) as client,
        follower(town[0].address) as follows,
    ):
        await client.put(follow(ann, ben), level="all")
        await sees(client, [], "feed.home", account=ann.account)
        await begun(follows, home=ann.account, credit=1)
        posts = [ben.post(str(number)) for number in range(12)]
        await client.put(posts[0], level="all")
        await follows.told(posts[0])
        for post in posts[1:]:
            await client.put(post, level="all")
        await sees(client, [post.id for post in reversed(posts)], "feed.home", account=ann.account)
        await follows.call("feed.credit", subscription=1, credit=100)
        await follows.told(posts[-1])
        assert [gap["reason"] for gap in follows.gaps] == [OVERRUN]


async def test_what_is_dated_long_ago_is_told_as_it_comes(tmp_path: Path) -> None:
    """A stream is given what comes; it need not stand among the newest."""
    ann, ben = Author(1), Author(2)
    async with (
        founded(tmp_path) as town,
        town.client(town[0]) as client,
        follower(town[0].address) as follows,
    ):
        recent = ben.post("recent")
        await client.put(follow(ann, ben), recent, level="all")
        await sees(client, [recent.id], "feed.home", account=ann.account)
        await begun(follows, home=ann.account)
        long_ago = ben.post("found in a drawer", make_uuid7(1_500_000_000_000, 7))
        await client.put(long_ago, level="all")
        await follows.told(long_ago)
