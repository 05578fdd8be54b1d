"""Gathering: every range of the cluster is searched by one node that keeps it, and the answers are merged.

Nobody is waited for longer than a second, and all together no longer than two: whoever does not answer has
its ranges asked of others once more, and what is then still missing is said (`covered`). An answer that says
what it does not know is worth more than one that comes too late, or none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.routing import Router
from folkmoot.node.search.assigning import assigned
from folkmoot.node.search.places import MEMBER_BYTES
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.search.documents import TIME_MS_MAX
from folkmoot.protocol.search.query import Query, parse
from folkmoot.storage.search.finding import Asked, Hit
from msgspec import Meta, Struct

FIND: Final = "search.find"
SEARCHES_AT_ONCE: Final = 64
_ROUNDS: Final = 2

_Member = Annotated[bytes, Meta(min_length=MEMBER_BYTES, max_length=MEMBER_BYTES)]
_Score = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Hit = tuple[_Score, _Member]
_RangeId = Annotated[int, Meta(ge=0)]
_Handle = Annotated[str, Meta(max_length=limits.HANDLE_TEXT_CHARACTERS)]


class _Find(Struct):
    """`search.find`: hits among the posts of ranges that the asked node keeps."""

    query: messages.QueryText
    accounts: Annotated[dict[_Handle, messages.Account], Meta(max_length=limits.SEARCH_TERMS)]
    ranges: Annotated[list[tuple[_RangeId, Annotated[int, Meta(ge=0)]]], Meta(max_length=limits.RANGES)]
    best: bool
    as_of_ms: Annotated[int, Meta(ge=0, le=TIME_MS_MAX)]
    limit: Annotated[int, Meta(ge=1, le=limits.SEARCH_HITS)]
    after: _Hit | None = None


class _Found(Struct):
    """The answer: the hits in order, the ranges that were searched, and how far behind the index is."""

    hits: Annotated[list[_Hit], Meta(max_length=limits.SEARCH_HITS)]
    ranges: Annotated[list[_RangeId], Meta(max_length=limits.RANGES)]
    lag_ms: Annotated[int, Meta(ge=0)]


class Finds(Protocol):
    """See `indexer`."""

    async def find(self, asked: Asked, keeps: Callable[[bytes], bool]) -> list[Hit]: ...

    def lag_s(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """One search.

    Args:
        text: the query as it was typed.
        accounts: of the handles in it.
        best: whether the best are wanted, not the newest.
        as_of_ms: see `finding.Asked`.
    """

    text: str
    accounts: Mapping[str, bytes]
    best: bool
    as_of_ms: int

    def query(self) -> Query:
        """As it is read."""
        return parse(self.text).with_accounts(dict(self.accounts))


@dataclass(slots=True)
class Gathered:
    """What came of asking.

    Args:
        hits: in order.
        covered: the ranges that were searched.
        lag_ms: how far behind the furthest index was.
    """

    hits: list[Hit] = field(default_factory=list)
    covered: set[int] = field(default_factory=set)
    lag_ms: int = 0

    def take(self, hits: Iterable[Hit], ranges: Iterable[int], lag_ms: int) -> None:
        """Take one node's answer."""
        self.hits += hits
        self.covered.update(ranges)
        self.lag_ms = max(self.lag_ms, lag_ms)


