"""Notifications as their owner reads them: what others did, where it stands, and what is seen of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from folkmoot.protocol.bodies import make_uuid7, post_time_ms
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.preferences import READ
from folkmoot.protocol.record import Record

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.projections.people import SEEN_S, follow, ref, reply, repost
from tests.projections.test_home import SHAPES, Shape
from tests.projections.test_viewers import block, mute
from tests.waiting import until

Told = tuple[str, tuple[bytes, ...], bytes | int | None]


def like(who: Author, post: Record, *, on: bool = True) -> Record:
    return who.record("like", post.item + who.account, {"on": on}, place=post.author)


def mention(who: Author, *whom: Author) -> Record:
    return who.record("post", who.item(), {"text": "hey", "mentions": [each.account for each in whom]})


def quote(who: Author, post: Record) -> Record:
    return who.record("post", who.item(), {"text": "look", "quote": ref(post)})


def preference(who: Author, name: str, body: dict[str, Any]) -> Record:
    return who.record("preference", name.encode(), body)


def read_mark(who: Author, until_us: int) -> Record:
    body = {"until": until_us}
    return Record.sign(who.device, kind="preference", item=READ, body=body, stamp=until_us)


def told(items: list[dict[str, Any]]) -> list[Told]:
    """Of each notice the sort, who did it, and the count of a crowd or else the id of the record."""
    seen: list[Told] = []
    for item in items:
        notice, record = item["notice"], Record.from_wire(item["record"])
        record.verify()
        seen.append((notice["sort"], tuple(notice["by"]), notice.get("count", record.id)))
    return seen


async def all_pages(client: Client, who: Author, limit: int = 50, **asked: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        more: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        page = await client.call("notice.list", account=who.account, limit=limit, **asked, **more)
        items += page["items"]
        cursor = page["cursor"]
        if cursor is None:
            return items


async def is_told(client: Client, who: Author, expected: list[Told], limit: int = 50, **asked: Any) -> None:
    """Wait until somebody's notifications are these and no others; those made by posts in this order, since
    the clocks of other records are each author's own."""
    seen: list[Told] = []

    async def is_so() -> bool:
        try:
            seen[:] = told(await all_pages(client, who, limit, **asked))
        except WireError as error:
            assert error.kind is BUSY, "a node that has just started has yet to read all ranges"
            return False
        return _by_sort(seen) == _by_sort(expected)

    try:
        await until(is_so, what="notifications to be as expected", within_s=SEEN_S)
    except AssertionError as error:
        raise AssertionError(f"{error}\nseen {seen}\nexpected {expected}") from None


def _by_sort(notices: list[Told]) -> tuple[list[Told], list[Told]]:
    posts = [each for each in notices if each[0] in ("reply", "mention", "quote", "thread")]
    return posts, sorted(each for each in notices if each not in posts)


