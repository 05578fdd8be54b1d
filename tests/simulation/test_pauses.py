"""A frozen node does nothing at all, and goes on afterwards as if no time had passed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.determinism import Freezer, frozen_by, run_repeatably
from folkmoot.node.simulation.disk_faults import OLD_SEAT
from folkmoot.node.simulation.faults import FaultInjector
from folkmoot.node.simulation.links import Conditions
from folkmoot.node.simulation.run import Plan, simulate
from folkmoot.node.simulation.schedule import Episode
from folkmoot.node.simulation.surroundings import EPOCH_US
from folkmoot.node.simulation.trace import Trace
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.node.standing.records import read_own
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import TIMEOUT, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from folkmoot.protocol.standing import State
from folkmoot.storage.transaction import Admission

CROSSING_S = 1.0  # what was on its way has arrived by then
STARTED_S = 60.0
KNOWN_S = 60.0
PROOF_WAIT_S = 10.0


class Notes:
    """What a trace was told, and when."""

    def __init__(self, trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes: list[tuple[float, str]] = []
        before = trace.note

        def note(what: str, data: bytes | bytearray = b"") -> None:
            self.notes.append((trio.current_time(), what))
            before(what, data)

        monkeypatch.setattr(trace, "note", note)

    def since(self, at_s: float, *words: str) -> list[str]:
        """Those that begin so."""
        return [what for noted_s, what in self.notes if noted_s >= at_s and what.startswith(words)]


def state_of(node: SimulatedNode) -> State:
    assert node.disk.commits is not None
    own = read_own(node.disk.commits.store)
    assert own is not None
    return own.state


def post() -> Record:
    item = make_uuid7(EPOCH_US // 1000, 1)
    return Record.sign(
        KeyPair(bytes(31) + b"1"), kind="post", item=item, body={"text": "hello"}, stamp=EPOCH_US
    )


@asynccontextmanager
async def cluster(count: int = 3) -> AsyncIterator[tuple[World, trio.Nursery]]:
    async with World.running("pauses", count) as world, trio.open_nursery() as nursery:
        await world.wait_serving(world.nodes, STARTED_S)
        yield world, nursery
        assert world.unexpected_errors() == ()
        nursery.cancel_scope.cancel()


async def states_told_by(caller: Caller, node: SimulatedNode) -> dict[str, str]:
    link = await caller.open(node)
    try:
        status: dict[str, Any] = await link.call("cluster.status", {})
        return {member["id"]: member["state"] for member in status["nodes"]}
    finally:
        link.close()


async def wait_told(caller: Caller, node: SimulatedNode, of: SimulatedNode, state: str) -> None:
    with trio.fail_after(KNOWN_S):
        while (await states_told_by(caller, node)).get(of.node_id.hex()) != state:  # noqa: ASYNC110 (only asking tells)
            await trio.sleep_until(trio.current_time() + 0.5)


@pytest.mark.parametrize("machine", [False, True])
async def test_a_frozen_node_does_nothing_and_goes_on_afterwards(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, machine: bool
) -> None:
    """No commit, no datagram, no byte of an answer; when its machine is frozen, nothing reaches it either."""
    async with cluster() as (world, nursery):
        node = world.nodes[0]
        caller = Caller(world, "client", world.random("client"), nursery)
        link = await caller.open(node)
        assert node.disk.commits is not None
        commits, committed = node.disk.commits, trio.Event()

        async def commit() -> None:
            await commits.run(lambda transaction: transaction.meta_put("one", b"kept"), Admission.ESSENTIAL)
            committed.set()

        notes = Notes(world.trace, monkeypatch)
        world.freeze(node, machine=machine)
        nursery.start_soon(commit)
        await trio.sleep(CROSSING_S)
        quiet_s = trio.current_time()
        with pytest.raises(WireError) as unanswered:
            await link.call("cluster.status", {}, timeout_s=5.0)
        assert unanswered.value.kind is TIMEOUT
        with pytest.raises((WireError, *UNANSWERED)):
            await caller.open(node)
        host = node.host
        assert notes.since(quiet_s, f"commit {node.name}", f"datagram {host} ", f"stream {host} ") == []
        assert not committed.is_set()
        reached = notes.since(
            quiet_s,
            *(f"{what} {other.host} {host}" for what in ("datagram", "stream") for other in world.nodes),
        )
        assert bool(reached) != machine
        world.thaw(node)
        with trio.fail_after(CROSSING_S):
            await committed.wait()
            await states_told_by(caller, node)
        await trio.sleep(CROSSING_S)
        assert notes.since(quiet_s, f"datagram {host} ") and notes.since(quiet_s, f"commit {node.name}")


@pytest.mark.parametrize("machine", [False, True])
async def test_a_node_is_held_dead_while_it_is_frozen_and_refutes_it(
    autojump_clock: trio.testing.MockClock, machine: bool
) -> None:
    async with cluster() as (world, nursery):
        caller = Caller(world, "observer", world.random("observer"), nursery)
        frozen, *others = world.nodes
        for node in others:
            await wait_told(caller, node, frozen, "alive")
        world.freeze(frozen, machine=machine)
        for node in others:
            await wait_told(caller, node, frozen, "dead")
        world.thaw(frozen)
        for node in others:
            await wait_told(caller, node, frozen, "alive")
            await wait_told(caller, frozen, node, "alive")
        assert frozen.boots == 1


async def test_a_frozen_node_may_be_crashed_and_boots_again(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing of it is frozen then; one that is told to stop does so when it is thawed."""
    async with cluster() as (world, nursery):
        crashed, stopped, _ = world.nodes
        world.freeze(crashed, machine=True)
        await trio.sleep(5.0)
        world.crash(crashed)
        await world.restart(crashed)
        world.freeze(stopped, machine=False)
        nursery.start_soon(world.stop, stopped)
        await trio.sleep(5.0)
        assert stopped.up
        world.thaw(stopped)
        with trio.fail_after(STARTED_S):
            await stopped.ended.wait()
        await world.restart(stopped)
        await world.wait_serving(world.nodes, STARTED_S)


