"""A node that was not there from the beginning: what it learns, and what turns it away."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest
import trio
from folkmoot.node.configuration.settings import ClusterSection
from folkmoot.node.joining.seeds import TurnedAway
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.gossip.members import State

from tests.node.harness import Town, founded
from tests.node.nodes import CLUSTER, Node, address_of, lay_out
from tests.node.people import Author
from tests.waiting import until


def newcomer(directory: Path, *, tls: bool = False, cluster: str = CLUSTER, ring: Path | None = None) -> Node:
    """A node that founds nothing, with keys and (own) CA of its own unless told otherwise."""
    [node], _ = lay_out(directory, nodes=1, tls=tls)
    if ring is not None:
        (node.config.node.data / "keys" / "gossip.ring").write_bytes(ring.read_bytes())
    section = ClusterSection(id=cluster, seeds=(Address("127.0.0.1", 1),), replicas=1)
    named = msgspec.structs.replace(node.config.node, name="newcomer")
    node.config = msgspec.structs.replace(node.config, cluster=section, node=named)
    node.name = named.name
    return node


def ring_of(town: Town) -> Path:
    return town[0].config.node.data / "keys" / "gossip.ring"


async def fails(town: Town, node: Node) -> str:
    """How a node that is started with the town for its seeds ends."""
    with trio.fail_after(20), pytest.RaisesGroup(TurnedAway, flatten_subgroups=True) as raised:
        await town.start(node)
    [error] = _leaves(raised.value)
    return str(error)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for member in error.exceptions for leaf in _leaves(member)]
    return [error]


async def test_a_newcomer_learns_who_owns_what_and_serves(tmp_path: Path) -> None:
    async with founded(tmp_path / "town") as town:
        record = Author(1).post("already here")
        async with town.client(town[0]) as client:
            await client.put(record, level="all")
        late = newcomer(tmp_path / "late", ring=ring_of(town))
        town.nodes.append(late)
        await town.start(late)
        async with town.client(late) as client:
            cell = await client.get(record, "quorum")
            assert cell is not None and cell["records"] == [record.to_wire()]
            assert (await client.put_one(Author(2).post(), "all"))["status"] == "stored"
            assert late.cells() == {}, "it owns nothing yet"


async def states(town: Town, late: Node) -> list[tuple[str, bool]]:
    """How each founder lists a newcomer; with whether it is a member."""
    found = []
    for node in town.nodes[:3]:
        async with town.client(node) as client:
            nodes = (await client.call("cluster.status"))["nodes"]
        found += [(each["state"], each["member"]) for each in nodes if each["id"] == late.id.hex()]
        assert all(
            each["member"] and each["state"] == "alive" for each in nodes if each["id"] != late.id.hex()
        )
    return found


async def test_a_node_that_is_no_member_says_goodbye_and_may_come_back(tmp_path: Path) -> None:
    """Nobody has to look for it, or tell anybody that it is gone."""
    async with founded(tmp_path / "town") as town:
        late = newcomer(tmp_path / "late", ring=ring_of(town))
        town.nodes.append(late)
        for _ in range(2):
            await town.start(late)
            assert await states(town, late) == [("alive", False)] * 3
            await late.running.drain()
            await late.stop()
            assert await states(town, late) == [("left", False)] * 3


async def test_a_member_that_is_stopped_is_missed(tmp_path: Path) -> None:
    async with founded(tmp_path) as town:
        gone = town[2]
        await gone.running.drain()
        await gone.stop()
        members = town[0].parts.membership.members()
        assert members[gone.id].state is not State.LEFT
        await until(lambda: not town[0].knows_alive([gone]), what="it to be missed", within_s=20)
        assert town[0].parts.membership.members()[gone.id].state is not State.LEFT


async def test_nodes_remember_where_members_are_and_no_others(tmp_path: Path) -> None:
    async with founded(tmp_path / "town") as town:
        late = newcomer(tmp_path / "late", ring=ring_of(town))
        town.nodes.append(late)
        await town.start(late)
        peers = {node.id: address_of(node.running.ready.peers) for node in town.nodes}
        for node in town.nodes:
            others = {address for each, address in peers.items() if each not in (node.id, late.id)}
            remembered = node.parts.remembered
            await until(
                lambda others=others, remembered=remembered: set(remembered.addresses()) == others,  # type: ignore[misc]
                what="the members to be remembered",
            )


async def test_a_seed_that_comes_later_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with founded(tmp_path / "town") as town:
        late = newcomer(tmp_path / "late", ring=ring_of(town))
        peers = town[0].running.ready.peers
        seed = Address("127.0.0.1", int(peers.rpartition(":")[2]))
        cluster = msgspec.structs.replace(late.config.cluster, seeds=(seed,))
        late.config = msgspec.structs.replace(late.config, cluster=cluster)
        for node in town.nodes:
            await node.stop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(late.run)
            await until(lambda: "does not help" in caplog.text, what="the seed to be missed")
            assert f"seed {seed}" in caplog.text
            await town.start()
            await until(lambda: late.started, what="the newcomer to serve", within_s=20)
            nursery.cancel_scope.cancel()


async def test_another_cluster_turns_a_newcomer_away(tmp_path: Path) -> None:
    async with founded(tmp_path / "town") as town:
        stranger = newcomer(tmp_path / "stranger", cluster="village")
        sentence = await fails(town, stranger)
        assert "is of cluster 'village', this one of 'town'" in sentence
        async with town.client(town[0]) as client:
            assert (await client.put_one(Author(1).post(), "all"))["status"] == "stored"
        assert all(len(node.parts.membership.members()) == 3 for node in town.nodes)


async def test_a_taken_id_turns_a_newcomer_away(tmp_path: Path) -> None:
    async with founded(tmp_path / "town") as town:
        double = newcomer(tmp_path / "double")
        section = msgspec.structs.replace(double.config.node, id=town[0].config.node.id)
        double.config = msgspec.structs.replace(double.config, node=section)
        assert "two nodes have one id" in await fails(Town([town[0], double], None, town.nursery), double)


async def test_another_ca_turns_a_newcomer_away(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", tls=True) as town:
        sentence = await fails(town, newcomer(tmp_path / "stranger", tls=True))
        assert "certificate" in sentence or "vouch" in sentence
        assert all(len(node.parts.membership.members()) == 3 for node in town.nodes)


async def test_another_gossip_key_is_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is of the cluster by its certificate and deaf by its ring: both sides say why."""
    caplog.set_level(logging.WARNING)
    async with founded(tmp_path / "town") as town:
        async with trio.open_nursery() as nursery:
            deaf = newcomer(tmp_path / "deaf")
            seeds = (Address("127.0.0.1", int(town[0].running.ready.peers.rpartition(":")[2])),)
            cluster = msgspec.structs.replace(deaf.config.cluster, seeds=seeds)
            deaf.config = msgspec.structs.replace(deaf.config, cluster=cluster)
            with trio.fail_after(20):
                await nursery.start(deaf.run)
            await until(
                lambda: all(
                    node.parts.membership.statistics()[1].datagrams_refused > 0 for node in (deaf, town[0])
                ),
                what="datagrams to be refused",
                within_s=20,
            )
            nursery.cancel_scope.cancel()
        assert "no key of this cluster's gossip ring opens" in caplog.text
        async with town.client(town[0]) as client:
            assert (await client.put_one(Author(1).post(), "all"))["status"] == "stored"
        assert all(node.knows_alive(town.nodes) for node in town.nodes)
