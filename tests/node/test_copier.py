"""The copier against a donor over its own store: what a pass brings, and what ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.actors.copier import ATTEMPTS, DAMAGE, METHOD, Copier, Progress
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.exchange import Exchange
from folkmoot.node.simulation.surroundings import InlineExecutor
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    BUSY,
    DISK_FULL,
    STALE_TOPOLOGY,
    UNKNOWN_METHOD,
    ErrorKind,
    WireError,
)
from folkmoot.protocol.key import block_slices
from folkmoot.protocol.limits import COPIES_AT_ONCE, COPY_SLICES
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.interface import Table

from tests.node.alone import damage, mend
from tests.node.sides import ACCOUNTS, HERE, OTHER, THERE, Pair, Side, pair
from tests.storage.making import person, post
from tests.waiting import until

SESSION, NEXT = b"s" * 16, b"n" * 16
WITHIN_S = 60.0


class Copying:
    """This node, which has a slot to fill, and the donor."""

    def __init__(self, two: Pair) -> None:
        self.two = two
        self.here, self.there = self.copier_of(two.here, HERE), self.copier_of(two.there, THERE)
        two.wire.methods[THERE] = {**two.wire.methods[THERE], **self.there.methods()}

    def copier_of(self, side: Side, node_id: bytes) -> Copier:
        wire, store = self.two.wire, side.commits.store
        exchange = Exchange(store.view, side.replica, wire, InlineExecutor())
        return Copier(node_id, self.two.topology, exchange, store.damage, wire)

    def owner(self, number: int = 0) -> RangeDescriptor:
        owner = self.two.topology.map.get(number)
        assert owner is not None
        return owner

    async def ask(self, number: int = 0, session: bytes = SESSION, donor: bytes = THERE) -> Progress:
        return await self.here.ask(HERE, number, self.owner(number).epoch, session, donor)

    async def ended(self, number: int = 0, session: bytes = SESSION, epoch: int = 1) -> Progress:
        """How a pass ended."""
        found: list[Progress] = []

        async def has_ended() -> bool:
            found.append(await self.here.ask(HERE, number, epoch, session, THERE))
            return found[-1].state != "running"

        await until(has_ended, what="the pass to end", within_s=WITHIN_S)
        return found[-1]

    def lacking(self, number: int = 0) -> set[bytes]:
        """The keys at which the donor has something that is not here."""
        owner = self.owner(number)
        mine, theirs = self.two.here.cells_of(owner), self.two.there.cells_of(owner)
        return {key for key, cell in theirs.items() if key not in mine or not _covers(mine[key], cell)}


def _covers(mine: bytes, theirs: bytes) -> bool:
    return join(Cell.decode(mine), Cell.decode(theirs)).encode() == mine


@asynccontextmanager
async def copying() -> AsyncIterator[Copying]:
    async with pair(running=False) as two, trio.open_nursery() as nursery:
        made = Copying(two)
        nursery.start_soon(made.here.run)
        await trio.testing.wait_all_tasks_blocked()
        yield made
        nursery.cancel_scope.cancel()


async def test_a_pass_brings_everything_and_takes_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with copying() as moving:
        before = moving.two.there.cells()
        begun = await moving.ask()
        blocks = len(list(block_slices(moving.owner().start, moving.owner().end)))
        assert (begun.state, begun.blocks_done, begun.blocks) == ("running", 0, blocks)
        assert len(moving.lacking()) == 3, "of one of them there is an older state"
        ended = await moving.ended()
        assert (ended.state, ended.reason, ended.blocks_done) == ("complete", None, blocks)
        assert ended.cells == 3 and ended.bytes > 0
        assert moving.lacking() == set()
        assert moving.two.there.cells() == before, "a copy goes one way"
        assert len(moving.lacking(1)) == 3, "no other range was asked for"
        assert moving.here.statistics().complete == 1 and not moving.here.statistics().running


async def test_asking_again_tells_and_begins_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with copying() as moving:
        await moving.ask()
        first = await moving.ended()
        asked = len(moving.two.wire.asked)
        assert await moving.ask() == first
        await trio.testing.wait_all_tasks_blocked()
        assert len(moving.two.wire.asked) == asked


async def test_a_pass_over_equal_data_costs_few_comparisons(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with copying() as moving:
        await moving.ask()
        await moving.ended()
        # What only this node has would differ for ever, and is not the donor's to give.
        extra = list(moving.two.here.cells_of(moving.owner()).items())
        await moving.two.there.answer_join(HERE, {"ranges": [(0, 1)], "cells": extra})
        moving.two.wire.asked.clear()
        await moving.ask(session=NEXT)
        ended = await moving.ended(session=NEXT)
        assert (ended.state, ended.cells) == ("complete", 0)
        assert moving.two.wire.count("sync.step") == COPY_SLICES < ended.blocks
        assert moving.two.wire.count("sync.fetch") == 0


async def test_what_the_donor_got_before_a_later_session_is_brought_by_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with copying() as moving:
        await moving.ask()
        await moving.ended()
        late = post(person(ACCOUNTS[0][1]), 77)
        await moving.two.there.keep(late)
        assert (await moving.ask()).state == "complete" and late.key not in moving.two.here.cells()
        await moving.ask(session=NEXT)
        assert (await moving.ended(session=NEXT)).cells == 2, "and one of which more is known here"
        assert late.key in moving.two.here.cells()


async def test_another_session_takes_the_place_of_one_under_way(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with copying() as moving:
        gate = trio.Event()
        moving.two.wire.before = _waiting_for(gate, "sync.step")
        await moving.ask()
        await moving.ask(session=NEXT)
        old = await moving.ask()
        assert old.state == "failed" and old.reason is not None and "another session" in old.reason
        gate.set()
        assert (await moving.ended(session=NEXT)).state == "complete"
        assert (await moving.ask()) == old, "what is over has no effect"


async def test_as_many_ranges_at_once_as_a_node_may_copy(autojump_clock: trio.testing.MockClock) -> None:
    async with copying() as moving:
        gate = trio.Event()
        moving.two.wire.before = _waiting_for(gate, "sync.step")
        for number in range(COPIES_AT_ONCE):
            await moving.ask(number)
        with pytest.raises(WireError) as refused:
            await moving.ask(COPIES_AT_ONCE)
        assert refused.value.kind is BUSY and refused.value.retry_after_ms
        assert set(moving.here.statistics().running) == set(range(COPIES_AT_ONCE))
        gate.set()
        for number in range(COPIES_AT_ONCE):
            assert (await moving.ended(number)).state == "complete"
        await moving.ask(COPIES_AT_ONCE)
        assert (await moving.ended(COPIES_AT_ONCE)).state == "complete"


@pytest.mark.parametrize("method", ["sync.step", "sync.fetch", DAMAGE])
async def test_a_donor_that_is_away_for_a_moment_does_not_end_a_pass(
    autojump_clock: trio.testing.MockClock, method: str
) -> None:
    async with copying() as moving:
        moving.two.wire.errors[method] += [PeerUnreachable("away"), WireError(BUSY, "not now")]
        await moving.ask()
        assert (await moving.ended()).state == "complete"
        assert moving.lacking() == set()


@pytest.mark.parametrize("method", ["sync.step", "sync.fetch", DAMAGE])
async def test_a_donor_that_stays_away_ends_it(autojump_clock: trio.testing.MockClock, method: str) -> None:
    async with copying() as moving:
        moving.two.wire.errors[method] += [PeerUnreachable("it is gone")] * 10 * ATTEMPTS
        await moving.ask()
        ended = await moving.ended()
        assert (ended.state, ended.reason) == ("failed", "it is gone")
        moving.two.wire.errors.clear()
        await moving.ask(session=NEXT)
        assert (await moving.ended(session=NEXT)).state == "complete"


@pytest.mark.parametrize("method", ["sync.step", "sync.fetch", DAMAGE])
@pytest.mark.parametrize("kind", [STALE_TOPOLOGY, UNKNOWN_METHOD])
async def test_a_donor_under_another_epoch_ends_it_at_once(
    autojump_clock: trio.testing.MockClock, method: str, kind: ErrorKind
) -> None:
    async with copying() as moving:
        moving.two.wire.errors[method].append(WireError(kind, "no longer"))
        await moving.ask()
        ended = await moving.ended()
        assert ended.state == "failed" and ended.reason == f"{kind.name}: no longer"


@pytest.mark.parametrize("method", ["sync.step", "sync.fetch", DAMAGE])
async def test_an_epoch_that_comes_meanwhile_ends_it(
    autojump_clock: trio.testing.MockClock, method: str
) -> None:
    """Whatever is asked when it comes: what is fetched under the older one is not kept, nor completed."""
    async with copying() as moving:
        advanced = trio.Event()

        async def advance(node_id: bytes, asked: str) -> None:
            if asked == method and not advanced.is_set():
                advanced.set()
                moving.two.topology.advance()

        moving.two.wire.before = advance
        owner = moving.owner()
        await moving.ask()
        await advanced.wait()
        await until(lambda: not moving.here.statistics().running, what="the pass to end", within_s=WITHIN_S)
        assert moving.here.statistics().complete == 0
        with pytest.raises(WireError) as refused:
            await moving.here.ask(HERE, owner.id, owner.epoch, SESSION, THERE)
        assert refused.value.kind is STALE_TOPOLOGY
        moving.two.wire.before = None
        await moving.ask()
        assert (await moving.ended(epoch=2)).state == "complete", "a session is one of its epoch"


async def test_an_older_epoch_is_over_when_a_newer_is_asked_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with copying() as moving:
        gate = trio.Event()
        moving.two.wire.before = _waiting_for(gate, "sync.step")
        await moving.ask()
        moving.two.topology.advance()
        assert (await moving.ask(1)).state == "running"
        assert set(moving.here.statistics().running) == {1}
        gate.set()


async def test_what_is_damaged_on_the_donor_keeps_a_pass_from_completing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with copying() as moving:
        store, key = moving.two.there.commits.store, post(person(ACCOUNTS[0][1]), 1).key
        row = damage(store, Table.CELLS, key)
        await moving.ask()
        ended = await moving.ended()
        assert ended.state == "failed" and ended.reason is not None
        assert "1 cells or more are damaged on the donor" in ended.reason
        assert key not in moving.two.here.cells()
        mend(store, Table.CELLS, key, row)
        store.damage.mended(key)
        await moving.ask(session=NEXT)
        assert (await moving.ended(session=NEXT)).state == "complete"
        assert moving.lacking() == set()


async def test_damage_of_another_range_is_no_matter(autojump_clock: trio.testing.MockClock) -> None:
    async with copying() as moving:
        store, key = moving.two.there.commits.store, post(person(ACCOUNTS[1][1]), 1).key
        damage(store, Table.CELLS, key)
        store.damage.add(key)
        await moving.ask()
        assert (await moving.ended()).state == "complete"


async def test_what_cannot_be_kept_here_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    async with copying() as moving:
        both = post(person(ACCOUNTS[0][2]), 1).key
        damage(moving.two.here.commits.store, Table.CELLS, both)
        await moving.ask()
        ended = await moving.ended()
        assert ended.state == "failed" and ended.reason is not None
        assert "damaged on the node that copies" in ended.reason


async def test_a_full_disk_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    async with copying() as moving:
        moving.two.here.commits.refusals.append(WireError(DISK_FULL, "full"))
        await moving.ask()
        ended = await moving.ended()
        assert (ended.state, ended.reason) == ("failed", "disk_full: full")


async def test_a_donor_that_loses_what_it_listed_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    async with copying() as moving:
        moving.two.wire.tampers["sync.fetch"] = lambda answer: {"cells": [None for _ in answer["cells"]]}
        await moving.ask()
        ended = await moving.ended()
        assert (ended.state, ended.reason) == ("failed", "the donor no longer has what it said it had")


async def test_a_restart_forgets_and_the_same_request_begins_anew(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with copying() as moving:
        await moving.ask()
        await moving.ended()
        again = Copying(moving.two)
        with pytest.raises(WireError) as refused:
            await again.ask()
        assert refused.value.kind is BUSY, "it does not run yet"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(again.here.run)
            await trio.testing.wait_all_tasks_blocked()
            assert (await again.ask()).state == "running"
            assert (await again.ended()).state == "complete"
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"session": b"short"}, BAD_REQUEST),
        ({"donor": b"short"}, BAD_REQUEST),
        ({"donor": HERE}, BAD_REQUEST),
        ({"epoch": 0}, BAD_REQUEST),
        ({"range": "0"}, BAD_REQUEST),
        ({"epoch": 7}, STALE_TOPOLOGY),
        ({"range": 99}, STALE_TOPOLOGY),
    ],
)
async def test_what_is_no_request_for_a_pass(
    autojump_clock: trio.testing.MockClock, change: dict[str, Any], kind: ErrorKind
) -> None:
    async with copying() as moving:
        params = {"range": 0, "epoch": 1, "session": SESSION, "donor": THERE, **change}
        with pytest.raises(WireError) as refused:
            await moving.here.answer(OTHER, params)
        assert refused.value.kind is kind
        assert not moving.here.statistics().running


async def test_an_epoch_that_the_asker_knows_is_learned_from_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with copying() as moving:
        with pytest.raises(WireError):
            await moving.here.answer(OTHER, {"range": 0, "epoch": 2, "session": SESSION, "donor": THERE})
        assert moving.two.topology.refreshed == [OTHER]


async def test_a_node_without_a_slot_copies_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with copying() as moving:
        stranger = Copier(
            b"x" * 16, moving.two.topology, moving.here._exchange, moving.here._damage, moving.two.wire
        )
        with pytest.raises(WireError) as refused:
            await stranger.answer(OTHER, {"range": 0, "epoch": 1, "session": SESSION, "donor": THERE})
        assert refused.value.kind is BAD_REQUEST


async def test_a_peer_is_asked_over_the_wire(autojump_clock: trio.testing.MockClock) -> None:
    async with copying() as moving, trio.open_nursery() as nursery:
        nursery.start_soon(moving.there.run)
        await trio.testing.wait_all_tasks_blocked()
        told = await moving.here.ask(THERE, 0, 1, SESSION, OTHER)
        assert told.state == "running" and moving.two.wire.asked[0] == (THERE, METHOD)
        nursery.cancel_scope.cancel()


def _waiting_for(gate: trio.Event, method: str) -> Any:
    async def wait(node_id: bytes, asked: str) -> None:
        if asked == method:
            await gate.wait()

    return wait
