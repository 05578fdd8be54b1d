"""The first words between two peers: who each is, before either says anything else.

The dialler sends its greeting, the listener answers with its own or with why it will not talk; each is two
bytes of length and one MessagePack map. Under TLS the certificates have proven the same names already; the
greeting is still needed, because a TLS 1.3 dialler does not know whether *its* certificate was accepted,
and because a refusal should say its reason in words.
"""

from __future__ import annotations

from typing import Any, Final

import trio
from folkmoot.node.transport.errors import (
    HandshakeFailed,
    TooManyConnections,
    TransportError,
    Untrusted,
    WrongCluster,
    WrongNode,
)
from folkmoot.node.transport.tls import alert_of
from folkmoot.protocol import codec
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.node_name import NodeName

GREETING_BYTES: Final = 1024
_REFUSALS: Final = {
    kind.__name__: kind for kind in (Untrusted, WrongCluster, WrongNode, HandshakeFailed, TooManyConnections)
}


async def greet(
    stream: trio.abc.Stream, own: NodeName, proven: NodeName | None, expected: bytes | None
) -> bytes:
    """The dialler's part.

    Args:
        stream: connected, and encrypted if it is to be.
        own: who we are.
        proven: who the other's certificate says it is; None without TLS.
        expected: the node id that must be there; None for any node of the cluster.

    Returns:
        The node id of the other.

    Raises:
        TransportError: it is not who it should be, or does not want us; see `errors`.
    """
    await _send(stream, {"cluster": own.cluster, "node": own.node_id})
    answer = await _receive(stream)
    if "refused" in answer:
        kind = _REFUSALS.get(str(answer["refused"]), TransportError)
        raise kind(f"the other end refused this node: {answer.get('reason')}")
    found = _judge(answer, own, proven)
    if expected is not None and found != expected:
        raise WrongNode(f"node {found.hex()} is there, not {expected.hex()}")
    return found


async def answer_greeting(stream: trio.abc.Stream, own: NodeName, proven: NodeName | None) -> bytes:
    """The listener's part; `confirm` follows when the caller agrees, `refuse` when not.

    Returns:
        The node id of the other.

    Raises:
        TransportError: it is not who it should be; it has been told so.
    """
    greeting = await _receive(stream)
    try:
        return _judge(greeting, own, proven)
    except TransportError as error:
        await refuse(stream, error)
        raise


async def refuse(stream: trio.abc.Stream, error: TransportError) -> None:
    """Tell the dialler why not."""
    await _send(stream, {"refused": type(error).__name__, "reason": str(error)})


async def confirm(stream: trio.abc.Stream, own: NodeName) -> None:
    """Tell the dialler who we are: it may begin."""
    await _send(stream, {"cluster": own.cluster, "node": own.node_id})


def _judge(greeting: dict[Any, Any], own: NodeName, proven: NodeName | None) -> bytes:
    cluster, node_id = greeting.get("cluster"), greeting.get("node")
    if not isinstance(cluster, str) or not isinstance(node_id, bytes) or len(node_id) != 16:
        raise HandshakeFailed("a greeting without cluster and node id")
    if cluster != own.cluster:
        raise WrongCluster(
            f"node {node_id.hex()} is of cluster {cluster[:80]!r}, this one of {own.cluster!r}"
        )
    if proven is not None and proven != (cluster, node_id):
        raise Untrusted(f"node {node_id.hex()} of {cluster!r} greets with the certificate of {proven}")
    if node_id == own.node_id:
        raise WrongNode("a node dialled itself, or two nodes have one id")
    return node_id


async def _send(stream: trio.abc.Stream, greeting: dict[str, Any]) -> None:
    data = codec.pack(greeting)
    try:
        await stream.send_all(len(data).to_bytes(2, "big") + data)
    except trio.BrokenResourceError as error:
        raise _broken(error) from error


async def _receive(stream: trio.abc.Stream) -> dict[Any, Any]:
    size = int.from_bytes(await _exactly(stream, 2), "big")
    if size > GREETING_BYTES:
        raise HandshakeFailed(f"a greeting of {size} bytes; is this the peers' port of a folkmoot node?")
    try:
        greeting = codec.unpack(await _exactly(stream, size))
    except WireError as error:
        raise HandshakeFailed(f"a greeting that cannot be read: {error.message}") from error
    if not isinstance(greeting, dict):
        raise HandshakeFailed("a greeting that is no map")
    return greeting


async def _exactly(stream: trio.abc.Stream, size: int) -> bytes:
    """Read `size` bytes and not one more: what follows belongs to the conversation."""
    received = b""
    while len(received) < size:
        try:
            piece = await stream.receive_some(size - len(received))
        except trio.BrokenResourceError as error:
            raise _broken(error) from error
        if not piece:
            raise HandshakeFailed("the other end hung up during the greeting")
        received += piece
    return received


def _broken(error: trio.BrokenResourceError) -> TransportError:
    if alert := alert_of(error):
        return Untrusted(f"the other end did not accept this node's certificate: {alert}")
    return HandshakeFailed(f"the connection broke during the greeting: {error.__cause__ or error}")
