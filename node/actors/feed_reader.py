"""Feeds are read where they are kept: a page comes ready-made from a replica of its author's range.

At a level above `one` the replicas' pages are compared first. Where they differ, the cells they name are
read at the level, which joins and writes back (see `reader`), and all are asked again: what takes the place
of a post that was deleted has not been compared yet. Replicas are asked whether they really have what was
read, as the one a page comes from is for what a token names: it may have been written back to others in
their place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import trio
from folkmoot.node.contracts import LocalReplica, Peers, PeerUnreachable, ProfileRead, Reading, Topology
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.clock import Clock
from folkmoot.protocol.errors import STALE_TOPOLOGY, WireError
from folkmoot.protocol.feed.pages import PackedPage, read_items
from folkmoot.protocol.key import kind_prefix
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.token import Token
from msgspec import Struct

# So often pages are compared: each time what differed has been joined, so only new writes can differ again.
ROUNDS_MAX = 8


class _Page(Struct):
    count: int
    items: bytes
    resume: bytes | None


class _Profile(Struct):
    frames: list[bytes]
    complete: bool
    followers: int = 0
    decisions: dict[str, list[bytes]] = {}


class FeedReader:
    """See the module.

    Args:
        router: orders replicas by distance.
        topology: who owns what.
        peers: how to reach the others.
        local: this node's own replica.
        reading: reads cells at a level.
    """

    def __init__(
        self, router: Router, topology: Topology, peers: Peers, local: LocalReplica, reading: Reading
    ) -> None:
        self._router = router
        self._topology = topology
        self._peers = peers
        self._local = local
        self._reading = reading
        self._enough: dict[tuple[int, Level], tuple[int, bool]] = {}

    def local_page(
        self, account: bytes, before: bytes | None, limit: int, level: Level, token: Token
    ) -> PackedPage | None:
        """`author_page`, when this node alone can answer it and needs to wait for nothing; else None."""
        prefix = kind_prefix(account, "post")
        if not self._router.counts_itself or not self._is_enough(self._topology.where(prefix), level):
            return None
        if token.cells or (token.lanes and token.at_quorum(prefix)):
            return None
        try:
            return self._local.page(account, before, limit)
        except WireError:
            return None

    def _is_enough(self, owner: RangeDescriptor, level: Level) -> bool:
        """Whether this node's answer alone reaches `level`; worked out once for each epoch of a range."""
        known = self._enough.get((owner.id, level))
        if known is None or known[0] != owner.epoch:
            own, region = {self._router.node_id}, self._router.region
            known = owner.epoch, levels.satisfied(level, owner.slots, own, region, read=True)
            self._enough[owner.id, level] = known
        return known[1]

    async def author_page(
        self, account: bytes, before: bytes | None, limit: int, level: Level, token: Token
    ) -> PackedPage:
        """A page of an account's posts, newest first.

        Args:
            account: whose (34 bytes).
            before: the item after which the page begins; None for the newest.
            limit: at most so many items.
            level: what the page must reflect.
            token: what the client has seen; cells it names are waited for.

        Raises:
            WireError: `level_unreachable`, `not_yet`.
        """
        prefix = kind_prefix(account, "post")
        owner = self._topology.where(prefix)
        named = {key: clock for key, clock in token.cells.items() if key.startswith(prefix)}
        if named:
            await self._reading.get(list(named), level, token)
        if token.at_quorum(prefix) and level in ("one", "local_quorum"):
            level = "quorum"
        failed: set[bytes] = set()
        for _ in range(ROUNDS_MAX):
            readers = self._router.readers(owner.slots, level, failed)
            if readers is None:
                break
            if named and not await self._reading.covers(readers[0], named):
                failed.add(readers[0])
                continue
            pages = await self._ask_all(readers, owner, account, before, limit)
            failed |= {node for node in readers if node not in pages}
            if failed.intersection(readers):
                continue
            differing = _differing(pages.values())
            if not differing:
                return pages[readers[0]]
            settled = await self._settle(differing, level)
            failed |= {node for node in readers if not await self._reading.covers(node, settled)}
        raise self._router.unreachable(owner.slots, level, failed)

    async def _settle(self, keys: Sequence[bytes], level: Level) -> dict[bytes, Clock]:
        """Have cells joined and written back by reading them at `level`; the clocks they have come to."""
        clocks: dict[bytes, Clock] = {}
        for start in range(0, len(keys), limits.KEYS_PER_GET):
            some = keys[start : start + limits.KEYS_PER_GET]
            read = await self._reading.get(some, level, Token())
            clocks |= {
                key: Cell.decode(cell).clock
                for key, cell in zip(some, read.cells, strict=True)
                if cell is not None
            }
        return clocks

    async def profile(self, account: bytes) -> ProfileRead:
        """The fields of a profile, from the nearest replica that answers.

        Raises:
            WireError: `level_unreachable`.
        """
        owner = self._topology.where(kind_prefix(account, "profile"))
        for node_id in self._router.candidates(owner.slots):
            try:
                return await self._profile_at(node_id, owner, account)
            except (WireError, PeerUnreachable):
                continue
        raise self._router.unreachable(owner.slots, "one", owner.nodes())

    async def _profile_at(self, node_id: bytes, owner: RangeDescriptor, account: bytes) -> ProfileRead:
        if node_id == self._router.node_id:
            own = self._local.profile(account)
            return ProfileRead(own.fields, own.complete, own.followers, _decisions(own.decisions))
        params = {"ranges": [(owner.id, owner.epoch)], "account": account}
        answer = await self._peers.call(node_id, "replica.profile", params, limits.REPLICA_READ_TIMEOUT_S)
        told = codec.shaped(answer, _Profile, "a profile")
        records = [Record.from_wire(codec.unpack(frame)) for frame in told.frames]
        if any((record.kind, record.author) != ("profile", account) for record in records):
            raise PeerUnreachable(f"node {node_id.hex()[:8]} sent something else than the profile asked for")
        fields = {record.item.decode(): record.body["value"] for record in records}
        return ProfileRead(fields, told.complete, told.followers, _decisions(told.decisions))

    async def _ask_all(
        self,
        nodes: Sequence[bytes],
        owner: RangeDescriptor,
        account: bytes,
        before: bytes | None,
        limit: int,
    ) -> dict[bytes, PackedPage]:
        pages: dict[bytes, PackedPage] = {}

        async def ask(node_id: bytes) -> None:
            try:
                pages[node_id] = await self._ask(node_id, owner, account, before, limit)
            except (WireError, PeerUnreachable):
                return

        async with trio.open_nursery() as nursery:
            for node_id in nodes:
                nursery.start_soon(ask, node_id)
        return pages

    async def _ask(
        self, node_id: bytes, owner: RangeDescriptor, account: bytes, before: bytes | None, limit: int
    ) -> PackedPage:
        if node_id == self._router.node_id:
            return self._local.page(account, before, limit)

        async def ask(owner: RangeDescriptor) -> Any:
            params: Mapping[str, Any] = {
                "ranges": [(owner.id, owner.epoch)],
                "account": account,
                "limit": limit,
                "before": before,
            }
            return await self._peers.call(node_id, "replica.page", params, limits.REPLICA_READ_TIMEOUT_S)

        try:
            answer = await ask(owner)
        except WireError as error:
            if error.kind is not STALE_TOPOLOGY:
                raise
            await self._topology.refresh(node_id)
            answer = await ask(self._topology.where(kind_prefix(account, "post")))
        told = codec.shaped(answer, _Page, "a page")
        page = PackedPage(told.count, told.items, told.resume)
        items = read_items(page)  # what is no page is that node's failure, and nobody else's
        if not any(item.is_telling for item in items):
            return page
        records = [Record.from_wire(item.record) for item in items]  # they will be read
        for label in (label for item in items for label in item.labels):
            Record.from_wire(label)
        if any((record.kind, record.author) != ("post", account) for record in records):
            raise PeerUnreachable(f"node {node_id.hex()[:8]} sent something else than the page asked for")
        return replace(page, telling=True)


def _decisions(found: Mapping[str, Sequence[bytes]]) -> dict[str, list[list[bytes]]]:
    """The decisions that hide fields of a profile, as they are told; `bad_request` for what is none."""
    return {
        name: [Record.from_wire(codec.unpack(frame)).to_wire() for frame in frames]
        for name, frames in found.items()
    }


def _differing(pages: Collection[PackedPage]) -> list[bytes]:
    """The cells that some of the pages show and others do not, or not in the same state."""
    if len({page.items for page in pages}) == 1:
        return []
    shown = [{Record.from_wire(item.record).key: item.record for item in read_items(page)} for page in pages]
    keys = dict.fromkeys(key for records in shown for key in records)
    return [key for key in keys if any(records.get(key) != shown[0].get(key) for records in shown)]
