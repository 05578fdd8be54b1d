"""A simulated disk that answers EIO: nothing is acknowledged, the node ends, and comes back as it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.determinism import run_repeatably
from folkmoot.node.simulation.disk import CommitPoint
from folkmoot.node.simulation.disk_errors import EIO, FallibleEngine
from folkmoot.node.simulation.faults import FaultInjector
from folkmoot.node.simulation.history import KEPT
from folkmoot.node.simulation.run import Plan, simulate
from folkmoot.node.simulation.schedule import Episode
from folkmoot.node.simulation.surroundings import EPOCH_US
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.protocol import limits
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.record import Record
from folkmoot.storage.errors import CommitFailed, StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.transaction import Admission

from tests.simulation.test_disk import bench

ANN = KeyPair(bytes(SEED_BYTES))


def a_post(number: int) -> Record:
    body = {"text": f"number {number}"}
    item = make_uuid7(EPOCH_US // 1000, number)
    return Record.sign(ANN, kind="post", item=item, body=body, stamp=EPOCH_US + number, place=ANN.account)


@pytest.mark.parametrize(
    ("point", "kept"), [(CommitPoint.BEFORE_COMMIT, []), (CommitPoint.BEFORE_ACKNOWLEDGEMENT, ["one"])]
)
async def test_a_commit_that_fails_is_acknowledged_to_nobody_and_is_the_last(
    autojump_clock: trio.testing.MockClock, point: CommitPoint, kept: list[str]
) -> None:
    async with bench() as one:
        commits = one.open()
        one.disk.failure_point = point
        for name in ("one", "two"):
            with pytest.raises(CommitFailed, match=EIO):
                await one.write(commits, name)
        with pytest.raises(CommitFailed, match=EIO):
            await commits.watch()
        assert one.acknowledged == []
        await commits.aclose()
        assert one.kept() == kept


async def test_nobody_waits_in_vain_behind_a_commit_that_fails(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with bench() as one:
        commits = one.open()
        one.disk.failure_point = CommitPoint.BEFORE_COMMIT
        failed: list[int] = []

        async def write(number: int) -> None:
            with pytest.raises(CommitFailed):
                await commits.run(lambda transaction: None, Admission.ESSENTIAL, urgent=number < 50)
            failed.append(number)

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                for number in range(limits.STORE_GROUP_JOBS + 100):
                    nursery.start_soon(write, number)
        assert len(failed) == limits.STORE_GROUP_JOBS + 100, "more than one group"


def test_after_a_failed_read_a_transaction_is_good_for_nothing() -> None:
    fails = iter([False, False, True])
    engine = FallibleEngine(MemoryEngine(), lambda: next(fails))
    with engine.begin(write=True) as transaction:
        transaction.put(Table.META, b"one", b"1")
        assert transaction.get(Table.META, b"one") == b"1"
        for read in (
            lambda: transaction.get(Table.META, b"one"),
            lambda: list(transaction.scan(Table.META)),
            lambda: transaction.put(Table.META, b"two", b"2"),
        ):
            with pytest.raises(StoreCorrupt, match=EIO):
                read()
        with pytest.raises(CommitFailed, match=EIO):
            transaction.commit()
    with engine.begin() as transaction:
        assert transaction.count(Table.META) == 0


async def put(caller: Caller, node: SimulatedNode, record: Record) -> str:
    """What becomes of a record that is sent to one node."""
    with suppress(*UNANSWERED, WireError):
        link = await caller.open(node)
        asked = {"records": [record.to_wire()], "level": "one"}
        [result] = (await link.call("record.put", asked))["results"]
        return str(result["status"])
    return "unanswered"


def has(node: SimulatedNode, record: Record) -> bool:
    with node.disk.engine.begin() as transaction:
        return transaction.get(Table.CELLS, record.key) is not None


@pytest.mark.parametrize("strength", [0.2, 0.5, 1.0])
def test_a_node_whose_disk_fails_ends_and_is_started_again(strength: float) -> None:
    """What is acknowledged meanwhile is on another node; nothing unexpected is said by anybody."""
    begins_s, ends_s = 10.0, 30.0
    statuses: dict[int, str] = {}

    async def write(world: World, caller: Caller, until: Callable[[], bool]) -> None:
        while not until():
            record = a_post(len(statuses))
            statuses[len(statuses)] = status = await put(caller, world.nodes[0], record)
            others = [has(node, record) for node in world.nodes[1:]]
            assert status not in KEPT or any(others) or has(world.nodes[0], record)
            await trio.sleep_until(trio.current_time() + 0.1)

    async def main() -> Any:
        async with World.running("eio", 3) as world, trio.open_nursery() as nursery:
            node = world.nodes[0]
            await world.wait_serving(world.nodes, 60.0)
            caller = Caller(world, "client", Random(1), nursery)
            nursery.start_soon(FaultInjector(world, [Episode("eio", begins_s, ends_s, (), 0, strength)]).run)
            await trio.sleep_until(begins_s)
            await write(world, caller, lambda: not node.up or trio.current_time() > ends_s)
            assert node.disk.has_failed and not node.up
            assert not world.unexpected_errors()
            await world.wait_serving(world.nodes, 60.0)
            assert trio.current_time() >= ends_s and node.disk.failing_reads_share == 0.0
            assert await put(caller, node, a_post(1_000_000)) == "stored"
            nursery.cancel_scope.cancel()

    run_repeatably(main, 1)
    assert statuses


def test_every_promise_holds_while_disks_fail() -> None:
    """Reads among it: clients are told that a node cannot tell, and another one answers."""
    report = simulate(Plan(4, nodes=3, minutes=0.7, faults=("eio",), people=5, pause_s=0.5, fault_gap_s=3.0))
    assert report.ok, [verdict for verdict in report.verdicts if not verdict.ok]
