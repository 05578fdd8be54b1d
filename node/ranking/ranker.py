"""Ranked feeds, and those that were ranked lately: so that the pages of one reader are of one ranking.

A ranking is kept for two minutes, if there is room. Whoever comes back later, or to another node, is
ranked for anew *as of the time of the first page*: what came since is left out, but likes have moved on, so
a post may come twice or not at all.

Expressions, and what they are about, are worked out off the event loop, of a few rankings at a time, and of
each for a quarter of a second of processor time at most. Who asks for what is being ranked waits for that,
and gets it; of different rankings no more are under way than can have their turn in time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import trio
from cachetools import TTLCache
from folkmoot.node.environment import Executor
from folkmoot.node.projections.listings import Place
from folkmoot.node.projections.posts import UNREACHED
from folkmoot.node.ranking.gathering import Gathered, Gathering
from folkmoot.node.ranking.signals import Reader, signals_of
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.feed.viewer import Viewer
from folkmoot.protocol.projections.entries import public_of
from folkmoot.protocol.ranking.document import Document
from folkmoot.protocol.ranking.position import Position
from folkmoot.protocol.ranking.program import Program, compiled
from folkmoot.protocol.ranking.scoring import Candidate, Ranked, Ranking, rank, terms_of
from folkmoot.storage.bounded import BoundedCache, CacheFigures
from folkmoot.storage.shown_post import Post

T = TypeVar("T")

AT_ONCE: Final = 2  # rankings whose expressions are worked out
WAITING: Final = 16  # that wait for their turn, or for their posts; above it the answer is `busy`
_KEPT_S: Final = 120.0  # so that later pages are of the same ranking
_FRESH_S: Final = 2.0  # in which who asks again is told of the same ranking
_PLACE_BYTES: Final = 700  # about, in memory, besides its terms
_TERM_BYTES: Final = 24
_RETRY_MS: Final = 500

assert (1 + WAITING / AT_ONCE) * limits.RANKING_TIME_S < limits.REPLICA_READ_TIMEOUT_S


class Asked(NamedTuple):
    """Whose feed is asked for, by which document.

    Args:
        account: whose, which this node keeps (34 bytes).
        viewer: who looks (34 bytes); None for nobody in particular.
        version: names the document (32 bytes).
    """

    account: bytes
    viewer: bytes | None
    version: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A ranking, as pages are made of it.

    Attributes:
        as_of_ms: when it was made, milliseconds since 1970.
        places: the posts, the best first; each says its position.
        ranking: what their scores are made of, in the same order.
        sources: of each, those it came from.
        unreached: sources that could not be asked.
        document: that it was made by.
    """

    as_of_ms: int
    places: list[Place]
    ranking: Ranking
    sources: list[list[str]]
    unreached: list[str]
    document: Document

    def weight(self) -> int:
        """About how many bytes it takes."""
        return (len(self.places) + 1) * (_PLACE_BYTES + _TERM_BYTES * len(self.document.terms))

    def left_out(self) -> dict[str, int]:
        """How many candidates are not among them, by why."""
        ranking = self.ranking
        return {"filtered": ranking.filtered, "failed": ranking.failed, "per_author": ranking.crowded}

    def listing(self, *, explain: bool) -> RankedListing:
        """The feed that it is.

        Args:
            explain: whether items say why they are there.
        """
        return RankedListing(self, explain)


class RankedListing:
    """A feed in the order of a ranking; made by `Kept.listing`.

    Attributes:
        unreached: nobody, for the page says who could not be asked when it was ranked.
    """

    unreached: Sequence[bytes] = ()

    def __init__(self, kept: Kept, explain: bool) -> None:
        self._kept = kept
        self._explain = explain

    async def places(self, after: bytes | None, limit: int) -> list[Place]:
        """See `Listing`."""
        places = self._kept.places
        start = 0 if after is None else bisect_left(places, True, key=lambda place: place.at < after)
        some = places[start : start + limit]
        if not self._explain:
            return some
        return [place._replace(why=self._why(start + number)) for number, place in enumerate(some)]

    def _why(self, number: int) -> dict[str, Any]:
        kept = self._kept
        ranked = kept.ranking.ranked[number]
        terms = terms_of(kept.document, ranked)
        return {"sources": kept.sources[number], "score": ranked.score, "terms": terms}


class _Flight:
    """A ranking that is under way, and what became of it: nothing, when who asked for it first is gone."""

    def __init__(self) -> None:
        self.over = trio.Event()
        self.kept: Kept | None = None
        self.error: WireError | None = None

    @property
    def has_landed(self) -> bool:
        """Whether something became of it."""
        return self.kept is not None or self.error is not None

    def result(self) -> Kept:
        """What became of it.

        Raises:
            WireError: what the first was told, as an error of its own.
        """
        if self.kept is None:
            assert self.error is not None, "it has landed"
            raise WireError.from_wire(self.error.to_wire())
        return self.kept


