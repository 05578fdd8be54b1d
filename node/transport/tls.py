"""TLS 1.3 between nodes and towards clients: the contexts, and who a certificate says is there."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path

import trio
from folkmoot.node.certificates import read_certificate
from folkmoot.node.data_directory import require_private
from folkmoot.node.transport.errors import HandshakeFailed, TransportError, Untrusted
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.node_name import NODE_DNS_NAME, NodeName


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a node's certificates lie, all in PEM form.

    Args:
        ca: the cluster's CA certificate.
        certificate: the node's own.
        key: the key of that.
    """

    ca: Path
    certificate: Path
    key: Path


class NodeTls:
    """A node's side of every handshake.

    Args:
        files: its certificates.
        name: who this node is; its certificate must say the same.

    Raises:
        CertificateError: a file is missing or is no certificate.
        DataDirectoryError: others can read the key.
        TransportError: the certificate is not this node's, or the key is not the certificate's.
    """

    def __init__(self, files: TlsFiles, name: NodeName) -> None:
        found = read_certificate(files.certificate).name
        if found != name:
            raise TransportError(
                f"{files.certificate} is the certificate of {found}, and this node is {name}:"
                " make its own with `folkmoot cert create-node`"
            )
        self._ca = files.ca
        try:
            require_private(files.key)
            self._clients = _server_context(files, ssl.CERT_NONE)
            self._peers = _server_context(files, ssl.CERT_REQUIRED)
            self._dial = _dial_context(files)
        except (ssl.SSLError, OSError) as error:
            raise TransportError(f"{files.ca}, {files.certificate}, {files.key}: {error}") from error

    async def accept_client(self, stream: trio.SocketStream) -> trio.abc.Stream:
        """The encrypted stream of a client.

        Raises:
            HandshakeFailed: the other end does not speak TLS 1.3.
        """
        secured = trio.SSLStream(stream, self._clients, server_side=True)
        await _shake_hands(secured, "a client", self._ca)
        return secured

    async def accept_peer(self, stream: trio.SocketStream) -> tuple[trio.abc.Stream, NodeName]:
        """The encrypted stream of a peer, and who its certificate says it is.

        Raises:
            Untrusted: its certificate, or ours, was not accepted.
            HandshakeFailed: the other end does not speak TLS 1.3.
        """
        secured = trio.SSLStream(stream, self._peers, server_side=True)
        return await self._proven(secured, "a peer that dialled")

    async def dial_peer(
        self, stream: trio.SocketStream, address: Address
    ) -> tuple[trio.abc.Stream, NodeName]:
        """The encrypted stream to a peer, and who its certificate says it is.

        TLS 1.3 lets this side finish before the other has judged our certificate: that verdict comes with
        the first read.

        Raises:
            Untrusted: its certificate was not accepted.
            HandshakeFailed: the other end does not speak TLS 1.3.
        """
        secured = trio.SSLStream(stream, self._dial, server_hostname=NODE_DNS_NAME)
        return await self._proven(secured, f"the peer at {address}")

    async def _proven(
        self, stream: trio.SSLStream[trio.SocketStream], who: str
    ) -> tuple[trio.abc.Stream, NodeName]:
        await _shake_hands(stream, who, self._ca)
        uris = [value for kind, value in stream.getpeercert()["subjectAltName"] if kind == "URI"]
        name = NodeName.of(uris)
        if name is None or name.node_id is None:
            raise Untrusted(f"{who} has a certificate that names no node: {uris}")
        return stream, name


def alert_of(error: BaseException) -> str | None:
    """What the other end's TLS said against us, when that is why a stream broke."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError) and cause.reason and "ALERT" in cause.reason:
        return cause.reason.replace("_", " ").lower()
    return None


def _server_context(files: TlsFiles, verify: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(files.ca)
    context.verify_mode = verify
    return context


def _dial_context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(files.ca)
    return context


async def _shake_hands(stream: trio.SSLStream[trio.SocketStream], who: str, ca: Path) -> None:
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        await _send_alert(stream)
        cause = error.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise Untrusted(
                f"{who} has a certificate that {ca} does not vouch for ({cause.verify_message}):"
                " it is of another cluster, or one of the two files is old"
            ) from error
        if alert := alert_of(error):
            raise Untrusted(f"{who} did not accept this node's certificate: {alert}") from error
        raise HandshakeFailed(f"{who} does not speak TLS 1.3: {cause or 'it hung up'}") from error


async def _send_alert(stream: trio.SSLStream[trio.SocketStream]) -> None:
    """Tell the other end why the handshake failed.

    OpenSSL has written the alert, and trio leaves it where it lies; without it the other end would see
    nothing but a closed connection. The name is private to trio: a test notices when it goes.
    """
    alert: bytes = stream._outgoing.read()
    if alert:
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.transport_stream.send_all(alert)
