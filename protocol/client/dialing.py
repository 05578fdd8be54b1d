"""From an address to a stream, and to the certainty that a node of the cluster is at its other end."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import trio
from folkmoot.protocol.client.errors import ClientError, Unreachable, UntrustedNode
from folkmoot.protocol.host import is_host
from folkmoot.protocol.node_name import NODE_DNS_NAME, NodeName


class Endpoint(NamedTuple):
    """The clients' port of a node."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read `host:port` or `[v6]:port`.

        Raises:
            ClientError: it is neither.
        """
        host, colon, port = text.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        digits = port.isascii() and port.isdigit()
        bracketed = bare != host or ":" not in bare
        if not (colon and is_host(bare) and bracketed and digits) or int(port) > 65_535:
            raise ClientError(f"{text!r} is no address: it should look like 127.0.0.1:7400 or [::1]:7400")
        return cls(bare, int(port))


@dataclass(frozen=True, slots=True)
class Dialler:
    """How nodes are reached.

    Args:
        ca: the cluster's CA certificate; None speaks plainly, as only nodes on loopback do.
        unproven: speak TLS with whoever is there, for what may be told to anybody and is checked otherwise.
    """

    ca: Path | None
    unproven: bool = False

    async def dial(self, endpoint: Endpoint) -> tuple[trio.abc.Stream, NodeName | None]:
        """Connect, and prove that a node is there.

        Returns:
            The stream, and who the node's certificate says it is (None without TLS).

        Raises:
            Unreachable: nobody listens there, or what does is no TLS server.
            UntrustedNode: the certificate is not one of the cluster's.
            ClientError: the CA file cannot be used.
        """
        context = _unproven() if self.unproven else None if self.ca is None else _context(self.ca)
        try:
            raw = await trio.open_tcp_stream(endpoint.host, endpoint.port)
        except (OSError, ValueError) as error:  # the latter of a host that is no host
            raise Unreachable(f"{endpoint}: {'; '.join(dict.fromkeys(_reasons(error)))}") from error
        if context is None:
            return raw, None
        stream = trio.SSLStream(raw, context, server_hostname=NODE_DNS_NAME)
        try:
            proven = await _prove(stream, endpoint, believed=self.unproven)
            return stream, proven
        except BaseException:
            await trio.aclose_forcefully(raw)
            raise


def _context(ca: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        raise ClientError(f"the CA file {ca} cannot be used: {error.strerror or error}") from error
    return context


def _unproven() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _prove(
    stream: trio.SSLStream[trio.SocketStream], endpoint: Endpoint, *, believed: bool
) -> NodeName | None:
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        cause = error.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise UntrustedNode(f"{endpoint} is no node of this cluster: {cause.verify_message}") from error
        raise Unreachable(f"{endpoint} does not speak TLS 1.3: {cause or 'it hung up'}") from error
    if believed:
        return None
    name = NodeName.of([value for kind, value in stream.getpeercert()["subjectAltName"] if kind == "URI"])
    if name is None or name.node_id is None:
        raise UntrustedNode(f"{endpoint} has a certificate that names no node")
    return name


def _reasons(error: BaseException) -> Iterator[str]:
    """What went wrong at each address a host stands for."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _reasons(member)
    elif isinstance(error, OSError) and error.errno:
        yield (os.strerror(error.errno) if error.errno > 0 else str(error.strerror)).lower()
    elif error.__cause__ is not None:
        yield from _reasons(error.__cause__)
    else:
        yield str(error)
