"""The watcher follows the membership and tells the others what concerns them.

A member that is alive again is dialled without the pause its failures earned, and compared with at once.
Where members of the roster are is remembered, so that a restarted node finds its cluster without a seed;
until the roster is known, where anyone is.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import trio
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.gossip.members import NOWHERE, Member, State
from folkmoot.storage.errors import StorageError

log = logging.getLogger(__name__)

PAUSE_S = 0.1


class MemberSource(Protocol):
    """The membership, as far as the watcher goes."""

    @property
    def own(self) -> Member: ...

    def members(self) -> Mapping[bytes, Member]: ...

    async def wait_changed(self, seen: int) -> int: ...


class Watcher:
    """See the module.

    Args:
        source: whom it follows.
        on_roster: whether a node is a member by agreement; true of all while that is not known.
        returned: called with each node that is alive and was not.
        keep_addresses: remembers where members are.
    """

    def __init__(
        self,
        source: MemberSource,
        *,
        on_roster: Callable[[bytes], bool],
        returned: Callable[[bytes], None],
        keep_addresses: Callable[[Sequence[Address]], Awaitable[None]],
    ) -> None:
        self._source = source
        self._on_roster = on_roster
        self._returned = returned
        self._keep_addresses = keep_addresses
        self._alive: set[bytes] = set()
        self._addresses: list[Address] = []

    async def run(self) -> None:
        """Follow until cancelled."""
        seen = -1
        while True:
            seen = await self._source.wait_changed(seen)
            await self._look()
            await trio.sleep(PAUSE_S)

    async def _look(self) -> None:
        own = self._source.own.node_id
        others = [member for node_id, member in self._source.members().items() if node_id != own]
        alive = {member.node_id for member in others if member.state is State.ALIVE}
        for node_id in sorted(alive - self._alive):
            self._returned(node_id)
        self._alive = alive
        lasting = (member for member in others if self._on_roster(member.node_id) and member.peer != NOWHERE)
        addresses = sorted(Address(*member.peer) for member in lasting)
        if addresses and addresses != self._addresses:
            try:
                await self._keep_addresses(addresses)
            except (WireError, StorageError) as error:
                # What was kept before will do for a restart; the next change is another occasion.
                log.warning("where members are is not remembered: %s", error)
            else:
                self._addresses = addresses
