"""Section 6, `notice.list`: notifications, preferences and the read mark, as any client sees them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.contract.speaker import Device, Place, Wire, opened, uuid7
from tests.waiting import until

pytestmark = pytest.mark.cluster


async def page_of(connection: Wire, device: Device, **asked: Any) -> dict[str, Any]:
    page: dict[str, Any] = await connection.call("notice.list", {"account": device.account, **asked})
    return page


async def told(connection: Wire, device: Device, records: list[list[bytes]], **asked: Any) -> dict[str, Any]:
    """Wait until the notifications are these records, newest first; the page."""
    page: dict[str, Any] = {}

    async def so() -> bool:
        page.update(await page_of(connection, device, **asked))
        return [item["record"] for item in page["items"]] == records

    await until(so, what=f"{len(records)} notifications", within_s=20.0)
    return page


async def test_what_others_do_is_told_to_the_account_alone(
    node: Place, ann: Device, bob: Device, now_us: int
) -> None:
    tick = itertools.count(now_us, 2_000)  # no two in one millisecond, by which notices stand in order

    def post(who: Device, **body: Any) -> list[bytes]:
        at = next(tick)
        return who.record("post", uuid7(at // 1000, at % 1000), {"text": "x", **body}, at)

    async with opened(node) as connection:
        assert await connection.refusal("notice.list", {"account": ann.account}) == "unauthenticated"
        hello = await connection.hello()
        await connection.authenticate(ann, hello["challenge"], node.node_id)
        assert await connection.refusal("notice.list", {"account": bob.account}) == "forbidden"
        own_at = next(tick)
        own = uuid7(own_at // 1000)
        await connection.stored(ann.record("post", own, {"text": "hello"}, own_at))
        answer = post(bob, reply_to={"author": ann.account, "item": own})
        await connection.stored(answer)
        like = bob.record("like", own + bob.account, {"on": True}, next(tick), place=ann.account)
        await connection.stored(like)
        page = await told(connection, ann, [like, answer])
        assert page["unread"] == 2 and page["read_until"] == 0 and page["cursor"] is None
        [liked, answered] = [item["notice"] for item in page["items"]]
        assert (liked["sort"], liked["by"], liked["count"]) == ("like", [bob.account], 1)
        assert liked["post"] == {"author": ann.account, "item": own} and liked["unread"] is True
        assert (answered["sort"], answered["by"]) == ("reply", [bob.account])

        named = post(bob, mentions=[ann.account])
        await connection.stored(named)
        await told(connection, ann, [named], tab="requests")
        policy = ann.record(
            "preference", b"notifications", {"like": "nobody", "mention": "everyone"}, next(tick)
        )
        await connection.stored(policy)
        page = await told(connection, ann, [named, answer])
        seen = page["items"][0]["notice"]["time"]
        mark = ann.record("preference", b"notifications.read", {"until": seen}, max(seen, next(tick)))
        await connection.stored(mark)
        page = await told(connection, ann, [named, answer])
        assert page["unread"] == 0 and page["read_until"] == seen
        ahead = ann.record("preference", b"notifications.read", {"until": seen + 10**9}, next(tick))
        assert await connection.status(ahead) == "bad_request"
