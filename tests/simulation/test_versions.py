"""Clusters that speak two versions: they agree on one, mind no new field, and who minds one is found out."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.simulation.caller import Caller
from folkmoot.node.simulation.determinism import run_repeatably
from folkmoot.node.simulation.faults import FaultInjector
from folkmoot.node.simulation.next_version import NEW_FIELD, NEXT_VERSION, NextVersionStream
from folkmoot.node.simulation.run import Plan, simulate
from folkmoot.node.simulation.schedule import Episode
from folkmoot.node.simulation.world import World
from folkmoot.protocol import codec
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import PATIENT
from folkmoot.protocol.errors import BAD_REQUEST, UNSUPPORTED_VERSION, WireError

from tests.simulation.test_disk_errors import a_post
from tests.simulation.test_network import pair
from tests.simulation.test_planted_bugs import Plant

MESSAGES = (
    [0, 7, "record.get", [{"keys": [[b"place", "post", b"item"]]}]],
    [1, 7, None, {"cells": [None]}],
    [1, 8, {"code": 100, "name": "bad_request"}, None],
    [2, "feed.event", [{"cursor": b"x" * 300}]],
)


def plan(seed: int) -> Plan:
    return Plan(seed, nodes=3, minutes=0.6, faults=("upgrade",), people=4, pause_s=0.6, fault_gap_s=4.0)


@pytest.mark.parametrize("piece_bytes", [1, 7, 1_000])
async def test_every_message_gets_the_new_field_however_it_is_cut(
    autojump_clock: trio.testing.MockClock, piece_bytes: int
) -> None:
    async with pair() as two:
        ours, theirs = await two.connect()
        speaking = NextVersionStream(ours)
        data = b"".join(codec.pack(message) for message in MESSAGES)
        for start in range(0, len(data), piece_bytes):
            await speaking.send_all(data[start : start + piece_bytes])
        await speaking.send_eof()
        framer, arrived = codec.message_framer(), bytearray()
        while chunk := await theirs.receive_some():
            arrived += chunk
        framer.feed(arrived)
        told = list(framer)
        assert [message[:2] for message in told] == [message[:2] for message in MESSAGES]
        for message in told:
            [extended] = [part for part in _flat(message) if isinstance(part, dict)]
            assert extended.pop(NEW_FIELD) is True
        assert told == list(MESSAGES), "and nothing else is changed"


def _flat(message: list[Any]) -> list[Any]:
    return [part[0] if isinstance(part, list) else part for part in message]


def test_nodes_and_clients_agree_on_the_highest_version_both_speak() -> None:
    """While one node is upgraded, and not before or after."""

    async def main() -> None:
        async with World.running("versions", 2) as world, trio.open_nursery() as nursery:
            await world.wait_serving(world.nodes, 60.0)
            caller = Caller(world, "client", Random(1), nursery)
            upgrade = Episode("upgrade", 10.0, 40.0, node=0)
            nursery.start_soon(FaultInjector(world, [upgrade]).run)

            async def agreed_at(at_s: float, number: int) -> set[tuple[int, int]]:
                await trio.sleep_until(at_s)
                world.versions_agreed.clear()
                for _ in range(12):
                    (await caller.open(world.nodes[number])).close()
                return set(world.versions_agreed)

            async def offered_only(version: int, number: int) -> int:
                clients = world.nodes[number].clients
                assert clients is not None
                link = Link(await world.network.hosts["client"].dial_client(clients), settings=PATIENT)
                nursery.start_soon(link.run)
                hello = {"versions": [version, version], "client": "test/1"}
                return int((await link.call("hello", hello, timeout_s=5.0))["version"])

            assert await agreed_at(9.0, 0) == {(1, 1), (NEXT_VERSION, 1)}
            assert await agreed_at(30.0, 0) == {(1, 1), (NEXT_VERSION, NEXT_VERSION)}
            assert await offered_only(NEXT_VERSION, 0) == NEXT_VERSION
            assert await offered_only(1, 0) == 1
            assert await agreed_at(30.0, 1) == {(1, 1), (NEXT_VERSION, 1)}
            with pytest.raises(WireError, match="speaks version 1; the client offers 2 to 2") as refused:
                await offered_only(NEXT_VERSION, 1)
            assert refused.value.kind is UNSUPPORTED_VERSION
            assert await agreed_at(60.0, 0) == {(1, 1), (NEXT_VERSION, 1)}
            assert not world.errors
            nursery.cancel_scope.cancel()

    run_repeatably(main, 1)


def test_every_promise_holds_while_nodes_are_upgraded() -> None:
    report = simulate(plan(1))
    assert report.ok, [verdict for verdict in report.verdicts if not verdict.ok]


def written_and_read_while_mixed() -> list[str]:
    """What becomes of records that are sent, for all replicas, to a node of either version; all are read."""
    statuses: list[str] = []

    async def main() -> None:
        async with World.running("mixed", 3) as world, trio.open_nursery() as nursery:
            await world.wait_serving(world.nodes, 60.0)
            caller = Caller(world, "client", Random(1), nursery)
            nursery.start_soon(FaultInjector(world, [Episode("upgrade", 10.0, 40.0, node=0)]).run)
            await trio.sleep_until(30.0)
            for number in range(8):
                record = a_post(number)
                link = await caller.open(world.nodes[number % 2])
                put = {"records": [record.to_wire()], "level": "all"}
                [result] = (await link.call("record.put", put, timeout_s=15.0))["results"]
                statuses.append(result["status"])
                get = {"keys": [[record.place, record.kind, record.item]], "level": "all"}
                if result["status"] == "stored":
                    [cell] = (await link.call("record.get", get, timeout_s=15.0))["cells"]
                    assert cell["records"] == [record.to_wire()]
                link.close()
            nursery.cancel_scope.cancel()

    run_repeatably(main, 1)
    return statuses


def test_nodes_of_both_versions_keep_records_together() -> None:
    assert written_and_read_while_mixed() == ["stored"] * 8


def test_a_node_that_minds_new_fields_is_found_out(monkeypatch: Plant) -> None:
    shaped = codec.shaped

    def strict(value: Any, *args: Any) -> Any:
        if isinstance(value, dict) and NEW_FIELD in value:
            raise WireError(BAD_REQUEST, "planted")
        return shaped(value, *args)

    monkeypatch.setattr(codec, "shaped", strict)
    assert "uncertain" in written_and_read_while_mixed()
