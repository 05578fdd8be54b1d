"""Signals: what is known of a post, as expressions see it (`protocol.ranking.expressions.SIGNALS`)."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from folkmoot.node.projections.listings import Place
from folkmoot.node.projections.selecting import labels_of, record_of
from folkmoot.node.ranking.gathering import Gathered
from folkmoot.protocol.feed.words import normal_form
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.projections.entries import tag_form
from folkmoot.protocol.ranking.expressions import Signals
from folkmoot.storage.post_cache import Post


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


def signals_of(place: Place, post: Post, gathered: Gathered, reader: Reader) -> Signals:
    """What is known of one post that stands.

    Args:
        place: where it stands in the feed.
        post: as it is now.
        gathered: what it was found with.
        reader: see there.
    """
    assert post.frame is not None, "what was deleted is no candidate"
    author = place.ref.author
    body = record_of(post.frame).body
    tags = list(dict.fromkeys(form for form in map(tag_form, body.get("tags", ())) if form))
    said = [each.value for each in labels_of(post, reader.trusted) if not each.negated]
    text = body.get("text", "")
    since_ms = int.from_bytes(place.at[:6], "big")
    return {
        "age_s": max(0, reader.as_of_ms - since_ms) / 1000,
        "likes": float(post.counts.likes),
        "reposts": float(post.counts.reposts),
        "replies": float(post.replies),
        "friends": float(gathered.friends[author]),
        "tag_hits": float(sum(tag in gathered.tags for tag in tags)),
        "length": float(len(text)),
        "media": float(len(body.get("media", ()))),
        "own": author == reader.account,
        "followed": author in reader.followed,
        "is_reply": "reply_to" in body,
        "is_repost": place.reposter is not None,
        "is_quote": "quote" in body,
        "has_warning": bool(body.get("warning")),
        "author": account_to_text(author),
        "lang": body.get("lang", "").lower(),
        "text": normal_form(text),
        "tags": tags,
        "labels": list(dict.fromkeys((*body.get("labels", ()), *said))),
        "sources": gathered.sources[place.ref],
    }
