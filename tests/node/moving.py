"""Towns whose ranges move: newcomers, operators, and waiting for what was planned to be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from folkmoot.node.configuration.settings import ClusterSection, NodeSection
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.ring.plan import plan

from tests.node.harness import Client, Town
from tests.node.nodes import CLUSTER, Node, lay_out
from tests.node.people import OPERATOR
from tests.waiting import until

DONE_S = 90.0
"""Less than what a test is given, so that a failure says what did not happen."""


async def with_newcomer(
    town: Town, directory: Path, name: str = "late", region: str = "eu", capacity: float = 1.0
) -> Node:
    """A node that runs, knows the town, and is no member yet."""
    [node], _ = lay_out(directory, nodes=1)
    ring = town[0].config.node.data / "keys" / "gossip.ring"
    (node.config.node.data / "keys" / "gossip.ring").write_bytes(ring.read_bytes())
    cluster = ClusterSection(id=CLUSTER, seeds=(Address("127.0.0.1", 1),))
    section = NodeSection(
        name=name, region=region, id=node.config.node.id, data=node.config.node.data, capacity=capacity
    )
    node.config = msgspec.structs.replace(node.config, cluster=cluster, node=section)
    node.name, node.region = name, region
    town.nodes.append(node)
    await town.start(node)
    return node


async def ask(town: Town, asked: Node, method: str, /, **params: Any) -> Any:
    """What a node answers an operator; its refusal is raised as it is."""
    refusal: WireError | None = None
    async with town.client(asked) as client:
        await client.auth(OPERATOR)
        try:
            return await client.call(method, **params)
        except WireError as error:
            refusal = error
    raise refusal


def on_roster(town: Town, node: Node) -> bool:
    return all(node.id in other.roster for other in town.running() if other is not node)


async def settled_plan(town: Town, within_s: float = DONE_S) -> None:
    """Wait until all running members know one topology in which nothing is left to be done."""

    def done() -> bool:
        topologies = [node.parts.topology.current() for node in town.running()]
        first = topologies[0]
        return all(each.summary == first.summary for each in topologies) and not plan(first).changes

    await until(done, what="the plan to be carried out", within_s=within_s)


async def erased(node: Node, within_s: float = DONE_S) -> None:
    """Wait until a node has nothing in its store that is others'."""

    def nothing_left() -> bool:
        ranges = node.ranges
        return all(node.id in ranges.lookup(key).nodes() for key in node.cells())

    await until(nothing_left, what=f"{node.name} to erase what is others'", within_s=within_s)


def differing(town: Town) -> list[str]:
    """In what replicas differ; empty when all owners of a range have the same bytes, and nobody else any."""
    ranges = town.running()[0].ranges
    stores = {node.id: node.cells() for node in town.running()}
    found = []
    for owner in ranges.ranges:
        held = {
            node_id: {key: cell for key, cell in cells.items() if owner.covers(key)}
            for node_id, cells in stores.items()
        }
        owners = [held[node_id] for node_id in owner.nodes() if node_id in held]
        if any(each != owners[0] for each in owners):
            found.append(f"range {owner.id}: {[len(each) for each in owners]} cells")
        found += [
            f"range {owner.id}: left on {node_id.hex()[:8]}"
            for node_id, cells in held.items()
            if cells and node_id not in owner.nodes()
        ]
    return found


async def equal(town: Town, within_s: float = DONE_S) -> None:
    """Wait until all owners of each range have the same bytes, and nobody else has any."""
    told: list[list[str]] = []

    def same() -> bool:
        told.append(differing(town))
        return not told[-1]

    try:
        await until(same, what="the replicas to be equal", within_s=within_s)
    except AssertionError as error:
        raise AssertionError(f"{error}: {told[-1][:5]}") from None


class Writers:
    """Authors who write without a pause, and remember what was acknowledged at quorum."""

    def __init__(self) -> None:
        self.acknowledged: list[Any] = []
        self.refused: list[Any] = []

    async def write(self, client: Client, author: Any) -> None:
        """Write until cancelled."""
        while True:
            record = author.post()
            result = await client.put_one(record)
            if result["status"] == "stored":
                self.acknowledged.append(record)
            else:
                self.refused.append(result)

    async def all_read(self, client: Client) -> None:
        """Read all that was acknowledged at quorum."""
        for record in tuple(self.acknowledged):
            cell = await client.get(record, "quorum")
            assert cell is not None and cell["records"] == [record.to_wire()], "an acknowledged write is lost"
