"""The network of a simulated world: hosts, their ports, and everything on its way between them.

Each boot of a node gets a `HostNetwork` of its own, which is the `Network` that production code asks for
(see `transport.interface`). When the host crashes that object goes dead: whatever the dying process still
tries has no effect, and its ports are free for the next boot. Who dials is known by construction, so a peer
stream needs no handshake.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from random import Random

import trio
from folkmoot.node.simulation.courier import Courier
from folkmoot.node.simulation.links import Delay, Link, Links
from folkmoot.node.simulation.streams import SimulatedStream, stream_pair
from folkmoot.node.simulation.trace import Trace
from folkmoot.node.simulation.wiretap import Tap
from folkmoot.node.transport.errors import (
    AddressInUse,
    ConnectionRefused,
    HandshakeFailed,
    TransportError,
    WrongNode,
)
from folkmoot.node.transport.interface import Accepted, AcceptHandler, Address
from folkmoot.protocol import limits

logger = logging.getLogger(__name__)

PORT_FIRST = 20_000
BACKLOG = 128
UNREACHED_AMONG_REFUSED = 0.5
# Production's plain streams can send without waiting and its encrypted ones cannot; here are some of each.
PROMPT_AMONG_STREAMS = 0.8
DATAGRAMS_BUFFERED = 256


class SimulatedNetwork:
    """All hosts of one world.

    Args:
        random: draws delays and fates.
        trace: told of every arrival.
        delay_of: the delay of a healthy link between two hosts.
        tap_at: what listens in on a new link to the peers' port of a host, if anything does.

    Attributes:
        hosts: those that are up.
        refused_shares: of the dials to and from a host, how many fail.
    """

    def __init__(
        self,
        random: Random,
        trace: Trace,
        delay_of: Callable[[str, str], Delay],
        tap_at: Callable[[str], Tap | None] = lambda host: None,
    ) -> None:
        self.random = random
        self.trace = trace
        self.courier = Courier()
        self.links = Links(delay_of, random)
        self.hosts: dict[str, HostNetwork] = {}
        self.refused_shares: dict[str, float] = {}
        self.stream_peak_bytes = 0
        self._tap_at = tap_at
        self._ports = PORT_FIRST

    def boot(self, host: str, node_id: bytes | None) -> HostNetwork:
        """Bring a host up; it has no ports yet.

        Args:
            host: a name that is an address, such as `127.0.1.1`.
            node_id: whose host it is; None for a client's.
        """
        assert host not in self.hosts, f"{host} is up already"
        network = self.hosts[host] = HostNetwork(self, host, node_id)
        return network

    def next_port(self) -> int:
        """A port that was never given out before."""
        self._ports += 1
        return self._ports

    def crash(self, host: str) -> None:
        """Kill what runs on a host: its ports close, its streams end in resets."""
        self.hosts.pop(host).die()

    async def connect(self, source: HostNetwork, address: Address) -> tuple[SimulatedStream, Listener]:
        """Dial, as from `source`.

        Raises:
            ConnectionRefused: nobody listens there, or one of the hosts refuses some dials.
            TransportError: it took too long, `source` is dead, or one of the hosts refuses some dials.
        """
        with trio.move_on_after(limits.HANDSHAKE_TIMEOUT_S):
            return await self._connect(source, address)
        raise HandshakeFailed(f"no handshake with {address} within {limits.HANDSHAKE_TIMEOUT_S} s")

    async def _connect(self, source: HostNetwork, address: Address) -> tuple[SimulatedStream, Listener]:
        there = self.links.between(source.host, address.host)
        back = self.links.between(address.host, source.host)
        await there.cross()
        refusal = self._refusal(source.host, address)
        if refusal is not None:
            await back.cross()
            raise refusal
        target = self.hosts.get(address.host)
        listener = None if target is None else target.listener(address.port)
        if target is None or listener is None or not listener.has_room or not source.alive:
            await back.cross()
            raise ConnectionRefused(f"nobody listens on {address}")
        prompt = self.random.random() < PROMPT_AMONG_STREAMS
        ends = source.host, target.host
        tap = self._tap_at(target.host) if listener.peers else None
        ours, theirs = stream_pair(there, back, self.courier, self.trace, ends, prompt=prompt, tap=tap)
        source.opened(ours)
        target.opened(theirs)
        listener.accept(theirs, Address(source.host, self.next_port()), source.node_id)
        try:
            await back.cross()
        except BaseException:
            ours.close()
            raise
        return ours, listener

    def _refusal(self, source: str, address: Address) -> TransportError | None:
        """What a dial fails with although somebody may listen, if it does."""
        share = max(self.refused_shares.get(host, 0.0) for host in (source, address.host))
        if not share or self.random.random() >= share:
            return None
        self.trace.note(f"refusal {source} {address.host}")
        if self.random.random() < UNREACHED_AMONG_REFUSED:
            return TransportError(f"cannot reach {address}: no route to host")
        return ConnectionRefused(f"nobody listens on {address}")


class HostNetwork:
    """What one boot of a host sees of the network; a `transport.interface.Network`.

    Attributes:
        alive: whether the host has not crashed since.
    """

    def __init__(self, world: SimulatedNetwork, host: str, node_id: bytes | None) -> None:
        self.host = host
        self.node_id = node_id
        self.alive = True
        self._world = world
        self._listeners: dict[int, Listener] = {}
        self._datagrams: dict[int, Datagrams] = {}
        self._streams: dict[SimulatedStream, None] = {}

    async def listen_clients(self, address: Address) -> Listener:
        """See `transport.interface`."""
        return self._listen(address, peers=False)

    async def listen_peers(self, address: Address) -> Listener:
        """See `transport.interface`."""
        return self._listen(address, peers=True)

    async def dial_peer(self, address: Address, node_id: bytes | None) -> tuple[SimulatedStream, bytes]:
        """See `transport.interface`."""
        stream, listener = await self._world.connect(self, address)
        found = listener.owner.node_id
        if not listener.peers or found is None:
            stream.close()
            raise HandshakeFailed(f"{address} is not a peers' port")
        if node_id is not None and node_id != found:
            stream.close()
            raise WrongNode(f"{address} is node {found.hex()}, not {node_id.hex()}")
        return stream, found

    async def dial_client(self, address: Address) -> SimulatedStream:
        """Connect to a clients' port.

        Raises:
            ConnectionRefused, TransportError: as `dial_peer`.
        """
        stream, listener = await self._world.connect(self, address)
        if listener.peers:
            stream.close()
            raise HandshakeFailed(f"{address} is a peers' port")
        return stream

    async def open_datagrams(self, address: Address) -> Datagrams:
        """See `transport.interface`."""
        port = self._port(address, self._datagrams)
        opened = self._datagrams[port] = Datagrams(self, Address(self.host, port), self._world)
        return opened

    def listener(self, port: int) -> Listener | None:
        """Who listens on `port`."""
        return self._listeners.get(port)

    def datagrams(self, port: int) -> Datagrams | None:
        """Who takes datagrams on `port`."""
        return self._datagrams.get(port)

    def opened(self, stream: SimulatedStream) -> None:
        """A stream now ends at this host."""
        self._streams[stream] = None
        for old in [old for old in self._streams if old.gone]:
            self._world.stream_peak_bytes = max(self._world.stream_peak_bytes, old.peak_bytes)
            del self._streams[old]

    def peak_bytes(self) -> int:
        """The most any open stream of this host ever held on its way."""
        return max((stream.peak_bytes for stream in self._streams), default=0)

    def release(self, ended: Listener | Datagrams) -> None:
        """A listener or datagram port of this host was closed."""
        for table in (self._listeners, self._datagrams):
            if table.get(ended.address.port) is ended:
                del table[ended.address.port]

    def die(self) -> None:
        """The host crashes; some of what its streams had sent is lost with it."""
        self.alive = False
        self._listeners.clear()
        self._datagrams.clear()
        for stream in self._streams:
            stream.die(lose_travelling=self._world.random.random() < 0.5)
        self._streams.clear()

    def _listen(self, address: Address, *, peers: bool) -> Listener:
        port = self._port(address, self._listeners)
        opened = self._listeners[port] = Listener(self, Address(self.host, port), peers)
        return opened

    def _port(self, address: Address, taken: dict[int, Listener] | dict[int, Datagrams]) -> int:
        if not self.alive:
            raise TransportError(f"{self.host} is down")
        if address.host != self.host:
            raise TransportError(f"{address.host} is not an address of {self.host}")
        if address.port in taken:
            raise AddressInUse(f"{address} is taken")
        return address.port or self._world.next_port()


class Listener:
    """A bound port; a `transport.interface.Listener`.

    Attributes:
        owner: whose port it is.
        peers: whether it is the peers' or the clients'.
    """

    def __init__(self, owner: HostNetwork, address: Address, peers: bool) -> None:
        self.owner = owner
        self.peers = peers
        self._address = address
        self._closed = False
        self._waiting: deque[Accepted] = deque()
        self._arrived = trio.lowlevel.ParkingLot()

    @property
    def address(self) -> Address:
        """See `transport.interface`."""
        return self._address

    @property
    def has_room(self) -> bool:
        """Whether another connection may wait to be accepted."""
        return len(self._waiting) < BACKLOG

    def accept(self, stream: SimulatedStream, remote: Address, node_id: bytes | None) -> None:
        """A connection arrived; what a clients' port knows of the other end is its address alone."""
        self._waiting.append(Accepted(stream, remote, node_id if self.peers else None))
        self._arrived.unpark()

    async def serve(self, handler: AcceptHandler) -> None:
        """See `transport.interface`."""
        async with trio.open_nursery() as nursery:
            while not self._closed:
                if self._waiting:
                    nursery.start_soon(self._handle, handler, self._waiting.popleft())
                else:
                    await self._arrived.park()

    async def aclose(self) -> None:
        """See `transport.interface`."""
        self._closed = True
        self.owner.release(self)
        self._arrived.unpark_all()
        await trio.lowlevel.checkpoint()

    async def _handle(self, handler: AcceptHandler, accepted: Accepted) -> None:
        try:
            await handler(accepted)
        except Exception:
            logger.exception("a connection to %s failed", self._address)
        finally:
            await trio.aclose_forcefully(accepted.stream)


