"""Follows what this node's cells refer to, and fetches what it lacks of that.

A post is replicated, repaired, copied and restored like every cell; whatever brought it here, the medium it
shows is wanted. So there is no second repair for media: what a replica is to have follows from its cells, and
it asks the other replicas, and then all members, for what it lacks.

Of cells that others send the replica tells. Besides, the whole change log is read when the node starts, when
the topology changes and after each sweep, in small steps with rests between them: so a node finds what its
disk has lost, and what came in other ways.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

import trio
from folkmoot.node.contracts import CellBatch, Topology
from folkmoot.node.media.fetching import Fetcher
from folkmoot.node.media.keeping import Keeping
from folkmoot.protocol import limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import MULTICODEC_ED25519
from folkmoot.protocol.key import HASH_BYTES, KIND_AT, PLACE_PREFIX_BYTES, place_prefix
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.references import REFERRING, hashes_in, may_refer
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.layout import Area, Name
from folkmoot.storage.store import Store

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5  # between two looks at what is to be fetched, while something is
LOOK_REST_S: Final = 0.02  # after each step through the change log, several times what it takes
RETRY_MAX_S: Final = 600.0  # between two attempts at what nobody could give
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
        self._overflowed = False
        self._wanted: dict[Name, _Wanted] = {}
        self._anew, self._some = trio.Event(), trio.Event()

    @property
    def missing(self) -> int:
        """How many media are known to be missing here."""
        return len(self._wanted)

    def look_anew(self) -> None:
        """Read the whole log once more; and ask at once for what was asked for in vain."""
        self._wanted = dict.fromkeys(self._wanted, _Wanted(0, 0.0))
        self._anew.set()

    def hear(self, batch: CellBatch) -> None:
        """Some cells that others sent are on this disk now."""
        for key, cell in zip(batch.keys, batch.cells, strict=True):
            if may_refer(key, cell):
                self._want(self._lacking(key, cell))

    def _want(self, names: Iterable[Name]) -> None:
        for name in names:
            if len(self._wanted) >= bounds.MEDIA_WANTED and name not in self._wanted:
                self._overflowed = True  # it is found again, once there is room
                self._anew.set()
            else:
                self._wanted.setdefault(name, _Wanted(0, 0.0))
                self._some.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fetch_wanted)
            while True:
                self._anew = trio.Event()
                until = self._store.sequence
                for lane in range(limits.LANES):
                    after = 0
                    while after < until and self._store.lane_changed(lane, after):
                        after = await self._read_on(lane, after)
                if self._overflowed:
                    self._overflowed = False
                    await trio.sleep(bounds.MEDIA_RETRY_S)
                await self._anew.wait()

    async def _read_on(self, lane: int, after: int) -> int:
        """Read some rows of a lane's log; how far they go."""
        try:
            reached, found = await self._keeping.executor.run(partial(self._look, lane, after))
        except StorageError as error:
            log.warning("media are not looked for: %s", error)
            await trio.sleep(bounds.MEDIA_RETRY_S)
            return after
        self._want(found)
        await trio.sleep(LOOK_REST_S)
        return reached

    def _look(self, lane: int, after: int) -> tuple[int, list[Name]]:
        """The next rows of a lane's log: how far they go, and what of their media is lacking; blocks."""
        changes = self._store.changes(lane, after, bounds.MEDIA_ROWS)
        keys = [key for _, key in changes.rows if key[KIND_AT] in REFERRING]
        found: list[Name] = []
        for key, cell in zip(keys, self._cells(keys), strict=True):
            if cell is not None and may_refer(key, cell):
                found += self._lacking(key, cell)
        return changes.reached, found

    def _cells(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Some cells; of a damaged one nothing, for once it is mended it is looked at again."""
        try:
            return self._store.get_cells(keys)
        except StorageError:
            return [self._whole(key) for key in keys]

    def _whole(self, key: bytes) -> bytes | None:
        try:
            return self._store.get_cell(key)
        except StorageError:
            return None

    def _lacking(self, key: bytes, cell: bytes) -> list[Name]:
        """The media that a cell refers to and that this node is to keep and does not have."""
        account = MULTICODEC_ED25519 + key[HASH_BYTES:PLACE_PREFIX_BYTES]
        try:
            names = [Name(account, each) for each in sorted(hashes_in(cell))]
        except WireError:
            return []  # whoever keeps cells says more of it
        return [name for name in names if self._lacks(name)]

    def _lacks(self, name: Name) -> bool:
        if not self._is_mine(name) or self._keeping.is_aside(name):
            return False
        return self._keeping.blobs.find(name) is not Area.KEPT

    def _is_mine(self, name: Name) -> bool:
        return self._node_id in self._topology.where(place_prefix(name.account)).nodes()

    async def _fetch_wanted(self) -> None:
        """Fetch what is due, some at a time."""
        limiter = trio.CapacityLimiter(bounds.MEDIA_FETCHES_AT_ONCE)
        while True:
            if not self._wanted:
                self._some = trio.Event()
                await self._some.wait()
            now = trio.current_time()
            due = [name for name, wanted in self._wanted.items() if wanted.not_before <= now]
            async with trio.open_nursery() as nursery:
                for name in due[: bounds.MEDIA_WAITING // 2]:
                    nursery.start_soon(self._fetch, name, limiter)
            await trio.sleep(LOOK_S)

    async def _fetch(self, name: Name, limiter: trio.CapacityLimiter) -> None:
        async with limiter:
            try:
                await self._bring(name)
            except (WireError, StorageError) as error:
                failed = self._wanted[name].failed + 1
                pause_s = min(RETRY_MAX_S, bounds.MEDIA_RETRY_S * 2 ** min(failed - 1, DOUBLINGS))
                self._wanted[name] = _Wanted(failed, trio.current_time() + pause_s)
                log.info("medium %s of a post here is lacking: %s", name.hash.hex(), error)
            else:
                del self._wanted[name]

    async def _bring(self, name: Name) -> None:
        run, blobs = self._keeping.executor.run, self._keeping.blobs
        if not self._is_mine(name) or self._keeping.is_aside(name):
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
