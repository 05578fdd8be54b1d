"""A version 2 of the contract on the wire, which only the simulation speaks: for clusters that speak both.

The contract lets a next version add optional fields before every node knows of it, and no more. So whoever
speaks this one adds a field to each map that it sends to peers or clients, and offers the version in `hello`.
Those who do not know the field must not mind, and records and cells are the same in both.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, Final

import trio
from folkmoot.node.simulation.framing import Messages
from folkmoot.node.simulation.network import Datagrams, HostNetwork, Listener
from folkmoot.node.simulation.streams import SimulatedStream
from folkmoot.node.transport.interface import Accepted, AcceptHandler, Address
from folkmoot.protocol import codec

NEXT_VERSION: Final = 2
NEW_FIELD: Final = "since_version_2"


class NextVersionStream(trio.abc.HalfCloseableStream):
    """A stream whose sending end speaks version 2.

    Args:
        stream: what carries it.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        assert isinstance(stream, SimulatedStream), "a simulated node has simulated streams"
        self._stream = stream
        self._messages = Messages()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send the messages that `data` completes, each with the new field."""
        await self._stream.send_all(self._translated(bytes(data)))

    async def wait_send_all_might_not_block(self) -> None:
        """See `SimulatedStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """See `SimulatedStream`."""
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `SimulatedStream`."""
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        """See `SimulatedStream`."""
        await self._stream.aclose()

    def _translated(self, data: bytes) -> bytes:
        messages = self._messages.completed_by(data)
        return b"".join(codec.pack(with_new_field(codec.unpack(message))) for message in messages)


class NextVersionNetwork:
    """What a node that speaks version 2 sees of the network; see `transport.interface.Network`.

    Args:
        network: what carries it.
    """

    def __init__(self, network: HostNetwork) -> None:
        self._network = network

    async def listen_clients(self, address: Address) -> _NextVersionListener:
        """See `transport.interface`."""
        return _NextVersionListener(await self._network.listen_clients(address))

    async def listen_peers(self, address: Address) -> _NextVersionListener:
        """See `transport.interface`."""
        return _NextVersionListener(await self._network.listen_peers(address))

    async def dial_peer(self, address: Address, node_id: bytes | None) -> tuple[NextVersionStream, bytes]:
        """See `transport.interface`."""
        stream, found = await self._network.dial_peer(address, node_id)
        return NextVersionStream(stream), found

    async def open_datagrams(self, address: Address) -> Datagrams:
        """See `transport.interface`; datagrams are sealed, and the same in both versions."""
        return await self._network.open_datagrams(address)


class _NextVersionListener:
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    @property
    def address(self) -> Address:
        return self._listener.address

    async def serve(self, handler: AcceptHandler) -> None:
        def speaking(accepted: Accepted) -> Awaitable[None]:
            return handler(replace(accepted, stream=NextVersionStream(accepted.stream)))

        await self._listener.serve(speaking)

    async def aclose(self) -> None:
        await self._listener.aclose()


def with_new_field(message: list[Any]) -> list[Any]:
    """A message as version 2 has it: its parameters, its result, or its error with one field more."""
    return [*message[:2], *(_extended(part) for part in message[2:])]


def _extended(part: Any) -> Any:
    if isinstance(part, dict):
        return {**part, NEW_FIELD: True}
    if isinstance(part, list) and len(part) == 1:
        return [_extended(part[0])]
    return part
