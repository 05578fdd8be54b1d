"""The hinter alone: what it meets from its own store and from the peer ends nothing, and loses nothing."""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node import pace
from folkmoot.node.actors.hinter import IDLE_S, Hinter
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.pace import SLOW_S
from folkmoot.protocol.errors import BUSY, INTERNAL, SHUTTING_DOWN, STALE_TOPOLOGY, WireError
from folkmoot.protocol.limits import HINT_AGE_S
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.interface import Table
from folkmoot.storage.transaction import Admission, WriteTransaction

from tests.node.alone import Commits, Gossip, Ranges, damage, disks_first, mend
from tests.storage.making import NOW_US, person, post
from tests.waiting import until

HERE, PEER, OTHER = b"h" * 16, b"p" * 16, b"o" * 16
BUSY_THERE = WireError(BUSY, "too much to do", retry_after_ms=50)
UNREACHABLE = PeerUnreachable("nobody there")
STALE = WireError(STALE_TOPOLOGY, "range 0 is at epoch 2 here")
QUICK, SLOW = 0.0, 2 * SLOW_S


class Peers:
    """The other nodes: what they were given, and how the next calls end.

    Attributes:
        ends: of the next calls, the error each ends with, or the seconds it takes.
        sizes: how many cells each message had, whatever became of it.
        epochs: under which epochs each message was sent.
        cells: node → key → cell, as they took them.
        meanwhile: called in the middle of each call that succeeds.
    """

    def __init__(self) -> None:
        self.ends: deque[Exception | float] = deque()
        self.sizes: list[int] = []
        self.epochs: list[dict[int, int]] = []
        self.cells: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
        self.meanwhile: Any = None

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        assert method == "replica.join"
        self.sizes.append(len(params["cells"]))
        self.epochs.append(dict(params["ranges"]))
        end = self.ends.popleft() if self.ends else QUICK
        if isinstance(end, Exception):
            raise end
        await trio.sleep_until(trio.current_time() + end)
        if self.meanwhile is not None:
            await self.meanwhile()
        self.cells[node_id].update(params["cells"])
        return {"changed": len(params["cells"])}


