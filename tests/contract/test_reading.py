"""Section 5, reading: cells and pages within a message, cursors, counts, tokens, accounts, the cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.speaker import Device, Place, Wire, opened, uuid7, wire

pytestmark = pytest.mark.cluster

MILLISECOND = 1_790_000_000_000


def posts(
    who: Device, count: int, stamp: int, *, text: str = "x", at_ms: int = MILLISECOND
) -> list[list[bytes]]:
    """Posts of one millisecond, oldest first."""
    return [who.record("post", uuid7(at_ms, n), {"text": text}, stamp) for n in range(count)]


async def put_all(connection: Wire, records: list[list[bytes]], group: int = 200) -> None:
    for start in range(0, len(records), group):
        await connection.stored(*records[start : start + group], level="all")


async def pages(connection: Wire, account: bytes, **more: Any) -> list[list[list[bytes]]]:
    """Every page of a feed, as records; items and cursors are checked for shape."""
    found, cursor = [], None
    while True:
        params = {"account": account, **more} | ({} if cursor is None else {"cursor": cursor})
        page = await connection.call("feed.author", params)
        assert type(page["token"]) is bytes
        for item in page["items"]:
            assert type(item["labels"]) is list and type(item["counts"]) is dict
        found.append([item["record"] for item in page["items"]])
        cursor = page["cursor"]
        if cursor is None:
            return found
        assert type(cursor) is bytes and len(found) < 300


async def test_a_feed_is_newest_first_without_gaps_or_repeats(node: Place, ann: Device, now_us: int) -> None:
    """Two hundred posts of one millisecond, and some of others, in pages of any size."""
    records = posts(ann, 200, now_us) + posts(ann, 5, now_us, at_ms=MILLISECOND + 1)
    async with opened(node) as connection:
        await put_all(connection, records[::2] + records[1::2])
        for limit in (1, 7, 100, 200):
            found = await pages(connection, ann.account, limit=limit)
            assert [record for page in found for record in page] == records[::-1]
            assert all(len(page) == limit for page in found[:-1])
        default = await connection.call("feed.author", {"account": ann.account})
        assert 1 <= len(default["items"]) <= 200


@pytest.mark.parametrize("limit", [0, 201, -1, "1", 1.0, 2**32])
async def test_a_limit_out_of_bounds_is_a_bad_request(node: Place, ann: Device, limit: object) -> None:
    async with opened(node) as connection:
        assert (
            await connection.refusal("feed.author", {"account": ann.account, "limit": limit}) == "bad_request"
        )


@pytest.mark.parametrize("cursor", [b"", b"x", bytes(16), bytes(range(64)), b"\xff" * 300, "text", 5])
async def test_a_cursor_nobody_gave_is_a_bad_request(node: Place, ann: Device, cursor: object) -> None:
    async with opened(node) as connection:
        params = {"account": ann.account, "cursor": cursor}
        assert await connection.refusal("feed.author", params) in ("bad_request", "too_large")


async def test_a_feed_of_nobody_is_empty(node: Place, ann: Device) -> None:
    async with opened(node) as connection:
        assert await pages(connection, ann.account) == [[]]


async def test_a_cursor_is_stable_under_insertion_and_exclusive(
    node: Place, ann: Device, now_us: int
) -> None:
    old = [ann.record("post", uuid7(MILLISECOND, 2 * n), {"text": "x"}, now_us) for n in range(10)]
    async with opened(node) as connection:
        await put_all(connection, old)
        first = await connection.call("feed.author", {"account": ann.account, "limit": 4})
        newer = ann.record("post", uuid7(MILLISECOND + 9), {"text": "newer"}, now_us)
        beside = ann.record("post", uuid7(MILLISECOND, 13), {"text": "before the cursor"}, now_us)
        behind = ann.record("post", uuid7(MILLISECOND, 3), {"text": "behind the cursor"}, now_us)
        gone = ann.record("post", uuid7(MILLISECOND, 12), {"deleted": True}, now_us + 1)
        await put_all(connection, [newer, beside, behind, gone])
        rest = await connection.call(
            "feed.author", {"account": ann.account, "limit": 200, "cursor": first["cursor"]}
        )
        assert [item["record"] for item in first["items"]] == old[:5:-1]
        assert [item["record"] for item in rest["items"]] == [*old[5:1:-1], behind, *old[1::-1]]
        assert rest["cursor"] is None


async def test_a_cursor_works_at_any_node(town: list[Place], ann: Device, now_us: int) -> None:
    records = posts(ann, 30, now_us)
    async with opened(town[0]) as connection:
        await put_all(connection, records)
    found: list[list[bytes]] = []
    cursor: bytes | None = None
    for place in town:
        async with opened(place) as connection:
            params: dict[str, Any] = {"account": ann.account, "limit": 10}
            page = await connection.call("feed.author", params | ({"cursor": cursor} if cursor else {}))
            found += [item["record"] for item in page["items"]]
            cursor = page["cursor"]
    assert found == records[::-1]


async def test_pages_and_cells_stay_within_a_message(node: Place, ann: Device, now_us: int) -> None:
    """A hundred posts of nearly 16 KiB are more than a message; `Wire.receive` checks the bound."""
    records = [
        ann.record("post", uuid7(MILLISECOND, n), {"pad": bytes(16_100), "text": "x"}, now_us)
        for n in range(100)
    ]
    async with opened(node) as connection:
        await put_all(connection, records, group=50)
        found = await pages(connection, ann.account, limit=200)
        assert [record for page in found for record in page] == records[::-1]
        assert 2 <= len(found) <= 4, "a page ends early, but not much too early"
        wanted = [[ann.account, "post", uuid7(MILLISECOND, n)] for n in range(100)]
        got: dict[int, list[bytes]] = {}
        while len(got) < 100:
            open_keys = [n for n in range(100) if n not in got]
            cells = (await connection.call("record.get", {"keys": [wanted[n] for n in open_keys]}))["cells"]
            told = [n for n, cell in zip(open_keys, cells, strict=True) if not cell.get("omitted")]
            assert told, "at least one cell is told"
            for n, cell in zip(open_keys, cells, strict=True):
                assert cell["key"] == wanted[n]
                if cell.get("omitted"):
                    assert cell["omitted"] is True and "records" not in cell
                else:
                    got[n] = cell["records"][0]
        assert got == dict(enumerate(records))


async def test_labels_stay_within_a_message_too(node: Place, ann: Device, bob: Device, now_us: int) -> None:
    """Whoever labels at length makes pages shorter and cells omitted, never an answer too large to give."""
    records = posts(ann, 8, now_us)
    labels = [
        bob.record(
            "label",
            uuid7(MILLISECOND, post) + bob.account[2:14] + b"label-%02d" % number + bob.account,
            {"pad": bytes(15_800), "reason": "x", "subject_id": bytes(32), "value": f"label-{number:02}"},
            now_us,
            place=ann.account,
        )
        for post in range(8)
        for number in range(16)
    ]
    keys = [[ann.account, "post", uuid7(MILLISECOND, n)] for n in range(8)]
    async with opened(node) as connection:
        await put_all(connection, records + labels, group=50)
        found = await pages(connection, ann.account, limit=200)
        assert [record for page in found for record in page] == records[::-1]
        cells = (await connection.call("record.get", {"keys": keys, "level": "quorum"}))["cells"]
        assert [cell["key"] for cell in cells] == keys
        assert "records" in cells[0] and cells[-1] == {"key": keys[-1], "omitted": True}


async def test_a_get_holds_256_keys_known_or_not(node: Place, ann: Device, now_us: int) -> None:
    [record] = posts(ann, 1, now_us)
    keys = [[ann.account, "post", uuid7(MILLISECOND, n)] for n in range(256)]
    async with opened(node) as connection:
        await connection.stored(record)
        cells = (await connection.call("record.get", {"keys": keys, "level": "quorum"}))["cells"]
        assert len(cells) == 256 and cells[1:] == [None] * 255
        assert cells[0]["records"] == [record]
        twice = (await connection.call("record.get", {"keys": keys[:1] * 2, "level": "quorum"}))["cells"]
        assert [cell["records"] for cell in twice] == [[record]] * 2
        assert await connection.refusal("record.get", {"keys": keys * 2}) in ("bad_request", "too_large")
        for wrong in ([b"short", "post", b"x"], [ann.account, "poke", b"x"], [ann.account, "post", b""]):
            assert await connection.refusal("record.get", {"keys": [wrong]}) == "bad_request"


async def test_likes_and_reposts_are_counted_and_taken_back(
    node: Place, ann: Device, tick: Iterator[int]
) -> None:
    item = uuid7(next(tick) // 1000)
    fans = [Device(os.urandom(32)) for _ in range(3)]
    async with opened(node) as connection:
        await connection.stored(ann.record("post", item, {"text": "like me"}, next(tick)), level="all")

        async def counts() -> dict[str, int]:
            page = await connection.call("feed.author", {"account": ann.account, "level": "all"})
            return dict(page["items"][0]["counts"])

        async def react(fan: Device, kind: str, on: bool) -> None:
            record = fan.record(kind, item + fan.account, {"on": on}, next(tick), place=ann.account)
            await connection.stored(record, level="all")

        before = await counts()
        for fan in fans:
            await react(fan, "like", True)
        await react(fans[0], "like", True)
        await react(fans[0], "repost", True)
        grown = await counts()
        await react(fans[1], "like", False)
        after = await counts()
    assert (before, grown, after) == (
        {"likes": 0, "reposts": 0, "replies": 0},
        {"likes": 3, "reposts": 1, "replies": 0},
        {"likes": 2, "reposts": 1, "replies": 0},
    )


async def test_a_token_shows_what_was_written_from_any_node(
    town: list[Place], ann: Device, now_us: int
) -> None:
    """Written at level one at each node, read with the token at the others at once."""
    token: bytes | None = None
    records = posts(ann, 12, now_us)
    for turn, record in enumerate(records):
        more = {} if token is None else {"token": token}
        async with opened(town[turn % 3]) as connection:
            token = await connection.stored(record, level="one", **more)
        async with opened(town[(turn + 1) % 3]) as connection:
            keys = [[ann.account, "post", uuid7(MILLISECOND, n)] for n in range(turn + 1)]
            read = await connection.call("record.get", {"keys": keys, "level": "one", "token": token})
            assert [cell["records"][0] for cell in read["cells"]] == records[: turn + 1]
            feed = await connection.call("feed.author", {"account": ann.account, "token": token})
            assert [item["record"] for item in feed["items"]] == records[turn::-1]
            token = feed["token"]


@pytest.mark.parametrize("token", [b"x", b"\x93\x01\x02\x03", "text", 7, bytes(100), b"\xff" * 60_000])
async def test_a_token_nobody_gave_is_refused(node: Place, ann: Device, token: object, now_us: int) -> None:
    [record] = posts(ann, 1, now_us)
    key = [ann.account, "post", uuid7(MILLISECOND)]
    async with opened(node) as connection:
        for method, params in (
            ("record.put", {"records": [record]}),
            ("record.get", {"keys": [key]}),
            ("feed.author", {"account": ann.account}),
        ):
            refusal = await connection.refusal(method, {**params, "token": token})
            assert refusal in ("bad_request", "too_large"), method


async def test_the_same_bytes_may_be_sent_again_anywhere(town: list[Place], ann: Device, now_us: int) -> None:
    [record] = posts(ann, 1, now_us)
    outcomes = []
    for place in town:
        async with opened(place) as connection:
            [result], _ = await connection.put(record, level="all")
            outcomes.append((result["status"], result["achieved"]["acks"]))
    assert outcomes == [("stored", 3), ("duplicate", 3), ("duplicate", 3)]


async def test_an_account_has_its_first_key_and_its_profile(
    node: Place, ann: Device, tick: Iterator[int]
) -> None:
    async with opened(node) as connection:
        assert await connection.call("account.get", {"account": ann.account}) == {
            "account": ann.account,
            "keys": [ann.account],
            "number": 0,
            "devices": [{"key": ann.account, "added": 0}],
            "recoverable": False,
            "suspended": False,
            "closed": False,
            "profile": {},
            "counts": {"followers": 0},
        }
        for name, value in (("name", "Ann"), ("bio", "birds"), ("name", "Anna")):
            await connection.stored(
                ann.record("profile", name.encode(), {"value": value}, next(tick)), level="all"
            )
        found = await connection.call("account.get", {"account": ann.account})
        assert found["profile"] == {"name": "Anna", "bio": "birds"}
        assert "profile_cut" not in found


async def test_a_large_profile_is_told_or_said_to_be_cut(
    node: Place, ann: Device, tick: Iterator[int]
) -> None:
    """However often fields were edited, and whatever they once held."""
    async with opened(node) as connection:

        async def write(names: list[str], value: str) -> None:
            for start in range(0, len(names), 50):
                records = [
                    ann.record("profile", name.encode(), {"value": value}, next(tick))
                    for name in names[start : start + 50]
                ]
                answer = await connection.call("record.put", {"records": records, "level": "all"})
                assert {result["status"] for result in answer["results"]} == {"stored"}

        names = [f"field-{number:03}" for number in range(300)]
        for value in ("x" * 12_000, "y" * 12_000, "short"):
            await write(names[:70], value)
        found = await connection.call("account.get", {"account": ann.account})
        assert found["profile"] == dict.fromkeys(names[:70], "short")
        assert "profile_cut" not in found
        await write(names[70:], "more")
        found = await connection.call("account.get", {"account": ann.account})
        assert list(found["profile"]) == names[:256] and found["profile_cut"] is True


async def test_the_cluster_tells_how_it_is(town: list[Place], ann: Device) -> None:
    ids = {place.node_id for place in town}
    for place in town:
        async with opened(place) as connection:
            status = await connection.call("cluster.status")
            assert status["cluster"] == "contract" and status["epoch"] >= 1
            assert {node["id"] for node in status["nodes"]} == ids
            for node in status["nodes"]:
                assert {"id", "name", "region", "state", "ranges"} <= node.keys()
                assert (node["state"], node["ranges"]) == ("alive", 64)
            assert status["ranges"] == {"count": 64, "under_replicated": 0}
            where = await connection.call("cluster.where", {"account": ann.account})
            assert where["range"] >= 0 and where["epoch"] >= 1
            assert {replica["node"] for replica in where["replicas"]} == ids
            assert {replica["region"] for replica in where["replicas"]} == {"eu", "us", "ap"}
            assert all(replica["state"] == "alive" for replica in where["replicas"])


async def test_the_time_of_a_node_is_this_time(node: Place) -> None:
    async with wire(node) as connection:
        await connection.hello()
        told_ms = (await connection.call("ping"))["time_ms"]
        assert abs(told_ms - time.time_ns() // 1_000_000) < 60_000
