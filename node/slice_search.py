"""Searching slices of the key space: each is searched by as many replicas of its range as a level needs.

What any of them has is found, up to where the first of them stopped; reading it at the level then tells what
is so. Replicas search off the event loop, one search at a time; but what is found by a look or two is looked
up at once, and waits for no search. Whoever answers what was not asked for, or does not get on, counts as one
that did not answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar

import msgspec
import trio
from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable, Topology
from folkmoot.node.environment import Executor
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.slices import Slice
from msgspec import Meta, Struct

Key = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
_Keys = Annotated[list[Key], Meta(max_length=limits.KEYS_PER_GET)]
_BESIDE_MAX: Final = limits.MESSAGE_COLLECTION_ITEMS


class SliceAsked(Struct):
    """From where in a range a replica is to search, and up to where; subclasses say what for."""

    ranges: Annotated[list[tuple[int, int]], Meta(max_length=1)]
    start: Key
    stop: Key


A = TypeVar("A", bound=SliceAsked)


class _Told(Struct):
    keys: _Keys
    resume: Key | None = None
    beside: Annotated[list[Key], Meta(max_length=_BESIDE_MAX)] = []


class Around(NamedTuple):
    """What searches rest on.

    Args:
        router: orders replicas by distance.
        topology, peers: see `contracts`.
        executor: where this node's store is searched.
    """

    router: Router
    topology: Topology
    peers: Peers
    executor: Executor


class SliceSearch(Generic[A]):
    """One sort of search.

    Args:
        around: see there.
        method: its name between nodes.
        shape: what is asked.
        search: searches this node's store; blocking.
        fits: whether a key can be an answer to what is asked.
        is_short: whether what is asked for takes a look or two.
    """

    def __init__(
        self,
        around: Around,
        method: str,
        shape: type[A],
        search: Callable[[A], Slice],
        fits: Callable[[A, bytes], bool],
        is_short: Callable[[A], bool] = lambda asked: False,
    ) -> None:
        self._router, self._topology, self._peers, self._executor = around
        self._method = method
        self._shape = shape
        self._search = search
        self._fits = fits
        self._is_short = is_short
        self._one_at_a_time = trio.CapacityLimiter(1)

    def peer_methods(self, epochs: EpochCheck) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name.

        Args:
            epochs: checks claims of other nodes.
        """

        async def answer(node_id: bytes, params: Params) -> dict[str, Any]:
            asked = codec.shaped(params, self._shape, self._method)
            epochs.check_epochs(dict(asked.ranges), [asked.start])
            found = await self._own(asked)
            told: dict[str, Any] = {"keys": found.keys}
            told |= {} if found.resume is None else {"resume": found.resume}
            return told | ({"beside": list(found.beside)} if found.beside else {})

        return {self._method: answer}

    async def find(self, level: Level, start: bytes, **more: Any) -> tuple[Slice, RangeDescriptor]:
        """What any replica of a range has in a slice that all of so many as the level needs have searched.

        Args:
            level: see there.
            start: where the slice begins; it ends with its range.
            more: what else `shape` has.

        Raises:
            WireError: `level_unreachable`.
        """
        owner = self._topology.where(start)
        asked = self._shape(ranges=[(owner.id, owner.epoch)], start=start, stop=owner.end, **more)
        failed: set[bytes] = set()
        while (readers := self._router.readers(owner.slots, level, failed)) is not None:
            found: list[Slice] = []

            async def ask(node_id: bytes, found: list[Slice] = found) -> None:
                try:
                    found.append(await self._by(node_id, owner, asked))
                except (WireError, PeerUnreachable):
                    failed.add(node_id)

            async with trio.open_nursery() as nursery:
                for node_id in readers:
                    nursery.start_soon(ask, node_id)
            if not failed.intersection(readers):
                return _union(found), owner
        raise self._router.unreachable(owner.slots, level, failed)

    async def _by(self, node_id: bytes, owner: RangeDescriptor, asked: A) -> Slice:
        if node_id == self._router.node_id:
            return await self._own(asked)
        params: dict[str, Any] = msgspec.to_builtins(asked, builtin_types=(bytes,))
        answer = await self._peers.call(node_id, self._method, params, limits.REPLICA_READ_TIMEOUT_S)
        told = codec.shaped(answer, _Told, self._method)
        found = Slice(told.keys, told.resume, told.beside)
        if not self._is_within(found, asked, owner):
            raise WireError(BAD_REQUEST, "a replica found what was not searched for")
        return found

    async def _own(self, asked: A) -> Slice:
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        if self._is_short(asked):
            return self._search(asked)
        async with self._one_at_a_time:
            return await self._executor.run(partial(self._search, asked))

    def _is_within(self, found: Slice, asked: A, owner: RangeDescriptor) -> bool:
        """Whether an answer is one to what was asked, and gets on."""
        start, bound = asked.start, found.resume or asked.stop
        return (
            all(start <= key and (not bound or key < bound) and self._fits(asked, key) for key in found.keys)
            and all(owner.start <= key and (not owner.end or key < owner.end) for key in found.beside)
            and (found.resume is None or (start < bound and (not asked.stop or bound < asked.stop)))
        )


def _union(found: list[Slice]) -> Slice:
    """What all together have found, up to where the first of them stopped."""
    resume = min((each.resume for each in found if each.resume is not None), default=None)
    keys = sorted({key for each in found for key in each.keys if resume is None or key < resume})
    if len(keys) > limits.KEYS_PER_GET:
        keys, resume = keys[: limits.KEYS_PER_GET], keys[limits.KEYS_PER_GET]
    return Slice(keys, resume, sorted({key for each in found for key in each.beside}))
