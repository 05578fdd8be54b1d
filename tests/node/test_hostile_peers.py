"""Nodes with a certificate and a bad habit: what they say ends nobody, now or at the next start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from folkmoot.node.transport.faults import Fault
from folkmoot.protocol import codec
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.topology import Have, News, Summary
from folkmoot.storage.transaction import Admission

from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.node.people import Author
from tests.waiting import until


def answers(node: Node, method: str, result: object) -> list[bytes]:
    """From now on a node answers its peers so; who asked is noted."""
    asked: list[bytes] = []

    async def answer(node_id: bytes, params: Any) -> object:
        asked.append(node_id)
        await trio.lowlevel.checkpoint()
        return result

    node.parts.peer_service._methods[method] = answer
    return asked


async def serves(town: Town, number: int) -> None:
    post = Author(number).post()
    async with town.client(town[0]) as client:

        async def is_stored() -> bool:
            return (await client.put_one(post, "all"))["status"] in ("stored", "duplicate")

        # Who has just started may be held dead for a moment: then it is uncertain, and sent again.
        await until(is_stored, what="a post to be stored by all")


@pytest.mark.parametrize("result", [{}, None, 5, {"payload": 5}, {"payload": b"\xc1"}])
async def test_a_push_pull_answered_with_nonsense(tmp_path: Path, result: object) -> None:
    async with founded(tmp_path) as town:
        node, bad = town[0], town[2]
        asked = answers(bad, "gossip.push_pull", result)
        await node.stop()
        # Else a datagram may tell it of everyone before it asks its seeds, and then it asks nobody.
        for other in town.running():
            other.environment.faults.set(node.id, Fault(loss=1.0))

        async def heal_when_asked() -> None:
            await until(lambda: node.id in asked, what="the bad node to be asked")
            town.heal()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(heal_when_asked)
            await town.start(node)
        await serves(town, 1)


async def test_a_topology_at_the_end_of_all_epochs(tmp_path: Path) -> None:
    async with founded(tmp_path) as town:
        bad = town[2]
        topology = bad.parts.topology.current()
        wire = News.for_asker(topology, Have.of(None)).to_wire()
        for part in wire["ranges"]:
            part["epoch"] = 2**63 - 1
        asked = answers(bad, "topology.fetch", wire)
        bad.parts._announce_topology(Summary(1, 2**63 - 1, b"?" * 16).encode())
        await until(lambda: {town[0].id, town[1].id} <= set(asked), what="both to have asked")
        await serves(town, 1)
        for node in town.nodes[:2]:
            assert node.parts.topology.current() == topology
            await town.restart(node)
            assert node.parts.topology.current() == topology
        await serves(town, 2)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for member in error.exceptions for leaf in _leaves(member)]
    return [error]


async def test_a_kept_topology_that_cannot_be_used_says_how_to_go_on(tmp_path: Path) -> None:
    async with founded(tmp_path) as town:
        await serves(town, 1)
        founding = town[0].parts.topology.current()
        value = codec.unpack(founding.encode())
        for part in value["ranges"]:
            part["epoch"] = 2**63 - 1
        poison = codec.pack(value)
        for node in town.nodes:
            await node.commits.run(
                lambda transaction: transaction.meta_put("topology", poison), Admission.ESSENTIAL
            )
        kept = [node.cells() for node in town.nodes]
        for node in town.nodes:
            await node.stop()
        with trio.fail_after(20), pytest.RaisesGroup(RingError, flatten_subgroups=True) as raised:
            await town.start(town[0])
        [error] = _leaves(raised.value)
        assert "cluster.refound = true" in str(error)
        for node in town.nodes:
            cluster = msgspec.structs.replace(node.config.cluster, refound=True)
            node.config = msgspec.structs.replace(node.config, cluster=cluster)
        await town.start()
        assert [node.parts.topology.current() for node in town.nodes] == [founding] * 3
        assert [node.cells() for node in town.nodes] == kept
        for node in town.nodes:
            cluster = msgspec.structs.replace(node.config.cluster, refound=False)
            node.config = msgspec.structs.replace(node.config, cluster=cluster)
            await town.restart(node)
        await serves(town, 2)


async def test_a_node_whose_topology_might_not_fit_beside_its_name_is_told_at_its_first_start(
    tmp_path: Path,
) -> None:
    """A founding takes fewer bytes than the greatest epochs, and it is not then that it may fail."""
    async with founded(tmp_path) as town:
        node = town[0]
        room = 512 - len(node.parts._description().encode())
        longer = node.name + "n" * room
        section = msgspec.structs.replace(node.config.node, name=longer)
        node.parts.config = msgspec.structs.replace(node.config, node=section)
        with pytest.raises(WireError, match="shorten them"):
            node.parts._description()
