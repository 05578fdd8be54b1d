"""What projections make of cells: entries of indexes, each a pure function of one cell.

An *index* is an ordered set of entries (group, member → value). The group says whose it is and where it is
kept: it begins like a key of the place it is about, so that a reply is listed where the post is that it
answers. What a cell puts into indexes follows from its facts alone, so that entries may be made twice, late
or in any order, and be made anew from nothing.

| index | group | member | value |
|---|---|---|---|
| followers | who is followed | who follows | |
| replies | the post that is answered | item and author of the reply | |
| thread | the post that began it | item and author of the reply | author and item of what it answers |
| tagged | the tag | item and author of the post | |
| reposted | who reposted | where it stands in feeds | item of the post |
| bookmarked | whose bookmark | when, author and item of the post | |
| inbox | whose home feed | when, author of the post | empty, or what was reposted and by whom |
| notices | who is to be told, and of what sort | see `notices` | see `notices` |

Accounts in entries are public keys of 32 bytes, and times are such that members stand in their order.
"""

from __future__ import annotations

import hashlib
import unicodedata
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.identity import MULTICODEC_ED25519
from folkmoot.protocol.key import HELD, PLACE_PREFIX_BYTES, KeyParts, place_prefix
from folkmoot.protocol.projections.facts import Facts

PUBLIC_BYTES: Final = 32
TIME_BYTES: Final = 8
MS_BYTES: Final = 6
_PREFIX_BYTES: Final = len(MULTICODEC_ED25519)
_TAG_DOMAIN: Final = b"folkmoot-tag-v1\x00"


class Projection(IntEnum):
    """What is derived from the cells; the numbers are on disk and never reused."""

    FOLLOWERS = 1
    THREADS = 2
    TAGS = 3
    REPOSTS = 4
    BOOKMARKS = 5
    HOME = 6
    NOTIFICATIONS = 7

    @property
    def word(self) -> str:
        """What people call it."""
        return self.name.lower()


class Index(IntEnum):
    """See the module; the numbers are on disk and never reused."""

    FOLLOWERS = 1
    REPLIES = 2
    THREAD = 3
    TAGGED = 4
    REPOSTED = 5
    BOOKMARKED = 6
    INBOX = 7
    FLOOR = 8  # of an inbox: the least member that may be in it
    MERGED = 9  # authors with too many followers for their posts to be put into inboxes
    BACKFILL = 10  # whose inbox is to be filled with whose posts
    NOTICES = 11
    NOTICES_FLOOR = 12  # of one sort of an account's notices: the least member, of all or of one author's


INDEXES: Final[dict[Projection, tuple[Index, ...]]] = {
    Projection.FOLLOWERS: (Index.FOLLOWERS,),
    Projection.THREADS: (Index.REPLIES, Index.THREAD),
    Projection.TAGS: (Index.TAGGED,),
    Projection.REPOSTS: (Index.REPOSTED,),
    Projection.BOOKMARKS: (Index.BOOKMARKED,),
    Projection.HOME: (Index.INBOX, Index.FLOOR, Index.MERGED, Index.BACKFILL),
    Projection.NOTIFICATIONS: (Index.NOTICES, Index.NOTICES_FLOOR),
}

FORMATS: Final[dict[Projection, int]] = {
    **dict.fromkeys(Projection, 1),
    Projection.THREADS: 2,
    Projection.REPOSTS: 2,
    Projection.NOTIFICATIONS: 3,
}
"""By which format the rows of each projection are made. Whatever changes what a cell is made into, or how an
entry is written, raises it, and rows of any other format are thrown away."""

LOOKS_AT: Final[dict[Projection, frozenset[str]]] = {
    Projection.FOLLOWERS: frozenset({"follow"}),
    Projection.THREADS: frozenset({"post"}),
    Projection.TAGS: frozenset({"post"}),
    Projection.REPOSTS: frozenset({"repost"}),
    Projection.BOOKMARKS: frozenset({"bookmark"}),
    Projection.HOME: frozenset({"post", "repost", "follow"}),
    Projection.NOTIFICATIONS: frozenset({"post", "follow", "like", "repost", "label", "decision", HELD}),
}
"""The kinds of cell that each projection is made of; of others nothing is looked up."""

COUNTED: Final = frozenset({Index.FOLLOWERS, Index.REPLIES, Index.NOTICES})
"""Indexes of which it is kept how many entries a group has."""


