"""A client written from the contract alone: MessagePack-RPC over TLS, and records signed by hand.

Nothing here comes from this project, so that a node that agrees with its own client about something the
contract does not say is found out.
"""

from __future__ import annotations

import hashlib
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgpack
import trio
from nacl.signing import SigningKey

PATIENCE_S = 20.0
MESSAGE_BYTES = 1 << 20
DNS_NAME = "node.folkmoot"

# Section 6, to the letter.
CODES = {
    "bad_request": 100,
    "unknown_method": 101,
    "too_large": 102,
    "unsupported_version": 103,
    "not_canonical": 104,
    "bad_signature": 200,
    "unauthenticated": 201,
    "forbidden": 202,
    "revoked_key": 203,
    "refused_by_policy": 204,
    "rate_limited": 205,
    "not_found": 300,
    "not_yet": 301,
    "conflict": 302,
    "level_unreachable": 400,
    "stale_topology": 401,
    "busy": 402,
    "shutting_down": 403,
    "disk_full": 404,
    "timeout": 405,
    "internal": 500,
}


class Place(NamedTuple):
    """Where a node listens for clients, and who vouches for it."""

    node_id: str
    region: str
    host: str
    port: int
    ca: str


class Refused(Exception):
    """The node answered with an error, which has the shape the contract promises."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.error = checked_error(error)
        self.name: str = error["name"]


def checked_error(error: dict[str, Any]) -> dict[str, Any]:
    """`error`, once it is known to be as section 6 says."""
    assert {"code", "name", "message", "retryable"} <= error.keys(), error
    assert CODES[error["name"]] == error["code"], error
    assert type(error["message"]) is str and error["message"]
    assert type(error["retryable"]) is bool
    assert type(error.get("retry_after_ms", 0)) is int
    assert type(error.get("details", {})) is dict
    return error


def tls_context(ca: str) -> ssl.SSLContext:
    """TLS 1.3, trusting the cluster's CA and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(ca)
    return context


async def dial(place: Place, context: ssl.SSLContext | None = None) -> trio.SSLStream[trio.SocketStream]:
    """A stream to a node, its certificate checked against the name in the contract."""
    plain = await trio.open_tcp_stream(place.host, place.port)
    secure = trio.SSLStream(
        plain, context or tls_context(place.ca), server_hostname=DNS_NAME, https_compatible=True
    )
    try:
        await secure.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(plain)
        raise
    return secure


