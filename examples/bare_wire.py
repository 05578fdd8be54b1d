"""The wire itself, with nothing of this project: sockets, TLS, MessagePack and Ed25519.

    python examples/bare_wire.py --ca CA HOST:PORT

What docs/protocol.md says, in the fewest lines: connect and check who answers, say hello, sign a post, put
it, read it back and check the signature. Port it to any language.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import socket
import ssl
import time
from typing import Any

import msgpack
from nacl.signing import SigningKey, VerifyKey


def canonical(value: Any) -> bytes:
    """Section 3: keys in the order of their UTF-8 bytes; msgpack itself picks the shortest headers."""

    def ordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: ordered(value[key]) for key in sorted(value, key=str.encode)}
        return [ordered(item) for item in value] if isinstance(value, list) else value

    return bytes(msgpack.packb(ordered(value), use_bin_type=True))


class Wire:
    """One connection: requests go out with rising numbers, and each waits for its own answer."""

    def __init__(self, host: str, port: int, ca: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(ca)
        raw = socket.create_connection((host, port), timeout=20)
        self.tls = context.wrap_socket(raw, server_hostname="node.folkmoot")  # at any address
        self.unpacker = msgpack.Unpacker(raw=False, max_buffer_size=2 << 20)
        self.msgid = 0

    def call(self, method: str, params: dict[str, Any]) -> Any:
        self.msgid += 1
        self.tls.sendall(msgpack.packb([0, self.msgid, method, [params]], use_bin_type=True))
        while True:
            for message in self.unpacker:
                if message[:2] == [1, self.msgid]:
                    _, _, error, result = message
                    if error is not None:
                        raise SystemExit(f"{error['code']} {error['name']}: {error['message']}")
                    return result
            data = self.tls.recv(65536)
            if not data:
                raise SystemExit("the node hung up")
            self.unpacker.feed(data)

    def node_uris(self) -> list[str]:
        names: Any = (self.tls.getpeercert() or {})["subjectAltName"]
        return [value for kind, value in names if kind == "URI"]


def main(host: str, port: int, ca: str) -> None:
    """Post and read back."""
    wire = Wire(host, port, ca)
    hello = wire.call("hello", {"versions": [1, 1], "client": "bare-wire/1", "features": []})
    node, cluster = hello["node"], hello["cluster"]
    assert f"folkmoot:{cluster}/{node['id']}" in wire.node_uris(), "the certificate is another node's"
    print(f"node {node['name']} of cluster {cluster}, version {hello['version']}")

    key = SigningKey.generate()
    author = b"\xed\x01" + bytes(key.verify_key)
    now_us = time.time_ns() // 1000
    random = int.from_bytes(os.urandom(10), "big")
    item = ((now_us // 1000) << 80 | random).to_bytes(16, "big")  # a UUIDv7 but for version and variant
    item = item[:6] + bytes([0x70 | item[6] & 0x0F, item[7], 0x80 | item[8] & 0x3F]) + item[9:]
    statement = {
        "author": author,
        "body": {"text": "Signed by hand."},
        "item": item,
        "kind": "post",
        "stamp": now_us,
        "version": 1,
    }
    payload = canonical(statement)
    signature = key.sign(b"folkmoot-record-v1\x00" + payload).signature

    put = wire.call("record.put", {"records": [[payload, signature]], "level": "quorum"})
    (result,) = put["results"]
    assert result["id"] == hashlib.sha256(payload).digest()
    print(f"{result['status']} on {result['achieved']['acks']} of {result['achieved']['slots']} slots")

    page = wire.call("feed.author", {"account": author, "token": put["token"]})
    for shown in page["items"]:
        found, proof = shown["record"]
        VerifyKey(author[2:]).verify(b"folkmoot-record-v1\x00" + found, proof)
        print(msgpack.unpackb(found)["body"]["text"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("address", metavar="HOST:PORT", help="a clients' port")
    parser.add_argument("--ca", required=True, help="the cluster's CA certificate")
    options = parser.parse_args()
    name, _, number = options.address.rpartition(":")
    main(name, int(number), options.ca)
