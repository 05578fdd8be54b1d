"""Real datagrams: one UDP socket under trio, with a hook where operators may plant faults on links.

UDP promises nothing, so nothing here raises when a datagram cannot be sent: an unreachable network and a lost
packet look the same to a failure detector, and should.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Final

import trio
from folkmoot.node.transport.errors import TransportError
from folkmoot.node.transport.faults import LinkFaults
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.limits import GOSSIP_DATAGRAM_BYTES, KIB

# A stalled event loop should find what came meanwhile, not what was left of it.
_RECEIVE_BUFFER_BYTES: Final = 512 * KIB
_HELD_DATAGRAMS: Final = 1_024


class UdpDatagrams:
    """A bound UDP port; see `interface.Datagrams`.

    Delayed datagrams leave while somebody is in `receive`, which a node always is.

    Args:
        socket: bound.
        faults: planted faults, if any.
    """

    def __init__(self, socket: trio.socket.SocketType, faults: LinkFaults | None = None) -> None:
        self._socket = socket
        self._faults = faults
        host, port = socket.getsockname()[:2]
        self._address = Address(host, port)
        self._held: list[tuple[float, int, bytes, Address]] = []
        self._held_count = itertools.count()
        self._receiving: trio.CancelScope | None = None

    @property
    def address(self) -> Address:
        """The bound address, with the port the kernel chose."""
        return self._address

    async def send(self, data: bytes, address: Address, node_id: bytes | None) -> None:
        """See `interface.Datagrams.send`."""
        assert len(data) <= GOSSIP_DATAGRAM_BYTES
        if self._faults is not None:
            if self._faults.loses(node_id):
                return
            delay_s = self._faults.delay_s(node_id)
            if delay_s > 0:
                self._hold(data, address, trio.current_time() + delay_s)
                return
        await self._send_now(data, address)

    async def receive(self) -> tuple[bytes, Address]:
        """The next datagram and where it came from; one that is too long comes cut, and opens no seal."""
        while True:
            due = self._held[0][0] if self._held else math.inf
            with trio.CancelScope(deadline=due) as self._receiving:
                data, (host, port, *_) = await self._socket.recvfrom(GOSSIP_DATAGRAM_BYTES + 1)
                return data, Address(host, port)
            while self._held and self._held[0][0] <= trio.current_time():
                _, _, data, address = heapq.heappop(self._held)
                await self._send_now(data, address)

    async def aclose(self) -> None:
        """Give the port back."""
        self._socket.close()
        await trio.lowlevel.checkpoint()

    def _hold(self, data: bytes, address: Address, due: float) -> None:
        if len(self._held) >= _HELD_DATAGRAMS:
            return
        heapq.heappush(self._held, (due, next(self._held_count), data, address))
        if self._receiving is not None:
            self._receiving.deadline = self._held[0][0]

    async def _send_now(self, data: bytes, address: Address) -> None:
        try:
            await self._socket.sendto(data, address)
        except (OSError, ValueError):  # a host that is no host is a ValueError to Python's resolver
            await trio.lowlevel.checkpoint()


async def open_udp(address: Address, faults: LinkFaults | None = None) -> UdpDatagrams:
    """Bind a UDP port.

    Args:
        address: a host of this machine, and a port or 0 for one the kernel chooses.
        faults: planted faults, if any.

    Raises:
        TransportError: the port is taken or the address is not this machine's.
    """
    family = trio.socket.AF_INET6 if ":" in address.host else trio.socket.AF_INET
    socket = trio.socket.socket(family, trio.socket.SOCK_DGRAM)
    try:
        socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        await socket.bind(address)
    except (OSError, ValueError) as error:
        socket.close()
        raise TransportError(
            f"cannot bind the gossip port {address}: {getattr(error, 'strerror', None) or error}; "
            "choose another `listen.datagrams`, or port 0 to let the kernel choose"
        ) from error
    return UdpDatagrams(socket, faults)
