"""Clients that follow: connections whose `feed.event` notifications a test looks at as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.session import open_session
from folkmoot.protocol.connection import Notification
from folkmoot.protocol.record import Record

from tests.node.harness import Client, Town
from tests.waiting import until


class Follower(Client):
    """A client that keeps every event it is told.

    Attributes:
        events: in order, of all its subscriptions.
    """

    events: list[dict[str, Any]]

    async def follow(self, credit: int = 1000, **asked: Any) -> dict[str, Any]:
        """Begin a subscription; `cursor` and `since_ms` as they are, everything else is what to follow."""
        more = {name: asked.pop(name) for name in ("cursor", "since_ms") if name in asked}
        answer: dict[str, Any] = await self.call("feed.follow", what=asked, credit=credit, **more)
        return answer

    @property
    def items(self) -> list[dict[str, Any]]:
        """Every item told."""
        return [item for event in self.events for item in event.get("items", ())]

    @property
    def ids(self) -> list[bytes]:
        """The ids of the records told."""
        return [Record.from_wire(item["record"]).id for item in self.items]

    @property
    def gaps(self) -> list[dict[str, Any]]:
        return [event["gap"] for event in self.events if "gap" in event]

    @property
    def heartbeats(self) -> list[dict[str, Any]]:
        return [event for event in self.events if "heartbeat" in event]

    @property
    def cursor(self) -> bytes:
        """The one told last."""
        cursor: bytes = [event["cursor"] for event in self.events if "cursor" in event][-1]
        return cursor

    async def told(self, *records: Record, within_s: float = 10.0) -> None:
        """Wait until all of these were told."""
        wanted = {record.id for record in records}
        await until(
            lambda: wanted <= set(self.ids), what=f"{len(wanted)} records to be told", within_s=within_s
        )


@asynccontextmanager
async def follower(address: str, dialler: Dialler | None = None) -> AsyncIterator[Follower]:
    """A connection to the node at an address."""
    events: list[dict[str, Any]] = []

    def heard(link: Link, notification: Notification) -> None:
        assert notification.method == "feed.event"
        events.append(notification.params)

    async with trio.open_nursery() as nursery:
        session = await open_session(
            nursery,
            dialler or Dialler(None),
            Endpoint.parse(address),
            client="test/1",
            on_notification=heard,
        )
        made = Follower(session)
        made.events = events
        yield made
        nursery.cancel_scope.cancel()


class Gate:
    """A stream whose reading can be stopped: what a client does that is slow, or stuck.

    Args:
        stream: connected.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.open = trio.Event()
        self.open.set()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        await self.open.wait()
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


class GatedDialler:
    """Dials as the client does, and keeps the gate of what it dialled last."""

    gate: Gate

    async def dial(self, endpoint: Endpoint) -> tuple[Any, None]:
        stream, _ = await Dialler(None).dial(endpoint)
        self.gate = Gate(stream)
        return self.gate, None


def shorten_heartbeats(town: Town, seconds: float = 0.1) -> None:
    """Have the streams that are begun from now on be idle for no longer."""
    for node in town.running():
        node.parts.live.subscriptions.heartbeat_s = seconds
