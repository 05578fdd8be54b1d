"""`account.records`: everything an account wrote under its own name, page by page, so that it can leave.

Where the other reads are about cells that the asker can name, this one finds out which there are: as many
replicas of the account's range as the level needs list their keys (`replica.keys`), and the cells at all of
them are then read at the level, like any others. Each page costs a bounded number of cells, whoever wrote
them. What an account wrote under others' posts (its likes) lies with those, and nobody lists it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable, Reading, Topology
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import KINDS_PRIVATE, parse_key, place_prefix, prefix_end
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level, parse_level
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.sync.fingerprint import Leaf
from folkmoot.protocol.token import Token
from msgspec import Meta, Struct

KEYS: Final = "replica.keys"
_FRAME_BYTES: Final = 16  # around a payload and its signature

_Key = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
_Claims = Annotated[list[tuple[int, int]], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]


class _Asked(Struct):
    """`replica.keys`: the first keys under a place, after one."""

    ranges: _Claims
    place: messages.Account
    after: _Key
    limit: Annotated[int, Meta(ge=1, le=limits.KEYS_PER_GET)]


class _Told(Struct):
    keys: Annotated[list[_Key], Meta(max_length=limits.KEYS_PER_GET)]


class Cells(Protocol):
    """This node's own store."""

    def leaves(self, start: bytes, stop: bytes, limit: int) -> Sequence[Leaf]: ...


class AccountRecords:
    """See the module.

    Args:
        router: orders replicas by distance.
        topology: who owns what.
        peers: how to reach the others.
        epochs: checks claims of other nodes.
        cells: what this node has.
    """

    def __init__(
        self, router: Router, topology: Topology, peers: Peers, epochs: EpochCheck, cells: Cells
    ) -> None:
        self._router = router
        self._topology = topology
        self._peers = peers
        self._epochs = epochs
        self._cells = cells

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {KEYS: self._answer_keys}

    def client_methods(self, reading: Reading) -> Mapping[str, Method]:
        """What clients may ask, by name.

        Args:
            reading: reads cells at a level.
        """

        async def records(asker: Asker, params: Params) -> dict[str, Any]:
            return await self._page(asker, params, reading)

        return {"account.records": records}

    async def _page(self, asker: Asker, params: Params, reading: Reading) -> dict[str, Any]:
        """A page of what an account wrote, in the order of keys; what is private only for itself."""
        asked = codec.shaped(params, messages.AccountRecords, "account.records")
        level = parse_level(asked.level)
        if not is_account(asked.account):
            raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")
        prefix = place_prefix(asked.account)
        if asked.after is not None and not asked.after.startswith(prefix):
            raise WireError(BAD_REQUEST, "after is not what an earlier page of this account ended with")
        keys = await self._keys_at(level, asked.account, asked.after or prefix, asked.limit)
        last = keys[-1] if len(keys) == asked.limit else None
        wanted = [key for key in keys if _may_read(asker, asked.account, key)]
        cells = (await reading.get(wanted, level, Token())).cells if wanted else []
        records: list[list[bytes]] = []
        size = 0
        for index, data in enumerate(cells):
            own = _records_of(wanted[index], data, asked.account)
            size += sum(len(each.payload) + limits.SIGNATURE_BYTES + _FRAME_BYTES for each in own)
            if size > limits.PAGE_BYTES and records:
                last = wanted[index - 1]
                break
            records += [each.to_wire() for each in own]
        told = {"account": asked.account, "records": records}
        return told if last is None else {**told, "next": last}

    async def _keys_at(self, level: Level, account: bytes, after: bytes, limit: int) -> list[bytes]:
        """The first keys under an account that any of the replicas has, of so many as the level needs.

        Raises:
            WireError: `level_unreachable`.
        """
        failed: set[bytes] = set()
        owner = self._topology.where(place_prefix(account))
        while (readers := self._router.readers(owner.slots, level, failed)) is not None:
            listed: dict[bytes, list[bytes]] = {}

            async def ask(node_id: bytes, listed: dict[bytes, list[bytes]] = listed) -> None:
                try:
                    listed[node_id] = await self._keys_of(node_id, owner, account, after, limit)
                except (WireError, PeerUnreachable):
                    failed.add(node_id)

            async with trio.open_nursery() as nursery:
                for node_id in readers:
                    nursery.start_soon(ask, node_id)
            if not failed.intersection(readers):
                # The first `limit` of the union are among the first `limit` of each.
                return sorted({key for keys in listed.values() for key in keys})[:limit]
        raise self._router.unreachable(owner.slots, level, failed)

    async def _keys_of(
        self, node_id: bytes, owner: RangeDescriptor, account: bytes, after: bytes, limit: int
    ) -> list[bytes]:
        if node_id == self._router.node_id:
            return self._own_keys(account, after, limit)
        params = {"ranges": [(owner.id, owner.epoch)], "place": account, "after": after, "limit": limit}
        answer = await self._peers.call(node_id, KEYS, params, limits.REPLICA_READ_TIMEOUT_S)
        keys = codec.shaped(answer, _Told, "a listing of keys").keys
        if any(key <= after or not key.startswith(place_prefix(account)) for key in keys):
            raise WireError(BAD_REQUEST, "a replica listed keys that were not asked for")
        return keys

    async def _answer_keys(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, _Asked, KEYS)
        self._epochs.check_epochs(dict(asked.ranges), [place_prefix(asked.place)])
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        return {"keys": self._own_keys(asked.place, asked.after, asked.limit)}

    def _own_keys(self, account: bytes, after: bytes, limit: int) -> list[bytes]:
        end = prefix_end(place_prefix(account))
        return [key for key, _ in self._cells.leaves(after + b"\0", end, limit)]


def _may_read(asker: Asker, account: bytes, key: bytes) -> bool:
    """Whether a cell under an account's place may be the account's own, and be told."""
    kind = parse_key(key).kind
    return kind not in KINDS_PRIVATE or asker.account == account


def _records_of(key: bytes, data: bytes | None, author: bytes) -> list[Record]:
    """What an author wrote of a cell, the oldest first: put in this order, they make the same cell again.

    What takes back a version that waited for review stands in its own cell, too, and is told from there.
    """
    if data is None:
        return []
    cell = Cell.decode(data)
    if cell.taken_back and key != cell.key:
        return []
    return [each for each in (*cell.history[::-1], *cell.survivors[::-1]) if each.author == author]
