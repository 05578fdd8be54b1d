"""Searching slices of the key space: each is searched by as many replicas of its range as a level needs.

What any of them has is found, up to where the first of them stopped; reading it at the level then tells what
is so. Replicas search off the event loop, one search at a time; but what is found by a look or two is looked
up at once, and waits for no search. Whoever answers what was not asked for, or does not get on, counts as one
that did not answer.

Where most ranges have nothing, several in a row are searched with one question to each node: it is told all
of them of which it is a replica, and searches whatever it has from the first to the last. When that does not
come to what the level needs, as when a range has just moved, the first of them is searched alone.
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
from folkmoot.protocol.moderation.bounds import QUEUE_RANGES
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.slices import Slice
from msgspec import Meta, Struct

Key = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
_Keys = Annotated[list[Key], Meta(max_length=limits.KEYS_PER_GET)]
_BESIDE_MAX: Final = limits.MESSAGE_COLLECTION_ITEMS


class SliceAsked(Struct, kw_only=True):
    """From where a replica is to search, and up to where; subclasses say what for.

    `ranges` are those that it is asked about, with their epochs; `within` is a key in each, where there
    are several."""

    ranges: Annotated[list[tuple[int, int]], Meta(max_length=QUEUE_RANGES)]
    start: Key
    stop: Key
    within: Annotated[list[Key], Meta(max_length=QUEUE_RANGES)] = []


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


class _Planned(NamedTuple):
    """A range that is to be searched, and by whom."""

    owner: RangeDescriptor
    readers: list[bytes]


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
            epochs.check_epochs(dict(asked.ranges), asked.within or [asked.start])
            found = await self._own(asked)
            told: dict[str, Any] = {"keys": found.keys}
            told |= {} if found.resume is None else {"resume": found.resume}
            return told | ({"beside": list(found.beside)} if found.beside else {})

        return {self._method: answer}

    async def find(
        self, level: Level, start: bytes, *, ranges: int = 1, **more: Any
    ) -> tuple[Slice, RangeDescriptor]:
        """What any replica has in a slice that all of so many as the level needs have searched.

        Args:
            level: see there.
            start: where the slice begins; it ends with a range.
            ranges: over how many it may go; to be more than one only of searches that find by an index.
            more: what else `shape` has.

        Returns:
            That, and the last range of the slice.

        Raises:
            WireError: `level_unreachable`, when the range of `start` cannot be searched.
        """
        failed: set[bytes] = set()
        while plan := self._plan(level, start, ranges, failed):
            stop = plan[-1].owner.end
            found: list[Slice] = []

            async def ask(node_id: bytes, found: list[Slice], plan: list[_Planned], stop: bytes) -> None:
                try:
                    owners = [each.owner for each in plan if node_id in each.owner.nodes()]
                    within = [max(start, each.start) for each in owners] if len(plan) > 1 else []
                    epochs = [(each.id, each.epoch) for each in owners]
                    asked = self._shape(ranges=epochs, start=start, stop=stop, within=within, **more)
                    found.append(await self._by(node_id, plan[0].owner.start, asked))
                except (WireError, PeerUnreachable):
                    failed.add(node_id)

            readers = {node_id for each in plan for node_id in each.readers}
            async with trio.open_nursery() as nursery:
                for node_id in sorted(readers):
                    nursery.start_soon(ask, node_id, found, plan, stop)
            if not failed.intersection(readers):
                return _union(found), plan[-1].owner
        if ranges > 1 and failed:
            return await self.find(level, start, **more)
        raise self._router.unreachable(self._topology.where(start).slots, level, failed)

    def _plan(self, level: Level, start: bytes, ranges: int, failed: set[bytes]) -> list[_Planned]:
        """The ranges from a key on, each with whom to ask, until one that nobody can be asked about."""
        plan: list[_Planned] = []
        position = start
        while len(plan) < ranges and (position or not plan):
            owner = self._topology.where(position)
            readers = self._router.readers(owner.slots, level, failed)
            if readers is None:
                break
            plan.append(_Planned(owner, readers))
            position = owner.end
        return plan

    async def _by(self, node_id: bytes, begin: bytes, asked: A) -> Slice:
        if node_id == self._router.node_id:
            return await self._own(asked)
        params: dict[str, Any] = msgspec.to_builtins(asked, builtin_types=(bytes,))
        answer = await self._peers.call(node_id, self._method, params, limits.REPLICA_READ_TIMEOUT_S)
        told = codec.shaped(answer, _Told, self._method)
        found = Slice(told.keys, told.resume, told.beside)
        if not self._is_within(found, asked, begin):
            raise WireError(BAD_REQUEST, "a replica found what was not searched for")
        return found

    async def _own(self, asked: A) -> Slice:
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        if self._is_short(asked):
            return self._search(asked)
        async with self._one_at_a_time:
            return await self._executor.run(partial(self._search, asked))

    def _is_within(self, found: Slice, asked: A, begin: bytes) -> bool:
        """Whether an answer is one to what was asked, about ranges that begin at a key, and gets on."""
        start, stop, bound = asked.start, asked.stop, found.resume or asked.stop
        return (
            all(start <= key and (not bound or key < bound) and self._fits(asked, key) for key in found.keys)
            and all(begin <= key and (not stop or key < stop) for key in found.beside)
            and (found.resume is None or (start < bound and (not stop or bound < stop)))
        )


def _union(found: list[Slice]) -> Slice:
    """What all together have found, up to where the first of them stopped."""
    resume = min((each.resume for each in found if each.resume is not None), default=None)
    keys = sorted({key for each in found for key in each.keys if resume is None or key < resume})
    if len(keys) > limits.KEYS_PER_GET:
        keys, resume = keys[: limits.KEYS_PER_GET], keys[limits.KEYS_PER_GET]
    return Slice(keys, resume, sorted({key for each in found for key in each.beside}))
