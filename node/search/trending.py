"""`feed.trends`: the tags that surprise, over all ranges; each node sketches those of its own posts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Annotated, Any, Final, NamedTuple, Protocol

import trio
from cachetools import TTLCache
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.search.scattering import Epochs, Keeps, RangeIds, Scatter
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.search import bounds
from folkmoot.protocol.search.documents import TIME_MS_MAX
from folkmoot.protocol.trends.sketch import HASH_BITS, HASHES_MAX, Sketch, merged, most_used, trends
from msgspec import Meta, Struct

TRENDS: Final = "search.trends"
_REMEMBERED_S: Final = 10.0
_STEP_MS: Final = 10_000  # moments of which sketches are made, so that what was made serves several who ask
_REMEMBERED: Final = 8

_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Hash = Annotated[int, Meta(ge=0, lt=1 << HASH_BITS)]
_Form = Annotated[str, Meta(max_length=limits.TAG_FORM_BYTES)]
_Told = tuple[_Form, _Number, _Number, Annotated[list[_Hash], Meta(max_length=HASHES_MAX)]]


class _Asked(Struct):
    """`search.trends`: sketches of the tags of posts in ranges that the asked node keeps."""

    ranges: Epochs
    now_ms: Annotated[int, Meta(ge=0, le=TIME_MS_MAX)]
    half_life_ms: Annotated[int, Meta(ge=60_000, le=7 * 24 * 3_600_000)]


class _Sketches(Struct):
    """The answer: those that are used most, the ranges, and how far behind the index is."""

    tags: Annotated[list[_Told], Meta(max_length=bounds.TREND_TAGS)]
    ranges: RangeIds
    lag_ms: _Number


class Sketches(Protocol):
    """See `indexer`."""

    async def sketch(self, keeps: Keeps, now_ms: int, half_life_ms: int) -> dict[str, Sketch]: ...

    def lag_s(self) -> float | None: ...


class Terms(NamedTuple):
    """By what terms tags trend.

    Args:
        half_life_ms: after which a use counts half.
        authors_min: of whom there are fewer does not trend.
    """

    half_life_ms: int
    authors_min: int


class Trending:
    """See the module.

    Args:
        scatter: asks nodes that keep all ranges together.
        ranges: the range map now.
        index: this node's own.
        terms: see there.
        now_us: wall time, microseconds since 1970.
        now: the clock by which sketches are remembered for some seconds.
    """

    def __init__(
        self,
        scatter: Scatter,
        ranges: Callable[[], RangeMap],
        index: Sketches,
        terms: Terms,
        now_us: Callable[[], int],
        now: Callable[[], float],
    ) -> None:
        self._scatter = scatter
        self._ranges = ranges
        self._index = index
        self._terms = terms
        self._now_us = now_us
        self._made: TTLCache[Any, dict[str, Sketch]] = TTLCache(_REMEMBERED, _REMEMBERED_S, now)
        self._making = trio.Lock()

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {"feed.trends": self.trends}

    async def trends(self, asker: Asker, params: Params) -> dict[str, Any]:
        """The tags that surprise most."""
        asked = codec.shaped(params, messages.FeedTrends, "feed.trends")
        half_life_ms, authors_min = self._terms
        now_ms = self._now_us() // 1000
        of_ms = now_ms - now_ms % _STEP_MS
        told: list[dict[str, Sketch]] = []
        lag_ms = 0

        async def ask(node_id: bytes, some: Epochs) -> Collection[int]:
            nonlocal lag_ms
            wanted = _Asked(some, of_ms, half_life_ms)
            if node_id == self._scatter.node_id:
                answer = await self._sketches(wanted)
            else:
                params = {"ranges": some, "now_ms": of_ms, "half_life_ms": half_life_ms}
                answer = codec.shaped(await self._scatter.call(node_id, TRENDS, params), _Sketches, TRENDS)
            told.append(
                {tag: Sketch(seen, usual, tuple(sorted(set(who)))) for tag, seen, usual, who in answer.tags}
            )
            lag_ms = max(lag_ms, answer.lag_ms)
            return answer.ranges

        covered = await self._scatter.over_ranges(ask, set())
        if not covered:
            raise WireError(
                LEVEL_UNREACHABLE,
                "no replica of any range could be asked in time; folkmoot doctor says why",
                retry_after_ms=1000,
            )
        found = trends(merged(told), authors_min=authors_min, count=asked.limit)
        return {
            "trends": [
                {
                    "tag": each.tag,
                    "authors": each.authors,
                    "score": _milli(each.score),
                    "times": _milli(each.times),
                }
                for each in found
            ],
            "as_of_ms": of_ms - lag_ms,
            "lag_ms": lag_ms,
            "covered": {"ranges": len(covered), "of": len(self._ranges().ranges)},
        }

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {TRENDS: self._answer}

    async def _answer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        told = await self._sketches(codec.shaped(params, _Asked, TRENDS))
        return {"tags": told.tags, "ranges": told.ranges, "lag_ms": told.lag_ms}

    async def _sketches(self, asked: _Asked) -> _Sketches:
        """The sketches of this node's own posts in those of some ranges that it keeps.

        Raises:
            WireError: `busy`.
        """
        async with self._scatter.answering(asked.ranges) as (searched, keeps):
            key = frozenset(searched), asked.now_ms, asked.half_life_ms
            lag_s = self._index.lag_s()
            async with self._making:  # one at a time: who asks meanwhile mostly asks for the same
                sketches = self._made.get(key)
                if sketches is None:
                    made = await self._index.sketch(keeps, asked.now_ms, asked.half_life_ms)
                    self._made[key] = sketches = most_used(made, bounds.TREND_TAGS)
        tags = [(tag, each.observed, each.usual, list(each.hashes)) for tag, each in sketches.items()]
        return _Sketches(tags, searched, int(1000 * (lag_s or 0.0)))


def _milli(value: float) -> int:
    """A figure in thousandths, for there are no fractions on the wire."""
    return round(value * 1000)
