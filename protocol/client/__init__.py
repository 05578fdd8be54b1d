"""A client of a folkmoot cluster. It needs nothing of the project but `folkmoot.protocol`.

async with connect("127.0.0.1:7400", ca="ca.crt") as client:
    results = await client.put_records([(record.payload, record.signature)], level="quorum")
    async for page in client.author_feed(account):
        ...
    async for event in client.follow({"author": account}):
        ...

`connect` is for trio, `AsyncioClient` for asyncio, and `BlockingClient` for programs without either.
"""

from __future__ import annotations

from folkmoot.protocol.client.accounts import AccountInfo, Device, HandleHolder, History
from folkmoot.protocol.client.asyncio_client import AsyncioClient
from folkmoot.protocol.client.blocking import BlockingClient
from folkmoot.protocol.client.client import Client, ClientSettings, connect
from folkmoot.protocol.client.errors import ClientError, Unreachable, UntrustedNode
from folkmoot.protocol.client.feeds import Page
from folkmoot.protocol.client.following import Event, Follow, Gap
from folkmoot.protocol.client.link_terms import LinkBroken
from folkmoot.protocol.client.notices import mark_read
from folkmoot.protocol.client.puts import PutResult

__all__ = [
    "AccountInfo",
    "AsyncioClient",
    "BlockingClient",
    "Client",
    "ClientError",
    "ClientSettings",
    "Device",
    "Event",
    "Follow",
    "Gap",
    "HandleHolder",
    "History",
    "LinkBroken",
    "Page",
    "PutResult",
    "Unreachable",
    "UntrustedNode",
    "connect",
    "mark_read",
]
