"""One question to one node: connect, say hello, prove who asks if that matters, ask."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from folkmoot.cli.errors import Unreachable
from folkmoot.node.config_values import read_address
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import LinkBroken
from folkmoot.protocol.identity import KeyPair

NODE_DNS_NAME = "node.folkmoot"


async def ask_one(
    address: str,
    ca: Path | None,
    method: str,
    params: Mapping[str, Any],
    operator: KeyPair | None,
    timeout_s: float,
) -> Any:
    """The result of one request.

    Args:
        address: the clients' port, `host:port`.
        ca: the cluster's CA certificate; None with TLS off.
        method, params: what to ask.
        operator: whose key to prove first.
        timeout_s: for everything together.

    Raises:
        Unreachable: no connection, or it broke, or no answer in time.
        WireError: the node's own error.
    """
    with trio.move_on_after(timeout_s):
        async with _link(address, ca) as link:
            hello = await link.call("hello", {"versions": [1, 1], "client": "folkmoot-cli/1", "features": []})
            if operator is not None:
                await link.call("auth", _proof(operator, hello))
            try:
                return await link.call(method, dict(params), timeout_s=timeout_s)
            except LinkBroken as error:
                raise Unreachable(f"{address} broke off: {error}") from error
    raise Unreachable(f"{address} did not answer within {timeout_s:g} s")


def _proof(operator: KeyPair, hello: Mapping[str, Any]) -> dict[str, Any]:
    message = b"folkmoot-auth-v1\0" + hello["challenge"] + hello["node"]["id"].encode()
    return {"account": operator.account, "signature": operator.sign(message)}


@asynccontextmanager
async def _link(address: str, ca: Path | None) -> AsyncIterator[Link]:
    host, port = read_address(address)
    try:
        stream: trio.abc.Stream = await trio.open_tcp_stream(host, port)
        if ca is not None:
            context = ssl.create_default_context(cafile=str(ca))
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            stream = trio.SSLStream(stream, context, server_hostname=NODE_DNS_NAME)
            await stream.do_handshake()
    except (OSError, trio.BrokenResourceError) as error:
        raise Unreachable(f"{address}: {error.__cause__ or error}") from error
    link = Link(stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        yield link
        link.close()
