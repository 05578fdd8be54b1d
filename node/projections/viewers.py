"""Viewers: what those who look at feeds block and mute, and whose labels they heed, read from their own cells
as they are now.

Where a viewer's cells are kept, they are looked through for every page, which is cheap: only when one of them
is another than last time are they read. What another node keeps is remembered for a few seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, Final, NamedTuple

from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.feed.labelling import OWN
from folkmoot.protocol.feed.viewer import PUBLIC, Viewer, viewer_of
from folkmoot.protocol.key import kind_prefix, place_prefix, prefix_end
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.bounded import BoundedCache, CacheFigures
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.rows import SEQUENCE_BYTES, row_cell
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

VIEWER: Final = "replica.viewer"

# Whom a viewer follows decides about no page, and of their preferences those about labels do.
_SLICES: Final = (("mute", b""), ("block", b""), ("preference", OWN))
_SETTING_BYTES: Final = 100
_VIEWER_BYTES: Final = 1_000  # of a viewer, besides what it is made of
_FLAG_BYTES: Final = 150
_REMEMBERED_S: Final = 3.0
_PAGES_MAX: Final = 64

_Key = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
_Cell = Annotated[bytes, Meta(max_length=limits.CELL_BYTES)]


class _Asked(Struct):
    """`replica.viewer`: what an account blocks and mutes, after a key."""

    range: int
    epoch: int
    account: messages.Account
    after: _Key


class _Told(Struct):
    """The answer: the next cells, and after which key there may be more."""

    cells: Annotated[list[_Cell], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]
    next: _Key | None = None


class _Read(NamedTuple):
    """A viewer, and the state of the cells it was read from."""

    state: bytes
    viewer: Viewer

    def weight(self) -> int:
        """About how many bytes it takes."""
        viewer = self.viewer
        flags = len(viewer.blocks) + len(viewer.accounts) + len(viewer.threads) + len(viewer.words.words)
        labelling = viewer.labelling
        chosen = len(labelling.own.settings) + sum(map(len, labelling.labellers.values()))
        settings = len(labelling.labellers) + chosen
        return _VIEWER_BYTES + len(self.state) + _FLAG_BYTES * flags + _SETTING_BYTES * settings


class Viewers:
    """See the module.

    Args:
        store: this node's.
        router: orders replicas by distance.
        where: the range that holds a key.
        peers: how to reach the others.
        epochs: checks claims of other nodes.
        now_us: wall time, microseconds since 1970.
        now: the clock by which what others told is remembered.
        bytes_max: what is remembered takes at most; half of it what others told.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        where: Callable[[bytes], RangeDescriptor],
        peers: Peers,
        epochs: EpochCheck,
        now_us: Callable[[], int],
        now: Callable[[], float],
        bytes_max: int,
    ) -> None:
        self._store = store
        self._router = router
        self._where = where
        self._peers = peers
        self._epochs = epochs
        self._now_us = now_us
        self._own: BoundedCache[bytes, _Read] = BoundedCache(bytes_max // 2, _Read.weight)
        self._told: BoundedCache[bytes, _Read] = BoundedCache(
            bytes_max // 2, _Read.weight, lasting_s=_REMEMBERED_S, now=now
        )

    def caches(self) -> dict[str, CacheFigures]:
        """What is remembered of viewers whose cells are here, and of those whose are elsewhere."""
        return {"viewers": self._own.figures(), "viewers_told": self._told.figures()}

    async def of(self, account: bytes | None) -> Viewer:
        """The viewer that an account is; the public one for None.

        Raises:
            WireError: `level_unreachable`, when what it blocks and mutes cannot be found out: a page that
                does not heed that would be worse than none.
        """
        if account is None:
            return PUBLIC
        owner = self._where(place_prefix(account))
        readers = {slot.reader for slot in owner.slots}
        if self._router.node_id in readers and self._router.counts_itself:
            return self._read_own(account)
        if (known := self._told.get(account)) is not None:
            return known.viewer
        viewer = viewer_of(account, await self._ask(account, owner), self._now_us())
        self._told.put(account, _Read(b"", viewer))
        return viewer

    def _read_own(self, account: bytes) -> Viewer:
        rows: list[tuple[bytes, bytes]] = []
        with self._store.engine.begin() as transaction:
            for prefix in _prefixes(account):
                rows += transaction.scan(Table.CELLS, prefix, prefix_end(prefix))
        state = b"".join(row[:SEQUENCE_BYTES] for _, row in rows)
        known = self._own.get(account, lambda kept: kept.state == state)
        if known is not None:
            return known.viewer
        viewer = viewer_of(account, _records(rows), self._now_us())
        self._own.put(account, _Read(state, viewer))
        return viewer

    async def _ask(self, account: bytes, owner: RangeDescriptor) -> list[Record]:
        """The records of a viewer that other nodes keep."""
        failed = {self._router.node_id}
        for node_id in self._router.candidates(owner.slots, failed):
            try:
                return await self._ask_one(node_id, account, owner)
            except (WireError, PeerUnreachable):
                failed.add(node_id)
        raise self._router.unreachable(owner.slots, "one", failed)

    async def _ask_one(self, node_id: bytes, account: bytes, owner: RangeDescriptor) -> list[Record]:
        records: list[Record] = []
        after: bytes | None = b""
        for _ in range(_PAGES_MAX):
            params = {"range": owner.id, "epoch": owner.epoch, "account": account, "after": after}
            answer = await self._peers.call(node_id, VIEWER, params, limits.REPLICA_READ_TIMEOUT_S)
            told = codec.shaped(answer, _Told, "what a viewer blocks and mutes")
            for data in told.cells:
                records += Cell.decode(data).survivors
            after = told.next
            if after is None:
                break
        return records

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {VIEWER: self._answer}

    async def _answer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, _Asked, VIEWER)
        self._epochs.check_epochs({asked.range: asked.epoch}, [place_prefix(asked.account)])
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        cells: list[bytes] = []
        room, most = limits.PAGE_BYTES - limits.CELL_BYTES, limits.MESSAGE_COLLECTION_ITEMS - 1
        for prefix in _prefixes(asked.account):
            start, end = max(prefix, asked.after + b"\0"), prefix_end(prefix)
            if start >= end:
                continue
            limit = max(1, most - len(cells))
            found = self._store.cells_between(start, end, limit=limit, bytes_max=max(0, room))
            cells += [cell for _, cell in found]
            room -= sum(len(key) + len(cell) for key, cell in found)
            if found and (room <= 0 or self._store.holds(found[-1][0] + b"\0", end)):
                return {"cells": cells, "next": found[-1][0]}
        return {"cells": cells}


def _prefixes(account: bytes) -> list[bytes]:
    """What the keys of the cells begin with that a viewer is made from, in order."""
    return sorted(kind_prefix(account, kind) + name for kind, name in _SLICES)


def _records(rows: Iterable[tuple[bytes, bytes]]) -> Iterable[Record]:
    """The survivors of some cells; of a damaged one nothing is known until it is mended."""
    for key, row in rows:
        try:
            yield from Cell.decode(row_cell(key, row)).survivors
        except (StoreCorrupt, WireError):
            continue
