"""`account.records`: all that an account wrote, page by page, from whichever replicas have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.record import Record

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.waiting import until


async def all_records(client: Client, person: Author, **params: Any) -> tuple[list[Record], int]:
    """Everything, and how many pages it took."""
    records: list[Record] = []
    pages = 0
    after: bytes | None = None
    while pages == 0 or after is not None:
        wanted = {"account": person.account, **params} | ({"after": after} if after else {})
        page = await client.call("account.records", **wanted)
        assert page["account"] == person.account
        records += [Record.from_wire(frame) for frame in page["records"]]
        after = page.get("next")
        pages += 1
    return records, pages


def life_of(person: Author, friend: Author) -> list[Record]:
    """Posts, one of them edited, one deleted; a profile, a follow, and what is private."""
    posts = [person.post(f"post {number}") for number in range(7)]
    edited = person.post("better", posts[0].item)
    return [
        *posts,
        edited,
        person.deletion(posts[1]),
        person.record("profile", b"name", {"value": "Ada"}),
        person.record("follow", friend.account, {"on": True}),
        person.record("mute", friend.account, {"on": True}),
        person.record("like", posts[2].item + person.account, {"on": True}),
    ]


async def test_everything_that_an_account_wrote_and_nothing_else(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town, town.client(town[0]) as client:
        person, friend = Author(1), Author(2)
        written = life_of(person, friend)
        likes = friend.record("like", written[2].item + friend.account, {"on": True}, place=person.account)
        for record in [*written, likes, friend.post()]:
            assert (await client.put_one(record))["status"] == "stored"
        public = {record.id for record in written if record.kind != "mute"} - {written[1].id}
        for node in town.nodes:
            async with town.client(node) as other:
                found, pages = await all_records(other, person, limit=3)
                assert {record.id for record in found} == public and pages > 3
                assert len(found) == len(public)
        edits = [record.id for record in found if record.item == written[0].item and record.kind == "post"]
        assert edits == [written[0].id, written[7].id], "the older one comes first"
        await client.auth(person)
        found, pages = await all_records(client, person)
        assert {record.id for record in found} == public | {written[11].id} and pages == 1
        assert len(found) == len(public) + 1, "each once, also the deletion, which stands at two keys"
        await client.auth(friend)
        found, _ = await all_records(client, person)
        assert {record.id for record in found} == public


async def test_what_only_one_replica_has_is_found_too(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        person = Author(1)
        mine = [person.post(f"post {number}") for number in range(6)]
        for number, record in enumerate(mine):
            await town[number % 3].plant(record)
        async with town.client(town[0]) as client:
            found, _ = await all_records(client, person, level="all", limit=2)
            assert {record.id for record in found} == {record.id for record in mine}


async def test_without_enough_replicas_nothing_is_told_in_part(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        person = Author(1)
        alone, *others = town.nodes
        async with town.client(alone) as client:
            assert (await client.put_one(person.post(), "all"))["status"] == "stored"
            for node in others:
                town.cut(alone, node)

            async def unreachable() -> bool:
                try:
                    await all_records(client, person)
                except WireError as error:
                    return error.kind is LEVEL_UNREACHABLE
                return False

            await until(unreachable, what="a quorum to be out of reach", within_s=30)
            found, _ = await all_records(client, person, level="one")
            assert len(found) == 1


@pytest.mark.parametrize(
    "params",
    [
        {"account": b"short"},
        {"account": bytes(34)},
        {"after": b"elsewhere"},
        {"after": place_prefix(Author(2).account) + b"\x01x"},
        {"limit": 0},
        {"limit": 257},
        {"level": "most"},
    ],
)
async def test_what_makes_no_sense_is_refused(tmp_path: Path, params: dict[str, Any]) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        with pytest.raises(WireError) as error:
            await client.call("account.records", **{"account": Author(1).account, **params})
        assert error.value.kind is BAD_REQUEST
