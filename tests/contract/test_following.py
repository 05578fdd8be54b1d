"""Section 6, live streams: `feed.follow` as any client in any language sees it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.speaker import Device, Place, Wire, opened, uuid7

pytestmark = pytest.mark.cluster

MILLISECOND = 1_790_000_000_000


def post(who: Device, number: int, stamp: int) -> list[bytes]:
    return who.record("post", uuid7(MILLISECOND, number), {"text": "x"}, stamp)


async def told(connection: Wire, subscription: int, count: int) -> tuple[list[list[bytes]], bytes]:
    """The next records of a stream, checked for shape, and the cursor after them; answers are passed over."""
    records: list[list[bytes]] = []
    cursor = b""
    while len(records) < count:
        message = await connection.receive()
        assert message is not None, "the node hung up"
        if message[0] == 1:
            assert message[2] is None, message
            continue
        kind, method, [event] = message
        assert (kind, method, event["subscription"]) == (2, "feed.event", subscription)
        assert type(event["cursor"]) is bytes and "gap" not in event
        cursor = event["cursor"]
        for item in event.get("items", ()):
            assert item.keys() == {"record", "labels", "counts"}
            records.append(item["record"])
    assert len(records) == count, "more was told than there was credit for"
    return records, cursor


async def test_what_happens_is_told_as_far_as_there_is_credit_and_after_the_cursor_anywhere(
    town: list[Place], ann: Device, now_us: int
) -> None:
    records = [post(ann, number, now_us) for number in range(6)]
    what = {"author": ann.account}
    async with opened(town[0]) as following, opened(town[1]) as writing:
        stream = await following.call("feed.follow", {"what": what, "credit": 2})
        await writing.stored(*records[:4], level="all")
        assert (await told(following, stream["subscription"], 2))[0] == records[:2]
        more = {"subscription": stream["subscription"], "credit": 1}
        await following.send([0, 4_000_000, "feed.credit", [more]])
        found, cursor = await told(following, stream["subscription"], 1)
        assert found == [records[2]]
        await writing.stored(*records[4:], level="all")
    async with opened(town[2]) as following:
        stream = await following.call("feed.follow", {"what": what, "credit": 9, "cursor": cursor})
        assert (await told(following, stream["subscription"], 3))[0] == records[3:]
        gone = ann.record("post", uuid7(MILLISECOND, 0), {"deleted": True}, now_us + 1)
        async with opened(town[1]) as writing:
            await writing.stored(gone)
        assert (await told(following, stream["subscription"], 1))[0] == [gone], "a deletion is told, too"


@pytest.mark.parametrize(
    "wrong",
    [
        {"what": {}, "credit": 1},
        {"what": {"author": b"somebody"}, "credit": 1},
        {"what": {"range": "all"}, "credit": 1},
        {"what": {"author": bytes(34)}, "credit": 1},
        {"credit": 1},
        {"what": {"range": 1}, "credit": 2**32},
        {"what": {"range": 1}, "credit": 1, "cursor": bytes(70)},
        {"what": {"range": 1}, "credit": 1, "cursor": 7},
    ],
)
async def test_what_makes_no_sense_is_a_bad_request(node: Place, wrong: dict[str, Any]) -> None:
    async with opened(node) as connection:
        assert await connection.refusal("feed.follow", wrong) == "bad_request"


async def test_what_there_is_not(node: Place, ann: Device) -> None:
    async with opened(node) as connection:
        assert await connection.refusal("feed.follow", {"what": {"range": 2**40}, "credit": 1}) == "not_found"
        for method in ("feed.credit", "feed.unfollow"):
            assert await connection.refusal(method, {"subscription": 1, "credit": 1}) == "not_found"
        private: dict[str, Any] = {"notifications": ann.account}
        asked = {"what": private, "credit": 1}
        assert await connection.refusal("feed.follow", asked) == "unauthenticated"
