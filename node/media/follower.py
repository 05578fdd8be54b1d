"""Follows what this node's cells refer to, and fetches what it lacks of that.

A post is replicated, repaired, copied and restored like every cell; whatever brought it here, it stands in
the change log, and the medium it shows is wanted. So there is no second repair for media: what a replica is
to have follows from its cells, and it asks the other replicas, and then all members, for what it lacks.

Where it is in the log is not kept: at its start a node reads the whole log, and so finds out what its disk
has lost meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import trio
from folkmoot.node.contracts import Topology
from folkmoot.node.media.fetching import Fetcher
from folkmoot.node.media.keeping import Keeping
from folkmoot.protocol import limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import MULTICODEC_ED25519
from folkmoot.protocol.key import HASH_BYTES, PLACE_PREFIX_BYTES, place_prefix
from folkmoot.protocol.media.references import hashes_in, may_refer
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.layout import Area, Name
from folkmoot.storage.store import Store

log = logging.getLogger(__name__)

DOUBLINGS: Final = 7


class _Wanted(NamedTuple):
    """How often something was asked for in vain, and when it is asked for again, in monotonic seconds."""

    failed: int
    not_before: float


class Follower:
    """See the module.

    Args:
        node_id: this node's.
        store: this node's cells.
        keeping: this node's media.
        fetcher: brings what is wanted.
        topology: who owns what.
        others: all other members.
    """

    def __init__(
        self,
        node_id: bytes,
        store: Store,
        keeping: Keeping,
        fetcher: Fetcher,
        topology: Topology,
        others: Callable[[], list[bytes]],
    ) -> None:
        self._node_id = node_id
        self._store = store
        self._keeping = keeping
        self._fetcher = fetcher
        self._topology = topology
        self._others = others
        self._positions = [0] * limits.LANES
        self._wanted: dict[Name, _Wanted] = {}

    @property
    def missing(self) -> int:
        """How many media are known to be missing here."""
        return len(self._wanted)

    def look_anew(self) -> None:
        """Read the log from its beginning once more; and ask at once for what was asked for in vain."""
        self._positions = [0] * limits.LANES
        self._wanted = dict.fromkeys(self._wanted, _Wanted(0, 0.0))

    async def run(self) -> None:
        """Follow until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fetch_wanted)
            while True:
                for lane in range(limits.LANES):
                    while self._behind(lane):
                        await self._read_on(lane)
                await trio.sleep(limits.MEDIA_LOOK_S)

    def _behind(self, lane: int) -> bool:
        has_room = len(self._wanted) < limits.MEDIA_WANTED
        return has_room and self._store.lane_changed(lane, self._positions[lane])

    async def _read_on(self, lane: int) -> None:
        after = self._positions[lane]
        try:
            reached, found = await self._keeping.executor.run(partial(self._look, lane, after))
        except StorageError as error:
            log.warning("media are not looked for: %s", error)
            await trio.sleep(limits.MEDIA_RETRY_S)
            return
        for name in found:
            self._wanted.setdefault(name, _Wanted(0, 0.0))
        if self._positions[lane] == after:  # unless it was to begin anew meanwhile
            self._positions[lane] = reached

    def _look(self, lane: int, after: int) -> tuple[int, list[Name]]:
        """The next rows of a lane's log: how far they go, and what of their media is lacking; blocks."""
        changes = self._store.changes(lane, after, limits.MEDIA_ROWS)
        found: list[Name] = []
        for _, key in changes.rows:
            try:
                cell = self._store.get_cell(key)
                hashes = hashes_in(cell) if cell is not None and may_refer(key, cell) else set()
            except (StorageError, WireError):
                continue  # damaged; once it is mended it stands in the log anew
            account = MULTICODEC_ED25519 + key[HASH_BYTES:PLACE_PREFIX_BYTES]
            found += [name for each in sorted(hashes) if self._lacks(name := Name(account, each))]
        return changes.reached, found

    def _lacks(self, name: Name) -> bool:
        return self._is_mine(name) and self._keeping.blobs.find(name) is not Area.KEPT

    def _is_mine(self, name: Name) -> bool:
        return self._node_id in self._topology.where(place_prefix(name.account)).nodes()

    async def _fetch_wanted(self) -> None:
        """Fetch what is due, some at a time."""
        limiter = trio.CapacityLimiter(limits.MEDIA_FETCHES_AT_ONCE)
        while True:
            now = trio.current_time()
            due = [name for name, wanted in self._wanted.items() if wanted.not_before <= now]
            async with trio.open_nursery() as nursery:
                for name in due[: limits.MEDIA_WAITING // 2]:
                    nursery.start_soon(self._fetch, name, limiter)
            await trio.sleep(limits.MEDIA_LOOK_S)

    async def _fetch(self, name: Name, limiter: trio.CapacityLimiter) -> None:
        async with limiter:
            try:
                await self._bring(name)
            except (WireError, StorageError) as error:
                failed = self._wanted[name].failed + 1
                pause_s = min(
                    limits.MEDIA_RETRY_MAX_S, limits.MEDIA_RETRY_S * 2 ** min(failed - 1, DOUBLINGS)
                )
                self._wanted[name] = _Wanted(failed, trio.current_time() + pause_s)
                log.info("medium %s of a post here is lacking: %s", name.hash.hex(), error)
            else:
                del self._wanted[name]

    async def _bring(self, name: Name) -> None:
        run, blobs = self._keeping.executor.run, self._keeping.blobs
        if not self._is_mine(name):
            return
        area = await run(partial(blobs.find, name))
        if area is Area.CACHE:
            await run(partial(blobs.promote, name, Area.CACHE, Area.KEPT))
        elif area is None:
            if not await run(partial(self._is_referred_to, name)):
                return  # the post was deleted meanwhile
            slots = self._topology.where(place_prefix(name.account)).nodes()
            near = [each for each in slots if each != self._node_id]
            sources = near + [each for each in self._others() if each not in near]
            fetch = self._fetcher.begin(name, Area.KEPT, sources)
            await fetch.done.wait()
            if fetch.error is not None:
                raise fetch.error

    def _is_referred_to(self, name: Name) -> bool:
        return name.hash in self._keeping.refers(name.account, [name.hash])
