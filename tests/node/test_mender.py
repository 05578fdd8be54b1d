"""The mender alone, over a real store on virtual time: when it asks, what it takes, how often it tries."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.actors.mender import RETRY_MAX_S, Mender
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.remembered import Remembered
from folkmoot.node.simulation.surroundings import InlineExecutor
from folkmoot.node.upkeep import Upkeep
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.limits import MEND_QUIET_S, REQUEST_TIMEOUT_S
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import Admission

from tests.node.alone import Commits, Ranges, damage
from tests.node.sides import HERE, OTHER, THERE
from tests.storage.making import person, post
from tests.waiting import until

ANN = person(1)
FIRST, EDIT = post(ANN, 1), post(ANN, 1, "edited", stamp=2)
OLD, NEW = Cell.of(FIRST).encode(), join(Cell.of(FIRST), Cell.of(EDIT)).encode()


class Peers:
    """The other two replicas.

    Attributes:
        cells: what each has; who is not named cannot be reached.
        asked: when they were asked.
    """

    def __init__(self) -> None:
        self.cells: dict[bytes, bytes | None] = {THERE: OLD, OTHER: OLD}
        self.asked: list[float] = []

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        assert method == "replica.read"
        await trio.lowlevel.checkpoint()
        self.asked.append(trio.current_time())
        if node_id not in self.cells:
            raise PeerUnreachable("nobody there")
        return {"cells": [self.cells[node_id]]}


class Scene:
    """One mender, and what stands round it."""

    def __init__(self, disks: trio.Nursery) -> None:
        self.commits = Commits(HERE, disks)
        self.peers = Peers()
        self.remembered = Remembered(self.commits)
        upkeep = Upkeep(self.commits, InlineExecutor())
        topology = Ranges((HERE, THERE, OTHER))
        self.mender = Mender(HERE, self.store, upkeep, self.remembered, topology, self.peers)

    @property
    def store(self) -> Store:
        return self.commits.store

    def is_damaged(self) -> bool:
        try:
            self.store.get_cell(FIRST.key)
        except StoreCorrupt as error:
            self.store.damage.note(error)
            return True
        return False


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """With a damaged cell that was met."""
    async with trio.open_nursery() as disks:
        made = Scene(disks)
        await made.commits.run(lambda tx: tx.put_record(FIRST), Admission.CLIENT_PUT)
        damage(made.store, Table.CELLS, FIRST.key)
        assert made.is_damaged()
        disks.start_soon(made.mender.run)
        yield made
        disks.cancel_scope.cancel()


async def test_a_write_still_on_its_way_when_damage_is_met_is_not_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """This node had kept the edit and sent it; another takes it just before the put is reported, and so the
    two have acknowledged it. The third never hears of it."""
    async with scene() as made:
        await trio.sleep(REQUEST_TIMEOUT_S / 2 - 0.01)
        made.peers.cells[THERE] = NEW
        await until(lambda: not made.is_damaged(), what="the cell to be mended", within_s=60)
        assert made.store.get_cell(FIRST.key) == NEW
        assert min(made.peers.asked) >= MEND_QUIET_S


async def test_it_tries_ever_more_rarely_and_at_once_when_a_node_is_back(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with scene() as made:
        del made.peers.cells[OTHER]
        await trio.sleep(6 * 3600)
        asked = sorted(set(made.peers.asked))
        pauses = [later - earlier for earlier, later in pairwise(asked)]
        assert pauses[:4] == pytest.approx([10, 20, 40, 80], abs=1.5)
        assert pauses[-1] == pytest.approx(RETRY_MAX_S, abs=1.5)
        assert len(caplog.records) == 1, "it is said once"
        assert made.store.damage.waiting == 1
        made.peers.cells[OTHER] = NEW
        made.mender.has_returned(OTHER)
        began = trio.current_time()
        await until(lambda: not made.is_damaged(), what="the cell to be mended", within_s=60)
        assert trio.current_time() - began < 5
        assert made.store.get_cell(FIRST.key) == NEW


async def test_a_node_that_is_back_does_not_shorten_the_wait_for_writes_on_their_way(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with scene() as made:
        await trio.sleep(1)
        made.mender.has_returned(OTHER)
        await trio.sleep(REQUEST_TIMEOUT_S / 2 - 1)
        assert made.is_damaged() and made.peers.asked == []
        await until(lambda: not made.is_damaged(), what="the cell to be mended", within_s=60)


async def test_what_the_log_names_is_kept_though_nobody_else_has_it(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with scene() as made:
        made.peers.cells = {THERE: None, OTHER: None}
        await trio.sleep(60)
        assert made.is_damaged()
        assert caplog.records[0].getMessage().endswith("no other replica has it")


async def test_a_store_that_is_busy_ends_nothing(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene() as made:
        made.commits.refusals.extend([WireError(BUSY, "too many writes")] * 3)
        await until(lambda: not made.is_damaged(), what="the cell to be mended", within_s=90)
        await until(lambda: made.remembered.damage() == [], what="the list to be kept", within_s=60)
