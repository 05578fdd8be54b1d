"""Finding posts in an index: the newest that meet a query, or the best of the newest.

The words of a query become a query of FTS5's by this module alone, out of tokens that are made of letters and
digits and stand between quotation marks. Rows come in the order of times, the newest first, and reading ends
as soon as there are enough; so the commonest words cost the least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from heapq import nlargest
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.key import HASH_BYTES, ITEM_AT, PLACE_PREFIX_BYTES
from folkmoot.protocol.limits import POST_ITEM_BYTES
from folkmoot.protocol.search.bounds import SEARCH_CANDIDATES
from folkmoot.protocol.search.documents import TIME_MS_MAX
from folkmoot.protocol.search.query import Query, Term
from folkmoot.protocol.search.ranking import score
from folkmoot.storage.search.index import MOMENT_BITS, SearchIndex

ROWS_MAX: Final = 20_000
"""That are looked at in one go, whether they are in ranges that were asked for or not."""

MEMBER_BYTES: Final = POST_ITEM_BYTES + PLACE_PREFIX_BYTES - HASH_BYTES
_TIME_BYTES: Final = 6  # of a member, with which it begins
_SELECT: Final = (
    "SELECT posts.key, posts.body FROM words JOIN posts ON posts.id = words.rowid "
    "WHERE words MATCH ? AND words.rowid >= ? AND words.rowid < ? "
    "AND NOT EXISTS (SELECT 1 FROM hidden WHERE place = substr(posts.key, 1, ?)) "
    "ORDER BY words.rowid DESC"
)


class Hit(NamedTuple):
    """A post that was found.

    Args:
        score: how well it meets the query; 0 where only its time counts.
        member: its item and its author's public key (16 and 32 bytes).
    """

    score: int
    member: bytes


class Asked(NamedTuple):
    """What is looked for.

    Args:
        query: with accounts in the place of handles.
        best: whether the best are wanted, not the newest.
        as_of_ms: the time (milliseconds since 1970) from which ages are counted; nothing later is found.
        after: the hit after which to begin; None for the first.
        limit: at most so many hits.
    """

    query: Query
    best: bool
    as_of_ms: int
    after: Hit | None
    limit: int


class Found(NamedTuple):
    """What one look came to.

    Args:
        hits: in order; fewer than asked for at the end.
        reached: after which to go on, when looking ended early: all before it was looked at.
    """

    hits: list[Hit]
    reached: Hit | None = None


def find(index: SearchIndex, asked: Asked, keeps: Callable[[bytes], bool]) -> Found:
    """The next hits.

    Args:
        keeps: whether a key is in the ranges that are asked for.

    Raises:
        IndexDamaged: see there.
    """
    return _best(index, asked, keeps) if asked.best else _newest(index, asked, keeps)


def _newest(index: SearchIndex, asked: Asked, keeps: Callable[[bytes], bool]) -> Found:
    hits: list[Hit] = []
    latest_ms = asked.as_of_ms
    if asked.after is not None:
        latest_ms = min(latest_ms, post_time_ms(asked.after.member))
    rows = _Rows(index, asked.query, latest_ms)
    kept = (Hit(0, member_of(key)) for key, _ in rows if keeps(key))
    # Which of those of one millisecond was indexed first means nothing: they are put in order here.
    for time_ms, same in groupby(kept, key=lambda hit: post_time_ms(hit.member)):
        later = (hit for hit in same if asked.after is None or hit.member < asked.after.member)
        moment = nlargest(asked.limit - len(hits), later)
        if time_ms == rows.ended_ms:
            break  # not all of it was looked at
        hits += moment
        if len(hits) == asked.limit:
            return Found(hits)
    return Found(hits, rows.reached)


def _best(index: SearchIndex, asked: Asked, keeps: Callable[[bytes], bool]) -> Found:
    hits: list[Hit] = []
    rows = _Rows(index, asked.query, asked.as_of_ms)
    for key, body in rows:
        if keeps(key):
            age_ms = max(0, asked.as_of_ms - post_time_ms(key[ITEM_AT:]))
            hits.append(Hit(score(asked.query, body, age_ms), member_of(key)))
            if len(hits) == SEARCH_CANDIDATES:
                break
    later = (hit for hit in hits if asked.after is None or hit < asked.after)
    best = sorted(later, key=attrgetter("score", "member"), reverse=True)[: asked.limit]
    return Found(best, rows.reached if len(hits) < asked.limit else None)


class _Rows:
    """The keys and bodies of posts that meet a query, the newest first; so many as are looked at in one go.

    Attributes:
        ended_ms: the time of the last one, when there were more; else None.
    """

    def __init__(self, index: SearchIndex, query: Query, latest_ms: int) -> None:
        self._index = index
        self._query = query
        self._latest_ms = latest_ms
        self.ended_ms: int | None = None

    @property
    def reached(self) -> Hit | None:
        """What would come before all of that time, when there were more: no item ends so."""
        if self.ended_ms is None:
            return None
        return Hit(0, self.ended_ms.to_bytes(_TIME_BYTES, "big") + b"\xff" * (MEMBER_BYTES - _TIME_BYTES))

    def __iter__(self) -> Iterator[tuple[bytes, str]]:
        query, last = self._query, self._latest_ms
        first = 0 if query.since_ms is None else min(query.since_ms, TIME_MS_MAX + 1)
        if query.until_ms is not None:
            last = min(last, query.until_ms - 1)
        bounds = (first << MOMENT_BITS, (min(last, TIME_MS_MAX) + 1) << MOMENT_BITS)
        bounds = (bounds[0], min(bounds[1], 2**63 - 1))
        if bounds[0] >= bounds[1]:
            return
        asked = (matched(query), *bounds, PLACE_PREFIX_BYTES)
        key = b""
        with self._index.reading() as connection, closing(connection.execute(_SELECT, asked)) as rows:
            for number, (found, body) in enumerate(rows):
                if number == ROWS_MAX:
                    self.ended_ms = post_time_ms(key[ITEM_AT:])
                    return
                key = found
                yield key, body


def matched(query: Query) -> str:
    """A query as FTS5 takes it."""
    assert not query.handles, "handles were resolved"
    wanted = " AND ".join(_matched(term) for term in query.terms if not term.excluded)
    excluded = " OR ".join(_matched(term) for term in query.terms if term.excluded)
    return f"({wanted}) NOT ({excluded})" if excluded else wanted


def _matched(term: Term) -> str:
    assert all('"' not in token and "\0" not in token for token in term.phrase.tokens), "tokens of ours"
    return f'{term.column} : "{" ".join(term.phrase.tokens)}"' + (" *" if term.phrase.open_ended else "")


def member_of(key: bytes) -> bytes:
    """The item and the author's public key of the post at a key."""
    return key[ITEM_AT : ITEM_AT + POST_ITEM_BYTES] + key[HASH_BYTES:PLACE_PREFIX_BYTES]
