"""Posts as pages show them: put together from their cell, their counts and their labels."""

from __future__ import annotations

from typing import Final, NamedTuple

from folkmoot.protocol.feed.pages import pack_item
from folkmoot.protocol.feed.telling import is_telling
from folkmoot.protocol.key import ITEM_AT, KIND_AT, KIND_BYTE
from folkmoot.protocol.limits import POST_ITEM_BYTES
from folkmoot.storage.rows import NO_COUNTS, Counts

_POST_BYTES: Final = 400  # of a post, besides its item and frame
_POST: Final = bytes((KIND_BYTE["post"],))


class Post(NamedTuple):
    """A post as a page shows it.

    Args:
        frame: the display winner's `[payload, signature]`, encoded as it was signed; None when it is deleted.
        labels: the labels' frames, as in `pages.AuthorPage`.
        counts: likes and reposts.
        replies: how many.
        telling: whether it has to be read to know who may see it, and what is to be said first.
        item: the item of a page that shows it, packed; empty when it is deleted.
    """

    frame: bytes | None
    labels: list[bytes]
    counts: Counts
    replies: int
    telling: bool
    item: bytes

    @classmethod
    def of(cls, frame: bytes, labels: list[bytes], counts: Counts, replies: int) -> Post:
        """A post that stands."""
        telling = bool(labels) or is_telling(frame)
        return cls(frame, labels, counts, replies, telling, pack_item(frame, labels, *counts, replies))

    def weight(self) -> int:
        """About how many bytes it takes."""
        return _POST_BYTES + 2 * len(self.item)


GONE: Final = Post(None, [], NO_COUNTS, 0, False, b"")
"""A post that was deleted."""


def post_key(key: bytes) -> bytes:
    """The key of the post that a cell is about: a post's own, or a label's, like's or repost's."""
    return key[:KIND_AT] + _POST + key[ITEM_AT : ITEM_AT + POST_ITEM_BYTES]