class Datagrams:
    """A datagram port; a `transport.interface.Datagrams`."""

    def __init__(self, owner: HostNetwork, address: Address, world: SimulatedNetwork) -> None:
        self._owner = owner
        self._address = address
        self._world = world
        self._closed = False
        self._buffer: deque[tuple[bytes, Address]] = deque()
        self._arrived = trio.lowlevel.ParkingLot()

    @property
    def address(self) -> Address:
        """See `transport.interface`."""
        return self._address

    async def send(self, data: bytes, address: Address, node_id: bytes | None) -> None:
        """See `transport.interface`."""
        await trio.lowlevel.checkpoint()
        assert len(data) <= limits.GOSSIP_DATAGRAM_BYTES, "a datagram over the limit"
        if self._closed or not self._owner.alive:
            return
        link = self._world.links.between(self._owner.host, address.host)
        for after_s in link.fates():
            self._world.courier.send(trio.current_time() + after_s, lambda: self._arrive(link, data, address))

    async def receive(self) -> tuple[bytes, Address]:
        """See `transport.interface`."""
        if self._buffer or self._closed:
            await trio.lowlevel.checkpoint()
        while not self._buffer:
            if self._closed:
                raise trio.ClosedResourceError("this port is closed")
            await self._arrived.park()
        return self._buffer.popleft()

    async def aclose(self) -> None:
        """See `transport.interface`."""
        self._closed = True
        self._owner.release(self)
        self._arrived.unpark_all()
        await trio.lowlevel.checkpoint()

    def _arrive(self, link: Link, data: bytes, address: Address) -> None:
        if link.clogged:
            link.stall(lambda: self._arrive(link, data, address))
            return
        host = self._world.hosts.get(address.host)
        port = None if host is None else host.datagrams(address.port)
        if port is None or len(port._buffer) >= DATAGRAMS_BUFFERED:
            return
        self._world.trace.note(f"datagram {self._owner.host} {address.host}", data)
        port._buffer.append((data, self._address))
        port._arrived.unpark()
