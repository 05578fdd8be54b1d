"""Purges: nothing that an account wrote is left on any replica, whatever was in the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from folkmoot.cli.users.purging import Purge, Purged
from folkmoot.protocol import client as clients
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import KINDS_TAKEN_BACK, cell_key
from folkmoot.protocol.ranking.shipped import SHIPPED
from folkmoot.protocol.record import Record

from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.node.people import Author
from tests.waiting import until

PHONE = KeyPair(b"p" * 32)
SETTINGS = clients.ClientSettings(deadline_s=20.0, attempt_s=12.0, attempts=3)


@asynccontextmanager
async def purging(town: Town, node: Node, person: Author) -> AsyncIterator[tuple[Purge, list[str]]]:
    """A purge by somebody who talks to one node; and what it says on the way."""
    said: list[str] = []
    async with clients.connect([node.address], tls=False, settings=SETTINGS) as client:
        await client.auth(person.device)
        yield Purge(client, person.device, said.append), said


async def purge(town: Town, node: Node, person: Author) -> tuple[Purged, list[str]]:
    async with purging(town, node, person) as (running, said):
        return await running.run(0, lambda done, total: None), said


def life_of(person: Author, friend: Author) -> list[Record]:
    """Something of every kind that can be taken back, with secrets in what was replaced, too."""
    posts = [person.post(f"secret {number}") for number in range(5)]
    friends = bytes(16)
    life = [
        *posts,
        person.post("secret, edited", posts[0].item),
        person.deletion(posts[1]),
        person.record("profile", b"name", {"value": "secret name"}),
        person.record("profile", b"name", {"value": "secret name, changed"}),
        *(person.record(kind, friend.account, {"on": True}) for kind in ("follow", "mute", "block")),
        person.record("follow", friend.account, {"on": False}),
        person.record("bookmark", friend.account + posts[0].item, {"on": True}),
        *(person.record(kind, posts[2].item + person.account, {"on": True}) for kind in ("like", "repost")),
        person.record("list", friends, {"name": "secret friends"}),
        person.record("list", friends, {"name": "secret friends", "about": "renamed"}),
        person.record("listed", friends + friend.account, {"on": True}),
        person.record("preference", b"notifications", {"like": "nobody"}),
        person.record("preference", b"mine", {"note": "secret"}),
        person.record("algorithm", b"best", {"document": {**SHIPPED["best"], "about": "secret"}}),
    ]
    assert {record.kind for record in life} == KINDS_TAKEN_BACK
    return life


def cells_of(node: Node, person: Author) -> dict[bytes, Cell]:
    cells = {key: Cell.decode(data) for key, data in node.cells().items()}
    return {key: cell for key, cell in cells.items() if cell.winner.author == person.account}


def is_gone(node: Node, person: Author) -> bool:
    """Whether a node holds nothing of somebody's but what says so."""
    cells = cells_of(node, person)
    return bool(cells) and all(
        cell.taken_back and b"secret" not in cell.encode() and len(cell.records()) == 1
        for cell in cells.values()
    )


async def test_everything_is_taken_back_from_every_replica(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        person, friend = Author(1), Author(2)
        async with town.client(town[0]) as client:
            for record in life_of(person, friend):
                assert (await client.put_one(record, "all"))["status"] == "stored"
            await client.put_one(friend.post("stays"), "all")
        async with purging(town, town[1], person) as (running, _):
            found = await running.survey(lambda done, total: None)
        assert found.left == {
            **{"post": 4, "profile": 1, "follow": 1, "mute": 1, "block": 1},
            **{"bookmark": 1, "like": 1, "repost": 1},
            **{"list": 1, "listed": 1, "preference": 2, "algorithm": 1},
        }
        assert found.gone == 1 and not found.staying
        purged, said = await purge(town, town[2], person)
        assert purged.complete and purged.taken_back == found.left and not purged.at_quorum and not said
        assert all(is_gone(node, person) for node in town.nodes)
        assert all(cells_of(node, friend) for node in town.nodes)
        again, _ = await purge(town, town[0], person)
        assert again.complete and not again.taken_back and again.found.gone == purged.found.gone


async def test_a_replica_that_was_down_hears_of_it_later(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        person, friend = Author(1), Author(2)
        async with town.client(town[0]) as client:
            for record in life_of(person, friend):
                await client.put_one(record, "all")
        await town[2].stop()
        await until(lambda: town[0].holds_dead(town[2]), what="the node to be missed", within_s=30)
        purged, said = await purge(town, town[0], person)
        assert purged.complete and purged.at_quorum == purged.taken_back.total()
        assert len(said) == 2, "of reading and of writing"
        await town.start(town[2])
        await until(lambda: is_gone(town[2], person), what="the replica to hear of it", within_s=30)


async def test_what_is_written_elsewhere_meanwhile_is_found(tmp_path: Path) -> None:
    """One replica has what another has not; and a second device has written without having seen the first."""
    async with founded(tmp_path, nodes=3) as town:
        person = Author(1)
        mine = [person.post(f"secret {number}") for number in range(3)]
        for number, record in enumerate(mine):
            await town[number].plant(record)
        other = Record.sign(
            PHONE,
            author=person.account,
            kind="profile",
            item=b"name",
            body={"value": "secret of the phone"},
            stamp=mine[0].stamp + 60_000_000,
        )
        await town[2].plant(other, person.record("profile", b"name", {"value": "secret"}))
        purged, _ = await purge(town, town[0], person)
        assert purged.complete
        assert all(is_gone(node, person) for node in town.nodes)
        cell = Cell.decode(
            town[0].commits.store.get_cell(cell_key(person.account, "profile", b"name")) or b""
        )
        assert cell.winner.seen[PHONE.account] == other.stamp < cell.winner.stamp
