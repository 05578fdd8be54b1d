"""Signals: what is known of a post, as expressions see it (`protocol.ranking.expressions.SIGNALS`).

Only what a document speaks of is worked out: most documents ask for five things of twenty.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from folkmoot.node.projections.listings import Place
from folkmoot.node.projections.selecting import labels_of
from folkmoot.node.ranking.gathering import Gathered
from folkmoot.protocol import limits
from folkmoot.protocol.feed.words import normal_form
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.projections.entries import tag_form
from folkmoot.protocol.ranking.expressions import SIGNALS, Signals
from folkmoot.storage.shown_post import Post


class Reader(NamedTuple):
    """Whose feed it is, and when.

    Args:
        account: 34 bytes.
        followed: those of the candidates' authors whom they follow.
        as_of_ms: milliseconds since 1970.
        trusted: whose labels are heeded.
    """

    account: bytes
    followed: Collection[bytes]
    as_of_ms: int
    trusted: Collection[bytes]


class Seen(NamedTuple):
    """A post that stands, and what it was found with."""

    place: Place
    post: Post
    body: Mapping[str, Any]
    gathered: Gathered
    reader: Reader

    @property
    def author(self) -> bytes:
        """34 bytes."""
        return self.place.ref.author


def signals_of(
    names: Collection[str], place: Place, post: Post, gathered: Gathered, reader: Reader
) -> Signals:
    """What is known of one post that stands.

    Args:
        names: what of it.
        place: where it stands in the feed.
        post: as it is now.
        gathered: what it was found with.
        reader: see there.
    """
    assert post.frame is not None, "what was deleted is no candidate"
    seen = Seen(place, post, post.record.body, gathered, reader)
    return {name: _READ[name](seen) for name in names}


def _age_s(seen: Seen) -> float:
    return max(0, seen.reader.as_of_ms - seen.place.dated_ms) / 1000


def _tags(seen: Seen) -> list[str]:
    return list(dict.fromkeys(form for form in map(tag_form, seen.body.get("tags", ())) if form))


def _labels(seen: Seen) -> list[str]:
    heard = labels_of(seen.post, seen.reader.trusted, 1000 * seen.reader.as_of_ms) if seen.post.labels else ()
    return list(dict.fromkeys((*seen.body.get("labels", ()), *(label.value for label in heard))))


def _cut(text: str) -> str:
    """A normal form may be many times as long as a post is: what is searched is as long as one, at most."""
    return text[: limits.POST_TEXT_CODE_POINTS]


_account_text: Final = lru_cache(maxsize=4_096)(account_to_text)

_READ: Final[Mapping[str, Callable[[Seen], Any]]] = {
    "age_s": _age_s,
    "likes": lambda seen: float(seen.post.counts.likes),
    "reposts": lambda seen: float(seen.post.counts.reposts),
    "replies": lambda seen: float(seen.post.replies),
    "friends": lambda seen: float(seen.gathered.friends[seen.author]),
    "similarity": lambda seen: seen.gathered.nearness.get(seen.place.ref, 0.0),
    "tag_hits": lambda seen: float(sum(tag in seen.gathered.tags for tag in _tags(seen))),
    "length": lambda seen: float(len(seen.body.get("text", ""))),
    "media": lambda seen: float(len(seen.body.get("media", ()))),
    "own": lambda seen: seen.author == seen.reader.account,
    "followed": lambda seen: seen.author in seen.reader.followed,
    "is_reply": lambda seen: "reply_to" in seen.body,
    "is_repost": lambda seen: seen.place.reposter is not None,
    "is_quote": lambda seen: "quote" in seen.body,
    "has_warning": lambda seen: bool(seen.body.get("warning")),
    "author": lambda seen: _account_text(seen.author),
    "lang": lambda seen: seen.body.get("lang", "").lower(),
    "text": lambda seen: _cut(normal_form(seen.body.get("text", ""))),
    "tags": _tags,
    "labels": _labels,
    "sources": lambda seen: seen.gathered.sources[seen.place.ref],
}
assert _READ.keys() == SIGNALS.keys(), "what an expression may speak of is known"
