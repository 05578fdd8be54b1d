"""Real networks on loopback: nodes with certificates or without, and strangers who dial them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing
from folkmoot.node.certificates import create_ca, create_node
from folkmoot.node.transport.faults import LinkFaults
from folkmoot.node.transport.interface import Accepted, Address, Listener
from folkmoot.node.transport.tcp import TcpNetwork
from folkmoot.node.transport.tls import TlsFiles
from folkmoot.protocol.node_name import NodeName

from tests.waiting import until

ANY_PORT = Address("127.0.0.1", 0)
LEFT, RIGHT = bytes(15) + b"\1", bytes(15) + b"\2"


class Authority:
    """A CA in a directory, and networks of nodes it signed."""

    def __init__(self, directory: Path, cluster: str = "town") -> None:
        self.directory = directory
        self.cluster = cluster
        self.ca = create_ca(directory / "ca", cluster)

    def files(self, node_id: bytes, now: datetime | None = None) -> TlsFiles:
        directory = self.directory / node_id.hex()
        if not directory.exists():
            create_node(self.directory / "ca", directory, self.cluster, node_id.hex(), days=30, now=now)
        return TlsFiles(self.ca, directory / "node.crt", directory / "node.key")

    def network(self, node_id: bytes, now: datetime | None = None) -> TcpNetwork:
        return TcpNetwork(NodeName(self.cluster, node_id), self.files(node_id, now), LinkFaults(Random(0)))


def plain(node_id: bytes, cluster: str = "town", faults: LinkFaults | None = None) -> TcpNetwork:
    return TcpNetwork(NodeName(cluster, node_id), None, faults or LinkFaults(Random(0)))


async def echo(accepted: Accepted) -> None:
    """Say who is there, then repeat what comes."""
    await accepted.stream.send_all((accepted.node_id or b"anybody") + b"!")
    while data := await accepted.stream.receive_some():
        await accepted.stream.send_all(data)


@asynccontextmanager
async def serving(listener: Listener) -> AsyncIterator[Address]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.serve, echo)
        try:
            yield listener.address
        finally:
            await listener.aclose()
            nursery.cancel_scope.cancel()


async def exactly(stream: trio.abc.Stream, data: bytes) -> None:
    received = b""
    while len(received) < len(data):
        received += await stream.receive_some(len(data) - len(received))
    assert received == data


@asynccontextmanager
async def dialled(address: Address, context: ssl.SSLContext | None = None) -> AsyncIterator[trio.abc.Stream]:
    """A stranger's connection, closed without ceremony."""
    raw = await trio.open_tcp_stream(*address)
    try:
        yield raw if context is None else trio.SSLStream(raw, context, server_hostname="node.folkmoot")
    finally:
        await trio.aclose_forcefully(raw)


async def until_ended(stream: trio.abc.Stream) -> None:
    """Read to the end, which may be a reset."""
    with trio.fail_after(5), suppress(trio.BrokenResourceError):
        while await stream.receive_some():
            pass


async def heard(caplog: pytest.LogCaptureFixture, sentence: str) -> None:
    """Wait until the listening side has logged `sentence`."""
    await until(lambda: sentence in caplog.text, what=f"{sentence!r} in the log")
