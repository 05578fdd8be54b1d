"""Where candidates come from, and what is said of what could not be asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import pytest
from folkmoot.node.projections.feeds import BuiltPage
from folkmoot.node.projections.listings import Latest, Place
from folkmoot.node.projections.posts import Ref
from folkmoot.node.ranking.friends import Followed
from folkmoot.node.ranking.gathering import Gathered, Gathering
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.feed.pages import pack_page
from folkmoot.protocol.feed.viewer import PUBLIC
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.ranking.document import Origin

from tests.ranking.posts import document

ANN, BEN, CLEO = (KeyPair(bytes([number]) * 32).account for number in (1, 2, 3))


class World:
    """What a gathering asks: a node that keeps all, whose projections may have yet to read for it."""

    def __init__(self) -> None:
        self.covered = True
        self.elsewhere: list[bytes] = []
        self.is_busy = False
        self.missing: list[bytes] = []
        self.asked_all = True

    def keeps(self, key: bytes) -> bool:
        return True

    def covers(self, key: bytes) -> bool:
        return self.covered

    def lag_s(self) -> float | None:
        return 0.0

    async def page(self, feed: Any, after: bytes | None, limit: int) -> BuiltPage:
        self.elsewhere.append(feed.subject)
        if self.is_busy:
            raise WireError(BUSY, "not yet")
        return BuiltPage(pack_page([], None), 0)

    def home(self, account: bytes) -> World:
        return self

    @property
    def unreached(self) -> Sequence[bytes]:
        return self.missing

    async def places(self, after: bytes | None, limit: int) -> list[Place]:
        return [Place(bytes(48), Ref(BEN, bytes(16)))]

    async def latest(self, accounts: Any, *args: Any, **more: Any) -> Latest:
        return Latest([[] for _ in accounts], self.missing)

    async def of(self, account: bytes) -> Followed:
        return Followed(Counter({CLEO: 1}), self.asked_all)

    async def gathered(self, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> Gathered:
        parts = [cast(Any, self) for _ in range(7)]
        gathering = Gathering(*parts)
        monkeypatch.setattr(gathering, "followed", lambda account, others: set())
        source = {"from": origin.value} | ({"tags": ["tea"]} if origin is Origin.TAGS else {})
        return await gathering.gather(document("likes", sources=[source]), ANN, PUBLIC, 0, None)


async def test_a_node_that_has_yet_to_read_for_a_tag_asks_others(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.covered = False
    assert (await world.gathered(Origin.TAGS, monkeypatch)).unreached == []
    assert world.elsewhere == [b"tea"]
    world.is_busy = True
    assert (await world.gathered(Origin.TAGS, monkeypatch)).unreached == ["tags"]


@pytest.mark.parametrize("origin", [Origin.FOLLOWING, Origin.FRIENDS])
async def test_authors_who_cannot_be_asked_are_said_by_their_source(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    assert (await world.gathered(origin, monkeypatch)).unreached == []
    world.missing = [BEN]
    assert (await world.gathered(origin, monkeypatch)).unreached == [origin.value]


async def test_friends_who_cannot_be_asked_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.asked_all = False
    assert (await world.gathered(Origin.FRIENDS, monkeypatch)).unreached == ["friends"]
