"""A page shows what the token names, and what was just read at its level, whichever replica it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from folkmoot.node.actors.feed_reader import FeedReader
from folkmoot.node.actors.reader import Reader
from folkmoot.node.routing import Router
from folkmoot.protocol.crdt.cell import Cell, digest_of
from folkmoot.protocol.errors import BUSY, LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.feed.pages import PackedPage, pack_plain_page
from folkmoot.protocol.record import Record
from folkmoot.protocol.token import Token

from tests.node.doubles import Everybody, Lanes, ScriptedPeers, Unasked, everyone
from tests.node.people import Author
from tests.node.test_odd_answers import frame

HERE, NEAR, FAR, THIRD = (bytes((number,)) * 16 for number in (1, 2, 3, 4))
ANN = Author(1)
OLD = ANN.post("before")
EDIT = ANN.post("after", item=OLD.item)


class Replica:
    """One that holds one post, and may have no room for anything newer."""

    def __init__(self, record: Record, *, busy: bool = False) -> None:
        self.record = record
        self.busy = busy

    async def answer(self, method: str, params: Mapping[str, Any]) -> Any:
        if method == "replica.page":
            return pack_plain_page([frame(self.record)], None).to_wire()
        if method == "replica.join":
            if self.busy:
                raise WireError(BUSY, "too many writes")
            self.record = Cell.decode(params["cells"][0][1]).winner
            return {"changed": 1, "damaged": []}
        assert method == "replica.read"
        cell = Cell.of(self.record).encode()
        return {"cells": [digest_of(cell) if params.get("digests") else cell]}


async def page(near: Replica, far: Replica, level: Any, token: Token) -> PackedPage:
    """A page as a node without a slot gives it; `near` is asked first, and the third is like `far`."""
    topology = Lanes(lambda lane: (NEAR, FAR, THIRD))
    peers = ScriptedPeers({NEAR: near.answer, FAR: far.answer, THIRD: Replica(far.record).answer})
    router = Router(HERE, "eu", topology, Everybody(), everyone)
    reader = Reader(router, topology, peers, Unasked())
    feeds = FeedReader(router, topology, peers, Unasked(), reader)
    return await feeds.author_page(ANN.account, None, 50, level, token)


SEEN = Token.of([(EDIT.key, {ANN.account: EDIT.stamp})])


@pytest.mark.parametrize("busy", [False, True], ids=["takes what it lacked", "has no room"])
async def test_the_nearest_shows_what_the_session_has_seen_or_is_passed_over(busy: bool) -> None:
    shown = await page(Replica(OLD, busy=busy), Replica(EDIT), "one", SEEN)
    assert shown == pack_plain_page([frame(EDIT)], None)


async def test_without_a_token_the_nearest_will_do() -> None:
    assert await page(Replica(OLD), Replica(EDIT), "one", Token()) == pack_plain_page([frame(OLD)], None)


async def test_what_was_joined_is_shown_by_a_replica_that_took_it() -> None:
    shown = await page(Replica(OLD), Replica(EDIT), "quorum", Token())
    assert shown == pack_plain_page([frame(EDIT)], None)


async def test_one_without_room_is_passed_over_at_a_level_as_well() -> None:
    shown = await page(Replica(OLD, busy=True), Replica(EDIT), "quorum", Token())
    assert shown == pack_plain_page([frame(EDIT)], None)


async def test_a_level_that_needs_one_without_room_is_not_reached() -> None:
    """Never is it answered with less than was seen."""
    with pytest.raises(WireError) as refused:
        await page(Replica(OLD, busy=True), Replica(EDIT), "all", Token())
    assert refused.value.kind is LEVEL_UNREACHABLE
