"""Gives up media that nothing refers to any more; and nothing else.

A medium is referred to by posts and profile fields of its own account, which lie with it in one range. That
none of them stands is not for one replica to say: another may hold a post that has not come here yet. So all
members of the cluster are asked, each for its own disk, and all have to answer that they know of no
reference and have not been brought the medium lately. Who cannot be reached, or does not know that it has
all it acknowledged, keeps the medium where it is. The first such answer is noted beside the file; the second,
a grace period later, erases it. A post that comes meanwhile, or an upload of the same bytes, takes the note
away.

What is left of a range that has moved away is handed on: each node with a slot is asked to keep it, fetches
it from here, and says so once it is on its disk. When all of them have, it is given up here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import trio
from folkmoot.node.configuration.media_section import MediaSection
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.media import messages
from folkmoot.node.media.follower import Follower
from folkmoot.node.media.keeping import HOUR_US, Keeping
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.media import bounds
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.folders import Listed
from folkmoot.storage.media.layout import Area, Name

log = logging.getLogger(__name__)

MINUTE_S: Final = 60.0
HAND_ON_S: Final = 2.0
ASK_TIMEOUT_S = limits.REQUEST_TIMEOUT_S  # for one member to read the posts of one account


class Topology(Protocol):
    """Who owns what."""

    def current(self) -> object:
        """All of it; another object when anything changed."""
        ...

    def where(self, key: bytes) -> RangeDescriptor: ...

    async def wait_changed(self) -> None:
        """Wait until something newer is adopted."""
        ...


@dataclass(slots=True)
class SweepStatistics:
    """What sweeps have come to since the start.

    Args:
        sweeps: how many have ended.
        marked, erased: media that were noted as unused, and given up.
        handed_on: media of ranges that moved away, given up because their replicas have them.
        blocked_by: who could not be asked in the last sweep, so that nothing was given up; empty otherwise.
    """

    sweeps: int = 0
    marked: int = 0
    erased: int = 0
    handed_on: int = 0
    blocked_by: str = ""


class Sweeper:
    """See the module.

    Args:
        node_id: this node's.
        settings: how long to wait.
        keeping: this node's media and references.
        topology: see `Topology`.
        peers: see `contracts`.
        members: all other members of the cluster; None while they are not known.
        follower: looks for what is missing, after each sweep.
    """

    def __init__(
        self,
        node_id: bytes,
        settings: MediaSection,
        keeping: Keeping,
        topology: Topology,
        peers: Peers,
        members: Callable[[], list[bytes] | None],
        follower: Follower,
    ) -> None:
        self._node_id = node_id
        self._settings = settings
        self._keeping = keeping
        self._blobs = keeping.blobs
        self._run = keeping.executor.run
        self._topology = topology
        self._peers = peers
        self._members = members
        self._follower = follower
        self.statistics = SweepStatistics()

    async def run(self) -> None:
        """Sweep now and then until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hand_on_for_ever)
            while True:
                await trio.sleep(self._settings.sweep_minutes * MINUTE_S)
                try:
                    await self.sweep()
                except (WireError, StorageError) as error:
                    log.warning("media are not swept: %s", error)

    async def sweep(self) -> None:
        """Look at everything once."""
        self.statistics.blocked_by = ""
        await self._expire(Area.PARTIAL, self._settings.upload_hours)
        await self._expire(Area.CACHE, self._settings.cache_hours)
        for account in await self._run(partial(self._blobs.accounts, Area.KEPT)):
            if self._is_mine(account):
                try:
                    await self._sweep_account(account)
                except StorageError as error:  # a damaged cell may refer to anything; others are swept
                    log.warning("media of %s are not swept: %s", account_to_text(account), error)
        self._follower.look_anew()
        self.statistics.sweeps += 1

    async def _expire(self, area: Area, hours: float) -> None:
        """Drop what has been there for too long."""
        before_us = self._keeping.wall.now_us() - int(hours * HOUR_US)

        def expire() -> None:
            for account in self._blobs.accounts(area):
                for each in self._blobs.listed(area, account):
                    if each.since_us < before_us:
                        self._blobs.drop(area, Name(account, each.hash))

        await self._run(expire)

    async def _sweep_account(self, account: bytes) -> None:
        """Look at all media of an account, by one look at its posts."""
        listed = await self._run(partial(self._blobs.listed, Area.KEPT, account))
        hashes = [each.hash for each in listed]
        referred = set(await self._run(partial(self._keeping.refers, account, hashes)))
        for each in listed:
            if each.hash in referred and each.unused_us is not None:
                await self._run(partial(self._blobs.unmark, Name(account, each.hash)))
        now_us = self._keeping.wall.now_us()
        grace_us = int(self._settings.grace_hours * HOUR_US)
        due = [
            each
            for each in listed
            if each.hash not in referred and (each.unused_us is None or now_us - each.unused_us >= grace_us)
        ]
        for first in range(0, len(due), bounds.MEDIA_ASKED):
            some = due[first : first + bounds.MEDIA_ASKED]
            unused = await self.unused(account, [each.hash for each in some])
            await self._give_up(account, [each for each in some if each.hash in unused], now_us)

    async def _give_up(self, account: bytes, unused: Sequence[Listed], now_us: int) -> None:
        """Note that some media are unused, or erase those of which that was noted long enough ago."""
        for each in unused:
            if each.unused_us is None:
                await self._run(partial(self._blobs.mark, Name(account, each.hash), now_us))
                self.statistics.marked += 1
        noted = [each for each in unused if each.unused_us is not None]
        for digest in await self._run(partial(self._erase, account, noted)) if noted else ():
            self.statistics.erased += 1
            log.info("medium %s is given up: nobody refers to it", digest.hex())

    def _erase(self, account: bytes, seen: Sequence[Listed]) -> list[bytes]:
        """Erase the media that are still as they were when everybody was asked; which those were. Blocks."""
        referred = set(self._keeping.refers(account, [each.hash for each in seen]))
        return [
            each.hash
            for each in seen
            if each.hash not in referred and self._blobs.give_up(Name(account, each.hash), each)
        ]

    async def unused(self, account: bytes, hashes: Sequence[bytes]) -> set[bytes]:
        """Those of some media to which no member of the cluster knows a reference.

        None, if one of them does not answer.
        """
        members = self._members()
        if not hashes or members is None or not self._keeping.counted:
            return set()
        left = set(hashes)
        for node_id in members:
            if not left:
                break
            asked = {"account": account, "hashes": sorted(left)}
            known = await self._ask(node_id, messages.REFERS, asked)
            if known is None:
                return set()
            left -= known
        return left

    async def hand_on(self) -> bool:
        """Have what is left of ranges that moved away kept by who has them now, and give it up here.

        Returns:
            Whether something is left.
        """
        left = False
        for account in await self._run(partial(self._blobs.accounts, Area.KEPT)):
            owner = self._topology.where(place_prefix(account))
            if self._node_id in owner.nodes():
                continue
            for each in await self._run(partial(self._blobs.listed, Area.KEPT, account)):
                name = Name(account, each.hash)
                if self._keeping.is_sealed(name):
                    continue  # nobody may have it, and operators say what becomes of it
                if not all([await self._is_kept_by(node_id, name, owner) for node_id in owner.nodes()]):
                    left = True
                # The range may have come back meanwhile, and then others were promised that it is kept here.
                elif await self._run(partial(self._blobs.hand_over, name, partial(self._is_mine, account))):
                    self.statistics.handed_on += 1
        return left

    async def _is_kept_by(self, node_id: bytes, name: Name, owner: RangeDescriptor) -> bool:
        """Whether a node keeps a medium durably, as a replica at this very epoch; it fetches it from here."""
        asked = {
            "ranges": [(owner.id, owner.epoch)],
            "account": name.account,
            "hash": name.hash,
            "size": 0,
            "moved": True,
        }
        try:
            await self._peers.call(node_id, messages.KEEP, asked, limits.REQUEST_TIMEOUT_S)
        except (WireError, PeerUnreachable) as error:
            log.debug("%s does not have medium %s yet: %s", node_id.hex(), name.hash.hex(), error)
            return False
        return True

    def _is_mine(self, account: bytes) -> bool:
        return self._node_id in self._topology.where(place_prefix(account)).nodes()

    async def _hand_on_for_ever(self) -> None:
        """Look after each change of the topology, and as long as something is left."""
        while True:
            seen, left = self._topology.current(), True
            try:
                left = await self.hand_on()
            except (WireError, StorageError) as error:
                log.warning("media of ranges that moved are not handed on: %s", error)
            if not left and self._topology.current() is seen:
                await self._topology.wait_changed()
                self._follower.look_anew()
            else:
                await trio.sleep(HAND_ON_S)

    async def _ask(self, node_id: bytes, method: str, asked: dict[str, Any]) -> set[bytes] | None:
        """What a node answers; None when it does not."""
        try:
            answer = await self._peers.call(node_id, method, asked, ASK_TIMEOUT_S)
            return set(codec.shaped(answer, messages.Answered, method).hashes)
        except (WireError, PeerUnreachable) as error:
            log.info("media are kept, because %s did not answer: %s", node_id.hex(), error)
            self.statistics.blocked_by = node_id.hex()
            return None
