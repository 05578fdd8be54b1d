"""Links to other nodes: one a peer, dialled when first needed and kept.

A node also keeps links to a few neighbours it may have nothing to say to: when a process dies its links are
reset, and a reset is the fastest news of a death there is. What a link shows of its peer (bytes arrived, a
reset, a refused dial) is reported to the membership, which alone decides what it means.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol

import trio
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.transport.errors import ConnectionRefused, TransportError
from folkmoot.node.transport.interface import Address, Network
from folkmoot.protocol import limits
from folkmoot.protocol.client.link import Link, OnReply
from folkmoot.protocol.client.link_terms import PATIENT, Ended, LinkBroken, NoAnswer, Reply
from folkmoot.protocol.client.outbox import gathered
from folkmoot.protocol.errors import SHUTTING_DOWN, WireError

log = logging.getLogger(__name__)

NEIGHBOURS = 3
KEEP_INTERVAL_S = 0.5
REST_S = 5.0
DIAL_PAUSE_S = 0.2
DIAL_PAUSE_MAX_S = 5.0


class Evidence(Protocol):
    """What a link tells the membership."""

    def connection_reset(self, node_id: bytes) -> None: ...

    def connection_refused(self, node_id: bytes) -> None: ...

    def stream_alive(self, node_id: bytes) -> None: ...


class Directory(Protocol):
    """Where peers are, by gossip."""

    def address_of(self, node_id: bytes) -> Address | None: ...

    def neighbours(self, count: int) -> list[bytes]:
        """The members that come after this node in the order of ids."""
        ...

    async def wait_changed(self, seen: int) -> int:
        """Wait until the number of changes of the members is no longer `seen`, and return it."""
        ...


class _Peer:
    """One peer's link, or the attempt at one."""

    __slots__ = ("dialling", "failures", "link", "pause_until")

    def __init__(self) -> None:
        self.link: Link | None = None
        self.dialling: trio.Event | None = None
        self.failures = 0
        self.pause_until = 0.0


