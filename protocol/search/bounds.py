"""What bounds searches and trends."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.limits import PAGE_ITEMS, POST_TAGS, REQUEST_TIMEOUT_S

SEARCH_CODE_POINTS: Final = 512  # of a query
SEARCH_TERMS: Final = 16  # of a query
SEARCH_PREFIX_CODE_POINTS: Final = 3  # at least, before a *: shorter ones begin half of all words
SEARCH_TOKEN_CODE_POINTS: Final = 40  # of a word, by which it is told from others
SEARCH_HITS: Final = 512  # that one node tells at a time
SEARCH_CANDIDATES: Final = 400  # the newest that match, among which the best are looked for
SEARCH_TIMEOUT_S: Final = 2.0  # for all nodes that are asked for a page together
SEARCH_ASK_TIMEOUT_S: Final = 1.0  # for one of them, after which another replica is asked
SEARCH_LOOK_S: Final = 0.7  # that one of them goes on looking, so that its answer is in time
SEARCH_BATCH_CHANGES: Final = 128  # that are indexed in one transaction
SEARCH_ROWS_ERASED: Final = 512  # in one transaction
TREND_ROWS: Final = 200_000  # posts and tags that one node looks at, the newest
TREND_HOUR_ROWS: Final = POST_TAGS  # of them, of one account in one hour, its newest: a whole post counts
TREND_TAGS_BY_ONE: Final = POST_TAGS  # that one account is observed to use, those it used last
TREND_TAGS: Final = 256  # that one node tells of, those that are used most
TRENDS: Final = 50  # in one answer
SEARCH_READERS: Final = 4  # that look at one index at once, with a connection each

assert 2 * SEARCH_ASK_TIMEOUT_S <= SEARCH_TIMEOUT_S and 4 * SEARCH_TIMEOUT_S < REQUEST_TIMEOUT_S
assert PAGE_ITEMS < SEARCH_HITS
assert 8 * TREND_HOUR_ROWS * 24 * 28 <= TREND_ROWS and 8 * TREND_TAGS_BY_ONE <= TREND_TAGS, "for several"
