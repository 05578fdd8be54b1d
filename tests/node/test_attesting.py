"""Attestations by whole nodes: who may ask, what replicas say, and who says nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.users.attesting import Collection
from folkmoot.cli.users.purging import Purge
from folkmoot.node.accounts import attesting
from folkmoot.protocol import client as clients
from folkmoot.protocol.accounts.attestation import Statement
from folkmoot.protocol.accounts.evidence import Evidence, Judged, judge
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import BAD_REQUEST, FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.record import Record
from folkmoot.storage import examination
from folkmoot.storage.interface import Table
from folkmoot.storage.rows import cell_row, row_sequence
from folkmoot.storage.transaction import Admission, WriteTransaction

from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.node.test_purges import SETTINGS, life_of
from tests.waiting import until


@asynccontextmanager
async def talking(node: Node, person: Author) -> AsyncIterator[clients.Client]:
    async with clients.connect([node.address], tls=False, settings=SETTINGS) as client:
        await client.auth(person.device)
        yield client


async def purge_and_collect(node: Node, person: Author) -> Evidence:
    """Take everything back, and have it attested."""
    async with talking(node, person) as client:
        purged = await Purge(client, person.device, lambda said: None).run(0, lambda done, total: None)
        assert purged.complete
        return await Collection(client, person.account, lambda done, total: None).collect(
            purged.found.marks, person.device
        )


async def collect(node: Node, person: Author) -> Evidence:
    """Have it attested as it is."""
    async with talking(node, person) as client:
        found = await Purge(client, person.device, lambda said: None).survey(lambda done, total: None)
        return await Collection(client, person.account, lambda done, total: None).collect(
            found.marks, person.device
        )


def of(evidence: Evidence, node: Node) -> Judged:
    return next(each for each in judge(evidence) if each.asked.node == node.id)


async def written(town: Town, person: Author) -> list[Record]:
    records = life_of(person, Author(2))
    async with town.client(town[0]) as client:
        for record in records:
            assert (await client.put_one(record, "all"))["status"] == "stored"
    return records


async def test_every_node_attests_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "ATTEST_CELLS", 3)
    async with founded(tmp_path, nodes=4) as town:
        person = Author(1)
        await written(town, person)
        before = await collect(town[1], person)
        assert not any(each.stands for each in judge(before) if each.asked.replica)
        evidence = await purge_and_collect(town[0], person)
        judged = judge(evidence)
        assert [each.asked.replica for each in judged] == [True, True, True, False]
        assert all(each.stands and not each.complaints and not each.left for each in judged)
        assert evidence.marks is not None and {each.gone for each in judged[:3]} == {evidence.marks.count}
        assert not any(each.proven for each in judged[:3]), "nothing was compacted"
        assert len(evidence.statements) > 10, "slice by slice"
        read = Evidence.decode(evidence.encode(person.device))
        assert judge(read) == judged and read.signer == person.account
        for statement in evidence.statements:
            assert statement.found.service in {
                each.environment.secrets.service().account for each in town.nodes
            }


async def test_a_replica_that_is_down_says_nothing_and_attests_later(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        person = Author(1)
        await written(town, person)
        await town[2].stop()
        await until(lambda: town[0].holds_dead(town[2]), what="the node to be missed", within_s=30)
        evidence = await purge_and_collect(town[0], person)
        assert of(evidence, town[0]).stands and of(evidence, town[1]).stands
        missing = of(evidence, town[2])
        assert not missing.stands and missing.mark is None and missing.complaints
        await town.start(town[2])
        latest: list[Evidence] = []

        async def attested() -> bool:
            latest[:] = [await collect(town[0], person)]
            return all(each.stands for each in judge(latest[0]))

        await until(attested, what="the replica to attest", within_s=40)
        assert latest[0].marks == evidence.marks


async def test_a_body_beside_a_deletion_is_no_deletion(tmp_path: Path) -> None:
    """Planted as no join could: the replica says nothing until it is mended, and then attests."""
    async with founded(tmp_path, nodes=3) as town:
        person = Author(1)
        secret = (await written(town, person))[2]
        await purge_and_collect(town[0], person)
        await town[1].commits.run(lambda job: _plant_beside(job, secret), Admission.ESSENTIAL)
        assert b"secret" in town[1].cells()[secret.key]
        evidence = await collect(town[0], person)
        assert of(evidence, town[0]).stands and of(evidence, town[2]).stands
        assert not of(evidence, town[1]).stands and of(evidence, town[1]).mark is None
        assert "damaged" in of(evidence, town[1]).complaints[0]

        async def attested() -> bool:
            return all(each.stands for each in judge(await collect(town[0], person)))

        await until(attested, what="the replica to be mended", within_s=40)
        assert b"secret" not in town[1].cells()[secret.key]


async def test_a_post_that_one_replica_still_has_is_left(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        person = Author(1)
        await written(town, person)
        marks = (await purge_and_collect(town[0], person)).marks
        await town[1].plant(person.post("secret, from elsewhere"))
        async with talking(town[0], person) as client:
            collection = Collection(client, person.account, lambda done, total: None)
            evidence = await collection.collect(None, None)
        assert marks is not None and of(evidence, town[1]).left == 1 and not of(evidence, town[1]).stands
        assert of(evidence, town[1]).gone == marks.count


async def test_who_may_ask(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        person = Author(1)
        await client.put_one(person.post())
        asked: dict[str, Any] = {"account": person.account, "node": town[0].id}
        for who, refusal in ((None, UNAUTHENTICATED), (Author(2), FORBIDDEN)):
            if who is not None:
                await client.auth(who)
            with pytest.raises(WireError) as refused:
                await client.call("account.attest", **asked)
            assert refused.value.kind == refusal
        for who in (person, OPERATOR):
            await client.auth(who)
            statement = Statement.from_wire((await client.call("account.attest", **asked))["statement"])
            statement.verify()
            assert (statement.found.left, statement.found.gone) == (1, 0)
        for wrong in ({"node": b"short"}, {"after": b"elsewhere"}, {"account": bytes(34)}):
            with pytest.raises(WireError) as refused:
                await client.call("account.attest", **asked | wrong)
            assert refused.value.kind == BAD_REQUEST


async def test_everybody_may_ask_about_a_closed_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        person = Author(1)
        state = dataclasses.replace(Account.plain(person.account), closed=True)
        monkeypatch.setattr(town[0].parts.accounts.keys, "state", lambda account: state)
        told = await client.call("account.attest", account=person.account, node=town[0].id)
        assert Statement.from_wire(told["statement"]).found.others == 0


async def test_a_replica_that_does_not_know_what_it_had_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        person = Author(1)
        await client.put_one(person.post())
        await client.auth(person)
        asked: dict[str, Any] = {"account": person.account, "node": town[0].id}
        await client.call("account.attest", **asked)
        router = town[0].parts.router
        real = examination.examine

        def forgets(*words: Any) -> Any:
            monkeypatch.setattr(router, "_counts", lambda node_id: False)
            return real(*words)

        monkeypatch.setattr(attesting, "examine", forgets)
        for _ in ("in the middle of it", "before"):
            with pytest.raises(WireError, match="does not know that it has all"):
                await client.call("account.attest", **asked)


def _plant_beside(job: WriteTransaction, secret: Record) -> None:
    """Put a post's body into the history of its deleted cell, with everything else as it should be."""
    key = cell_key(secret.author, "post", secret.item)
    row = job.rows.get(Table.CELLS, key)
    data = job.get_cell(key)
    assert row is not None and data is not None
    deleted = Cell.decode(data)
    planted = Cell(deleted.survivors, deleted.clock, (secret,)).encode()
    job.rows.put(Table.CELLS, key, cell_row(key, row_sequence(row), planted))
