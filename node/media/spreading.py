"""Brings a medium that was uploaded here to the replicas of its account's range, until a level is reached.

That may take longer than a request may. It goes on by itself, and whoever asks again is told how far it is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable, Topology, nodes_of
from folkmoot.node.media import messages
from folkmoot.node.media.keeping import Keeping
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BUSY, LEVEL_UNREACHABLE, STALE_TOPOLOGY, WireError
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.media import bounds
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.layout import Name

log = logging.getLogger(__name__)

PATIENCE_S: Final = 120.0
PAUSE_S: Final = 0.1


class Site(Protocol):
    """Where this node stands."""

    node_id: bytes
    region: str


class Spread:
    """One medium on its way to its replicas.

    Attributes:
        owner: the range it was begun under.
        acks: the nodes that have it on their disks.
        errors: why others will not.
        waiting: how many have not answered.
    """

    def __init__(self, name: Name, size: int, owner: RangeDescriptor) -> None:
        self.name = name
        self.size = size
        self.owner = owner
        self.acks: set[bytes] = set()
        self.errors: dict[bytes, WireError] = {}
        self.waiting = len(nodes_of(owner.slots))
        self.changed = trio.Event()

    def settle(self, node_id: bytes, error: WireError | None) -> None:
        """One of them has it, or will not."""
        if error is None:
            self.acks.add(node_id)
        else:
            self.errors[node_id] = error
        self.waiting -= 1
        self.changed.set()
        self.changed = trio.Event()


class Spreader:
    """See the module. `run` must be running.

    Args:
        site: see `Site`.
        topology, peers: see `contracts`.
        keeping: this node's own.
    """

    def __init__(self, site: Site, topology: Topology, peers: Peers, keeping: Keeping) -> None:
        self._site = site
        self._topology = topology
        self._peers = peers
        self._keeping = keeping
        self._running: dict[Name, Spread] = {}
        self._begun, self._to_begin = trio.open_memory_channel[Spread](bounds.MEDIA_WAITING)

    async def run(self) -> None:
        """Spread what is begun until cancelled."""
        async with trio.open_nursery() as nursery:
            async for spread in self._to_begin:
                nursery.start_soon(self._spread, spread)

    async def bring(self, name: Name, size: int, level: Level) -> dict[str, Any]:
        """Have a medium that is whole here kept at a level; what was achieved.

        Raises:
            WireError: `busy`, while it goes on; `level_unreachable`; or what a replica says against it.
        """
        spread = self._running.get(name)
        if spread is None:
            if len(self._running) >= bounds.MEDIA_WAITING:
                raise WireError(BUSY, "this node has too many uploads in work", retry_after_ms=1000)
            spread = Spread(name, size, self._topology.where(place_prefix(name.account)))
            self._running[name] = spread
            self._begun.send_nowait(spread)  # as many find room
        with trio.move_on_after(bounds.MEDIA_ANSWER_S):
            while spread.waiting and not self._satisfied(spread, level):
                await spread.changed.wait()
        slots, region = spread.owner.slots, self._site.region
        if self._satisfied(spread, level):
            return levels.achieved(slots, spread.acks, region)
        if spread.waiting:
            raise WireError(
                BUSY,
                f"{len(spread.acks)} replicas have the medium, and {spread.waiting} are still fetching it",
                retry_after_ms=500,
            )
        raise self._failure(spread, level)

    def _satisfied(self, spread: Spread, level: Level) -> bool:
        return levels.satisfied(level, spread.owner.slots, spread.acks, self._site.region)

    def _failure(self, spread: Spread, level: Level) -> WireError:
        for error in spread.errors.values():
            if not error.kind.retryable:  # it is the medium's fault, or the account's
                return error
        slots, region = spread.owner.slots, self._site.region
        return WireError(
            LEVEL_UNREACHABLE,
            f"{level} needs more replicas than took the medium: {next(iter(spread.errors.values())).message}",
            retry_after_ms=1000,
            details={
                "achieved": levels.achieved(slots, spread.acks, region),
                "missing": levels.missing(level, slots, spread.acks, region),
            },
        )

    async def _spread(self, spread: Spread) -> None:
        name = spread.name
        try:
            with self._keeping.blobs.pinned(name):
                async with trio.open_nursery() as nursery:
                    # Others fetch it from here: what this node keeps itself moves out of the cache meanwhile.
                    for node_id in nodes_of(spread.owner.slots):
                        nursery.start_soon(self._bring_to, node_id, spread)
        finally:
            del self._running[name]

    async def _bring_to(self, node_id: bytes, spread: Spread) -> None:
        ends = trio.current_time() + PATIENCE_S
        while True:
            error = await self._ask(node_id, spread)
            if error is None or error.kind is not BUSY or trio.current_time() >= ends:
                break
            await trio.sleep(PAUSE_S)
        spread.settle(node_id, error)

    async def _ask(self, node_id: bytes, spread: Spread) -> WireError | None:
        name, owner = spread.name, spread.owner
        try:
            if node_id == self._site.node_id:
                await self._keeping.keep(name, spread.size, None)
            else:
                asked: Mapping[str, Any] = {
                    "ranges": [(owner.id, owner.epoch)],
                    "account": name.account,
                    "hash": name.hash,
                    "size": spread.size,
                }
                await self._peers.call(node_id, messages.KEEP, asked, limits.REQUEST_TIMEOUT_S)
        except PeerUnreachable:
            return WireError(LEVEL_UNREACHABLE, "a replica cannot be reached")
        except WireError as error:
            if error.kind is STALE_TOPOLOGY:
                await self._topology.refresh(node_id)
            return error
        except StorageError as error:
            log.warning("%s", error)
            return error.to_wire_error()
        return None