class PeerLinks:
    """See the module.

    Args:
        network: how to dial.
    """

    _directory: Directory
    _evidence: Evidence

    def __init__(self, network: Network) -> None:
        self._network = network
        self._peers: dict[bytes, _Peer] = {}
        self._nursery: trio.Nursery | None = None
        self._woken = trio.Event()

    def follow(self, directory: Directory, evidence: Evidence) -> None:
        """Say, before the links run, where peers are and who hears what links show of them."""
        self._directory = directory
        self._evidence = evidence

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the links until cancelled, and keep those to neighbours open."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._watch_members)
            task_status.started()
            while True:
                self._woken = trio.Event()
                lacking = [each for each in self._directory.neighbours(NEIGHBOURS) if self._lacks(each)]
                for node_id in lacking:
                    nursery.start_soon(self._keep, node_id)
                if not lacking:
                    # Whom to trust may change without news of members: hence a look now and then.
                    with trio.move_on_after(REST_S):
                        await self._woken.wait()
                await trio.sleep(KEEP_INTERVAL_S)  # a peer that hangs up at once is not dialled in a circle

    def forgive(self, node_id: bytes) -> None:
        """Dial a peer again without waiting out the pause its failures earned."""
        peer = self._peers.get(node_id)
        if peer is not None:
            peer.failures, peer.pause_until = 0, 0.0

    def drop(self, node_id: bytes) -> None:
        """End the link to a node, if there is one: another process has taken its place."""
        peer = self._peers.get(node_id)
        if peer is not None and peer.link is not None:
            peer.link.leave(WireError(SHUTTING_DOWN, "another process is this node now"))

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        """See `contracts.Peers`."""
        ends = trio.current_time() + timeout_s
        try:
            link = await self._link_before(node_id, ends)
            result = await link.call(method, dict(params), timeout_s=max(0.0, ends - trio.current_time()))
        except (LinkBroken, NoAnswer) as error:
            raise PeerUnreachable(f"{method} to {node_id.hex()[:8]}: {error}") from error
        self._evidence.stream_alive(node_id)
        return result

    def submit(
        self, node_id: bytes, method: str, params: Mapping[str, Any], on_reply: OnReply
    ) -> Callable[[], None] | None:
        """See `contracts.Peers`."""
        peer = self._peers.get(node_id)
        link = None if peer is None else peer.link
        if link is None or link.ended is not None or not link.has_room:
            return None

        def heard(reply: Reply) -> None:
            if not isinstance(reply, Ended):
                self._evidence.stream_alive(node_id)
            on_reply(reply)

        with gathered((link.outbox,)):
            return partial(link.forget, link.submit(method, dict(params), heard))

    async def call_address(
        self, address: Address, method: str, params: Mapping[str, Any], timeout_s: float
    ) -> tuple[bytes, Any]:
        """Ask whoever is at `address`, once, over a link of its own: how a seed is spoken to.

        Returns who that proved to be (node id), and the result. The link ends with a goodbye, so that its end
        is no news of a death.
        """
        assert self._nursery is not None, "links were asked for before they ran"
        with trio.move_on_after(timeout_s):
            try:
                stream, there = await self._network.dial_peer(address, None)
                async with _closed_unless_carried(stream):
                    link: Link = await self._nursery.start(_carry_once, stream)
                try:
                    return there, await link.call(method, dict(params), timeout_s=timeout_s)
                finally:
                    link.leave(WireError(SHUTTING_DOWN, "all has been asked"))
            except (TransportError, LinkBroken, NoAnswer) as error:
                raise PeerUnreachable(f"{method} to {address}: {error}") from error
        raise PeerUnreachable(f"{method} to {address}: no answer within {timeout_s} s")

    async def _watch_members(self) -> None:
        seen = -1
        while True:
            seen = await self._directory.wait_changed(seen)
            self._woken.set()

    def _lacks(self, node_id: bytes) -> bool:
        """Whether there is neither a link to a node nor the attempt at one."""
        peer = self._peers.get(node_id)
        return peer is None or (peer.link is None and peer.dialling is None)

    async def _keep(self, node_id: bytes) -> None:
        with trio.move_on_after(limits.REQUEST_TIMEOUT_S):
            try:
                await self._link(node_id)
            except PeerUnreachable as error:
                log.debug("no link to neighbour %s: %s", node_id.hex()[:8], error)

    async def _link_before(self, node_id: bytes, ends: float) -> Link:
        """The peer's link; dialled until `ends` on trio's clock if there is none."""
        peer = self._peers.get(node_id)
        if peer is not None and peer.link is not None:
            return peer.link
        with trio.CancelScope(deadline=ends):
            return await self._link(node_id)
        raise PeerUnreachable(f"node {node_id.hex()[:8]} was not reached in time")

    async def _link(self, node_id: bytes) -> Link:
        peer = self._peers.setdefault(node_id, _Peer())
        while peer.link is None:
            if peer.dialling is not None:
                await peer.dialling.wait()
            elif trio.current_time() < peer.pause_until:
                raise PeerUnreachable(f"node {node_id.hex()[:8]} was not to be reached a moment ago")
            else:
                await self._dial(node_id, peer)
        return peer.link

    async def _dial(self, node_id: bytes, peer: _Peer) -> None:
        address = self._directory.address_of(node_id)
        if address is None:
            raise PeerUnreachable(f"no address is known of node {node_id.hex()[:8]}")
        assert self._nursery is not None, "links were asked for before they ran"
        peer.dialling = trio.Event()
        try:
            stream, _ = await self._network.dial_peer(address, node_id)
        except TransportError as error:
            peer.failures += 1
            pause = min(DIAL_PAUSE_S * 2**peer.failures, DIAL_PAUSE_MAX_S)
            peer.pause_until = trio.current_time() + pause
            if isinstance(error, ConnectionRefused):
                self._evidence.connection_refused(node_id)
            raise PeerUnreachable(str(error)) from error
        else:
            peer.failures = 0
            async with _closed_unless_carried(stream):
                peer.link = await self._nursery.start(self._carry, node_id, peer, stream)
        finally:
            peer.dialling.set()
            peer.dialling = None

    async def _carry(
        self,
        node_id: bytes,
        peer: _Peer,
        stream: trio.abc.Stream,
        task_status: trio.TaskStatus[Link] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        link = Link(stream, settings=PATIENT)
        task_status.started(link)
        try:
            await link.run()
        finally:
            peer.link = None
            self._woken.set()
        if link.ended is None or link.ended.goodbye is None:
            self._evidence.connection_reset(node_id)


@asynccontextmanager
async def _closed_unless_carried(stream: trio.abc.Stream) -> AsyncIterator[None]:
    """Close what was dialled when nobody comes to carry it: the node ends, or who dialled has given up."""
    try:
        yield
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


async def _carry_once(
    stream: trio.abc.Stream, task_status: trio.TaskStatus[Link] = trio.TASK_STATUS_IGNORED
) -> None:
    link = Link(stream, settings=PATIENT)
    task_status.started(link)
    await link.run()
