"""Whole nodes in one trio run: the production daemon over loopback sockets, each with its own LMDB.

What a test breaks here it breaks as the world would: a node is cut off at once, a link by a planted fault, a
disk by what is written to it behind the node's back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio
from folkmoot.node.transport.faults import Fault
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.session import Session, open_session
from folkmoot.protocol.key import kind_prefix
from folkmoot.protocol.record import Record

from tests.node.nodes import READY_S, Node, address_of, lay_out
from tests.node.people import Author
from tests.waiting import until


class Client:
    """A connection to one node that says exactly what a test tells it to: nothing is tried twice.

    Args:
        session: greeted.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    async def call(self, method: str, **params: Any) -> Any:
        return await self.session.link.call(method, params, timeout_s=READY_S)

    async def put(
        self, *records: Record, level: str = "quorum", token: bytes | None = None
    ) -> tuple[list[dict[str, Any]], bytes]:
        """The results, and the token."""
        params: dict[str, Any] = {"records": [record.to_wire() for record in records], "level": level}
        answer = await self.call("record.put", **params, **({} if token is None else {"token": token}))
        return answer["results"], answer["token"]

    async def put_one(self, record: Record, level: str = "quorum") -> dict[str, Any]:
        """The one result."""
        [result], _ = await self.put(record, level=level)
        return result

    async def get(self, record: Record, level: str = "one", **more: Any) -> dict[str, Any] | None:
        """The cell a record belongs to."""
        key = [record.place, record.kind, record.item]
        cells: list[dict[str, Any] | None] = (await self.call("record.get", keys=[key], level=level, **more))[
            "cells"
        ]
        return cells[0]

    async def feed(self, account: bytes, level: str = "quorum") -> list[dict[str, Any]]:
        """The items of the first page."""
        items: list[dict[str, Any]] = (await self.call("feed.author", account=account, level=level))["items"]
        return items

    async def auth(self, author: Author) -> dict[str, Any]:
        return await self.session.authenticate(author.device, author.account)


async def settled(client: Client, record: Record) -> dict[str, Any]:
    """The result of sending the same bytes until they are everywhere."""
    results: list[dict[str, Any]] = []

    async def everywhere() -> bool:
        results.append(await client.put_one(record, "all"))
        return bool(results[-1]["status"] != "uncertain")

    await until(everywhere, what="the record to reach all", within_s=20)
    return results[-1]


class Town:
    """A cluster of nodes in this run.

    Args:
        nodes: laid out, not running.
        ca: the CA's certificate; None with TLS off.
        nursery: where nodes run.
    """

    def __init__(self, nodes: Sequence[Node], ca: Path | None, nursery: trio.Nursery) -> None:
        self.nodes = list(nodes)
        self._dialler = Dialler(ca)
        self.nursery = nursery

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    async def start(self, *nodes: Node) -> None:
        """Start some nodes, or all, and wait until all that run know each other."""
        for node in nodes or self.nodes:
            seeds = tuple(address_of(other.running.ready.peers) for other in self.running())
            cluster = msgspec.structs.replace(node.config.cluster, seeds=seeds)
            node.config = msgspec.structs.replace(node.config, cluster=cluster)
            with trio.fail_after(READY_S):
                await self.nursery.start(node.run)
        await self.all_alive()
        await self.all_count()

    def running(self) -> list[Node]:
        return [node for node in self.nodes if node.started]

    async def all_alive(self) -> None:
        """Wait until every running node holds every other one alive."""
        running = self.running()
        await until(
            lambda: all(node.knows_alive(running) for node in running),
            what="the nodes to know each other",
            within_s=READY_S,
        )

    async def all_count(self) -> None:
        """Wait until every running node counts every other one."""
        running = self.running()
        await until(
            lambda: all(node.counts(running) for node in running),
            what="the nodes to count",
            within_s=READY_S,
        )

    async def restart(self, node: Node) -> None:
        await node.stop()
        await self.start(node)

    def cut(self, one: Node, other: Node) -> None:
        """Let nothing pass between two nodes, either way."""
        one.environment.faults.set(other.id, Fault(cut=True))
        other.environment.faults.set(one.id, Fault(cut=True))

    def heal(self) -> None:
        """Mend every link."""
        for node in self.running():
            node.environment.faults.clear()

    def replicas_of(self, account: bytes) -> list[Node]:
        """The nodes that keep an account, by the topology of the first that runs."""
        view = self.running()[0].parts.topology
        by_id = {node.id: node for node in self.nodes}
        owner = view.where(kind_prefix(account, "post"))
        return [by_id[node_id] for node_id in owner.nodes()]

    @asynccontextmanager
    async def client(self, node: Node) -> AsyncIterator[Client]:
        """A connection to a node."""
        async with trio.open_nursery() as nursery:
            yield Client(
                await open_session(nursery, self._dialler, Endpoint.parse(node.address), client="test/1")
            )
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def founded(directory: Path, **shape: Any) -> AsyncIterator[Town]:
    """A running cluster; see `lay_out` for its shape. Ends with all its nodes cut off."""
    nodes, ca = lay_out(directory, **shape)
    async with trio.open_nursery() as nursery:
        town = Town(nodes, ca, nursery)
        try:
            await town.start()
            yield town
        finally:
            nursery.cancel_scope.cancel()
