"""What a node asks of a network, and nothing more.

Two implementations pass one suite: real sockets (`tcp`, `udp`) and the in-memory network of the simulator.
Streams are trio's own `Stream`; who is at the other end of a peer stream was proven before it is handed
over (by mutual TLS, or by construction in memory). A peer is named by its node id: 16 bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import trio


class Address(NamedTuple):
    """Where a listener can be dialled."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """One incoming connection, its handshake done.

    Args:
        stream: the bytes, decrypted.
        remote: the other end's address, for quotas and logs.
        node_id: the peer's proven node id; None on the clients' listener.
        is_private: whether nobody on the way can read along.
    """

    stream: trio.abc.Stream
    remote: Address
    node_id: bytes | None
    is_private: bool = False


AcceptHandler = Callable[[Accepted], Awaitable[None]]


class Listener(Protocol):
    """A bound port that has not begun to accept."""

    @property
    def address(self) -> Address:
        """The bound address, with the port the kernel chose."""
        ...

    async def serve(self, handler: AcceptHandler) -> None:
        """Accept for ever, one handler task a connection; a failing handler ends its connection only."""
        ...

    async def aclose(self) -> None:
        """Stop accepting; connections that were accepted live on."""
        ...


class Datagrams(Protocol):
    """A bound datagram port."""

    @property
    def address(self) -> Address: ...

    async def send(self, data: bytes, address: Address, node_id: bytes | None) -> None:
        """Send one datagram, or lose it silently: that is what datagrams do.

        Args:
            data: at most 1,400 bytes.
            address: where to.
            node_id: who is believed to be there, so that a fault on the link to it applies; None for a seed.
        """
        ...

    async def receive(self) -> tuple[bytes, Address]: ...

    async def aclose(self) -> None: ...


class Network(Protocol):
    """A node's only way to the outside."""

    async def listen_clients(self, address: Address) -> Listener:
        """Bind the clients' port (TLS, or plain on loopback).

        Raises:
            TransportError: the port is taken or the address is not ours.
        """
        ...

    async def listen_peers(self, address: Address) -> Listener:
        """Bind the peers' port (mutual TLS, or plain on loopback)."""
        ...

    async def dial_peer(self, address: Address, node_id: bytes | None) -> tuple[trio.abc.Stream, bytes]:
        """Connect to a peer's port and return the stream with the node id found there.

        Args:
            address: where to.
            node_id: who must be there; None accepts any node of this cluster (a seed).

        Raises:
            ConnectionRefused: nobody listens there.
            TransportError: anything else, the deadline included.
        """
        ...

    async def open_datagrams(self, address: Address) -> Datagrams:
        """Bind a datagram port."""
        ...