class Ranker:
    """See the module.

    Args:
        gathering: finds candidates.
        executor: where expressions are worked out.
        trusted: whose labels are heeded.
        now_us: wall time, microseconds since 1970.
        now: the clock by which rankings are kept.
        kept_bytes: what they take at most.
    """

    def __init__(
        self,
        gathering: Gathering,
        executor: Executor,
        trusted: Callable[[], Collection[bytes]],
        now_us: Callable[[], int],
        now: Callable[[], float],
        kept_bytes: int,
    ) -> None:
        self._gathering = gathering
        self._executor = executor
        self._trusted = trusted
        self._now_us = now_us
        self._limiter = trio.CapacityLimiter(AT_ONCE)
        self._under_way: dict[tuple[Asked, int | None], _Flight] = {}
        self._kept: BoundedCache[tuple[Asked, int], Kept] = BoundedCache(
            kept_bytes, Kept.weight, lasting_s=_KEPT_S, now=now
        )
        self._fresh: TTLCache[Asked, int] = TTLCache(1_024, _FRESH_S, now)

    def caches(self) -> dict[str, CacheFigures]:
        """What is kept of rankings."""
        return {"rankings": self._kept.figures()}

    async def ranking(self, asked: Asked, document: Document, viewer: Viewer, as_of_ms: int | None) -> Kept:
        """A ranking: one that is kept, or a new one.

        Args:
            asked: which.
            document: that `asked.version` names.
            viewer: that `asked.viewer` is.
            as_of_ms: of which time, for later pages; None for the first.

        Raises:
            ExpressionError: an expression of the document cannot be used.
            WireError: `bad_request`, for a source that is not known; `too_large`, when ranking took too long;
                `busy`, when too many wait for it.
        """
        flight: _Flight | None = None
        while flight is None or not flight.has_landed:
            wanted = self._fresh.get(asked) if as_of_ms is None else as_of_ms
            known = None if wanted is None else self._kept.get((asked, wanted))
            if known is not None:
                return known
            flight = self._under_way.get((asked, as_of_ms))
            if flight is None:
                return await self._lead(asked, document, viewer, as_of_ms)
            await flight.over.wait()
        return flight.result()

    async def _lead(self, asked: Asked, document: Document, viewer: Viewer, as_of_ms: int | None) -> Kept:
        """Rank, for all who ask for the same meanwhile."""
        if len(self._under_way) >= AT_ONCE + WAITING:
            raise WireError(BUSY, "too many feeds are being ranked", retry_after_ms=_RETRY_MS)
        flight = self._under_way[asked, as_of_ms] = _Flight()
        try:
            kept = flight.kept = await self._rank(asked, document, viewer, as_of_ms)
        except WireError as error:
            flight.error = error
            raise
        finally:
            del self._under_way[asked, as_of_ms]
            flight.over.set()
        self._kept.put((asked, kept.as_of_ms), kept)
        if as_of_ms is None:
            self._fresh[asked] = kept.as_of_ms
        return kept

    async def _rank(self, asked: Asked, document: Document, viewer: Viewer, until_ms: int | None) -> Kept:
        program = await self._run(lambda: compiled(document))
        now_us = self._now_us()
        gathered = await self._gathering.gather(document, asked.account, viewer, now_us, until_ms)
        found = await self._gathering.read(gathered.places)
        for ref, post in found.items():
            if post is UNREACHED:
                gathered.note_unreached(*gathered.sources[ref])
        standing = [
            (place, post)
            for ref, place in gathered.places.items()
            if isinstance(post := found[ref], Post) and post.frame is not None
        ]
        as_of_ms = now_us // 1000 if until_ms is None else until_ms
        authors = {place.ref.author for place, _ in standing}
        followed = self._gathering.followed(asked.account, authors)
        reader = Reader(asked.account, followed, as_of_ms, self._trusted())
        spent_s = self._executor.spent_s
        ranking = await self._run(lambda: _ranked(program, standing, gathered, reader, spent_s))
        places = [
            standing[each.candidate][0]._replace(at=_position(asked, as_of_ms, each))
            for each in ranking.ranked
        ]
        sources = [gathered.sources[place.ref] for place in places]
        return Kept(as_of_ms, places, ranking, sources, gathered.unreached, document)

    async def _run(self, work: Callable[[], T]) -> T:
        """Do something off the event loop, when it is its turn."""
        async with self._limiter:
            return await self._executor.run(work)


def _ranked(
    program: Program,
    standing: list[tuple[Place, Post]],
    gathered: Gathered,
    reader: Reader,
    spent_s: Callable[[], float],
) -> Ranking:
    """Rank, on whatever thread this is. Other threads may keep it waiting: only its own time is counted."""
    ends = spent_s() + limits.RANKING_TIME_S
    candidates = (
        Candidate(
            place.ref.item + public_of(place.ref.author),
            place.ref.author,
            signals_of(program.signals, place, post, gathered, reader),
        )
        for place, post in standing
    )
    return rank(program, candidates, lambda: spent_s() > ends)


def _position(asked: Asked, as_of_ms: int, ranked: Ranked) -> bytes:
    return Position(asked.version, as_of_ms, ranked.score, ranked.entry).encode()
