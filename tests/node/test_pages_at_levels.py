"""A page at a level shows nothing that a quorum has superseded, not even in the place of what was deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from folkmoot.node.actors.feed_reader import FeedReader
from folkmoot.node.actors.reader import Reader
from folkmoot.node.routing import Router
from folkmoot.protocol.crdt.cell import Cell, digest_of, join
from folkmoot.protocol.feed.pages import pack_plain_page
from folkmoot.protocol.record import Record
from folkmoot.protocol.token import Token

from tests.node.doubles import Everybody, Lanes, ScriptedPeers, Unasked, everyone
from tests.node.people import Author
from tests.node.test_odd_answers import frame

HERE, NEAR, FAR, THIRD = (bytes((number,)) * 16 for number in (1, 2, 3, 4))
ANN = Author(1)
LIMIT = 2


class Replica:
    """One that holds some posts, deleted ones among them."""

    def __init__(self, *records: Record) -> None:
        self.cells = {record.key: Cell.of(record) for record in records}

    async def answer(self, method: str, params: Mapping[str, Any]) -> Any:
        if method == "replica.page":
            shown = [cell.winner for _, cell in sorted(self.cells.items(), reverse=True) if not cell.deleted]
            return pack_plain_page([frame(record) for record in shown[:LIMIT]], None).to_wire()
        if method == "replica.join":
            for key, data in params["cells"]:
                self.cells[key] = join(self.cells[key], Cell.decode(data))
            return {"changed": len(params["cells"]), "damaged": []}
        assert method == "replica.read"
        cells = [self.cells[key].encode() for key in params["keys"]]
        return {"cells": [digest_of(cell) for cell in cells] if params.get("digests") else cells}


async def shown(near: Replica, far: Replica) -> bytes:
    topology = Lanes(lambda lane: (NEAR, FAR, THIRD))
    peers = ScriptedPeers({NEAR: near.answer, FAR: far.answer, THIRD: far.answer})
    router = Router(HERE, "eu", topology, Everybody(), everyone)
    reader = Reader(router, topology, peers, Unasked())
    feeds = FeedReader(router, topology, peers, Unasked(), reader)
    return (await feeds.author_page(ANN.account, None, LIMIT, "quorum", Token())).items


async def test_what_moves_up_is_compared_as_well() -> None:
    """The nearest missed two deletions; only the first of them is among what the first pages show."""
    first, second, third, fourth = (ANN.post(str(number)) for number in range(1, 5))
    near = Replica(first, second, third, fourth)
    far = Replica(ANN.deletion(first), second, ANN.deletion(third), fourth)
    assert await shown(near, far) == pack_plain_page([frame(fourth), frame(second)], None).items
    near = Replica(first, second, third, fourth)
    far = Replica(first, ANN.deletion(second), ANN.deletion(third), ANN.deletion(fourth))
    assert await shown(near, far) == pack_plain_page([frame(first)], None).items
