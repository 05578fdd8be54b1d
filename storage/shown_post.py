"""Posts as pages show them: put together from their cell, their counts and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from folkmoot.protocol import codec
from folkmoot.protocol.feed.pages import pack_item
from folkmoot.protocol.feed.telling import is_telling
from folkmoot.protocol.key import ITEM_AT, KIND_AT, KIND_BYTE
from folkmoot.protocol.limits import POST_ITEM_BYTES
from folkmoot.protocol.record import Record
from folkmoot.storage.rows import NO_COUNTS, Counts

_POST_BYTES: Final = 1_000  # of a post, besides its item, its frame and its record
_POST: Final = bytes((KIND_BYTE["post"],))


class Post:
    """A post as a page shows it.

    Args:
        frame: the display winner's `[payload, signature]`, encoded as it was signed; None when it is deleted.
        labels: the labels' frames, as in `pages.AuthorPage`.
        counts: likes and reposts.
        replies: how many.

    Attributes:
        telling: whether it has to be read to know who may see it, and what is to be said first.
        item: the item of a page that shows it, packed; empty when it is deleted.
    """

    __slots__ = ("_label_records", "_record", "counts", "frame", "item", "labels", "replies", "telling")

    def __init__(self, frame: bytes | None, labels: Sequence[bytes], counts: Counts, replies: int) -> None:
        self.frame = frame
        self.labels = labels
        self.counts = counts
        self.replies = replies
        self.telling = bool(labels) or (frame is not None and is_telling(frame))
        self.item = b"" if frame is None else pack_item(frame, labels, *counts, replies)
        self._record: Record | None = None
        self._label_records: list[Record] | None = None

    @property
    def record(self) -> Record:
        """The record of a post that stands; who reads it first decodes it for all."""
        if self._record is None:
            assert self.frame is not None, "nothing is left of a deleted post to be read"
            self._record = Record.from_wire(codec.unpack(self.frame))
        return self._record

    @property
    def label_records(self) -> list[Record]:
        """The records of its labels; the same."""
        if self._label_records is None:
            self._label_records = [Record.from_wire(codec.unpack(label)) for label in self.labels]
        return self._label_records

    def weight(self) -> int:
        """About how many bytes it takes once it has been read."""
        return _POST_BYTES + 4 * len(self.item)


GONE: Final = Post(None, (), NO_COUNTS, 0)
"""A post that was deleted."""


def post_key(key: bytes) -> bytes:
    """The key of the post that a cell is about: a post's own, or a label's, like's or repost's."""
    return key[:KIND_AT] + _POST + key[ITEM_AT : ITEM_AT + POST_ITEM_BYTES]
