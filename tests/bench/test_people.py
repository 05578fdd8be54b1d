"""The people of a run: the same for the same seed, and what they said once is not said again."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, cast

import pytest
from folkmoot.cli.bench import people as module
from folkmoot.cli.bench.graph import made_up_graph
from folkmoot.cli.bench.mixes import Action, Deed
from folkmoot.cli.bench.people import People
from folkmoot.cli.bench.readers import CREDIT, Readers
from folkmoot.cli.errors import OperatorError
from folkmoot.protocol.client import Client, PutResult
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.connection import Notification
from folkmoot.protocol.errors import BUSY, UNKNOWN_METHOD, WireError
from folkmoot.protocol.record import Record

GRAPH = made_up_graph(Random(1), 50)
NOW_US = 1_700_000_000_000_000


class Node:
    """A client whose node keeps what it is given, and breaks off after so many records."""

    def __init__(self, room: int = 10**9) -> None:
        self.cells: dict[tuple[bytes, str, bytes], Record] = {}
        self.room = room
        self.refusal: WireError | None = None
        self.asked: list[dict[str, Any]] = []

    async def get(self, keys: Sequence[tuple[bytes, str, bytes]], level: str) -> list[dict[str, Any] | None]:
        held = [self.cells.get(key) for key in keys]
        return [None if record is None else {"records": [record.to_wire()]} for record in held]

    async def put_records(self, frames: Sequence[tuple[bytes, bytes]], level: str) -> list[PutResult]:
        results = []
        for frame in frames:
            record = Record(*frame)
            record.verify()
            self.room -= 1
            if self.room < 0:
                error = {"name": "disk_full", "message": "full"}
                results.append(PutResult(record.id, "refused", None, None, error))
                continue
            self.cells[record.place, record.kind, record.item] = record
            results.append(PutResult(record.id, "stored", None, None, None))
        return results

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(params)
        return {"subscription": 1}

    def client(self) -> Client:
        return cast("Client", self)


def follows(node: Node) -> set[tuple[bytes, bytes]]:
    return {(place, item) for place, kind, item in node.cells if kind == "follow"}


async def test_everybody_follows_and_says_it_once() -> None:
    node, told = Node(), []
    assert await People(7, GRAPH).meet([node.client()] * 2, "quorum", lambda *done: told.append(done)) == (
        len(GRAPH),
        0,
    )
    people = People(7, GRAPH)
    expected = {
        (people.key(one).account, people.key(other).account) for one, other in GRAPH.edges(0, len(GRAPH))
    }
    assert follows(node) == expected and told[-1] == (len(GRAPH), len(GRAPH))
    room = node.room
    assert await people.meet([node.client()] * 2, "quorum", lambda *done: None) == (0, len(GRAPH))
    assert node.room == room, "nothing was sent"
    assert await People(8, GRAPH).meet([node.client()] * 2, "quorum", lambda *done: None) == (len(GRAPH), 0)
    assert len(follows(node)) == 2 * len(GRAPH), "another seed makes other people"


async def test_what_broke_off_goes_on_and_is_the_same_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLLOWS_A_STEP", 100)
    whole, broken = Node(), Node(room=250)
    await People(7, GRAPH).meet([whole.client()] * 2, "quorum", lambda *done: None)
    with pytest.raises(OperatorError, match="a follow that the run needs was refused: full"):
        await People(7, GRAPH).meet([broken.client()] * 2, "quorum", lambda *done: None)
    broken.room = 10**9
    assert await People(7, GRAPH).meet([broken.client()] * 2, "quorum", lambda *done: None) == (
        len(GRAPH) - 200,
        200,
    )
    for key in whole.cells:
        if key[1] == "follow":
            assert broken.cells[key] == whole.cells[key]


class Line:
    """A link that only remembers what it is to ask."""

    has_room = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def submit(self, method: str, params: dict[str, Any], on_reply: object) -> None:
        self.asked.append((method, params))

    def link(self) -> Link:
        return cast("Link", self)


def test_a_note_that_makes_no_sense_is_no_note() -> None:
    """Nobody is left without follows by it."""

    async def there(value: object) -> int:
        node, people = Node(), People(7, GRAPH)
        await people.meet([node.client()] * 2, "quorum", lambda *done: None)
        key = people.key(0)
        (field,) = [item for _, kind, item in node.cells if kind == "profile"]
        node.cells[key.account, "profile", field] = Record.sign(
            key, kind="profile", item=field, body={"value": value}, stamp=NOW_US
        )
        return (await people.meet([node.client()] * 2, "quorum", lambda *done: None))[1]

    import trio

    for value in ("many", -1, len(GRAPH) + 1, True):
        assert trio.run(there, value) == 0


def test_what_deeds_write() -> None:
    people, random = People(7, GRAPH), Random(1)
    about = people.post(0, NOW_US, random)
    made = {
        action: people.written(Deed(1.5, action, 3), NOW_US, random, about)
        for action in (Action.POST, Action.LIKE, Action.REPOST, Action.REPLY)
    }
    actor = people.key(3).account
    for action, record in made.items():
        record.verify()
        assert record.author == actor and record.stamp >= NOW_US + 1_500_000
        assert record.kind == ("post" if action is Action.REPLY else str(action))
    assert made[Action.LIKE].place == made[Action.REPOST].place == about.author
    assert made[Action.LIKE].item == about.item + actor
    assert made[Action.REPLY].body["root"] == {"author": about.author, "item": about.item}
    stamps = [record.stamp for record in made.values()]
    assert stamps == sorted(set(stamps)), "no device says two things under one stamp"


async def test_readers_hear_what_is_posted_after_they_began() -> None:
    readers, node, people = Readers(), Node(), People(7, GRAPH)
    assert await readers.follow(node.client(), [people.key(0).account, people.key(1).account])
    assert [asked["what"]["author"] for asked in node.asked] == [people.key(n).account for n in (0, 1)]
    old = people.post(0, NOW_US, Random(1))
    readers.begin()
    new = people.post(0, 2 * NOW_US, Random(2))
    items = [{"record": record.to_wire()} for record in (old, new)]
    readers.heard(Line().link(), Notification("feed.event", {"items": items}))
    readers.heard(Line().link(), Notification("feed.event", {"heartbeat": True}))
    readers.heard(Line().link(), Notification("feed.event", {"gap": {"reason": "slow"}}))
    readers.heard(Line().link(), Notification("goodbye", {"items": items}))
    summary = readers.summary()
    assert (summary["subscriptions"], summary["items"], summary["gaps"]) == (2, 1, 1)


def test_readers_grant_more_when_half_of_what_was_granted_has_come() -> None:
    readers, line = Readers(), Line()
    items = [{"record": People(7, GRAPH).post(0, NOW_US, Random(1)).to_wire()}] * 1024
    for number in (1, 2):
        for _ in range(CREDIT // 2048 - 1):
            readers.heard(line.link(), Notification("feed.event", {"subscription": number, "items": items}))
    assert line.asked == []
    readers.heard(line.link(), Notification("feed.event", {"subscription": 2, "items": items}))
    readers.heard(line.link(), Notification("feed.event", {"subscription": 2, "items": items}))
    assert line.asked == [("feed.credit", {"subscription": 2, "credit": CREDIT // 2})]


async def test_a_node_without_following_is_told_from_one_that_refuses() -> None:
    node = Node()
    node.refusal = WireError(UNKNOWN_METHOD, "no such method")
    assert not await Readers().follow(node.client(), [bytes(34)])
    node.refusal = WireError(BUSY, "not now")
    with pytest.raises(WireError):
        await Readers().follow(node.client(), [bytes(34)])