class Bench:
    """A hinter that runs over a real store."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.commits = Commits(HERE, nursery)
        self.topology = Ranges((HERE, PEER, OTHER))
        self.gossip = Gossip()
        self.peers = Peers()
        self.now_us = NOW_US
        self.hinter = Hinter(self.commits, self.topology, self.gossip, self.peers, lambda: self.now_us)

    async def owe(self, node_id: bytes, *records: Record) -> None:
        """Keep records here, and a hint for each."""

        def job(transaction: WriteTransaction) -> None:
            for record in records:
                transaction.put_record(record)

        await self.commits.run(job, Admission.CLIENT_PUT)
        await self.hinter.leave(node_id, [record.key for record in records])

    def owed(self, node_id: bytes) -> int:
        state = self.commits.store.hint_states().get(node_id)
        return 0 if state is None else state.waiting

    async def until_paid(self, *node_ids: bytes) -> None:
        await until(lambda: not any(map(self.owed, node_ids)), what="every hint to be delivered")

    def has_all(self, node_id: bytes, *records: Record) -> bool:
        """Whether a node has exactly the cells that are kept here for these records."""
        kept = {record.key: self.commits.store.get_cell(record.key) for record in records}
        return self.peers.cells[node_id] == kept


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """A bench whose hinter is in its first pause; unsupervised, so that whatever ends it fails the test."""
    async with disks_first() as (disks, actors):
        made = Bench(disks)
        actors.start_soon(made.hinter.run)
        await trio.testing.wait_all_tasks_blocked()
        yield made


def posts(count: int, first: int = 0) -> list[Record]:
    return [post(person(1), number) for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("ends", "sizes"),
    [
        ([QUICK] * 3, [32, 64, 96]),
        ([QUICK, BUSY_THERE, QUICK, QUICK], [32, 64, 32, 64]),
        ([QUICK, QUICK, UNREACHABLE, UNREACHABLE, QUICK, QUICK], [32, 64, 96, 48, 24, 56]),
        ([QUICK, SLOW, QUICK, SLOW, QUICK], [32, 64, 32, 64, 32]),
        ([STALE] * 7 + [QUICK] * 2, [32, 16, 8, 4, 2, 1, 1, 1, 33]),
    ],
)
async def test_the_pace_grows_by_steps_and_is_halved(
    autojump_clock: trio.testing.MockClock, ends: list[Exception | float], sizes: list[int]
) -> None:
    async with bench() as one:
        one.peers.ends.extend(ends)
        await one.owe(PEER, *posts(300))
        await until(lambda: len(one.peers.sizes) >= len(sizes), what="so many messages", within_s=30)
        assert one.peers.sizes[: len(sizes)] == sizes


async def test_the_pace_has_an_upper_end(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "CREDIT_MAX", 80)
    async with bench() as one:
        await one.owe(PEER, *posts(300))
        await one.until_paid(PEER)
        assert one.peers.sizes[:4] == [32, 64, 80, 80]


async def test_each_peer_has_a_pace_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    async with bench() as one:
        one.peers.ends.append(UNREACHABLE)
        await one.owe(OTHER, *posts(100))
        await one.owe(PEER, *posts(100))
        await one.until_paid(OTHER, PEER)
        assert one.peers.sizes[:2] == [32, 32], "the failure of the first is not the second's"
        assert sorted(one.peers.sizes[2:4]) == [16, 64]


@pytest.mark.parametrize(
    "error",
    [
        BUSY_THERE,
        STALE,
        UNREACHABLE,
        WireError(SHUTTING_DOWN, "going"),
        WireError(INTERNAL, "a bug over there"),
    ],
    ids=repr,
)
async def test_what_a_peer_does_not_take_stays_and_is_delivered_later(
    autojump_clock: trio.testing.MockClock, error: Exception
) -> None:
    records = posts(20)
    async with bench() as one:
        one.peers.ends.extend([error] * 3)
        await one.owe(PEER, *records)
        await until(lambda: len(one.peers.sizes) == 3, what="three attempts")
        assert one.owed(PEER) == 20
        assert one.peers.cells == {} and one.hinter.delivered == 0
        await one.until_paid(PEER)
        assert one.has_all(PEER, *records)
        assert one.hinter.delivered == 20


async def test_a_peer_that_fails_keeps_nothing_from_the_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    records = posts(20)
    async with bench() as one:
        one.peers.ends.append(UNREACHABLE)
        await one.owe(OTHER, *records)
        await one.owe(PEER, *records)
        await until(lambda: one.owed(PEER) == 0, what="the second to be served")
        assert one.owed(OTHER) == 20, "in the same turn in which the first failed"


@pytest.mark.parametrize("refusal", [WireError(BUSY, "too many writes"), DiskFull("no room")], ids=repr)
async def test_a_store_that_will_not_forget_makes_it_say_things_twice(
    autojump_clock: trio.testing.MockClock, refusal: Exception
) -> None:
    """Delivered, and still owed: it is delivered again, which is harmless, and more slowly."""
    records = posts(32)
    async with bench() as one:
        await one.owe(PEER, *records)
        one.commits.refusals.extend([refusal] * 2)
        await until(lambda: not one.commits.refusals, what="two refusals")
        assert one.owed(PEER) == 32 and one.hinter.delivered == 0
        assert one.has_all(PEER, *records)
        await one.until_paid(PEER)
        assert one.peers.sizes[:3] == [32, 32, 32]
        await one.owe(PEER, *posts(100, first=100))
        await until(lambda: len(one.peers.sizes) > 3, what="the next message")
        assert one.peers.sizes[3] == 64, "three deliveries, and not one more than the last has sped it up"


async def test_a_damaged_cell_costs_its_own_hint_alone(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    records = posts(5)
    lost, *whole = records
    async with bench() as one:
        await one.owe(PEER, *records)
        damage(one.commits.store, Table.CELLS, lost.key)
        await one.until_paid(PEER)
        assert one.has_all(PEER, *whole)
    [told] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "a hint is dropped" in told.getMessage()
    assert lost.key.hex() in told.getMessage()


async def test_a_damaged_hint_ends_nothing_and_is_told(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What comes before it is delivered, others are served, and the rest waits for the row to be mended."""
    records = posts(9)
    async with bench() as one:
        await one.owe(PEER, *records)
        await one.owe(OTHER, *records)
        by_key = sorted(records, key=lambda record: record.key)
        at = PEER + by_key[4].key
        row = damage(one.commits.store, Table.HINTS, at)
        await one.until_paid(OTHER)
        await until(lambda: len(one.peers.cells[PEER]) == 4, what="the first four", within_s=30)
        assert one.has_all(PEER, *by_key[:4]) and one.has_all(OTHER, *records)
        told = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert told and all("hints for 70707070 cannot be read" in record.getMessage() for record in told)
        mend(one.commits.store, Table.HINTS, at, row)
        await one.until_paid(PEER)
        assert one.has_all(PEER, *records)


