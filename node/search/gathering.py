"""Gathering: what all ranges have that meets a query, merged (see `scattering`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.search.places import SCORE_MAX
from folkmoot.node.search.scattering import Epochs, RangeIds, Scatter
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.search import bounds
from folkmoot.protocol.search.documents import TIME_MS_MAX
from folkmoot.protocol.search.query import Query, parse
from folkmoot.storage.search.finding import MEMBER_BYTES, Asked, Found, Hit
from msgspec import Meta, Struct

FIND: Final = "search.find"

_Member = Annotated[bytes, Meta(min_length=MEMBER_BYTES, max_length=MEMBER_BYTES)]
_Score = Annotated[int, Meta(ge=0, le=SCORE_MAX)]
_Hit = tuple[_Score, _Member]
_Handle = Annotated[str, Meta(max_length=limits.HANDLE_TEXT_CHARACTERS)]


class _Find(Struct):
    """`search.find`: hits among the posts of ranges that the asked node keeps."""

    query: messages.QueryText
    accounts: Annotated[dict[_Handle, messages.Account], Meta(max_length=bounds.SEARCH_TERMS)]
    ranges: Epochs
    best: bool
    as_of_ms: Annotated[int, Meta(ge=0, le=TIME_MS_MAX)]
    limit: Annotated[int, Meta(ge=1, le=bounds.SEARCH_HITS)]
    after: _Hit | None = None


class _Found(Struct):
    """The answer: the hits in order, the ranges that were searched, and how far behind the index is."""

    hits: Annotated[list[_Hit], Meta(max_length=bounds.SEARCH_HITS)]
    ranges: RangeIds
    lag_ms: Annotated[int, Meta(ge=0)]


class Finds(Protocol):
    """See `indexer`."""

    async def find(self, asked: Asked, keeps: Callable[[bytes], bool]) -> Found: ...

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

    def take(self, hits: Iterable[Hit], lag_ms: int) -> None:
        """Take one node's answer."""
        self.hits += hits
        self.lag_ms = max(self.lag_ms, lag_ms)


class Gathering:
    """See the module.

    Args:
        scatter: asks nodes that keep all ranges together.
        index: this node's own.
    """

    def __init__(self, scatter: Scatter, index: Finds) -> None:
        self._scatter = scatter
        self._index = index

    async def gather(self, wanted: Wanted, after: Hit | None, limit: int, failed: set[bytes]) -> Gathered:
        """The next hits of all ranges, as far as they can be had in time.

        Args:
            wanted: what is searched for.
            after: the hit after which to begin; None for the first.
            limit: at most so many.
            failed: who is not asked any more; grows.
        """
        gathered = Gathered()

        async def ask(node_id: bytes, some: Epochs) -> Collection[int]:
            asked = _Find(
                wanted.text, dict(wanted.accounts), some, wanted.best, wanted.as_of_ms, limit, after
            )
            if node_id == self._scatter.node_id:
                found = await self._find(asked)
            else:
                found = codec.shaped(await self._scatter.call(node_id, FIND, _params(asked)), _Found, FIND)
            gathered.take((Hit(*hit) for hit in found.hits), found.lag_ms)
            return found.ranges

        gathered.covered = await self._scatter.over_ranges(ask, failed)
        gathered.hits = sorted(set(gathered.hits), reverse=True)[:limit]
        return gathered

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
        async with self._scatter.answering(asked.ranges) as (searched, keeps):
            wanted = Wanted(asked.query, asked.accounts, asked.best, asked.as_of_ms)
            after = None if asked.after is None else Hit(*asked.after)
            looked_for = Asked(wanted.query(), asked.best, asked.as_of_ms, after, asked.limit)
            lag_s = self._index.lag_s()
            hits, whole = await self._look(looked_for, keeps)
        lag_ms = int(1000 * (lag_s or 0.0))
        return _Found([(hit.score, hit.member) for hit in hits], searched if whole else [], lag_ms)

    async def _look(self, asked: Asked, keeps: Callable[[bytes], bool]) -> tuple[list[Hit], bool]:
        """Look until there are enough, and for as long as whoever asks waits: posts of other ranges may be in
        the way, as many as somebody likes to write.

        Returns:
            The hits, and whether they are all that there are up to the last one.
        """
        hits: list[Hit] = []
        ends = trio.current_time() + bounds.SEARCH_LOOK_S
        while True:
            found = await self._index.find(asked._replace(limit=asked.limit - len(hits)), keeps)
            hits += found.hits
            if found.reached is None:
                return hits, True
            gets_on = not asked.best and (asked.after is None or found.reached < asked.after)
            if not gets_on or trio.current_time() >= ends:
                return hits, False
            asked = asked._replace(after=found.reached)


def _params(asked: _Find) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in asked.__struct_fields__}
