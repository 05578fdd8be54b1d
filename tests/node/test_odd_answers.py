"""What a peer answers that is no answer costs that peer its say, and nobody else anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from folkmoot.node.actors.feed_reader import FeedReader
from folkmoot.node.actors.reader import Reader
from folkmoot.node.contracts import ProfileRead, Read, Reading
from folkmoot.node.routing import Router
from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import Cell, digest_of
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed.pages import pack_plain_page
from folkmoot.protocol.record import Record
from folkmoot.protocol.token import Token

from tests.node.doubles import Answer, Everybody, Lanes, ScriptedPeers, Unasked, everyone
from tests.node.people import Author

HERE, ODD, EVEN, THIRD = (bytes((number,)) * 16 for number in (1, 2, 3, 4))
ANN = Author(1)
POST = ANN.post("hello")
CELL = Cell.of(POST).encode()
OTHERS_CELL = Cell.of(Author(2).post()).encode()


def numbered(answers: list[Any]) -> list[str]:
    """Names of cases whose bytes differ from run to run."""
    return [f"odd {number}" for number in range(len(answers))]


def answering(answer: Any) -> Answer:
    async def give(method: str, params: Mapping[str, Any]) -> Any:
        return answer

    return give


async def good(method: str, params: Mapping[str, Any]) -> Any:
    """A replica that has the post, and nothing else."""
    if method == "replica.read":
        cells = [CELL if key == POST.key else None for key in params["keys"]]
        return {"cells": [digest_of(cell) for cell in cells] if params.get("digests") else cells}
    if method == "replica.page":
        return pack_plain_page([frame(POST)], None).to_wire()
    if method == "replica.profile":
        return {"frames": [], "complete": True}
    if method == "replica.labels":
        return {"labels": [[] for _ in params["keys"]]}
    assert method == "replica.join"
    return {"changed": 0, "damaged": []}


def frame(record: Record) -> bytes:
    return codec.pack(record.to_wire())


def readers(odd: Answer) -> tuple[Reader, FeedReader, ScriptedPeers]:
    """Readers on a node without a slot; the odd replica comes first."""
    topology = Lanes(lambda lane: (ODD, EVEN, THIRD))
    peers = ScriptedPeers({ODD: odd, EVEN: good, THIRD: good})
    router = Router(HERE, "eu", topology, Everybody(), everyone)
    reader = Reader(router, topology, peers, Unasked())
    reading: Reading = reader
    return reader, FeedReader(router, topology, peers, Unasked(), reading), peers


NO_CELLS: list[Any] = [
    None,
    7,
    {},
    [],
    {"cells": None},
    {"cells": []},
    {"cells": [1]},
    {"cells": [b"junk"]},
    {"cells": [b""]},
    {"cells": [OTHERS_CELL]},
    {"cells": [CELL, CELL]},
]


@pytest.mark.parametrize("level", ["one", "quorum"])
@pytest.mark.parametrize("answer", NO_CELLS, ids=numbered(NO_CELLS))
async def test_another_replica_is_asked_for_the_cell(answer: Any, level: Any) -> None:
    reader, _, peers = readers(answering(answer))
    read: Read = await reader.get([POST.key], level, Token())
    assert read.cells == [CELL]
    assert (ODD, "replica.read") in peers.calls


async def test_digests_that_are_none_are_looked_into() -> None:
    async def odd(method: str, params: Mapping[str, Any]) -> Any:
        return {"cells": [7]} if params.get("digests") else await good(method, params)

    reader, _, _ = readers(odd)
    assert (await reader.get([POST.key], "all", Token())).cells == [CELL]


async def test_with_nobody_else_left_the_level_is_not_reached() -> None:
    """It is the cluster that cannot answer: the client asked for nothing wrong."""
    reader, feeds, _ = readers(answering({"cells": [b"junk"]}))
    for attempt in (
        reader.get([POST.key], "all", Token()),
        feeds.author_page(ANN.account, None, 50, "all", Token()),
    ):
        with pytest.raises(WireError) as refused:
            await attempt
        assert refused.value.kind.name == "level_unreachable"


NO_PAGES: list[Any] = [
    None,
    [],
    {"count": 1},
    {"count": 1, "items": b"", "resume": None},
    {"count": 2, "items": pack_plain_page([frame(POST)], None).items, "resume": None},
    {"count": 0, "items": b"\xc0", "resume": None},
    {"count": -1, "items": b"", "resume": None},
    {"count": 10**6, "items": b"", "resume": None},
    {"count": 1, "items": codec.pack({"record": 7, "labels": [], "counts": {}}), "resume": None},
    {"count": 1, "items": codec.pack([POST.to_wire()]), "resume": None},
]


@pytest.mark.parametrize("level", ["one", "quorum"])
@pytest.mark.parametrize("answer", NO_PAGES, ids=numbered(NO_PAGES))
async def test_another_replica_is_asked_for_the_page(answer: Any, level: Any) -> None:
    _, feeds, peers = readers(answering(answer))
    page = await feeds.author_page(ANN.account, None, 50, level, Token())
    assert page == pack_plain_page([frame(POST)], None)
    assert (ODD, "replica.page") in peers.calls


NO_PROFILES: list[Any] = [
    None,
    {},
    {"frames": [b"junk"], "complete": True},
    {"frames": [frame(POST)], "complete": True},
    {"frames": [frame(Author(2).record("profile", b"name", {"value": "Ben"}))], "complete": True},
]


@pytest.mark.parametrize("answer", NO_PROFILES, ids=numbered(NO_PROFILES))
async def test_another_replica_is_asked_for_the_profile(answer: Any) -> None:
    _, feeds, peers = readers(answering(answer))
    assert await feeds.profile(ANN.account) == ProfileRead({}, True, 0, {})
    assert (EVEN, "replica.profile") in peers.calls


@pytest.mark.parametrize("answer", [None, {}, {"labels": [[b"junk"]]}, {"labels": [7]}], ids=repr)
async def test_another_replica_is_asked_for_labels(answer: Any) -> None:
    reader, _, peers = readers(answering(answer))
    assert await reader.labels([POST.key]) == {POST.key: []}
    assert (EVEN, "replica.labels") in peers.calls
