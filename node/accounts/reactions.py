"""`account.reactions`: what an account wrote under others' places, for itself to take back or along.

Likes, reposts, reports and other statements lie with what they are about, all over the key space, and nobody
lists them by who made them. So the account has the cluster looked through, page by page: each page is about a
slice of one range, in which as many replicas as the level needs look for keys that end with the account, off
the event loop and one search at a time; what any of them has is read at the level. A page may be empty and
not the last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final

import trio
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable, Reading, Topology
from folkmoot.node.environment import Executor
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level, parse_level
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.token import Token
from folkmoot.storage.reactions import Reactions, reactions_of
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

REACTIONS: Final = "replica.reactions"
_FRAME_BYTES: Final = 16  # around a payload and its signature

_Key = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]


class _Asked(Struct):
    """`replica.reactions`: from where in a range, and up to where."""

    ranges: Annotated[list[tuple[int, int]], Meta(max_length=1)]
    account: messages.Account
    start: _Key
    stop: _Key


class _Told(Struct):
    keys: Annotated[list[_Key], Meta(max_length=limits.KEYS_PER_GET)]
    resume: _Key | None = None


class AccountReactions:
    """See the module.

    Args:
        router: orders replicas by distance.
        topology, peers: see `contracts`.
        store: this node's.
        executor: where it is searched.
    """

    def __init__(
        self, router: Router, topology: Topology, peers: Peers, store: Store, executor: Executor
    ) -> None:
        self._router = router
        self._topology = topology
        self._peers = peers
        self._store = store
        self._executor = executor
        self._one_at_a_time = trio.CapacityLimiter(1)

    def peer_methods(self, epochs: EpochCheck) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name.

        Args:
            epochs: checks claims of other nodes.
        """

        async def answer(node_id: bytes, params: Params) -> dict[str, Any]:
            asked = codec.shaped(params, _Asked, REACTIONS)
            epochs.check_epochs(dict(asked.ranges), [asked.start])
            found = await self._search(asked.account, asked.start, asked.stop)
            return {"keys": found.keys} | ({} if found.resume is None else {"resume": found.resume})

        return {REACTIONS: answer}

    def client_methods(self, reading: Reading) -> Mapping[str, Method]:
        """What clients may ask, by name.

        Args:
            reading: reads cells at a level.
        """

        async def reactions(asker: Asker, params: Params) -> dict[str, Any]:
            asked = codec.shaped(params, messages.AccountReactions, "account.reactions")
            _own_only(asker, asked.account)
            return await self._page(asked, parse_level(asked.level), reading)

        return {"account.reactions": reactions}

    async def _page(self, asked: messages.AccountReactions, level: Level, reading: Reading) -> dict[str, Any]:
        owner = self._topology.where(asked.start)
        found = await self._found_at(level, owner, asked.account, asked.start)
        following = found.resume if found.resume is not None else owner.end
        cells = (await reading.get(found.keys, level, Token())).cells if found.keys else []
        records: list[list[bytes]] = []
        size = 0
        for key, data in zip(found.keys, cells, strict=True):
            own = _records_of(data, asked.account)
            size += sum(len(each.payload) + limits.SIGNATURE_BYTES + _FRAME_BYTES for each in own)
            if size > limits.PAGE_BYTES and records:
                following = key
                break
            records += [each.to_wire() for each in own]
        told = {"account": asked.account, "records": records}
        return told if following == b"" else {**told, "next": following}

    async def _found_at(
        self, level: Level, owner: RangeDescriptor, account: bytes, start: bytes
    ) -> Reactions:
        """What any replica of a range has in a slice that all of so many as the level needs have searched.

        Raises:
            WireError: `level_unreachable`.
        """
        failed: set[bytes] = set()
        while (readers := self._router.readers(owner.slots, level, failed)) is not None:
            found: dict[bytes, Reactions] = {}

            async def ask(node_id: bytes, found: dict[bytes, Reactions] = found) -> None:
                try:
                    found[node_id] = await self._found_by(node_id, owner, account, start)
                except (WireError, PeerUnreachable):
                    failed.add(node_id)

            async with trio.open_nursery() as nursery:
                for node_id in readers:
                    nursery.start_soon(ask, node_id)
            if not failed.intersection(readers):
                return _union(list(found.values()))
        raise self._router.unreachable(owner.slots, level, failed)

    async def _found_by(
        self, node_id: bytes, owner: RangeDescriptor, account: bytes, start: bytes
    ) -> Reactions:
        if node_id == self._router.node_id:
            return await self._search(account, start, owner.end)
        params = {"ranges": [(owner.id, owner.epoch)], "account": account, "start": start, "stop": owner.end}
        answer = await self._peers.call(node_id, REACTIONS, params, limits.REPLICA_READ_TIMEOUT_S)
        told = codec.shaped(answer, _Told, "a search for reactions")
        found = Reactions(told.keys, told.resume)
        if not _is_within(found, account, start, owner.end):
            raise WireError(BAD_REQUEST, "a replica found what was not searched for")
        return found

    async def _search(self, account: bytes, start: bytes, stop: bytes) -> Reactions:
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        async with self._one_at_a_time:
            work = partial(reactions_of, self._store.engine, account, start, stop)
            return await self._executor.run(work)


def _union(found: list[Reactions]) -> Reactions:
    """What all together have found, up to where the first of them stopped."""
    resumes = [each.resume for each in found if each.resume is not None]
    resume = min(resumes, default=None)
    keys = sorted({key for each in found for key in each.keys if resume is None or key < resume})
    if len(keys) <= limits.KEYS_PER_GET:
        return Reactions(keys, resume)
    return Reactions(keys[: limits.KEYS_PER_GET], keys[limits.KEYS_PER_GET])


def _is_within(found: Reactions, account: bytes, start: bytes, stop: bytes) -> bool:
    """Whether an answer is one to what was asked, and gets on."""
    bound = found.resume or stop
    return all(
        key.endswith(account) and start <= key and (not bound or key < bound) for key in found.keys
    ) and (found.resume is None or (start < found.resume and (not stop or found.resume < stop)))


def _own_only(asker: Asker, account: bytes) -> None:
    if asker.account is None:
        raise WireError(UNAUTHENTICATED, "an account's reactions are listed for itself: send auth first")
    if asker.account != account:
        raise WireError(FORBIDDEN, "an account's reactions are listed for itself only")


def _records_of(data: bytes | None, author: bytes) -> list[Record]:
    """What an author wrote of a cell, the oldest first."""
    if data is None:
        return []
    cell = Cell.decode(data)
    return [each for each in (*cell.history[::-1], *cell.survivors[::-1]) if each.author == author]