def one(sort: str, record: Record) -> Told:
    return sort, (record.author,), record.id


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_others_do_is_told_and_taken_back(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        await client.auth(ann)
        post = ann.post("hello")
        answer = reply(ben, post)
        further = reply(cleo, answer, post)
        named, quoted = mention(ben, ann), quote(cleo, post)
        follows = follow(ben, ann)
        await client.put(post, follow(ann, ben), answer, further, named, quoted, level="all")
        await client.put(follows, like(ben, post), like(cleo, post), like(ann, post), level="all")
        await client.put(repost(cleo, post), level="all")
        likes: Told = ("like", (cleo.account, ben.account), 2)
        reposts: Told = ("repost", (cleo.account,), 1)
        posts = [one("quote", quoted), one("mention", named), one("thread", further), one("reply", answer)]
        await is_told(client, ann, [reposts, likes, one("follow", follows), *posts], limit=2)
        await client.put(ben.deletion(answer), like(cleo, post, on=False), level="all")
        await client.put(follow(ben, ann, on=False), repost(cleo, post, on=False), level="all")
        await is_told(client, ann, [("like", (ben.account,), 1), *posts[:3]])
        await client.put(ann.deletion(post), level="all")
        await is_told(client, ann, posts[:3])


@pytest.mark.parametrize("shape", SHAPES)
async def test_strangers_stand_among_the_requests(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo, dora = Author(1), Author(2), Author(3), Author(4)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        await client.auth(ann)
        by_ben, by_cleo, by_dora = mention(ben, ann), mention(cleo, ann), mention(dora, ann)
        await client.put(follow(ann, ben), by_ben, by_cleo, by_dora, level="all")
        follows = follow(cleo, ann)
        await client.put(follows, level="all")
        known = [one("follow", follows), one("mention", by_cleo), one("mention", by_ben)]
        await is_told(client, ann, known)
        await is_told(client, ann, [one("mention", by_dora)], tab="requests")
        strict = preference(ann, "notifications", {"mention": "following", "follow": "nobody"})
        await client.put(strict, level="all")
        await is_told(client, ann, [one("mention", by_ben)])
        requests = [one("mention", by_dora), one("mention", by_cleo)]
        await is_told(client, ann, requests, limit=1, tab="requests")
        await client.put(preference(ann, "notifications", {"mention": "everyone"}), level="all")
        everybody = [one("mention", by_dora), one("mention", by_cleo), one("mention", by_ben)]
        await is_told(client, ann, [one("follow", follows), *everybody])
        await is_told(client, ann, [], tab="requests")
        aged = preference(ann, "notifications", {"mention": "everyone", "min_age_days": 30})
        await client.put(aged, level="all")
        await is_told(client, ann, [one("mention", by_ben)])


async def test_of_a_crowd_those_are_named_that_are_wanted(tmp_path: Path) -> None:
    ann, fans = Author(1), [Author(10 + n) for n in range(8)]
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await client.auth(ann)
        post = ann.post("hello")
        await client.put(post, *(like(fan, post) for fan in fans), level="all")
        newest = tuple(fan.account for fan in reversed(fans))
        await is_told(client, ann, [("like", newest[:5], 8)])
        await client.put(follow(ann, fans[2]), level="all")
        await client.put(preference(ann, "notifications", {"like": "following"}), level="all")
        await is_told(client, ann, [("like", (fans[2].account,), 8)])
        await client.put(preference(ann, "notifications", {}), level="all")
        await client.put(*(block(fan, ann) for fan in fans[3:]), level="all")
        named = tuple(fan.account for fan in (fans[2], fans[1], fans[0]))
        await is_told(client, ann, [("like", named, 8)])
        await client.put(preference(ann, "notifications", {"like": "nobody"}), level="all")
        await is_told(client, ann, [])


@pytest.mark.parametrize("shape", SHAPES)
async def test_mutes_and_blocks_are_heeded(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo, dora = Author(1), Author(2), Author(3), Author(4)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        await client.auth(ann)
        post = ann.post("hello")
        answers = [reply(who, post, text=text) for who, text in ((ben, "spam"), (cleo, "so"), (dora, "why"))]
        likes = [like(who, post) for who in (ben, cleo, dora)]
        await client.put(post, *answers, *likes, level="all")
        crowd = tuple(who.account for who in (dora, cleo, ben))
        by_answer = [one("reply", answer) for answer in reversed(answers)]
        await is_told(client, ann, [("like", crowd, 3), *by_answer])
        await client.put(mute(ann, ben), level="all")
        await is_told(client, ann, [("like", crowd[:2], 3), *by_answer[:2]])
        await client.put(block(cleo, ann), level="all")
        await is_told(client, ann, [("like", crowd[:1], 3), *by_answer[:1]])
        await client.put(block(ann, dora), level="all")
        await is_told(client, ann, [])
        off = [mute(ann, ben, on=False), block(ann, dora, on=False), block(cleo, ann, on=False)]
        await client.put(*off, level="all")
        await is_told(client, ann, [("like", crowd, 3), *by_answer])
        thread = ann.record("mute", post.author + post.item, {"on": True})
        await client.put(thread, level="all")
        await is_told(client, ann, [])


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_read_mark_decides_what_is_unread(tmp_path: Path, shape: Shape) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        await client.auth(ann)
        first, second = mention(ben, ann), mention(ben, ann)
        later = make_uuid7(post_time_ms(second.item) + 2_000, 1)
        third = ben.record("post", later, {"text": "and", "mentions": [ann.account]})
        await client.put(follow(ann, ben), first, second, level="all")
        await is_told(client, ann, [one("mention", second), one("mention", first)])
        page = await client.call("notice.list", account=ann.account, limit=1)
        assert page["unread"] == 2 and page["read_until"] == 0
        assert page["items"][0]["notice"]["unread"] is True
        seen = page["items"][0]["notice"]["time"]
        await client.put(read_mark(ann, seen), level="all")
        page = await client.call("notice.list", account=ann.account)
        assert page["unread"] == 0 and page["read_until"] == seen
        assert [item["notice"]["unread"] for item in page["items"]] == [False, False]
        await client.put(third, level="all")
        await is_told(client, ann, [one("mention", each) for each in (third, second, first)])
        page = await client.call("notice.list", account=ann.account)
        assert page["unread"] == 1


async def test_a_like_that_is_made_again_is_not_unread_again(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await client.auth(ann)
        post = ann.post("hello")
        await client.put(post, like(ben, post), level="all")
        await is_told(client, ann, [("like", (ben.account,), 1)])
        [first] = await all_pages(client, ann)
        await client.put(read_mark(ann, first["notice"]["time"]), level="all")
        await client.put(like(ben, post, on=False), again := like(ben, post), level="all")
        seen: list[dict[str, Any]] = []

        async def is_told_again() -> bool:
            seen[:] = await all_pages(client, ann)
            return [Record.from_wire(each["record"]).id for each in seen] == [again.id]

        await until(is_told_again, what="the like that was made again", within_s=SEEN_S)
        assert seen[0]["notice"] == {**first["notice"], "unread": False}


async def test_unread_ones_are_counted_to_a_bound_and_without_strangers(tmp_path: Path) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await client.auth(ann)
        await client.put(follow(ann, ben), *(mention(cleo, ann) for _ in range(20)), level="all")
        many = [mention(ben, ann) for _ in range(120)]
        await client.put(*many[:60], level="all")
        await client.put(*many[60:], level="all")
        await is_told(client, ann, [one("mention", each) for each in reversed(many)], limit=50)
        page = await client.call("notice.list", account=ann.account, limit=5)
        assert page["unread"] == 100 and len(page["items"]) == 5
        page = await client.call("notice.list", account=ann.account, tab="requests", limit=5)
        assert page["unread"] == 20
        page = await client.call("notice.list", account=ann.account, limit=5, cursor=_at(ann, many[50]))
        assert "unread" not in page


def _at(who: Author, post: Record) -> bytes:
    """The cursor after a mention."""
    place = post.item + bytes((2,)) + post.author[2:]
    return cursors.encode(CursorKind.NOTIFICATIONS, who.account, place)


async def test_a_post_of_long_ago_stands_last_and_counts_as_seen(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await client.auth(ann)
        now, mentions = mention(ben, ann), {"text": "once upon a time", "mentions": [ann.account]}
        old = ben.record("post", make_uuid7(1_000, 1), mentions)
        await client.put(follow(ann, ben), read_mark(ann, 2_000_000), now, old, level="all")
        await is_told(client, ann, [one("mention", now), one("mention", old)], limit=1)
        page = await client.call("notice.list", account=ann.account)
        assert page["unread"] == 1


async def test_what_is_dated_ahead_takes_nothing_later_with_it_when_it_is_read(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await client.auth(ann)
        in_four_minutes = make_uuid7(time.time_ns() // 1_000_000 + 240_000, 1)
        ahead = ben.record("post", in_four_minutes, {"text": "soon", "mentions": [ann.account]})
        await client.put(follow(ann, ben), ahead)
        await is_told(client, ann, [one("mention", ahead)])
        [item] = (await client.call("notice.list", account=ann.account))["items"]
        seen = item["notice"]["time"]
        assert seen <= time.time_ns() // 1000 and item["notice"]["unread"] is True
        await client.put(read_mark(ann, seen))
        later = ben.record(
            "post", make_uuid7(seen // 1000 + 1, 2), {"text": "now", "mentions": [ann.account]}
        )
        await client.put(later)
        await is_told(client, ann, [one("mention", ahead), one("mention", later)])
        page = await client.call("notice.list", account=ann.account)
        assert [item["notice"]["unread"] for item in page["items"]] == [True, True] and page["unread"] == 2


async def test_answers_to_posts_that_there_are_not_reach_nobody(tmp_path: Path) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await client.auth(ann)
        never, post = ann.post("never sent"), ann.post("sent")
        answers = [reply(ben, never), quote(ben, never), reply(ben, ben.post("mine"), never)]
        seen = reply(ben, post)
        await client.put(post, *answers, seen, level="all")
        await is_told(client, ann, [one("reply", seen)])
        await client.put(never, level="all")
        told_of = [one("reply", seen), one("quote", answers[1]), one("reply", answers[0])]
        await is_told(client, ann, [told_of[0], one("thread", answers[2]), *told_of[1:]])


@pytest.mark.parametrize("shape", SHAPES)
async def test_nobody_else_can_look(tmp_path: Path, shape: Shape) -> None:
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        with pytest.raises(WireError) as refused:
            await client.call("notice.list", account=ann.account)
        assert refused.value.kind is UNAUTHENTICATED
        await client.auth(ben)
        with pytest.raises(WireError) as refused:
            await client.call("notice.list", account=ann.account)
        assert refused.value.kind is FORBIDDEN
        await client.auth(ann)
        await is_told(client, ann, [])
        for position in (b"", b"x" * 16, b"x" * 200):
            forged = cursors.encode(CursorKind.NOTIFICATIONS, ann.account, position)
            with pytest.raises(WireError) as refused:
                await client.call("notice.list", account=ann.account, cursor=forged)
            assert refused.value.kind is BAD_REQUEST
        other = cursors.encode(CursorKind.REQUESTS, ann.account, bytes(49))
        with pytest.raises(WireError) as refused:
            await client.call("notice.list", account=ann.account, cursor=other)
        assert refused.value.kind is BAD_REQUEST
        for strange in (bytes(49), b"\xff" * 49, b"\x00" * 16 + b"\xff", b"\xff" * 17):
            forged = cursors.encode(CursorKind.NOTIFICATIONS, ann.account, strange)
            page = await client.call("notice.list", account=ann.account, cursor=forged)
            assert page["items"] == []
