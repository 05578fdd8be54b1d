"""Crowds of connections that come and go leave no memory behind."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from pathlib import Path

import pytest
from folkmoot.protocol.client.dialing import Endpoint
from folkmoot.protocol.connection import Connection
from folkmoot.protocol.limits import MIB

from tests.integration.processes import Process, lay_out, node
from tests.waiting import until_blocking

pytestmark = pytest.mark.cluster

CONNECTIONS = 200
BURSTS = 8
# What stays after the first bursts is for reuse: buffers, garbage not yet collected, what the allocator
# keeps. A connection that is not let go of costs 40 KiB at the very least.
SETTLED = 6
GROWTH_BYTES = 12 * MIB
HELLO = {"versions": [1, 1], "client": "bursts/1", "features": []}


def sockets_of(process: Process) -> int:
    """How many files and connections a process has open."""
    return sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())


def burst(process: Process, context: ssl.SSLContext) -> None:
    """Open many connections beside each other, say hello on each, and leave them all at once."""
    endpoint = Endpoint.parse(process.address)
    with ExitStack() as held:
        for _ in range(CONNECTIONS):
            plain = socket.create_connection((endpoint.host, endpoint.port), timeout=30)
            wrapped = held.enter_context(context.wrap_socket(plain, server_hostname="node.folkmoot"))
            wrapped.sendall(Connection().request("hello", HELLO)[1])
            assert wrapped.recv(1 << 16), "it is answered"


@pytest.mark.timeout(300)
def test_memory_is_bounded_however_many_connections_have_come_and_gone(tmp_path: Path) -> None:
    cluster = lay_out(tmp_path / "town", tls=True)
    with node(cluster.config_file("eu-1")) as process:
        context = ssl.create_default_context(cafile=str(cluster.path / "ca" / "ca.crt"))
        before = sockets_of(process)
        held = []
        for _ in range(BURSTS):
            burst(process, context)
            until_blocking(lambda: sockets_of(process) <= before + 8, what="all connections to be gone")
            held.append(process.memory_bytes())
        assert held[-1] - held[SETTLED - 1] < GROWTH_BYTES, [each // MIB for each in held]
        assert process.end() == 0
