"""Ranges that have grown are split by themselves, and any is split by hand."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from folkmoot.node.actors import splitter
from folkmoot.node.configuration.setting import ByteSize
from folkmoot.node.configuration.settings import RingSection
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.protocol import limits
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    BUSY,
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    UNAUTHENTICATED,
    WireError,
)
from folkmoot.protocol.key import lane_of, place_prefix
from folkmoot.protocol.ring.ranges import Slot

from tests.node.harness import Town
from tests.node.moving import ask, equal
from tests.node.nodes import lay_out
from tests.node.people import Author
from tests.node.test_fences import decide
from tests.node.test_splitting import known_to_all, owner_of, seated_town
from tests.registers.seats import seated
from tests.waiting import until

MINUTE_S = 60.0


def of_one_range(count: int) -> list[Author]:
    """So many authors of one lane, in the order of their keys."""
    by_lane: dict[int, list[Author]] = {}
    for number in itertools.count(1):
        author = Author(number)
        found = by_lane.setdefault(lane_of(place_prefix(author.account)), [])
        found.append(author)
        if len(found) == count:
            return sorted(found, key=lambda each: place_prefix(each.account))
    raise AssertionError("there are more authors than lanes")


async def write(town: Town, authors: list[Author], posts: int) -> list[Any]:
    written = [author.post("x" * 900) for author in authors for _ in range(posts)]
    async with town.client(town[0]) as client:
        for start in range(0, len(written), 50):
            results, _ = await client.put(*written[start : start + 50], level="all")
            assert {result["status"] for result in results} == {"stored"}
    return written


@asynccontextmanager
async def splitting_town(directory: Path, split_bytes: int) -> AsyncIterator[Town]:
    """A town of three nodes, in which ranges may be so large."""
    nodes, ca = lay_out(directory, nodes=3, replicas=3)
    for node in nodes:
        ring = RingSection(split_bytes=ByteSize(split_bytes))
        node.config = msgspec.structs.replace(node.config, ring=ring)
    async with trio.open_nursery() as nursery:
        town = Town(nodes, ca, nursery)
        try:
            await town.start()
            await seated(town, 3)
            yield town
        finally:
            nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "LOOK_S", 0.1)


async def test_a_range_that_grows_is_split_until_none_is_too_large(tmp_path: Path) -> None:
    most = 64 << 10
    async with splitting_town(tmp_path, most) as town:
        authors = of_one_range(24)
        first = owner_of(town[0], authors[0])
        written = await write(town, authors, 12)  # about five times as much

        def small() -> bool:
            told = [node.parts.movement.splitter for node in town.nodes]
            held = [owner for owner in town[0].ranges.ranges if not outside(owner, first)]
            known = [max((each.known(owner) or (0, 0))[1] for each in told) for owner in held]
            return len(held) > 4 and all(0 < size <= most for size in known)

        await until(small, what="all ranges to be small", within_s=MINUTE_S)
        await known_to_all(town, *town[0].ranges.ranges)
        async with town.client(town[2]) as client:
            for post in written[::12]:
                assert await client.get(post, "quorum") is not None
        await equal(town)
        figures = [await status(town, node) for node in town.nodes]
        split = len(town[0].ranges.ranges) - 64
        assert sum(each["split"] for each in figures) == split
        assert all(each["too_large"] == [] for each in figures)


def outside(owner: Any, whole: Any) -> bool:
    return owner.start < whole.start or bool(whole.end and owner.start >= whole.end)


async def status(town: Town, node: Any) -> dict[str, Any]:
    async with town.client(node) as client:
        told: dict[str, Any] = (await client.call("cluster.status"))["node"]["splits"]
    return told


async def test_what_is_one_accounts_stays_whole_and_is_said(tmp_path: Path) -> None:
    async with splitting_town(tmp_path, 16 << 10) as town:
        author = Author(1)
        await write(town, [author], 40)
        reader = next(node for node in town.nodes if node.id == owner_of(town[0], author).slots[0].reader)

        def said() -> bool:
            too_large = reader.parts.movement.splitter.statistics().too_large
            return too_large == [owner_of(reader, author).id]

        await until(said, what="the node to say so", within_s=MINUTE_S)
        assert "one account" in reader.parts.movement.splitter.statistics().reason
        assert len(reader.ranges.ranges) == 64


async def test_an_operator_looks_at_ranges_and_splits_one(tmp_path: Path) -> None:
    async with seated_town(tmp_path, nodes=3, replicas=1) as town:
        authors = of_one_range(4)
        await write(town, authors, 5)
        whole = owner_of(town[0], authors[0])
        away = next(node for node in town.nodes if node.id not in whole.nodes())
        told = await ask(town, away, "ring.weigh", range=whole.id)
        middle = place_prefix(authors[2].account)
        assert (told["cells"], told["middle"], told["start"]) == (20, middle, whole.start)
        assert 20 * 900 < told["bytes"] < 20 * 1_400
        planned = await ask(town, away, "ring.split", range=whole.id, dry_run=True)
        assert (planned["split"], planned["at"]) == (False, middle)
        assert owner_of(town[0], authors[0]) == whole
        done = await ask(town, away, "ring.split", range=whole.id)
        assert (done["split"], done["at"]) == (True, middle)
        assert [part["id"] for part in done["ranges"]] == [whole.id, 64]
        by_hand = await ask(town, away, "ring.split", range=64, at=place_prefix(authors[3].account))
        assert [part["id"] for part in by_hand["ranges"]] == [64, 65]
        await known_to_all(town, *away.ranges.ranges)
        [holder] = [node for node in town.nodes if node.id in whole.nodes()]
        listed = (await ask(town, holder, "ring.ranges"))["ranges"]
        cells = {each["id"]: each["cells"] for each in listed}
        assert (len(listed), cells[whole.id], cells[64], cells[65]) == (66, 10, 5, 5)
        assert (await ask(town, holder, "ring.ranges", first=66))["ranges"] == []
        assert {each["cells"] for each in (await ask(town, away, "ring.ranges"))["ranges"]} >= {None, 0}


@pytest.mark.parametrize(
    ("params", "kind", "sentence"),
    [
        ({"range": 64}, NOT_FOUND, "no range 64"),
        ({"range": 3}, CONFLICT, "fewer than two accounts"),
        ({"range": 3, "at": b"\xff"}, BAD_REQUEST, "not within range 3"),
        ({"range": 3, "at": b"\xff", "dry_run": True}, BAD_REQUEST, "not within range 3"),
        ({"range": 3, "at": bytes(600)}, BAD_REQUEST, "ring.split"),
        ({}, BAD_REQUEST, "ring.split"),
    ],
)
async def test_what_cannot_be_split(tmp_path: Path, params: Any, kind: Any, sentence: str) -> None:
    async with seated_town(tmp_path, nodes=1, replicas=1) as town:
        with pytest.raises(WireError, match=sentence) as refused:
            await ask(town, town[0], "ring.split", **params)
        assert refused.value.kind is kind


async def test_only_operators_look_and_split(tmp_path: Path) -> None:
    async with seated_town(tmp_path, nodes=1, replicas=1) as town, town.client(town[0]) as client:
        for kind in (UNAUTHENTICATED, FORBIDDEN):
            for method, params in (
                ("ring.ranges", {}),
                ("ring.weigh", {"range": 1}),
                ("ring.split", {"range": 1}),
            ):
                with pytest.raises(WireError) as refused:
                    await client.call(method, **params)
                assert refused.value.kind is kind
            await client.auth(Author(1))


async def test_a_moving_range_is_not_split_by_hand(tmp_path: Path) -> None:
    async with seated_town(tmp_path, nodes=2, replicas=1) as town:
        whole = town[0].ranges.ranges[7]
        slots = (Slot(whole.slots[0].region, tuple(node.id for node in town.nodes)),)
        await decide(town[0], replace(whole, epoch=2, slots=slots))
        for dry_run in (True, False):
            with pytest.raises(WireError, match="is moving") as refused:
                await ask(town, town[0], "ring.split", range=7, at=whole.start + b"\1", dry_run=dry_run)
            assert refused.value.kind is CONFLICT


async def test_a_range_whose_nodes_are_away_cannot_be_weighed(tmp_path: Path) -> None:
    async with seated_town(tmp_path, nodes=2, replicas=1) as town:
        whole = next(each for each in town[0].ranges.ranges if town[1].id in each.nodes())
        await town[1].stop()
        scales = town[0].parts.movement.splitter
        with pytest.raises(PeerUnreachable):
            await scales.ask(whole)
        with pytest.raises(WireError, match="cannot be weighed"):
            await ask(town, town[0], "ring.weigh", range=whole.id)


async def test_only_so_many_ranges_are_weighed_at_once(tmp_path: Path) -> None:
    async with seated_town(tmp_path, nodes=1, replicas=1) as town:
        scales, whole = town[0].parts.movement.splitter, town[0].ranges.ranges[7]
        answers: list[Any] = []

        async def weigh() -> None:
            try:
                answers.append(await scales.ask(whole))
            except WireError as error:
                answers.append(error.kind)

        async with trio.open_nursery() as nursery:
            for _ in range(limits.WEIGHINGS_AT_ONCE + 3):
                nursery.start_soon(weigh)
        assert answers.count(BUSY) == 3
        assert (await scales.ask(whole)).cells == 0, "and again when those are done"
