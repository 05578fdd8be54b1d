"""`account.reactions`: what an account likes and reposts, wherever it lies, for itself alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.users.purging import Purge
from folkmoot.protocol.accounts.evidence import judge
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import BAD_REQUEST, FORBIDDEN, LEVEL_UNREACHABLE, UNAUTHENTICATED, WireError
from folkmoot.protocol.record import Record
from folkmoot.storage import reactions

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.node.test_attesting import purge_and_collect, talking
from tests.waiting import until


async def all_reactions(client: Client, person: Author, **params: Any) -> tuple[list[Record], int]:
    """Everything, and how many pages it took."""
    records: list[Record] = []
    pages = 0
    start: bytes | None = b""
    while start is not None:
        page = await client.call("account.reactions", account=person.account, start=start, **params)
        records += [Record.from_wire(frame) for frame in page["records"]]
        start = page.get("next")
        pages += 1
    return records, pages


def reactions_by(person: Author, friends: list[Author]) -> list[Record]:
    written = []
    for friend in friends:
        for kind in ("like", "repost"):
            item = friend.item() + person.account
            written.append(person.record(kind, item, {"on": True}, place=friend.account))
    return written


async def test_reactions_are_found_wherever_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reactions, "REACTIONS_STEP_ROWS", 4)
    async with founded(tmp_path, nodes=4) as town, town.client(town[3]) as client:
        person, friends = Author(1), [Author(number) for number in range(2, 12)]
        mine = reactions_by(person, friends)
        for record in [*mine, *reactions_by(friends[0], friends[1:]), person.post()]:
            assert (await client.put_one(record, "all"))["status"] == "stored"
        await client.auth(person)
        found, pages = await all_reactions(client, person)
        assert sorted(each.id for each in found) == sorted(each.id for each in mine)
        assert pages > 64, "a page is about one range at most"


async def test_what_only_one_replica_has_is_found_and_taken_back(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        person, friends = Author(1), [Author(number) for number in range(2, 8)]
        mine = reactions_by(person, friends)
        for number, record in enumerate(mine):
            await town[number % 3].plant(record)
        async with talking(town[0], person) as client:
            purged = await Purge(client, person.device, lambda said: None).run(0, lambda done, total: None)
        assert purged.complete and purged.taken_back == {"like": 6, "repost": 6}
        for node in town.nodes:
            for record in mine:
                cell = Cell.decode(node.cell(record) or b"")
                assert cell.taken_back and len(cell.records()) == 1 and cell.winner.body["on"] is False


async def test_a_friends_account_is_attested_all_the_same(tmp_path: Path) -> None:
    """What others took back under an account's place is theirs, and no damage."""
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        person, friend = Author(1), Author(2)
        post = friend.post()
        like = person.record("like", post.item + person.account, {"on": True}, place=friend.account)
        for record in (post, like):
            await client.put_one(record)
        await purge_and_collect(town[0], person)
        evidence = await purge_and_collect(town[0], friend)
        assert all(each.stands for each in judge(evidence))
        assert evidence.statements[0].found.others == 2, "the like, and where none can wait for review"


async def test_only_the_account_itself_may_ask(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        person = Author(1)
        for who, refusal in ((None, UNAUTHENTICATED), (Author(2), FORBIDDEN)):
            if who is not None:
                await client.auth(who)
            with pytest.raises(WireError) as refused:
                await client.call("account.reactions", account=person.account)
            assert refused.value.kind == refusal
        await client.auth(person)
        for wrong in ({"start": bytes(600)}, {"start": "text"}, {"level": "most"}, {"account": b"short"}):
            with pytest.raises(WireError) as refused:
                await client.call("account.reactions", **{"account": person.account, **wrong})
            assert refused.value.kind == BAD_REQUEST


async def test_a_level_that_cannot_be_reached_is_said(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town, town.client(town[0]) as client:
        person = Author(1)
        await client.auth(person)
        await town[2].stop()
        await until(lambda: town[0].holds_dead(town[2]), what="the node to be missed", within_s=30)
        with pytest.raises(WireError) as refused:
            await client.call("account.reactions", account=person.account, level="all")
        assert refused.value.kind == LEVEL_UNREACHABLE
        found, _ = await all_reactions(client, person, level="quorum")
        assert found == []
