"""A node that only pretends: real sockets and links, scripted answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import trio
from folkmoot.node.certificates import create_ca, create_node
from folkmoot.node.rpc import run_link
from folkmoot.node.transport.faults import LinkFaults
from folkmoot.node.transport.interface import Accepted, Address
from folkmoot.node.transport.tcp import TcpNetwork
from folkmoot.node.transport.tls import TlsFiles
from folkmoot.protocol import limits
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_SIGNATURE, UNKNOWN_METHOD, WireError
from folkmoot.protocol.identity import verify
from folkmoot.protocol.node_name import NodeName

CLUSTER = "town"
Answer = Callable[["StubNode", Link, Params], Awaitable[Any]]


class StubNode:
    """One node: what it answers can be replaced method by method.

    Args:
        number: makes its id.
        directory: where its certificates go; None for TLS off.
    """

    def __init__(self, number: int = 1, directory: Path | None = None) -> None:
        self.id = bytes(15) + bytes([number])
        self.calls: list[tuple[str, Params]] = []
        self.links: list[Link] = []
        self.answers: dict[str, Answer] = {"hello": hello, "auth": auth, "ping": ping}
        self.said_id = self.id.hex()
        self.address = Address("127.0.0.1", 0)
        self.scope = trio.CancelScope()
        self._tls = None if directory is None else certificates(directory, self.id)

    def answered(self, method: str) -> list[Params]:
        """The parameters of every call of `method`."""
        return [params for called, params in self.calls if called == method]

    def die(self) -> None:
        """Drop every connection and the port."""
        self.scope.cancel()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen, on the same port as before if there was one, until `die`."""
        self.scope = trio.CancelScope()
        network = TcpNetwork(NodeName(CLUSTER, self.id), self._tls, LinkFaults(Random(0)))
        listener = await network.listen_clients(self.address)
        self.address = listener.address
        task_status.started()
        with self.scope:
            try:
                await listener.serve(self._carry)
            finally:
                with trio.CancelScope(shield=True):
                    await listener.aclose()

    async def _carry(self, accepted: Accepted) -> None:
        async with trio.open_nursery() as nursery:
            self.links.append(await nursery.start(run_link, accepted.stream, self._answer))

    async def _answer(self, link: Link, method: str, params: Params) -> Any:
        self.calls.append((method, params))
        if method not in self.answers:
            raise WireError(UNKNOWN_METHOD, method)
        return await self.answers[method](self, link, params)


@asynccontextmanager
async def stub_nodes(*nodes: StubNode) -> AsyncIterator[trio.Nursery]:
    """Let nodes serve; the nursery may start one again that died."""
    async with trio.open_nursery() as nursery:
        for node in nodes:
            await nursery.start(node.serve)
        try:
            yield nursery
        finally:
            nursery.cancel_scope.cancel()


def certificates(directory: Path, node_id: bytes) -> TlsFiles:
    """A node's certificate, of the CA in `directory`."""
    if not (directory / "ca.crt").exists():
        create_ca(directory, CLUSTER)
    own = directory / node_id.hex()
    create_node(directory, own, CLUSTER, node_id.hex())
    return TlsFiles(directory / "ca.crt", own / "node.crt", own / "node.key")


async def hello(node: StubNode, link: Link, params: Params) -> Any:
    return {
        "version": 1,
        "node": {"id": node.said_id, "name": "stub", "region": "eu"},
        "cluster": CLUSTER,
        "features": [],
        "limits": limits.announced(),
        "challenge": bytes(32),
        "time_ms": 0,
        "some_future_key": [1],
    }


async def auth(node: StubNode, link: Link, params: Params) -> Any:
    signed = b"folkmoot-auth-v1\0" + bytes(32) + node.id.hex().encode()
    if not verify(params["signer" if "signer" in params else "account"], params["signature"], signed):
        raise WireError(BAD_SIGNATURE, "not signed by that key")
    return {"account": params["account"], "roles": [], "expires_ms": 0}


async def ping(node: StubNode, link: Link, params: Params) -> Any:
    return {"time_ms": 0}