class Wire:
    """Messages and raw bytes over one stream.

    Args:
        stream: connected.
    """

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.stream = stream
        self._unpacker = msgpack.Unpacker(raw=False, max_buffer_size=4 * MESSAGE_BYTES)
        self._numbers = itertools.count(1)
        self._early: dict[int, list[Any]] = {}

    async def send(self, *messages: object) -> None:
        """Send messages in one write."""
        await self.stream.send_all(b"".join(map(msgpack.packb, messages)))

    async def receive(self) -> list[Any] | None:
        """The next message, at most 1 MiB; None at the end of the stream."""
        with trio.fail_after(PATIENCE_S):
            while True:
                start = self._unpacker.tell()
                for message in self._unpacker:
                    assert self._unpacker.tell() - start <= MESSAGE_BYTES, "a message over message_bytes"
                    assert isinstance(message, list)
                    return message
                data = await self.stream.receive_some(65536)
                if not data:
                    return None
                self._unpacker.feed(data)

    async def answer(self, msgid: int) -> list[Any]:
        """The response to `msgid`; others that come first are kept."""
        while msgid not in self._early:
            message = await self.receive()
            assert message is not None, "the node hung up before it answered"
            assert message[0] == 1 and len(message) == 4, message
            assert message[2] is None or message[3] is None, "either error or result is nil"
            self._early[message[1]] = message
        return self._early.pop(msgid)

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Ask and wait for the result.

        Raises:
            Refused: the node answered with an error.
        """
        msgid = next(self._numbers)
        await self.send([0, msgid, method, [params or {}]])
        _, _, error, result = await self.answer(msgid)
        if error is not None:
            raise Refused(error)
        return result

    async def refusal(self, method: str, params: dict[str, Any] | None = None) -> str:
        """The name of the error with which a request is answered."""
        try:
            result = await self.call(method, params)
        except Refused as refused:
            return refused.name
        raise AssertionError(f"{method} was answered with {result}")

    async def hello(self, **more: Any) -> Any:
        return await self.call("hello", {"versions": [1, 1], "client": "contract/1", "features": [], **more})

    async def put(
        self, *records: list[bytes], level: str = "quorum", **more: Any
    ) -> tuple[list[dict[str, Any]], bytes]:
        """Write records; their results, whose errors are checked for shape, and the token."""
        answer = await self.call("record.put", {"records": list(records), "level": level, **more})
        assert len(answer["results"]) == len(records)
        for result in answer["results"]:
            assert result["status"] in ("stored", "duplicate", "held", "refused", "uncertain")
            if result["status"] in ("refused", "uncertain"):
                checked_error(result["error"])
        assert type(answer["token"]) is bytes
        return answer["results"], answer["token"]

    async def stored(self, *records: list[bytes], **more: Any) -> bytes:
        """Write records that must all be stored; the token."""
        results, token = await self.put(*records, **more)
        assert {result["status"] for result in results} == {"stored"}, results
        return token

    async def status(self, record: list[bytes], **more: Any) -> str:
        """Write one record; its status, or the name of the error it was refused with."""
        [result], _ = await self.put(record, **more)
        return str(result["error"]["name"] if result["status"] == "refused" else result["status"])

    async def cell(self, key: tuple[bytes, str, bytes], **more: Any) -> dict[str, Any] | None:
        """Read one cell, at quorum unless told otherwise."""
        answer = await self.call("record.get", {"keys": [list(key)], "level": "quorum", **more})
        [cell] = answer["cells"]
        assert cell is None or cell["key"] == list(key)
        return cell  # type: ignore[no-any-return]

    async def authenticate(self, device: Device, challenge: bytes, node_id: str) -> Any:
        message = b"folkmoot-auth-v1\0" + challenge + node_id.encode()
        return await self.call("auth", {"account": device.account, "signature": device.sign(message)})


@asynccontextmanager
async def wire(place: Place) -> AsyncIterator[Wire]:
    """A connection on which nothing has been said."""
    with trio.fail_after(3 * PATIENCE_S):
        stream = await dial(place)
        try:
            yield Wire(stream)
        finally:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Wire]:
    """A connection that has said hello."""
    async with wire(place) as connection:
        await connection.hello()
        yield connection


class Device:
    """An account with one key.

    Args:
        seed: 32 bytes.
    """

    def __init__(self, seed: bytes) -> None:
        self.key = SigningKey(seed)
        self.account = b"\xed\x01" + self.key.verify_key.encode()

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message).signature

    def frame(self, payload: bytes) -> list[bytes]:
        """`[payload, signature]`, whatever the payload is."""
        return [payload, self.sign(b"folkmoot-record-v1\0" + payload)]

    def record(self, kind: str, item: bytes, body: dict[str, Any], stamp: int, **more: Any) -> list[bytes]:
        """A record of this account, as the contract's table has it."""
        fields = {"author": self.account, "body": body, "item": item, "kind": kind, "stamp": stamp}
        return self.frame(canonical({**fields, "version": 1, **more}))


def canonical(value: Any) -> bytes:
    """Canonical MessagePack of maps, lists, strings, bytes, integers and booleans."""
    packed: bytes = msgpack.packb(_sorted(value))
    return packed


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=lambda text: text.encode())}
    return [_sorted(entry) for entry in value] if isinstance(value, list) else value


def uuid7(time_ms: int, tail: int = 0) -> bytes:
    """A UUIDv7 of that millisecond; `tail` (62 bits) tells those of one millisecond apart and orders them."""
    number = time_ms << 80 | 0x7 << 76 | 0b10 << 62 | tail
    return number.to_bytes(16, "big")


def record_id(record: list[bytes]) -> bytes:
    return hashlib.sha256(record[0]).digest()