class Gathering:
    """See the module.

    Args:
        router: orders replicas by distance.
        peers: how to reach the others.
        ranges: the range map now.
        index: this node's own.
    """

    def __init__(self, router: Router, peers: Peers, ranges: Callable[[], RangeMap], index: Finds) -> None:
        self._router = router
        self._peers = peers
        self._ranges = ranges
        self._index = index
        self._under_way = 0

    async def gather(self, wanted: Wanted, after: Hit | None, limit: int, failed: set[bytes]) -> Gathered:
        """The next hits of all ranges, as far as they can be had in time.

        Args:
            wanted: what is searched for.
            after: the hit after which to begin; None for the first.
            limit: at most so many.
            failed: who is not asked any more; grows.
        """
        gathered = Gathered()
        ranges = self._ranges()
        with trio.move_on_after(limits.SEARCH_TIMEOUT_S):
            for _ in range(_ROUNDS):
                candidates = {
                    owner.id: self._candidates(owner.slots, failed)
                    for owner in ranges.ranges
                    if owner.id not in gathered.covered
                }
                whom = assigned(candidates, self._router.node_id)
                if not whom:
                    break
                async with trio.open_nursery() as nursery:
                    for node_id, some in whom.items():
                        nursery.start_soon(
                            self._ask, node_id, some, ranges, wanted, after, limit, failed, gathered
                        )
        gathered.hits = sorted(set(gathered.hits), reverse=True)[:limit]
        return gathered

    def _candidates(self, slots: Sequence[Any], failed: set[bytes]) -> list[bytes]:
        """Who may be asked for a range: those that are read from."""
        readers = {slot.reader for slot in slots}
        return [node for node in self._router.candidates(slots, failed) if node in readers]

    async def _ask(
        self,
        node_id: bytes,
        some: Sequence[int],
        ranges: RangeMap,
        wanted: Wanted,
        after: Hit | None,
        limit: int,
        failed: set[bytes],
        gathered: Gathered,
    ) -> None:
        epochs = {owner.id: owner.epoch for owner in ranges.ranges}
        asked = _Find(
            wanted.text,
            dict(wanted.accounts),
            [(range_id, epochs[range_id]) for range_id in some],
            wanted.best,
            wanted.as_of_ms,
            limit,
            after,
        )
        try:
            with trio.fail_after(limits.SEARCH_ASK_TIMEOUT_S):
                if node_id == self._router.node_id:
                    found = await self._find(asked)
                else:
                    answer = await self._peers.call(
                        node_id, FIND, _params(asked), limits.SEARCH_ASK_TIMEOUT_S
                    )
                    found = codec.shaped(answer, _Found, "what was found")
        except (WireError, PeerUnreachable, trio.TooSlowError):
            failed.add(node_id)
            return
        searched = set(found.ranges) & set(some)
        if len(searched) < len(some):
            failed.add(node_id)
        gathered.take((Hit(*hit) for hit in found.hits), searched, found.lag_ms)

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {FIND: self._answer}

    async def _answer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        found = await self._find(codec.shaped(params, _Find, FIND))
        return {"hits": found.hits, "ranges": found.ranges, "lag_ms": found.lag_ms}

    async def _find(self, asked: _Find) -> _Found:
        """Search those of some ranges that this node keeps, as the asker knows them.

        Raises:
            WireError: `busy`.
        """
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        if self._under_way >= SEARCHES_AT_ONCE:
            raise WireError(BUSY, "too many searches are under way on this node", retry_after_ms=250)
        ranges, own, epochs = self._ranges(), self._router.node_id, dict(asked.ranges)
        searched = [
            owner.id
            for owner in ranges.ranges
            if epochs.get(owner.id) == owner.epoch and own in {slot.reader for slot in owner.slots}
        ]
        wanted = Wanted(asked.query, asked.accounts, asked.best, asked.as_of_ms)
        after = None if asked.after is None else Hit(*asked.after)
        looked_for = Asked(wanted.query(), asked.best, asked.as_of_ms, after, asked.limit)
        lag_s = self._index.lag_s()
        self._under_way += 1
        try:
            hits = await self._index.find(looked_for, _keeps(ranges, frozenset(searched)))
        finally:
            self._under_way -= 1
        return _Found([(hit.score, hit.member) for hit in hits], searched, int(1000 * (lag_s or 0.0)))


def _keeps(ranges: RangeMap, searched: frozenset[int]) -> Callable[[bytes], bool]:
    if len(searched) == len(ranges.ranges):
        return lambda key: True
    return lambda key: ranges.lookup(key).id in searched


def _params(asked: _Find) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in asked.__struct_fields__}
