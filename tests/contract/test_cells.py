"""Section 3, the life of a record: what supersedes what, what is private, what a deletion leaves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.speaker import Device, Place, Refused, Wire, opened, record_id, uuid7, wire

pytestmark = pytest.mark.cluster

Key = tuple[bytes, str, bytes]


async def history(connection: Wire, key: Key) -> list[list[bytes]]:
    cell = await connection.cell(key, history=True)
    assert cell is not None
    return list(cell["records"])


async def test_a_record_comes_back_as_it_was_sent(town: list[Place], ann: Device, now_us: int) -> None:
    item = uuid7(now_us // 1000)
    body = {"text": "Grüß Gott 🐦", "lang": "de", "tags": ["bird"], "warning": "noise"}
    record = ann.record("post", item, body, now_us)
    async with opened(town[0]) as connection:
        [result], _ = await connection.put(record)
        assert result["id"] == record_id(record)
        assert result["status"] == "stored"
        achieved = result["achieved"]
        assert achieved["slots"] == 3 and 2 <= achieved["acks"] <= 3
        assert achieved["level"] in ("quorum", "each_quorum", "all")
        assert (await connection.put(record))[0][0]["status"] == "duplicate"
    for place in town:
        async with opened(place) as connection:
            assert await connection.cell((ann.account, "post", item)) == {
                "key": [ann.account, "post", item],
                "records": [record],
                "clock": {ann.account.hex(): now_us},
                "deleted": False,
                "conflict": False,
                "labels": [],
            }


@pytest.mark.parametrize("level", ["one", "local_quorum", "quorum", "each_quorum", "all"])
async def test_every_level_is_offered(node: Place, ann: Device, now_us: int, level: str) -> None:
    item = uuid7(now_us // 1000)
    async with opened(node) as connection:
        [result], _ = await connection.put(ann.record("post", item, {"text": level}, now_us), level=level)
        assert result["status"] == "stored"
        assert result["achieved"]["acks"] == 3 or level != "all"
        answer = await connection.call("record.get", {"keys": [[ann.account, "post", item]], "level": level})
        assert answer["achieved"]["acks"] >= {"one": 1, "local_quorum": 1, "quorum": 2}.get(level, 3)


async def test_a_devices_newer_record_supersedes_its_older_ones(
    node: Place, ann: Device, tick: Iterator[int]
) -> None:
    key = (ann.account, "profile", b"name")
    versions = [ann.record("profile", b"name", {"value": f"Ann {n}"}, next(tick)) for n in range(3)]
    async with opened(node) as connection:
        assert await connection.status(versions[1]) == "stored"
        assert await connection.status(versions[0]) == "duplicate", "its dot was covered already"
        assert await connection.status(versions[2]) == "stored"
        assert await connection.status(versions[1]) == "duplicate"
        cell = await connection.cell(key)
        assert cell is not None
        assert (cell["records"], cell["conflict"]) == ([versions[2]], False)
        assert (await history(connection, key))[:2] == [versions[2], versions[1]]


async def test_history_is_bounded_and_newest_first(node: Place, ann: Device, tick: Iterator[int]) -> None:
    versions = [ann.record("profile", b"bio", {"value": n}, next(tick)) for n in range(20)]
    async with opened(node) as connection:
        await connection.stored(*versions)
        kept = await history(connection, (ann.account, "profile", b"bio"))
        assert kept == versions[::-1][: len(kept)] and len(kept) == 17


async def test_what_was_seen_elsewhere_enters_the_clock(
    node: Place, ann: Device, tick: Iterator[int]
) -> None:
    phone = Device(os.urandom(32)).account.hex()
    seen, stamp = next(tick), next(tick)
    record = ann.record("profile", b"bio", {"value": "x"}, stamp, seen={phone: seen})
    async with opened(node) as connection:
        await connection.stored(record)
        cell = await connection.cell((ann.account, "profile", b"bio"))
        assert cell is not None and cell["clock"] == {phone: seen, ann.account.hex(): stamp}


async def test_a_cloned_device_is_resolved_everywhere_alike(
    town: list[Place], ann: Device, now_us: int
) -> None:
    """Two different records under one dot: the smaller id stays."""
    twins = sorted(
        (ann.record("profile", b"bio", {"value": text}, now_us) for text in ("one", "two")), key=record_id
    )
    async with opened(town[0]) as connection:
        await connection.put(twins[1], level="all")
    async with opened(town[1]) as connection:
        await connection.put(twins[0], level="all")
        await connection.put(twins[1], level="all")
    for place in town:
        async with opened(place) as connection:
            cell = await connection.cell((ann.account, "profile", b"bio"))
            assert cell is not None and cell["records"] == [twins[0]]


async def test_a_deletion_is_for_ever(town: list[Place], ann: Device, tick: Iterator[int]) -> None:
    item = uuid7(next(tick) // 1000)
    key = (ann.account, "post", item)
    first, second = (ann.record("post", item, {"text": text}, next(tick)) for text in ("one", "two"))
    gone = ann.record("post", item, {"deleted": True}, next(tick))
    later = ann.record("post", item, {"text": "I am back"}, next(tick))
    async with opened(town[0]) as connection:
        await connection.stored(first, second, gone)
        assert await connection.status(gone) == "duplicate"
        for record in (first, second, later):
            assert await connection.status(record) in ("duplicate", "conflict"), "nothing deleted returns"
    for place in town:
        async with opened(place) as connection:
            cell = await connection.cell(key, level="all", history=True)
            assert cell is not None and cell["deleted"] is True and cell["conflict"] is False
            assert cell["records"] == [gone], "body and history are erased"
            feed = await connection.call("feed.author", {"account": ann.account, "level": "quorum"})
            assert (feed["items"], feed["cursor"]) == ([], None)


async def test_a_deletion_that_comes_first_or_is_older_deletes_all_the_same(
    node: Place, ann: Device, tick: Iterator[int]
) -> None:
    items = [uuid7(next(tick) // 1000, n) for n in (1, 2)]
    older, newer = next(tick), next(tick)
    async with opened(node) as connection:
        for item, order in zip(items, ((0, 1), (1, 0)), strict=True):
            records = [
                ann.record("post", item, {"deleted": True}, older),
                ann.record("post", item, {"text": "still here?"}, newer),
            ]
            for index in order:
                await connection.put(records[index])
            cell = await connection.cell((ann.account, "post", item), history=True)
            assert cell is not None and cell["deleted"] is True
            assert cell["records"] == [records[0]]


UNDER_SUBJECT = ("like", "repost", "report", "label", "vote", "decision", "appeal")
AT_HOME = (
    *("post", "profile", "follow", "mute", "block", "bookmark", "list", "listed"),
    *("preference", "algorithm"),
)


@pytest.mark.parametrize("kind", UNDER_SUBJECT)
async def test_under_another_place_the_item_ends_with_the_author(
    node: Place, ann: Device, bob: Device, kind: str, now_us: int
) -> None:
    post = uuid7(now_us // 1000)
    body: dict[str, Any] = {"on": True} if kind in ("like", "repost") else {"value": "x"}
    right_item = post + bob.account
    if kind == "label":
        right_item = post + bob.account[2:14] + b"x" + bob.account
        body |= {"reason": "rude", "subject_id": bytes(32)}
    if kind == "decision":
        right_item = b"\x01" + post + b"\x01" + now_us.to_bytes(8, "big") + bob.account
        body = {"action": "remove", "reason": "rude", "role": "moderator", "subject_id": bytes(32)}
    async with opened(node) as connection:
        for item in (post + ann.account, post + bytes(34), post):
            record = bob.record(kind, item, body, now_us, place=ann.account)
            assert await connection.status(record) == "bad_request"
        right = bob.record(kind, right_item, body, now_us, place=ann.account)
        expected = "stored" if kind != "decision" else "forbidden"  # which is for those with a role
        assert await connection.status(right) == expected


@pytest.mark.parametrize("kind", AT_HOME)
async def test_nothing_else_may_live_elsewhere(
    node: Place, ann: Device, bob: Device, kind: str, now_us: int
) -> None:
    item = {
        "post": uuid7(now_us // 1000),
        "bookmark": ann.account + uuid7(now_us // 1000),
        "list": bytes(16),
        "listed": bytes(16) + ann.account,
        "preference": b"notifications",
        "algorithm": b"mine",
    }.get(kind, ann.account)
    document = {
        "title": "x",
        "sources": [{"from": "tags"}],
        "terms": [{"name": "x", "value": "1.0", "weight": 1}],
    }
    body = {"text": "x", "value": "x", "name": "x", "on": True, "document": document}
    async with opened(node) as connection:
        record = bob.record(kind, item, body, now_us, place=ann.account)
        assert await connection.status(record) == "bad_request"


FLAGS = ("follow", "mute", "block", "bookmark", "listed")


@pytest.mark.parametrize("kind", FLAGS)
async def test_flags_are_on_or_off_and_about_an_account_or_post(
    node: Place, ann: Device, bob: Device, kind: str, tick: Iterator[int]
) -> None:
    item = {"bookmark": ann.account + uuid7(next(tick) // 1000), "listed": bytes(16) + ann.account}.get(
        kind, ann.account
    )
    async with opened(node) as connection:
        for wrong in ({}, {"on": 1}, {"on": "yes"}):
            assert await connection.status(bob.record(kind, item, wrong, next(tick))) == "bad_request"
        assert await connection.status(bob.record(kind, item[:20], {"on": True}, next(tick))) == "bad_request"
        assert await connection.status(bob.record(kind, item, {"on": True}, next(tick))) == "stored"
        assert await connection.status(bob.record(kind, item, {"on": False}, next(tick))) == "stored"


@pytest.mark.parametrize("kind", ["follow", "mute", "block"])
async def test_nobody_follows_mutes_or_blocks_themselves(
    node: Place, ann: Device, kind: str, now_us: int
) -> None:
    async with opened(node) as connection:
        record = ann.record(kind, ann.account, {"on": True}, now_us)
        assert await connection.status(record) == "bad_request"


def word_item(word: str) -> bytes:
    return b"word:" + hashlib.sha256(word.encode()).digest()


async def test_an_account_a_thread_and_a_word_are_muted_each_in_its_cell(
    node: Place, ann: Device, bob: Device, tick: Iterator[int]
) -> None:
    thread = ann.account + uuid7(next(tick) // 1000)
    until = next(tick) + 10**9
    async with opened(node) as connection:
        right: list[tuple[bytes, dict[str, Any]]] = [
            (ann.account, {"on": True, "until": until, "reposts": True}),
            (thread, {"on": True, "until": until}),
            (word_item("Spam"), {"on": True, "word": "Spam", "until": until}),
        ]
        for item, body in right:
            await connection.stored(bob.record("mute", item, body, next(tick)))
            for wrong in ({"until": "soon"}, {"until": -1}, {"until": 2**63}):
                assert (
                    await connection.status(bob.record("mute", item, body | wrong, next(tick)))
                    == "bad_request"
                )
        wrong_ones: list[tuple[bytes, dict[str, Any]]] = [
            (ann.account, {"on": True, "reposts": False}),
            (thread[:-1], {"on": True}),
            (word_item("spam"), {"on": True, "word": "Spam"}),
            (word_item("Spam"), {"on": True}),
        ]
        for item, body in wrong_ones:
            assert await connection.status(bob.record("mute", item, body, next(tick))) == "bad_request"
        assert (
            await connection.status(bob.record("mute", word_item("Spam"), {"on": False}, next(tick)))
            == "stored"
        )


async def test_a_list_is_a_register_and_can_come_back(node: Place, ann: Device, tick: Iterator[int]) -> None:
    item = bytes(range(16))
    async with opened(node) as connection:
        for wrong in ({"name": ""}, {}, {"deleted": False}, {"deleted": True, "name": "x"}):
            assert await connection.status(ann.record("list", item, wrong, next(tick))) == "bad_request"
        for body in ({"name": "Neighbours"}, {"deleted": True}, {"name": "Neighbours again"}):
            record = ann.record("list", item, body, next(tick))
            await connection.stored(record)
            cell = await connection.cell((ann.account, "list", item))
            assert cell is not None and cell["records"] == [record] and not cell["deleted"]


PRIVATE = ("mute", "bookmark", "preference", "report", "vote")


@pytest.mark.parametrize("kind", PRIVATE)
async def test_what_is_private_is_read_by_its_author_alone(
    node: Place, ann: Device, bob: Device, kind: str, now_us: int
) -> None:
    post = uuid7(now_us // 1000)
    place, item, body, more = {
        "mute": (bob.account, ann.account, {"on": True}, {}),
        "bookmark": (bob.account, ann.account + post, {"on": True}, {}),
        "preference": (bob.account, b"theme", {"dark": True}, {}),
    }.get(kind, (ann.account, post + bob.account, {"reason": "rude"}, {"place": ann.account}))
    record = bob.record(kind, item, body, now_us, **more)
    key = (place, kind, item)
    async with opened(node) as connection:
        await connection.stored(record)
        with pytest.raises(Refused) as refused:
            await connection.cell(key)
        assert refused.value.name == "unauthenticated"
    for device, allowed in ((bob, True), (ann, False)):
        async with wire(node) as connection:
            challenge = (await connection.hello())["challenge"]
            await connection.authenticate(device, challenge, node.node_id)
            if allowed:
                cell = await connection.cell(key)
                assert cell is not None and cell["records"] == [record]
            else:
                with pytest.raises(Refused) as refused:
                    await connection.cell(key)
                assert refused.value.name == "forbidden"


async def test_one_bad_record_does_not_spoil_the_others(node: Place, ann: Device, now_us: int) -> None:
    good = [ann.record("post", uuid7(now_us // 1000, n), {"text": "good"}, now_us) for n in range(3)]
    unsigned = [ann.record("post", uuid7(now_us // 1000, 9), {"text": "bad"}, now_us)[0], bytes(64)]
    nonsense: Any = ["no", "record"]
    async with opened(node) as connection:
        results, _ = await connection.put(good[0], unsigned, good[1], nonsense, [b"\xc0", bytes(64)], good[2])
        assert [result["status"] for result in results] == [
            *("stored", "refused", "stored", "refused", "refused", "stored")
        ]
        assert results[1]["error"]["name"] == "bad_signature"
        assert results[1]["id"] == record_id(unsigned)
        keys = [[ann.account, "post", uuid7(now_us // 1000, n)] for n in (0, 1, 2, 9)]
        cells = (await connection.call("record.get", {"keys": keys, "level": "quorum"}))["cells"]
        assert [cell and cell["records"] for cell in cells] == [*([record] for record in good), None]


async def test_a_put_holds_256_records_and_no_more(node: Place, ann: Device, now_us: int) -> None:
    records = [ann.record("post", uuid7(now_us // 1000, n), {"text": "x"}, now_us) for n in range(257)]
    async with opened(node) as connection:
        await connection.stored(*records[:256])
        assert await connection.refusal("record.put", {"records": records}) in ("bad_request", "too_large")
        assert await connection.cell((ann.account, "post", uuid7(now_us // 1000, 256))) is None
        with pytest.raises(Refused):
            await connection.put(records[0], level="most")