async def test_a_damaged_table_of_nodes_ends_nothing_and_is_told(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    records = posts(9)
    async with bench() as one:
        await one.owe(PEER, *records)
        row = damage(one.commits.store, Table.HINT_NODES, PEER)
        await until(lambda: len(caplog.records) >= 3, what="three turns that came to nothing")
        assert all("hints cannot be read" in record.getMessage() for record in caplog.records)
        assert all(record.levelno == logging.ERROR for record in caplog.records)
        assert one.peers.sizes == []
        mend(one.commits.store, Table.HINT_NODES, PEER, row)
        await one.until_paid(PEER)
        assert one.has_all(PEER, *records)


async def test_hints_that_are_too_old_go_unsent(autojump_clock: trio.testing.MockClock) -> None:
    old, young = posts(10), posts(10, first=10)
    async with bench() as one:
        one.gossip.gone.add(PEER)
        await one.owe(PEER, *old)
        one.now_us += int(0.6 * HINT_AGE_S * 1_000_000)
        await one.owe(PEER, *young)
        one.now_us += int(0.6 * HINT_AGE_S * 1_000_000)
        one.gossip.gone.clear()
        await one.until_paid(PEER)
        assert one.has_all(PEER, *young)
        assert one.peers.sizes == [10] and one.hinter.delivered == 10


async def test_when_all_are_too_old_nothing_is_sent(autojump_clock: trio.testing.MockClock) -> None:
    async with bench() as one:
        await one.owe(PEER, *posts(10))
        one.now_us += int(HINT_AGE_S * 1_000_000) + 1
        await one.until_paid(PEER)
        assert one.peers.sizes == []


async def test_what_a_node_no_longer_keeps_is_not_owed_to_it_and_holds_nothing_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The peer would refuse it under any epoch, and with it what comes after."""
    records = sorted(posts(10), key=lambda record: record.key)
    async with bench() as one:
        (_, still), (moved, _) = (
            Ranges(nodes, [records[5].key]).map.ranges for nodes in ((HERE, PEER, OTHER), (HERE, OTHER))
        )
        one.topology.map = RangeMap((moved, still))
        await one.owe(PEER, *records)
        await one.until_paid(PEER)
        assert one.peers.epochs == [{1: 1}] and one.hinter.delivered == 5
        assert one.has_all(PEER, *records[5:])


async def test_who_is_suspected_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    records = posts(10)
    async with bench() as one:
        one.gossip.gone.add(PEER)
        await one.owe(PEER, *records)
        await trio.sleep(10 * IDLE_S)
        assert one.peers.sizes == [] and one.owed(PEER) == 10
        one.gossip.gone.clear()
        await one.until_paid(PEER)
        assert one.has_all(PEER, *records)


async def test_what_changes_during_its_delivery_is_delivered_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    older, newer = post(person(1), 1), post(person(1), 1, "edited", stamp=2)

    async with bench() as one:

        async def change() -> None:
            one.peers.meanwhile = None
            await one.owe(PEER, newer)

        one.peers.meanwhile = change
        await one.owe(PEER, older)
        await until(lambda: len(one.peers.sizes) == 1 and one.peers.meanwhile is None, what="the change")
        await one.until_paid(PEER)
        assert one.peers.sizes == [1, 1]
        assert one.has_all(PEER, newer)


async def test_a_message_names_the_epochs_of_the_moment_it_is_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A peer that refused an epoch gets the cells once this node has learned of the next."""
    async with bench() as one:
        one.peers.ends.append(STALE)
        await one.owe(PEER, *posts(3))
        await until(lambda: len(one.peers.sizes) == 1, what="the refusal")
        one.topology.advance()
        await one.until_paid(PEER)
        assert one.peers.epochs == [{0: 1}, {0: 2}]
