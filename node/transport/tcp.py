"""The network of a real node: TCP, with TLS 1.3 unless everything stays on this machine."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import trio
from folkmoot.node.transport import greeting
from folkmoot.node.transport.admission import Admission, Visit
from folkmoot.node.transport.errors import (
    AddressInUse,
    ConnectionRefused,
    HandshakeFailed,
    InsecureBind,
    TooManyConnections,
    TransportError,
)
from folkmoot.node.transport.faults import FaultyStream, LinkFaults
from folkmoot.node.transport.interface import Accepted, AcceptHandler, Address, Datagrams
from folkmoot.node.transport.plain import PlainStream
from folkmoot.node.transport.tls import NodeTls, TlsFiles
from folkmoot.node.transport.udp import open_udp
from folkmoot.protocol import limits
from folkmoot.protocol.connection import Connection
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.node_name import NodeName

logger = logging.getLogger(__name__)

BACKLOG: Final = 512
ACCEPT_RETRY_S: Final = 0.1
_OUT_OF_FILES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

Handshake = Callable[[trio.SocketStream, Address, Visit], Awaitable[Accepted]]


class TcpListener:
    """A bound TCP port.

    Args:
        bound: listening.
        handshake: turns a raw connection into an accepted one, and proves the visit.
    """

    def __init__(self, bound: trio.SocketListener, handshake: Handshake) -> None:
        self._bound = bound
        self._handshake = handshake
        self._admission = Admission(
            unproven_max=limits.HANDSHAKES_PER_LISTENER, proven_max=limits.CONNECTIONS_PER_LISTENER
        )
        self._refusals = 0
        self._address = _address(bound.socket.getsockname())

    @property
    def address(self) -> Address:
        return self._address

    async def serve(self, handler: AcceptHandler) -> None:
        async with trio.open_nursery() as nursery:
            while (stream := await self._accept()) is not None:
                nursery.start_soon(self._carry, stream, handler)

    async def aclose(self) -> None:
        await self._bound.aclose()

    async def _accept(self) -> trio.SocketStream | None:
        """The next connection; None once this listener is closed."""
        while True:
            try:
                return await self._bound.accept()
            except trio.ClosedResourceError:
                return None
            except OSError as error:
                if error.errno not in _OUT_OF_FILES:
                    raise
                logger.warning("%s cannot accept: %s", self._address, error.strerror)
                await trio.sleep(ACCEPT_RETRY_S)

    async def _carry(self, stream: trio.SocketStream, handler: AcceptHandler) -> None:
        """One connection from its handshake to its end."""
        try:
            remote = _address(stream.socket.getpeername())
        except OSError:  # gone already
            await trio.aclose_forcefully(stream)
            return
        visit = self._admission.begin(remote.host)
        try:
            accepted = await self._opened(stream, remote, visit)
            if accepted is not None:
                await handler(accepted)
        except Exception:
            logger.exception("a connection to %s failed", self._address)
        finally:
            visit.end()
            await trio.aclose_forcefully(stream)

    async def _opened(self, stream: trio.SocketStream, remote: Address, visit: Visit) -> Accepted | None:
        with visit.scope:
            try:
                with trio.fail_after(limits.HANDSHAKE_TIMEOUT_S):
                    return await self._handshake(stream, remote, visit)
            except trio.TooSlowError:
                logger.info("%s did not finish its handshake with %s in time", remote, self._address)
            except TransportError as error:
                if not isinstance(error, TooManyConnections):
                    logger.warning("refused %s at %s: %s", remote, self._address, error)
                else:
                    self._crowded(remote, str(error))
                await _linger(stream)
        if visit.scope.cancelled_caught:
            self._crowded(remote, "it was silent while others came")
        return None

    def _crowded(self, remote: Address, reason: str) -> None:
        """Say that there was no room, ever less often: anyone may come a thousand times."""
        self._refusals += 1
        if self._refusals & (self._refusals - 1) == 0:
            logger.warning(
                "no room for %s at %s, the %d. without: %s", remote, self._address, self._refusals, reason
            )


class TcpNetwork:
    """What one node may do with the machine's network.

    Args:
        name: who this node is.
        tls: its certificates; None speaks plainly, on loopback only.
        faults: planted on its links to peers.

    Raises:
        CertificateError: a certificate is missing or unreadable.
        TransportError: the certificate is not this node's.
    """

    def __init__(self, name: NodeName, tls: TlsFiles | None, faults: LinkFaults) -> None:
        self._name = name
        self._tls = None if tls is None else NodeTls(tls, name)
        self._faults = faults

    async def listen_clients(self, address: Address) -> TcpListener:
        return TcpListener(await self._bind(address), self._accept_client)

    async def listen_peers(self, address: Address) -> TcpListener:
        return TcpListener(await self._bind(address), self._accept_peer)

    async def dial_peer(self, address: Address, node_id: bytes | None) -> tuple[trio.abc.Stream, bytes]:
        try:
            with trio.fail_after(limits.HANDSHAKE_TIMEOUT_S):
                raw = await _connect(address)
                try:
                    return await self._greet(raw, address, node_id)
                except BaseException:
                    await trio.aclose_forcefully(raw)
                    raise
        except trio.TooSlowError as error:
            sentence = f"no handshake with {address} within {limits.HANDSHAKE_TIMEOUT_S} s"
            raise HandshakeFailed(sentence) from error

    async def open_datagrams(self, address: Address) -> Datagrams:
        return await open_udp(address, self._faults)

    async def _greet(
        self, raw: trio.SocketStream, address: Address, node_id: bytes | None
    ) -> tuple[trio.abc.Stream, bytes]:
        """The dialler's handshake; what it says already suffers the link's faults."""
        stream: trio.abc.Stream = PlainStream(raw)
        proven: NodeName | None = None
        if self._tls is not None:
            stream, proven = await self._tls.dial_peer(raw, address)
        believed = proven.node_id if proven is not None else node_id
        if believed is not None:
            stream = FaultyStream(stream, self._faults, believed)
        try:
            found = await greeting.greet(stream, self._name, proven, node_id)
        except TransportError as error:
            raise type(error)(f"{address}: {error}") from error
        return (stream if believed == found else FaultyStream(stream, self._faults, found)), found

    async def _accept_client(self, raw: trio.SocketStream, remote: Address, visit: Visit) -> Accepted:
        """A client has no name to prove: that it speaks is enough."""
        stream: trio.abc.Stream = raw
        if self._tls is not None:
            stream = await self._tls.accept_client(raw)
        else:
            await trio.lowlevel.wait_readable(raw.socket)
            stream = PlainStream(raw)
        try:
            visit.prove()
        except TooManyConnections as error:
            with contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(Connection().goodbye(WireError(BUSY, str(error))))
            raise
        return Accepted(stream, remote, None, is_private=self._tls is not None)

    async def _accept_peer(self, raw: trio.SocketStream, remote: Address, visit: Visit) -> Accepted:
        stream: trio.abc.Stream = PlainStream(raw)
        proven: NodeName | None = None
        if self._tls is not None:
            stream, proven = await self._tls.accept_peer(raw)
        found = await greeting.answer_greeting(stream, self._name, proven)
        stream = FaultyStream(stream, self._faults, found)
        try:
            visit.prove()
        except TooManyConnections as error:
            await greeting.refuse(stream, error)
            raise
        await greeting.confirm(stream, self._name)
        return Accepted(stream, remote, found, is_private=self._tls is not None)

    async def _bind(self, address: Address) -> trio.SocketListener:
        family, resolved = await _resolve(address)
        if self._tls is None and not ipaddress.ip_address(resolved[0]).is_loopback:
            raise InsecureBind(
                f"{address} can be reached from other machines and this node has no certificates: run"
                " `folkmoot cert create-ca --cluster NAME --out ca`, then `folkmoot cert create-node --ca ca"
                ' --node-id ID --out tls`, and set tls.mode = "mutual"'
            )
        bound = trio.socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            await bound.bind(resolved)
            bound.listen(BACKLOG)
        except OSError as error:
            bound.close()
            if error.errno == errno.EADDRINUSE:
                raise AddressInUse(f"{address} is taken: another process listens there") from error
            raise TransportError(f"cannot listen on {address}: {error.strerror}") from error
        return trio.SocketListener(bound)


async def _linger(stream: trio.SocketStream) -> None:
    """Let the other end read why it was refused: closing over unread bytes would reset that away."""
    with trio.move_on_after(limits.CLOSE_TIMEOUT_S), contextlib.suppress(trio.BrokenResourceError):
        await stream.send_eof()
        while await stream.receive_some(limits.RECEIVE_CHUNK_BYTES):
            pass


async def _resolve(address: Address) -> tuple[int, tuple[str, int]]:
    """The family and numeric form of the first thing a host's name means."""
    try:
        found = await trio.socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, ValueError) as error:
        raise _no_address(address, error) from error
    family, _, _, _, resolved = found[0]
    return family, (str(resolved[0]), address.port)


async def _connect(address: Address) -> trio.SocketStream:
    try:
        return await trio.open_tcp_stream(address.host, address.port)
    except ValueError as error:
        raise _no_address(address, error) from error
    except OSError as error:
        causes = list(_causes(error))
        if all(isinstance(cause, ConnectionRefusedError) for cause in causes):
            raise ConnectionRefused(f"nobody listens on {address}") from error
        raise TransportError(f"cannot reach {address}: {causes[0].strerror or causes[0]}") from error


def _no_address(address: Address, error: OSError | ValueError) -> TransportError:
    """A host that does not resolve; Python's resolver has a `ValueError` for what is no host at all."""
    reason = error.strerror if isinstance(error, OSError) else error
    return TransportError(f"{address.host!r} is no address of anything: {reason}")


def _causes(error: BaseException) -> Iterator[OSError]:
    """The failures behind trio's summary: one an address tried."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _causes(member)
    elif isinstance(error.__cause__, OSError | BaseExceptionGroup):
        yield from _causes(error.__cause__)
    elif isinstance(error, OSError):
        yield error


def _address(name: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    return Address(name[0], name[1])