async def test_time_that_a_node_stood_still_does_not_prove_its_disk(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It was cut off with an old one and frozen before it had waited long enough; then they can be asked."""
    async with cluster() as (world, nursery):
        node, *others = world.nodes
        cluster_section = msgspec.structs.replace(node.member.config.cluster, proof_wait=PROOF_WAIT_S)
        config = msgspec.structs.replace(node.member.config, cluster=cluster_section)
        node.member = replace(node.member, config=config)
        await trio.sleep(KNOWN_S)  # all have met it by then
        old = node.disk.engine.copy()
        caller = Caller(world, "writer", world.random("writer"), nursery)
        link = await caller.open(others[0])
        await link.call("record.put", {"records": [post().to_wire()], "level": "all"})
        world.crash(node)
        await node.ended.wait()
        node.disk.put_back(old, node.disk.files)
        world.expected_errors.add(OLD_SEAT)
        between = [pair for other in others for pair in ((node.host, other.host), (other.host, node.host))]
        for pair in between:
            world.network.links.between(*pair).set(Conditions(cut=True))
        world.start(node)
        await trio.sleep(PROOF_WAIT_S / 2)
        assert state_of(node) is State.UNPROVEN
        world.freeze(node, machine=True)
        for pair in between:
            world.network.links.between(*pair).set(Conditions())
        await trio.sleep(PROOF_WAIT_S)
        world.thaw(node)
        with trio.fail_after(PROOF_WAIT_S):
            while (state := state_of(node)) is State.UNPROVEN:  # noqa: ASYNC110 (only its disk tells)
                await trio.sleep(0.01)
        assert state is State.AMNESIAC


async def test_nodes_are_frozen_as_long_as_their_episodes_last(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Not when they are down, and no longer than until they are crashed."""
    episodes = [
        Episode("pause", 10.0, 25.0, node=0),
        Episode("crash", 10.0, 30.0, node=1),
        Episode("pause", 12.0, 20.0, node=1),
        Episode("pause", 10.0, 40.0, node=2, strength=0.1),
        Episode("crash", 15.0, 20.0, node=2),
    ]
    async with cluster() as (world, nursery):
        nursery.start_soon(FaultInjector(world, episodes).run)
        frozen = []
        for at_s in (9.0, 14.0, 16.0, 26.0, 35.0, 41.0):
            await trio.sleep_until(at_s)
            frozen.append([node.freezer.frozen for node in world.nodes])
        await world.wait_serving(world.nodes, STARTED_S)
    no, first, two = [False] * 3, [True, False, False], [True, False, True]
    assert frozen == [no, two, first, no, no, no]


def test_what_becomes_ready_in_a_frozen_process_runs_when_it_is_thawed() -> None:
    """Who slept, who waited for an event, and who ran out of time; nobody else is late."""

    async def main() -> list[tuple[str, float]]:
        ran: list[tuple[str, float]] = []
        freezer, event = Freezer(), trio.Event()

        async def sleep(name: str, until_s: float) -> None:
            await trio.sleep_until(until_s)
            ran.append((name, trio.current_time()))

        async def run_out_of_time() -> None:
            with trio.move_on_after(2.0):
                await trio.sleep_forever()
            ran.append(("out of time", trio.current_time()))

        async def wait() -> None:
            await event.wait()
            ran.append(("told", trio.current_time()))

        async def process() -> None:
            frozen_by.set(freezer)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sleep, "before", 0.5)
                nursery.start_soon(sleep, "slept", 3.0)
                nursery.start_soon(run_out_of_time)
                nursery.start_soon(wait)
                nursery.start_soon(sleep, "after", 9.0)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(process)
            nursery.start_soon(sleep, "another's", 4.0)
            await trio.sleep_until(1.0)
            freezer.freeze()
            event.set()
            await trio.sleep_until(6.0)
            assert freezer.frozen and [name for name, _ in ran] == ["before", "another's"]
            freezer.thaw()
            await freezer.wait_thawed()
        return ran

    for seed in range(5):
        ran = run_repeatably(main, seed)
        assert [at_s for _, at_s in ran] == [0.5, 4.0, 6.0, 6.0, 6.0, 9.0]
        assert {name for name, at_s in ran if at_s == 6.0} == {"slept", "out of time", "told"}


def test_a_run_with_pauses_holds_and_is_repeatable() -> None:
    plan = Plan(  # a seed of which people get enough answers in a minute that all can be compared
        41, nodes=4, minutes=1.0, faults=("pause", "crash", "partition"), pause_s=1.0, fault_gap_s=3.0
    )
    report, again = simulate(plan), simulate(plan)
    assert report.ok, report.checks_to_json()
    assert sum(count for (fault, _), count in report.coverage.items() if fault == "pause") > 50
    assert report.trace == again.trace