class Entry(NamedTuple):
    """One entry of an index; see the module."""

    into: Index
    group: bytes
    member: bytes
    value: bytes = b""

    def places(self, source: bytes) -> tuple[bytes, ...]:
        """Where in the key space a node must keep something to keep this entry; one of them is enough.

        Args:
            source: the key of the cell it is made of.
        """
        if self.into is Index.FOLLOWERS:  # home feeds are filled where those are who follow
            return self.group, source
        return (self.group,)


def public_of(account: bytes) -> bytes:
    """The 32 bytes of an account id that are not the same in all of them."""
    return account[_PREFIX_BYTES:]


def account_of(public: bytes) -> bytes:
    """The inverse of `public_of`."""
    return MULTICODEC_ED25519 + public


def post_group(author: bytes, item: bytes) -> bytes:
    """The group of what is about one post (author: 34 bytes, item: 16)."""
    return place_prefix(author) + item


def tag_form(tag: str) -> str:
    """The form in which tags are the same: without the sign, of no case, composed (NFKC)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", tag).casefold()).lstrip("#").strip()


@lru_cache(maxsize=4096)
def tag_group(form: str) -> bytes:
    """The group of a tag, in its form: tags are spread over the key space as accounts are."""
    digest = hashlib.sha256(_TAG_DOMAIN + form.encode()).digest()
    return (digest + digest)[:PLACE_PREFIX_BYTES]


def time_bytes(stamp: int) -> bytes:
    """A time in microseconds since 1970, as it stands in members."""
    return stamp.to_bytes(TIME_BYTES, "big")


def repost_place(reposter: bytes, stamp: int, author: bytes, item: bytes) -> bytes:
    """Where a repost stands in feeds (48 bytes): when it was made, as in the item of a post made then, and
    the post's author.

    Args:
        reposter, author: 34 bytes each.
        stamp: when, microseconds since 1970.
        item: the post's.
    """
    unique = hashlib.sha256(reposter + author + item).digest()[: limits.POST_ITEM_BYTES - MS_BYTES]
    return (stamp // 1000).to_bytes(MS_BYTES, "big") + unique + public_of(author)


def entries_of(projection: Projection, parts: KeyParts, facts: Facts) -> list[Entry]:
    """What one projection makes of one cell. Home feeds are made of two cells each (see `storage.inboxes`),
    and notifications have a module of their own (`notices`).

    Args:
        parts: of the cell's key.
        facts: see `facts`.
    """
    if not facts.on:
        return []
    kind, place, item = parts.kind, parts.place, parts.item
    match projection:
        case Projection.FOLLOWERS if kind == "follow" and item != place:
            return [Entry(Index.FOLLOWERS, place_prefix(item), public_of(place))]
        case Projection.THREADS if kind == "post" and facts.reply_to and facts.root:
            if facts.reply_to == (place, item):  # nothing answers itself
                return []
            return _in_thread(place, item, facts.reply_to, facts.root)
        case Projection.TAGS if kind == "post" and facts.tags:
            forms = dict.fromkeys(form for form in map(tag_form, facts.tags) if form)
            member = item + public_of(place)
            return [Entry(Index.TAGGED, tag_group(form), member) for form in forms]
        case Projection.REPOSTS if kind == "repost":
            post, account = item[: limits.POST_ITEM_BYTES], item[limits.POST_ITEM_BYTES :]
            member = repost_place(account, facts.stamp, place, post)
            return [Entry(Index.REPOSTED, place_prefix(account), member, post)]
        case Projection.BOOKMARKS if kind == "bookmark":
            author, post = item[: limits.ACCOUNT_BYTES], item[limits.ACCOUNT_BYTES :]
            member = time_bytes(facts.stamp) + public_of(author) + post
            return [Entry(Index.BOOKMARKED, place_prefix(place), member)]
    return []


def _in_thread(
    place: bytes, item: bytes, reply_to: tuple[bytes, bytes], root: tuple[bytes, bytes]
) -> list[Entry]:
    member = item + public_of(place)
    answered = public_of(reply_to[0]) + reply_to[1]
    return [
        Entry(Index.REPLIES, post_group(*reply_to), member),
        Entry(Index.THREAD, post_group(*root), member, answered),
    ]
