"""Finding posts in an index: the newest that meet a query, or the best of the newest.

The words of a query become a query of FTS5's by this module alone, out of tokens that are made of letters and
digits and stand between quotation marks. Rows come in the order of times, the newest first, and reading ends
as soon as there are enough; so the commonest words cost the least.

Rows come in parts, each put together by SQLite in one step. Python's interpreter lock is let go for every
step, and has to be had again afterwards from whoever has taken it meanwhile, so that a search that fetches
its rows one by one waits as often as it has rows on a node that has other things to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from heapq import nlargest
from itertools import groupby
from typing import Final, NamedTuple

from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.key import HASH_BYTES, ITEM_AT, PLACE_PREFIX_BYTES
from folkmoot.protocol.limits import POST_ITEM_BYTES
from folkmoot.protocol.search.bounds import SEARCH_CANDIDATES
from folkmoot.protocol.search.documents import TIME_MS_MAX
from folkmoot.protocol.search.query import Query, Term
from folkmoot.protocol.search.ranking import scoring
from folkmoot.storage.search.index import MOMENT_BITS, SearchIndex

ROWS_MAX: Final = 20_000
"""That are looked at in one go, whether they are in ranges that were asked for or not."""

MEMBER_BYTES: Final = POST_ITEM_BYTES + PLACE_PREFIX_BYTES - HASH_BYTES
_TIME_BYTES: Final = 6  # of a member, with which it begins
_PART_MORE: Final = 8
"""Rows that are fetched beyond those that are wanted: one tells that a millisecond is over."""
_PART_GROWTH: Final = 4
_MATCHING: Final = (
    "SELECT posts.id AS id, posts.key AS key, {body} AS body FROM words JOIN posts ON posts.id = words.rowid "
    "WHERE words MATCH ? AND words.rowid >= ? AND words.rowid < ? "
    "AND NOT EXISTS (SELECT 1 FROM hidden WHERE place = substr(posts.key, 1, ?)) "
    "ORDER BY words.rowid DESC LIMIT ?"
)
# Keys in hexadecimal digits and bodies, which are words of ours, have no line breaks.
_PART: Final = "SELECT min(id), count(*), group_concat(hex(key) || ' ' || body, char(10)) FROM ({matching})"
_WITH_BODIES: Final = _PART.format(matching=_MATCHING.format(body="posts.body"))
_WITHOUT_BODIES: Final = _PART.format(matching=_MATCHING.format(body="''"))


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
    rows = _Rows(index, asked.query, latest_ms, asked.limit + _PART_MORE, _WITHOUT_BODIES)
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
    scored: list[tuple[int, bytes]] = []
    score, as_of_ms = scoring(asked.query), asked.as_of_ms
    rows = _Rows(index, asked.query, as_of_ms, SEARCH_CANDIDATES, _WITH_BODIES)
    for key, body in rows:
        if keeps(key):
            member = member_of(key)
            scored.append((score(body, max(0, as_of_ms - post_time_ms(member))), member))
            if len(scored) == SEARCH_CANDIDATES:
                break
    later = scored if asked.after is None else [each for each in scored if each < asked.after]
    best = [Hit(*each) for each in nlargest(asked.limit, later)]
    return Found(best, rows.reached if len(scored) < asked.limit else None)


class _Rows:
    """The keys and bodies of posts that meet a query, the newest first; so many as are looked at in one go.

    Args:
        latest_ms: nothing later is told of.
        wanted: about how many will be enough.
        select: with bodies or without.

    Attributes:
        ended_ms: the time of the last one, when there may be more; else None.
    """

    def __init__(self, index: SearchIndex, query: Query, latest_ms: int, wanted: int, select: str) -> None:
        self._index = index
        self._text = matched(query)
        self._wanted = wanted
        self._select = select
        first = 0 if query.since_ms is None else min(query.since_ms, TIME_MS_MAX + 1)
        last = latest_ms if query.until_ms is None else min(latest_ms, query.until_ms - 1)
        self._start = first << MOMENT_BITS
        self._end = min((min(last, TIME_MS_MAX) + 1) << MOMENT_BITS, 2**63 - 1)
        self.ended_ms: int | None = None

    @property
    def reached(self) -> Hit | None:
        """What would come before all of that time, when there may be more: no item ends so."""
        if self.ended_ms is None:
            return None
        return Hit(0, self.ended_ms.to_bytes(_TIME_BYTES, "big") + b"\xff" * (MEMBER_BYTES - _TIME_BYTES))

    def __iter__(self) -> Iterator[tuple[bytes, str]]:
        end, left, part = self._end, ROWS_MAX, self._wanted
        with self._index.reading() as connection:
            while self._start < end:
                limit = min(part, left)
                asked = (self._text, self._start, end, PLACE_PREFIX_BYTES, limit)
                with closing(connection.execute(self._select, asked)) as told:
                    lowest, count, lines = told.fetchone()
                for line in lines.split("\n") if count else ():
                    key, _, body = line.partition(" ")
                    yield bytes.fromhex(key), body
                if count < limit:
                    return
                left, end, part = left - count, lowest, part * _PART_GROWTH
                if not left:
                    self.ended_ms = lowest >> MOMENT_BITS
                    return


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
